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

"""Services that run before their tables are made."""

import fixtures
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslotest import base
import sqlalchemy as sa

from tests import database
from zun_bulk.conductor import conductor
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import models
from zun_bulk.db import tables
from zun_bulk.host import agent
from zun_bulk.host import engine


class TablesTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.database = self.useFixture(
            database.Database(
                'sqlite:///%s/zun.sqlite'
                % self.useFixture(fixtures.TempDir()).path,
                tables=False,
            )
        )
        self.log = self.useFixture(fixtures.FakeLogger('zun_bulk'))

    @staticmethod
    def error():
        try:
            db_bulks.list_bulks()
        except Exception as error:
            return error


class TestLacking(TablesTestCase):
    def test_all(self):
        self.assertEqual(
            sorted(models.Base.metadata.tables), tables.list_missing()
        )

    def test_nothing(self):
        db_base.create_tables()
        self.assertEqual([], tables.list_missing())

    def test_a_column(self):
        db_base.create_tables()
        with self.database.engine.begin() as connection:
            connection.exec_driver_sql(
                'ALTER TABLE zun_bulk_host DROP COLUMN report'
            )
        self.assertEqual(['zun_bulk_host.report'], tables.list_missing())


class TestMissingTablesReporter(TablesTestCase):
    def logged(self):
        return self.log.output.count('zun-bulk-db-manage')

    def test_at_widening_intervals(self):
        reporter, error = tables.MissingTablesReporter(), self.error()
        times = []
        for now in range(0, 4 * 3600, 60):
            self.assertTrue(reporter.report_missing(error, now))
            times += [now] * (self.logged() - len(times))
        self.assertEqual(
            [0, 60, 180, 420, 900, 1860, 3780, 7380, 10980], times
        )
        self.assertNotIn('Traceback', self.log.output)

    def test_the_command(self):
        path = self.useFixture(fixtures.TempDir()).join('zun.conf')
        with open(path, 'w') as written:
            written.write('[database]\nconnection = sqlite://\n')
        self.useFixture(
            fixtures.MockPatchObject(tables, 'CONF', cfg.ConfigOpts())
        )
        tables.CONF(['--config-file', path], project='zun')
        tables.MissingTablesReporter().report_missing(self.error())
        self.assertIn(
            '"zun-bulk-db-manage --config-file %s upgrade"' % path,
            self.log.output,
        )

    def test_any_other_error(self):
        reporter, error = tables.MissingTablesReporter(), self.error()
        for other in (ValueError('no'), db_exc.DBConnectionError()):
            self.assertFalse(reporter.report_missing(other))
        db_base.create_tables()
        self.assertFalse(reporter.report_missing(error))
        self.assertFalse(reporter.report_missing(db_exc.DBDeadlock()))
        self.assertEqual('', self.log.output)

    def test_a_database_that_is_gone(self):
        error = self.error()
        self.useFixture(
            fixtures.MockPatchObject(
                tables,
                'list_missing',
                side_effect=sa.exc.DBAPIError('', {}, error),
            )
        )
        self.assertFalse(tables.MissingTablesReporter().report_missing(error))


class Waits:
    """An event that is never set: the tables are created in the third wait.

    The sixth ends the loop that waits.
    """

    def __init__(self):
        self.number = 0

    def wait(self, _seconds):
        self.number += 1
        if self.number == 3:
            db_base.create_tables()
        elif self.number == 6:
            raise SystemExit

    def clear(self):
        """Nobody has set it."""


class TestServices(TablesTestCase):
    """The loops of the agent and of the conductor."""

    def setUp(self):
        super().setUp()
        self.useFixture(
            fixtures.MockPatchObject(
                tables,
                'report_missing',
                tables.MissingTablesReporter().report_missing,
            )
        )

    def run_out(self, service):
        service._woken = Waits()
        self.assertRaises(SystemExit, service._run)
        self.assertEqual(
            'Bulks are unavailable: the database lacks zun_bulk_bulk and %d '
            'more; run "zun-bulk-db-manage upgrade". You do not have to '
            'restart this process.\n' % (len(models.Base.metadata.tables) - 1),
            self.log.output,
        )

    def test_agent(self):
        self.run_out(agent.HostAgent('host-1', engine.Engine({}.get, None)))
        self.assertEqual('host-1', db_hosts.get_host('host-1').host)

    def test_conductor(self):
        one = conductor.Conductor()
        look, looked = one.look_after_bulks, []
        one.look_after_bulks = lambda: looked.append(look())
        self.run_out(one)
        self.assertEqual(3, len(looked))
