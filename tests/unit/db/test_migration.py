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

import contextlib
import io

from alembic import script
from alembic import util as alembic_util
from oslotest import base
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk.db import api
from zun_bulk.db import migration
from zun_bulk.db import models


OURS = set(models.Base.metadata.tables) | {migration.VERSION_TABLE}


class TestMigration(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(database.Database(tables=False)).engine

    def tables(self):
        return set(sa.inspect(self.engine).get_table_names())

    def test_upgrade_from_nothing(self):
        self.assertIsNone(migration.version())
        migration.upgrade()
        self.assertEqual(OURS, self.tables())
        self.assertEqual(migration.head(), migration.version())
        migration.check()

    def test_upgrade_again(self):
        migration.upgrade()
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO zun_bulk_bulk (uuid, name, project_id, user_id, "
                "request_id, status, count, run, max_attempts, placement, "
                "template, spec, epoch, heartbeat) VALUES ('u', 'n', 'p', "
                "'u', 'r', 'ready', 1, 1, 1, '{}', '{}', '{}', 0, 0)"
            )
        migration.upgrade()
        with self.engine.connect() as connection:
            self.assertEqual(
                1,
                connection.scalar(
                    sa.select(sa.func.count()).select_from(models.Bulk)
                ),
            )

    def test_bulks_that_there_are_already(self):
        migration.upgrade('e6a4182f7d05')
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO zun_bulk_bulk (id, uuid, name, project_id, "
                "user_id, request_id, status, count, run, max_attempts, "
                "placement, template, spec, epoch, heartbeat) VALUES (1, 'u', "
                "'n', 'p', 'u', 'r', 'ready', 2, 1, 1, '{}', '{}', '{}', 0, 0)"
            )
            connection.exec_driver_sql(
                "INSERT INTO zun_bulk_member (bulk_id, member_index, "
                "container_uuid, name, state, epoch, attempt) VALUES "
                "(1, 1, 'c', 'n-1', 'running', 0, 1)"
            )
        migration.upgrade()
        (bulk,) = api.list_bulks()
        self.assertEqual(2, api.last_index_of(bulk))
        self.assertEqual({1: {'running': 1}}, api.count_members([1]))

    def test_upgrade_to_a_revision(self):
        migration.upgrade(migration.head())
        self.assertEqual(migration.head(), migration.version())

    def test_unknown_revision(self):
        self.assertRaises(
            alembic_util.CommandError, migration.upgrade, 'nonesuch'
        )
        self.assertRaises(
            alembic_util.CommandError, migration.stamp, 'nonesuch'
        )
        self.assertIsNone(migration.version())

    def test_leaves_the_tables_of_zun_alone(self):
        zun_models.Base.metadata.create_all(self.engine)
        zuns = self.tables()
        migration.upgrade()
        self.assertEqual(zuns | OURS, self.tables())
        # Neither does it propose to drop them.
        migration.check()

    def test_stamp_touches_no_tables(self):
        migration.stamp('head')
        self.assertEqual({migration.VERSION_TABLE}, self.tables())
        self.assertEqual(migration.head(), migration.version())

    def test_check_before_upgrade(self):
        error = self.assertRaises(alembic_util.CommandError, migration.check)
        self.assertIn('not up to date', str(error))

    def test_check_of_tables_that_differ(self):
        migration.upgrade()
        with self.engine.begin() as connection:
            connection.exec_driver_sql('DROP INDEX zun_bulk_member_host_idx')
        error = self.assertRaises(alembic_util.CommandError, migration.check)
        self.assertIn('zun_bulk_member_host_idx', str(error))

    def test_history(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            migration.history()
        self.assertIn('%s (head)' % migration.head(), output.getvalue())

    def test_one_line_of_revisions(self):
        # Two heads would make "upgrade" ambiguous.
        directory = script.ScriptDirectory.from_config(migration._config())
        self.assertEqual([migration.head()], directory.get_heads())
