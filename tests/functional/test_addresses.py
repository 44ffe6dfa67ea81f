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

"""Fixed addresses of a bulk's members, and a Neutron that has trouble."""

from tests.emulators import server
from tests.functional import base


class AddressTestCase(base.FunctionalTestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.neutron, 'DELETE', '/_emulator/faults')

    def neutron(self, method, path, body=None):
        _status, answer, _headers = server.call(
            self.lab.neutron_url,
            method,
            path,
            body,
            headers={'X-Auth-Token': self.lab.token()},
        )
        return answer

    def order(self, kind='error', **fault):
        """Have the making of ports go wrong."""
        fault.update(operation='create', kind=kind, name='ports')
        self.neutron('POST', '/_emulator/faults', fault)

    def take(self, address, network=None):
        """Have somebody else have an address. Returns how he gives it back."""
        port = self.neutron(
            'POST',
            '/v2.0/ports',
            {
                'port': {
                    'network_id': network or self.network,
                    'fixed_ips': [{'ip_address': address}],
                }
            },
        )['port']

        def free():
            self.neutron('DELETE', '/v2.0/ports/' + port['id'])

        self.addCleanup(free)
        return free

    def create_on(self, count, **net):
        nets = [{'network': 'lab', **net}]
        return self.create_bulk(count, template=self.template(nets=nets))

    def addresses(self, ident):
        return [
            address
            for member in self.members(ident)
            for address in member['addresses'] or ['-']
        ]


class TestAddresses(AddressTestCase):
    def test_a_range(self):
        free = self.take('10.77.9.11')
        ident = self.create_on(4, **{'v4-range': '10.77.9.10-10.77.9.13'})
        bulk = self.wait_for_end(ident)
        self.assertEqual('paused', bulk['status'])
        self.assertEqual(
            'no address is free in 10.77.9.10-10.77.9.13 on network lab '
            '(%s): 1 of 4 containers wait for an address' % self.network,
            bulk['status_reason'],
        )
        self.assertEqual(1, bulk['members']['queued'])
        self.assertEqual(
            ['10.77.9.10', '10.77.9.12', '10.77.9.13', '-'],
            self.addresses(ident),
        )
        free()
        self.ask('POST', '/bulks/%s/resume' % ident, status=202)
        self.assert_all_running(ident, 4)
        self.assertEqual('10.77.9.11', self.addresses(ident)[-1])
        self.assertEqual(4, len(self.lab.ports()))

    def test_a_network_that_is_full(self):
        network = self.neutron(
            'POST', '/v2.0/networks', {'network': {'name': 'small'}}
        )['network']['id']
        self.addCleanup(self.neutron, 'DELETE', '/v2.0/networks/' + network)
        subnet = {'network_id': network, 'cidr': '10.78.0.0/29'}
        self.neutron('POST', '/v2.0/subnets', {'subnet': subnet})
        self.addCleanup(self.leave_nothing)
        frees = [self.take('10.78.0.%d' % n, network) for n in (2, 4)]
        ident = self.create_on(5, network='small')
        bulk = self.wait_for_end(ident)
        self.assertEqual(
            (
                'paused',
                'no address is left on network small (%s): 2 of 5 containers '
                'wait for an address' % network,
            ),
            (bulk['status'], bulk['status_reason']),
        )
        for free in frees:
            free()
        self.ask('POST', '/bulks/%s/resume' % ident, status=202)
        self.assert_all_running(ident, 5)

    def test_an_address_that_is_taken(self):
        self.take('10.77.9.22')
        ident = self.create_bulk(
            4,
            template=self.template(nets=[{'network': 'lab'}]),
            members=[
                {'addresses': ['10.77.9.2%d' % number]} for number in range(4)
            ],
        )
        bulk = self.wait_for_end(ident)
        self.assertEqual('error', bulk['status'])
        (failure,) = bulk['failures']
        self.assertEqual('network', failure['class'])
        self.assertIn(
            'Neutron: IP address 10.77.9.22 already allocated',
            failure['reason'],
        )
        self.assertEqual(
            [
                ('running', ['10.77.9.20']),
                ('running', ['10.77.9.21']),
                ('failed', None),
                ('running', ['10.77.9.23']),
            ],
            [
                (member['state'], member['addresses'])
                for member in self.members(ident)
            ],
        )

    def test_outside_the_network(self):
        answer = self.ask(
            'POST',
            '/bulks',
            {
                'count': 2,
                'template': self.template(
                    nets=[{'network': 'lab', 'v4-range': '10.9.0.1-10.9.0.9'}]
                ),
            },
            status=400,
        )
        self.assertIn(
            'template.nets[0].v4-range', answer['errors'][0]['detail']
        )


class TestTrouble(AddressTestCase):
    """Each member has one port in the end, whatever was not answered."""

    def assert_all_running(self, ident, count):
        members = super().assert_all_running(ident, count)
        self.assertEqual(
            sorted(member['container_uuid'] for member in members),
            sorted(self.lab.ports().values()),
        )

    def test_death_in_the_middle_of_a_call(self):
        self.order('drop')
        self.order(status=429, message='slow down')
        self.order(status=503, message='busy')
        ident = self.create_on(12)
        self.wait_for('some have ports', self.lab.ports)
        self.neutron('POST', '/_emulator/refuse', {'seconds': 1})
        self.assert_all_running(ident, 12)
