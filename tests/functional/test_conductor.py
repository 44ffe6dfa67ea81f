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

"""Conductors in processes of their own, beside a zun-compute without one."""

import signal
import subprocess
import sys

from tests.emulators import server
from tests.functional import base


class TestStandalone(base.FunctionalTestCase):
    """Messages do not leave a process here, so they go by what they see."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        base.shared_lab().kill('zun', signal.SIGTERM)
        cls.start_zun()

    @classmethod
    def tearDownClass(cls):
        base.shared_lab().kill('zun', signal.SIGTERM)
        base.shared_lab().start_zun()
        super().tearDownClass()

    @staticmethod
    def start_zun():
        base.shared_lab().start_zun(
            zun_bulk={
                'run_conductor': False,
                # Now and then Zun gives up a create without a word when
                # another process has written to SQLite meanwhile.
                'create_timeout': 10,
            }
        )

    def start(self, name):
        self.lab.start_conductor(name)
        self.addCleanup(self.end, name)

    def end(self, name, number=signal.SIGTERM):
        if name in self.lab.processes:
            self.assertEqual(0, self.lab.kill(name, number))

    def leave_nothing(self):
        # Those of the test have ended by now.
        if self.lab.rows('SELECT uuid FROM zun_bulk_bulk'):
            self.start('zun-bulk-conductor')
        super().leave_nothing()

    def lease(self, ident):
        """Return (owner, epoch)."""
        return self.lab.rows(
            'SELECT lease_owner, epoch FROM zun_bulk_bulk WHERE uuid = ?',
            ident,
        )[0]

    def test_twenty_containers(self):
        ident = self.create_bulk(20)
        # Nobody else would.
        self.assertEqual((None, 0), self.lease(ident))
        self.wait_for('it is missed', lambda: self.health('/conductor') == 503)
        # Bulks are accepted all the same.
        self.assertEqual(200, self.health())
        self.start('zun-bulk-conductor')
        self.wait_for('it is seen', lambda: self.health('/conductor') == 200)
        self.assert_all_running(ident, 20)
        self.assertEqual((None, 1), self.lease(ident))
        self.delete_bulk(ident)
        self.assertEqual({}, self.lab.leftovers())

    def health(self, path=''):
        """Return the status of zun-api's health check."""
        url = self.lab.zun_url.removesuffix('/v1')
        return server.call(url, 'GET', '/healthcheck' + path)[0]

    def test_one_takes_over_from_another(self):
        first, second = 'zun-bulk-conductor', 'zun-bulk-conductor-2'
        self.start(first)
        ident = self.create_bulk(20)
        self.wait_for('it is planned', lambda: self.lease(ident)[0])
        self.end(first)
        self.assertEqual((None, 1), self.lease(ident))
        self.start(second)
        self.assert_all_running(ident, 20)

    def test_one_takes_over_from_one_that_is_lost(self):
        first, second = 'zun-bulk-conductor', 'zun-bulk-conductor-2'
        self.start(first)
        ident = self.create_bulk(20)
        self.wait_for('it is planned', lambda: self.lease(ident)[0])
        self.lab.kill(first)
        self.start(second)
        self.assert_all_running(ident, 20)
        self.assertEqual((None, 2), self.lease(ident))

    def test_rolling_upgrade(self):
        """All is restarted in mid-bulk, in the order of an upgrade."""
        # So slowly that it has not ended before.
        self.pace(0.5)
        self.addCleanup(self.pace, None)
        name = 'zun-bulk-conductor'
        self.start(name)
        ident = self.create_bulk(40)
        expand = subprocess.Popen(
            [
                sys.executable,
                '-m',
                'zun_bulk.cmd.db_manage',
                '--config-file',
                str(self.lab.root / 'etc' / 'zun.conf'),
                'upgrade',
                '--expand',
            ]
        )
        self.addCleanup(expand.wait)

        def running():
            """{index: id at the engine} of those that are running."""
            return {
                member['index']: self.inspect(member['container_uuid'])['Id']
                for member in self.members(ident, '?state=running')
            }

        self.wait_for('some run', running)
        self.end(name)
        self.start(name)
        before = running()
        self.lab.kill('zun', signal.SIGTERM)
        self.assertLess(len(before), 40)
        self.start_zun()
        self.assertEqual(0, expand.wait())
        self.assert_all_running(ident, 40)
        # What ran was left alone, and nothing is there twice.
        self.assertLessEqual(before.items(), running().items())
        for found in (
            self.lab.zun_containers(),
            self.lab.ports(),
            self.lab.allocations(),
        ):
            self.assertEqual(40, len(found))

    def pace(self, interval):
        def told():
            status, _answer = self.lab.request(
                'PATCH', '/bulk_hosts/host-1', {'start_interval': interval}
            )
            return status == 200

        # The agent makes its row a moment after zun-compute is up.
        self.wait_for('the host is known', told)

    def test_one_that_stands_still_and_wakes(self):
        """What it has in hand is stale by then, and has no effect."""
        first, second = 'zun-bulk-conductor', 'zun-bulk-conductor-2'
        self.start(first)
        ident = self.create_bulk(40)
        self.wait_for('it is planned', lambda: self.lease(ident)[0])
        stopped = self.lab.processes[first]
        stopped.send_signal(signal.SIGSTOP)
        try:
            self.start(second)
            self.assert_all_running(ident, 40)
        finally:
            stopped.send_signal(signal.SIGCONT)
        self.assertEqual((None, 2), self.lease(ident))
        before = self.members(ident)
        # Until it is known to be at work again.
        self.end(second)
        another = self.create_bulk(2)
        self.assert_all_running(another, 2)
        self.assertEqual(before, self.members(ident))
        self.assertEqual((None, 2), self.lease(ident))
        for found in (self.lab.ports(), self.lab.allocations()):
            self.assertEqual(42, len(found))
