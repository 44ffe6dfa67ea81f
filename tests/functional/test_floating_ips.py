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

"""Bulks whose containers have floating IPs."""

import signal

from tests.emulators import server
from tests.functional import base


class TestFloatingIps(base.FunctionalTestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.remove_all)
        self.before = self.calls()

    def remove_all(self):
        """Remove what its users would: what was given, or was to be kept."""
        self.control('DELETE', '/faults')
        for row in self.lab.floating_ips().values():
            self.lab.network('DELETE', '/floatingips/' + row['id'])

    def control(self, method, path, body=None):
        """Ask the emulated Neutron's control."""
        return server.call(
            self.lab.neutron_url, method, '/_emulator' + path, body
        )[1]

    def calls(self):
        return self.control('GET', '')['calls']

    def assert_bound(self, ident, count):
        """A bulk ends ready, and each member has a floating IP of its own.

        :returns: its members.
        """
        members = self.assert_all_running(ident, count)
        there = self.lab.floating_ips()
        for member in members:
            self.assertEqual('bound', member['floating_ip_state'])
            row = there[member['floating_ip']]
            self.assertEqual(
                member['container_uuid'], self.lab.ports()[row['port_id']]
            )
            self.assertEqual(member['addresses'], [row['fixed_ip_address']])
        self.assertEqual(
            count, len({member['floating_ip'] for member in members})
        )
        return members

    def give(self, number):
        """Have floating IPs of the project. Returns their addresses."""
        body = {'floating_network_id': self.lab.network_id('public')}
        return [
            self.lab.network('POST', '/floatingips', {'floatingip': body})[
                'floatingip'
            ]['floating_ip_address']
            for _number in range(number)
        ]

    def test_made_and_released(self):
        ident = self.create_bulk(10, floating_ips={'network': 'public'})
        self.assert_bound(ident, 10)
        bulk = self.bulk(ident)['floating_ips']
        self.assertEqual((0, 10, 0), self.counts(bulk))
        self.assertEqual(10, len(self.lab.floating_ips()))
        self.ask('POST', '/bulks/%s/scale' % ident, {'count': 6}, status=202)
        self.assert_bound(ident, 6)
        self.assertEqual(6, len(self.lab.floating_ips()))
        self.delete_bulk(ident)
        self.assertEqual({}, self.lab.floating_ips())
        # Starting and deleting them took no update of any.
        self.assertEqual(
            self.before.get('update', 0), self.calls().get('update', 0)
        )

    @staticmethod
    def counts(view):
        return view['wanted'], view['bound'], view['failed']

    def test_kept(self):
        ident = self.create_bulk(
            3, floating_ips={'network': 'public', 'on_delete': 'keep'}
        )
        members = self.assert_bound(ident, 3)
        self.delete_bulk(ident)
        self.assertEqual(
            {member['floating_ip']: None for member in members},
            {
                address: row['port_id']
                for address, row in self.lab.floating_ips().items()
            },
        )

    def test_given(self):
        pool = self.give(3)
        ident = self.create_bulk(2, floating_ips={'pool': pool[::-1]})
        members = self.assert_bound(ident, 2)
        self.assertEqual(
            pool[:0:-1], [member['floating_ip'] for member in members]
        )
        self.delete_bulk(ident)
        self.assertEqual(
            dict.fromkeys(pool),
            {
                address: row['port_id']
                for address, row in self.lab.floating_ips().items()
            },
        )

    def test_there_are_no_more(self):
        network = self.lab.network(
            'POST',
            '/networks',
            {'network': {'name': 'small', 'router:external': True}},
        )['network']
        self.addCleanup(
            self.lab.network, 'DELETE', '/networks/' + network['id']
        )
        pool = {'start': '172.30.0.2', 'end': '172.30.0.4'}
        subnet = self.lab.network(
            'POST',
            '/subnets',
            {
                'subnet': {
                    'network_id': network['id'],
                    'cidr': '172.30.0.0/24',
                    'ip_version': 4,
                    'allocation_pools': [pool],
                }
            },
        )['subnet']
        ident = self.create_bulk(5, floating_ips={'network': 'small'})
        bulk = self.wait_for_end(ident)
        self.assertEqual('paused', bulk['status'])
        self.assertIn(
            'no more floating IPs of network small: 2 of 5 members',
            bulk['status_reason'],
        )
        pool['end'] = '172.30.0.20'
        self.lab.network(
            'PUT',
            '/subnets/' + subnet['id'],
            {'subnet': {'allocation_pools': [pool]}},
        )
        self.ask('POST', '/bulks/%s/resume' % ident, status=202)
        self.assert_bound(ident, 5)
        # Before the network.
        self.delete_bulk(ident)

    def test_answers_that_are_lost_and_none_at_all(self):
        for fault in (
            {'kind': 'error', 'status': 503, 'message': 'busy'},
            {'kind': 'drop'},
            {'kind': 'error', 'status': 429, 'message': 'slow down'},
        ):
            self.control(
                'POST',
                '/faults',
                {'operation': 'create', 'name': 'floatingips', **fault},
            )
        ident = self.create_bulk(6, floating_ips={'network': 'public'})
        self.assert_bound(ident, 6)
        faults = self.control('GET', '')['faults']
        self.assertEqual([0, 0, 0], [fault['count'] for fault in faults])
        self.assertEqual(6, len(self.lab.floating_ips()))
        self.control(
            'POST',
            '/faults',
            {'operation': 'delete', 'name': 'floatingips', 'kind': 'drop'},
        )
        self.delete_bulk(ident)
        self.assertEqual({}, self.lab.floating_ips())

    def test_killed_while_they_are_made(self):
        ident = self.create_bulk(8, floating_ips={'network': 'public'})
        self.wait_for('there are some', self.lab.floating_ips)
        self.lab.kill('zun', signal.SIGKILL)
        self.lab.start_zun()
        self.assert_bound(ident, 8)
        self.assertEqual(8, len(self.lab.floating_ips()))
