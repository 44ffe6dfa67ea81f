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

"""Tables and migrations, on every server."""

import os
import subprocess
import sys

import fixtures
import sqlalchemy as sa

from tests import database
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import migration
from zun_bulk.db import models
from zun_bulk.db import tables
from zun_bulk.db.models import Member


def values_for(table, number):
    """A row that has what it must have and no more.

    :param number: its id, and what tells it from other rows.
    """
    return {
        column.name: '{"n": %d}' % number
        if isinstance(column.type, sa.String)
        else number % 2 == 1
        if isinstance(column.type, sa.Boolean)
        else number
        for column in table.columns
        if column.primary_key
        or (not column.nullable and column.server_default is None)
    }


class SchemaTests:
    """Tables and migrations, for a DatabaseTestCase."""

    def test_upgrade_from_nothing(self):
        engine = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        self.assertIsNone(migration.version())
        migration.upgrade()
        self.assertEqual(migration.head(), migration.version())
        self.assertEqual(
            {
                'zun_bulk_bulk',
                'zun_bulk_event',
                'zun_bulk_member',
                'zun_bulk_host',
                'zun_bulk_project',
                'zun_bulk_trust',
                migration.VERSION_TABLE,
            },
            set(sa.inspect(engine).get_table_names()),
        )
        # The tables are what the models say.
        migration.check()
        migration.upgrade()

    def test_before_the_upgrade(self):
        engine = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        log = self.useFixture(fixtures.FakeLogger('zun_bulk.db.tables'))
        reporter = tables.MissingTablesReporter()

        def is_explained(expected):
            try:
                db_bulks.list_bulks()
            except Exception as error:
                self.assertTrue(reporter.report_missing(error), error)
                self.assertIn(expected, log.output)
                return True

        self.assertTrue(is_explained('lacks zun_bulk_bulk and '))
        migration.upgrade()
        self.assertEqual([], tables.list_missing())
        with engine.begin() as connection:
            connection.exec_driver_sql(
                'ALTER TABLE zun_bulk_bulk DROP COLUMN run'
            )
        reporter = tables.MissingTablesReporter()
        self.assertTrue(is_explained('lacks zun_bulk_bulk.run; run'))

    def test_upgrade_beside_zun(self):
        engine = self.use_database()
        self.assertLessEqual(
            {table.name for table in self.tables_of_zun()},
            set(sa.inspect(engine).get_table_names()),
        )
        migration.check()

    def test_two_upgrades_at_once(self):
        url = self.server.make_database()
        conf_file = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'zun.conf'
        )
        with open(conf_file, 'w') as conf:
            conf.write('[database]\nconnection = %s\n' % url)
        commands = [
            subprocess.Popen(
                [
                    sys.executable,
                    '-m',
                    'zun_bulk.cmd.db_manage',
                    '--config-file',
                    conf_file,
                    'upgrade',
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _number in range(2)
        ]
        outputs = [command.communicate()[0] for command in commands]
        self.assertEqual(
            [0, 0], [command.returncode for command in commands], outputs
        )
        # Each revision by one of the two.
        self.assertEqual(
            len(migration.revisions()),
            sum(output.count('Running upgrade') for output in outputs),
        )
        self.useFixture(database.Database(url, tables=False))
        migration.check()

    def test_upgrade_with_bulks(self):
        engine = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        migration.upgrade('e6a4182f7d05')
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    'INSERT INTO zun_bulk_bulk (id, uuid, name, project_id, '
                    'user_id, request_id, status, count, run, max_attempts, '
                    'placement, template, spec, epoch, heartbeat) VALUES '
                    "(1, 'u', 'n', 'p', 'u', 'r', 'ready', 1, :run, 1, '{}', "
                    "'{}', '{}', 0, 0)"
                ),
                {'run': True},
            )
            connection.execute(
                sa.text(
                    'INSERT INTO zun_bulk_member (bulk_id, member_index, '
                    'container_uuid, name, state, epoch, attempt) VALUES '
                    "(1, 1, 'c', 'n-1', 'running', 0, 1)"
                )
            )
        migration.upgrade()
        migration.check()
        (bulk,) = db_bulks.list_bulks()
        self.assertEqual(1, db_accepting.last_index_of(bulk))
        self.assertEqual({1: {'running': 1}}, db_counts.count_members([1]))

    def test_earlier_releases_write_after_expand(self):
        """As they do in a rolling upgrade, whichever release it was."""
        engine = self.use_database()
        empty = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        earlier = []
        for revision in reversed(migration.revisions()[1:]):
            migration.upgrade(revision)
            # Alone with what it knew then.
            metadata = sa.MetaData()
            metadata.reflect(
                empty, only=lambda name, _all: name.startswith('zun_bulk_')
            )
            metadata.remove(metadata.tables[migration.VERSION_TABLE])
            earlier.append((revision, metadata))
        for number, (revision, metadata) in enumerate(earlier, 1):
            with engine.begin() as connection:
                for table in metadata.sorted_tables:
                    connection.execute(
                        table.insert().values(values_for(table, number))
                    )
            with engine.connect() as connection:
                for table in metadata.sorted_tables:
                    (row,) = connection.execute(
                        table.select().where(table.c.id == number)
                    )
                    self.assertEqual(
                        values_for(table, number),
                        {
                            name: row._mapping[name]
                            for name in values_for(table, number)
                        },
                        revision,
                    )
        with engine.connect() as connection:
            # Today's models take what they have written.
            for model in (models.Bulk, Member, models.Host, models.Project):
                rows = connection.execute(sa.select(model.__table__)).all()
                self.assertLessEqual(3, len(rows), model)
        self.assertEqual(len(earlier), self.count(engine, models.Bulk))
