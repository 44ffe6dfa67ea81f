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

"""What an operator sees of a host and sets, while it starts containers."""

import signal
import socket
import urllib.request

from tests.functional import base


HOST = '/bulk_hosts/host-1'


class TestHosts(base.FunctionalTestCase):
    def setUp(self):
        super().setUp()
        # The agent makes its row a moment after zun-compute is up.
        self.wait_for(
            'the host is known',
            lambda: self.lab.request('GET', HOST)[0] == 200,
        )
        # Before what a test has made is deleted.
        self.addCleanup(self.set_back)

    def set_back(self):
        self.update(
            held=False, mode=None, max_in_flight=None, start_interval=None
        )

    def update(self, **wishes):
        return self.ask('PATCH', HOST, wishes)

    def show(self):
        return self.ask('GET', HOST)

    def members_by_state(self, ident):
        return {
            state: number
            for state, number in self.bulk(ident)['members'].items()
            if number
        }

    def wait_until_held(self):
        self.wait_for(
            'the host knows that it is held',
            lambda: 'operator' in self.show()['pace']['held_by'],
        )

    def assert_waiting(self, ident, state, count):
        """All members wait in a state, and have not been tried."""
        self.wait_for(
            'they wait',
            lambda: self.members_by_state(ident).get(state) == count,
        )
        for member in self.members(ident, '?state=' + state):
            self.assertEqual(0, member['attempt'])

    def assert_counted(self, count):
        """The host knows how many wait there, and reports them."""
        shown = self.wait_for(
            'the host counts them',
            lambda: self.show()['pace']['queued'] == count and self.show(),
        )
        self.assertEqual('held', shown['state'])
        self.assertEqual('live', shown['source'])
        self.assertEqual({'operator': 'a new disk'}, shown['pace']['held_by'])
        self.wait_for(
            'the host reports them',
            lambda: (
                self.ask('GET', '/bulk_hosts')['hosts'][0]['pace']['queued']
                == count
            ),
            timeout=30,
        )

    def assert_running_at_first_try(self, ident, count):
        for member in self.assert_all_running(ident, count):
            self.assertEqual(1, member['attempt'])

    def test_held_and_released(self):
        self.update(held=True, hold_reason='a new disk')
        self.wait_until_held()
        ident = self.create_bulk(6)
        self.assert_waiting(ident, 'queued', 6)
        self.assertEqual('building', self.bulk(ident)['status'])
        self.assertEqual({}, self.lab.zun_containers())
        self.update(held=False)
        self.assert_running_at_first_try(ident, 6)

    def test_held_while_some_wait_there(self):
        self.update(mode='fixed', max_in_flight=1, start_interval=3600)
        self.addCleanup(
            self.update, mode=None, max_in_flight=None, start_interval=None
        )
        ident = self.create_bulk(4)
        self.assert_waiting(ident, 'placed', 3)
        self.update(held=True, hold_reason='a new disk')
        self.wait_until_held()
        self.update(mode=None, max_in_flight=None, start_interval=None)
        self.assert_counted(3)
        self.assert_waiting(ident, 'placed', 3)
        self.update(held=False)
        self.assert_running_at_first_try(ident, 4)

    def test_a_hold_survives_a_restart(self):
        self.update(held=True, hold_reason='a new disk')
        ident = self.create_bulk(4)
        self.lab.kill('zun', signal.SIGKILL)
        self.lab.start_zun()
        self.wait_until_held()
        self.assert_waiting(ident, 'queued', 4)
        self.update(held=False)
        self.assert_running_at_first_try(ident, 4)

    def test_a_held_host_deletes(self):
        ident = self.create_bulk(3)
        self.assert_running_at_first_try(ident, 3)
        self.update(held=True)
        self.wait_until_held()
        self.delete_bulk(ident)

    def test_a_pace_that_is_set(self):
        self.update(mode='fixed', max_in_flight=1)
        self.wait_for(
            'the host goes by it',
            lambda: self.show()['pace']['settings']['mode'] == 'fixed',
        )
        self.lab.control('POST', '/reset')
        self.assert_running_at_first_try(self.create_bulk(6), 6)
        self.assertEqual(1, self.lab.control('GET', '')['peak'])
        shown = self.show()['pace']
        self.assertEqual(1, shown['starts']['limit'])
        self.assertGreater(shown['starts']['median'], 0)
        self.assertGreaterEqual(shown['settle']['median'], 0.5)

    def test_a_host_reports(self):
        ident = self.create_bulk(4)
        self.assert_running_at_first_try(ident, 4)

        def reported():
            (host,) = self.ask('GET', '/bulk_hosts')['hosts']
            pace = host['pace']
            return (
                pace
                and pace['starts']['ended']['done'] >= 4
                and not pace['starts']['in_flight']
                and host
            )

        host = self.wait_for('the host reports', reported, timeout=30)
        self.assertEqual(
            ('host-1', 'ok', 'report'),
            (host['host'], host['state'], host['source']),
        )
        self.assertGreater(host['pace']['starts']['per_second'], 0)

    def test_metrics(self):
        port = self.lab.conf['zun_bulk']['metrics_port']
        ident = self.create_bulk(2)
        # One who says nothing keeps nobody else waiting.
        with socket.create_connection(('127.0.0.1', port)):
            self.assert_running_at_first_try(ident, 2)
            with urllib.request.urlopen(
                'http://127.0.0.1:%d/metrics' % port, timeout=30
            ) as answer:
                lines = answer.read().decode().splitlines()
        self.assertIn('zun_bulk_host_in_flight{kind="starts"} 0.0', lines)
        self.assertIn('zun_bulk_host_held{gate="operator"} 0.0', lines)
        self.assertIn('zun_bulk_host_queued 0.0', lines)

    def test_not_for_everybody(self):
        for method, path, body in (
            ('GET', '/bulk_hosts', None),
            ('GET', HOST, None),
            ('PATCH', HOST, {'held': True}),
        ):
            self.ask(method, path, body, user='demo', status=403)
        self.ask('GET', '/bulk_hosts/host-2', status=404)
