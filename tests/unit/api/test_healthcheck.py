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

import threading
import time
from unittest import mock

import fixtures
from oslotest import base

from tests import database
from zun_bulk.api import healthcheck
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import leases as db_leases
from zun_bulk.db import migration


class TestCached(base.BaseTestCase):
    def test_one_thread_at_a_time(self):
        """Also where the database does not answer at all."""
        self.useFixture(fixtures.MockPatchObject(healthcheck, 'TIMEOUT', 0.01))
        done = threading.Event()
        self.addCleanup(done.set)
        function = mock.Mock(side_effect=lambda: done.wait(60))
        cached = healthcheck.Cached(function)
        for _time in range(5):
            self.assertRaises(TimeoutError, cached.result)
        function.assert_called_once()

    def test_not_too_often(self):
        clock = self.useFixture(
            fixtures.MockPatch('time.monotonic', return_value=100.0)
        ).mock
        function = mock.Mock(side_effect=[1, 2, OSError, 3])
        cached = healthcheck.Cached(function)
        self.assertEqual(1, cached.result())
        self.assertEqual(1, cached.result())
        clock.return_value += healthcheck.FRESH
        self.assertEqual(2, cached.result())
        clock.return_value += healthcheck.FRESH
        for _time in range(2):
            self.assertRaises(OSError, cached.result)
        clock.return_value += healthcheck.FRESH
        self.assertEqual(3, cached.result())


class HealthcheckTestCase(base.BaseTestCase):
    check = None

    def setUp(self):
        super().setUp()
        path = self.useFixture(fixtures.TempDir()).join('db')
        self.useFixture(database.Database('sqlite:///' + path))
        self.useFixture(fixtures.MockPatchObject(healthcheck, 'FRESH', 0.0))
        self.plugin = self.check(None, {})

    def ask(self):
        result = self.plugin.healthcheck(9517)
        return result.available, result.reason


class TestTables(HealthcheckTestCase):
    check = healthcheck.Tables
    outdated = (False, 'ZUN_BULK TABLES OUTDATED')

    def test_revisions(self):
        self.assertEqual(self.outdated, self.ask())
        newest, before, *_older = migration.revisions()
        for revision, answer in (
            (before, self.outdated),
            (newest, (True, 'OK')),
        ):
            migration.stamp(revision)
            self.assertEqual(answer, self.ask())

    def test_newer_than_this_release(self):
        migration.stamp('head')
        with db_base.writer() as session:
            session.connection().exec_driver_sql(
                "UPDATE zun_bulk_alembic_version SET version_num = 'later'"
            )
        self.assertEqual((True, 'OK'), self.ask())

    def test_no_database(self):
        log = self.useFixture(fixtures.FakeLogger('zun_bulk.api.healthcheck'))
        with mock.patch.object(
            migration, 'version', side_effect=OSError('db.example')
        ):
            result = self.plugin.healthcheck(9517)
        self.assertFalse(result.available)
        self.assertEqual('ZUN_BULK DATABASE DOWN', result.reason)
        self.assertNotIn('db.example', result.details)
        self.assertIn('db.example', log.output)


class TestConductor(HealthcheckTestCase):
    check = healthcheck.Conductor

    def setUp(self):
        super().setUp()
        self.clock = self.useFixture(
            fixtures.MockPatchObject(
                healthcheck, 'time', mock.Mock(monotonic=lambda: self.now)
            )
        )
        self.now = time.monotonic()

    def ask(self, after):
        self.now += after
        return super().ask()[0]

    def test_no_work(self):
        for _time in range(3):
            self.assertTrue(self.ask(3600))

    def test_a_conductor_that_dies(self):
        bulk, _members = database.accept(1)
        self.assertTrue(self.ask(0))
        db_leases.take_lease(bulk, 'first')
        for _time in range(5):
            self.assertTrue(self.ask(30))
            db_leases.renew_lease(bulk.id, 1)
        self.assertTrue(self.ask(30))
        # Twice the lease and a look.
        self.assertTrue(self.ask(35))
        self.assertFalse(self.ask(1))
        self.assertFalse(self.ask(1))
        # What users do is no sign of life.
        database.accept(1, name='another')
        self.assertFalse(self.ask(1))
        db_leases.take_lease(db_bulks.get_bulk(bulk.uuid), 'second')
        self.assertTrue(self.ask(1))
        self.assertTrue(self.ask(35))

    def test_work_after_a_long_rest(self):
        self.assertTrue(self.ask(0))
        database.accept(1)
        self.assertTrue(self.ask(3600))
        self.assertFalse(self.ask(36))
