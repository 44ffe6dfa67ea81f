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

from unittest import mock

import sqlalchemy as sa
from zun.common import consts
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from tests import database
from tests.unit.db import base
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import models


class TestUsage(base.DatabaseTestCase):
    def used(self, project_id='project-1', count=1):
        """Accept a bulk and return the usage that its check was given."""
        used = []
        db_accepting.accept_bulk(
            *database.rows(count, project_id=project_id), used.append
        )
        return used[0]

    def test_of_a_project(self):
        self.assertEqual(
            {'containers': 0, 'cpu': 0, 'memory': 0, 'disk': 0}, self.used()
        )
        rows = database.rows(2)
        for row in rows[2]:
            row.update(cpu=0.5, memory='128', disk=3)
        db_accepting.accept_bulk(*rows)
        # The first one's says nothing but that it is there.
        self.assertEqual(
            {'containers': 3, 'cpu': 1.0, 'memory': 256, 'disk': 6},
            self.used(),
        )
        self.assertEqual(0, self.used('project-2')['containers'])
        self.assertEqual(4, self.used()['containers'])

    def test_counts_containers_only(self):
        with db_base.writer() as session:
            session.execute(
                sa.insert(zun_models.Container.__table__),
                [
                    {'uuid': str(kind), 'container_type': kind, 'cpu': 1.0}
                    | {'project_id': 'project-1'}
                    for kind in (
                        consts.TYPE_CAPSULE,
                        consts.TYPE_CAPSULE_CONTAINER,
                    )
                ],
            )
        self.assertEqual(0, self.used()['containers'])

    def test_what_is_refused_leaves_nothing(self):
        database.accept(1)
        before = self.dump()
        self.assertRaises(
            exception.OverQuota,
            db_accepting.accept_bulk,
            *database.rows(2),
            mock.Mock(side_effect=exception.OverQuota(overs='cpu')),
        )
        self.assertEqual(before, self.dump())

    def test_a_project_has_one_row(self):
        for _number in range(3):
            self.used()
        self.used('project-2')
        with self.engine.connect() as connection:
            self.assertEqual(
                [('project-1', 3), ('project-2', 1)],
                connection.execute(
                    sa.select(
                        models.Project.project_id, models.Project.accepted
                    ).order_by(models.Project.id)
                ).all(),
            )
