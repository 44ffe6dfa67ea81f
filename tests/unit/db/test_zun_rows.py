#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

import collections

import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import database
from tests.unit.db import base
from zun_bulk.db import zun_rows
from zun_bulk.db import zun_rows as db_zun_rows


class TestZunRows(base.DatabaseTestCase):
    def setUp(self):
        super().setUp()
        _bulk, members = database.accept(3)
        self.uuids = [member.container_uuid for member in members]
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(zun_models.Container.__table__).values(
                    status='Error',
                    status_reason='broken',
                    task_state='container_creating',
                    host='host-1',
                )
            )

    def test_states(self):
        state = ('Error', 'broken', 'container_creating', 'host-1')
        self.assertEqual(
            dict.fromkeys(self.uuids[:2], state),
            zun_rows.container_states(self.uuids[:2] + ['unknown']),
        )

    def test_fail(self):
        zun_rows.fail_containers(self.uuids[:1], 'no room\0')
        states = zun_rows.container_states(self.uuids)
        self.assertEqual(('Error', 'no room?'), states[self.uuids[0]][:2])
        self.assertEqual(('Error', 'broken'), states[self.uuids[1]][:2])

    def test_reset(self):
        zun_rows.reset_containers(self.uuids[:1])
        states = zun_rows.container_states(self.uuids)
        self.assertEqual(('Creating', None, None, None), states[self.uuids[0]])
        self.assertEqual(
            collections.Counter(['Creating', 'Error', 'Error']),
            collections.Counter(state[0] for state in states.values()),
        )

    def test_delete(self):
        _bulk, others = database.accept(1200, name='many')
        zun_rows.delete_containers(
            self.uuids[:2] + [member.container_uuid for member in others]
        )
        rows = self.dump()
        self.assertEqual(
            self.uuids[2:], [row.uuid for row in rows['container']]
        )
        self.assertEqual(
            self.uuids[2:],
            [row.container_uuid for row in rows['container_actions']],
        )


class TestNames(base.DatabaseTestCase):
    def test_existing_container_names(self):
        database.accept(2, name='Web')
        database.accept(1, name='other', project_id='project-2')
        wanted = ['wEb-1', 'web-3', 'other-1']
        self.assertEqual(
            {'web-1', 'other-1'}, db_zun_rows.existing_container_names(wanted)
        )
        self.assertEqual(
            {'web-1'},
            db_zun_rows.existing_container_names(wanted, 'project-1'),
        )
        many = ['name-%d' % number for number in range(2500)]
        self.assertEqual(
            {'web-2'}, db_zun_rows.existing_container_names(many + ['web-2'])
        )
