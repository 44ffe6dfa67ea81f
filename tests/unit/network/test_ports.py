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

import ddt
import fixtures
from keystoneauth1 import exceptions as ks_exc
from neutronclient.common import exceptions as neutron_exceptions
from oslotest import base

from zun_bulk.db import specs
from zun_bulk.network import errors
from zun_bulk.network import ports
from zun_bulk.network import requested
from zun_bulk.pacing import failures


BULK = mock.Mock(project_id='project-1')


def network(name, **values):
    return dict(
        {
            'network': name,
            'port': '',
            'fixed_ip': '',
            'preserve_on_delete': False,
            'shared': False,
        },
        **values,
    )


def member(number):
    return mock.Mock(id=number, container_uuid='uuid-%d' % number)


class FakeNeutron:
    """The calls of neutronclient that are used, on a list of ports."""

    def __init__(self):
        self.httpclient = mock.Mock()
        self.ports = []
        self.calls = []
        self.networks = []
        self.subnets = []
        self.groups = []

    def list_networks(self, id):
        return {'networks': [row for row in self.networks if row['id'] in id]}

    def list_subnets(self, network_id, fields=None):
        return {
            'subnets': [
                row for row in self.subnets if row['network_id'] in network_id
            ]
        }

    def list_security_groups(self, project_id, name, fields):
        assert (project_id, name, fields) == ('project-1', 'default', 'id')
        return {'security_groups': self.groups}

    def create_port(self, body):
        self.calls.append(len(body['ports']))
        made = [
            dict(
                port,
                id='port-%d' % (len(self.ports) + number),
                mac_address='mac',
                fixed_ips=[
                    {'subnet_id': 'v4', 'ip_address': '10.0.0.9'},
                    {'subnet_id': 'v6', 'ip_address': 'fd00::9'},
                ],
            )
            for number, port in enumerate(body['ports'])
        ]
        self.ports += made
        return {'ports': made}

    def list_ports(self, device_id=None, network_id=None, fields=None):
        return {
            'ports': [
                port
                for port in self.ports
                if device_id is None or port['device_id'] in device_id
                if network_id is None or port['network_id'] == network_id
            ]
        }

    def delete_port(self, ident):
        if ident not in [port['id'] for port in self.ports]:
            raise neutron_exceptions.PortNotFoundClient()
        self.ports = [port for port in self.ports if port['id'] != ident]

    def update_port(self, ident, body):
        for port in self.ports:
            if port['id'] == ident:
                port.update(body['port'])


@ddt.ddt
class TestPorts(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.neutron = FakeNeutron()
        self.useFixture(
            fixtures.MockPatch(
                'zun.common.clients.OpenStackClients.neutron',
                return_value=self.neutron,
            )
        )
        self.useFixture(
            fixtures.MockPatch('zun.common.context.get_admin_context')
        )
        self.ports = ports.Ports()
        BULK.spec = specs.BulkSpec(
            requested_networks=[network('first'), network('last')],
            security_groups=['group-1'],
        )
        self.placements = [(member(1), 'host-1'), (member(2), 'host-2')]

    def ensure(self, own=None):
        known = self.ports.find(['uuid-1', 'uuid-2'])
        return self.ports.ensure(
            BULK, self.placements, known, self.ports.defaults(BULK), own or {}
        )

    def test_one_call_for_all(self):
        networks = self.ensure()
        self.assertEqual([4], self.neutron.calls)
        self.assertEqual({1, 2}, set(networks))
        self.assertEqual(
            ['first', 'last'], [item['network'] for item in networks[1]]
        )

    def test_as_zun_makes_them(self):
        self.ensure()
        made = {
            (port['device_id'], port['network_id']): port
            for port in self.neutron.ports
        }
        # Zun binds the port of the network that Docker's create attaches,
        # which is the last, and leaves the others to its network driver.
        last = made['uuid-2', 'last']
        self.assertEqual(
            ('project-1', 'compute:kuryr', 'host-2'),
            (last['tenant_id'], last['device_owner'], last['binding:host_id']),
        )
        self.assertEqual(['group-1'], last['security_groups'])
        self.assertNotIn('binding:host_id', made['uuid-2', 'first'])

    def test_what_zun_is_told(self):
        told = self.ensure()[2][1]
        port = told[requested.PORT]
        self.assertEqual(told['port'], port['id'])
        self.assertEqual(
            ('host-2', 'mac'), (port['host'], port['mac_address'])
        )
        self.assertEqual(
            [(4, '10.0.0.9'), (6, 'fd00::9')],
            [(item['version'], item['addr']) for item in port['addresses']],
        )
        self.assertEqual(
            {told['port']}, {item['port'] for item in port['addresses']}
        )
        self.assertEqual(
            ['10.0.0.9', 'fd00::9'] * 2, requested.addresses(self.ensure()[2])
        )

    def test_names_what_neutron_would_look_up_for_each(self):
        self.neutron.networks = [
            {'id': 'first', 'port_security_enabled': False},
            {'id': 'last', 'port_security_enabled': True},
        ]
        self.neutron.subnets = [
            {'id': 'one', 'network_id': 'first', 'ip_version': 4},
            {'id': 'two', 'network_id': 'last', 'ip_version': 4},
        ]
        self.neutron.groups = [{'id': 'default-1'}]
        self.assertEqual(
            {
                'first': {'fixed_ips': [{'subnet_id': 'one'}]},
                'last': {
                    'fixed_ips': [{'subnet_id': 'two'}],
                    'security_groups': ['default-1'],
                },
            },
            self.ports.defaults(BULK),
        )
        # What was asked for goes before.
        created = self.useFixture(
            fixtures.MockPatchObject(
                self.neutron, 'create_port', wraps=self.neutron.create_port
            )
        ).mock
        own = {'fixed_ips': [{'ip_address': '10.0.0.8'}], 'dns_name': 'web'}
        self.ensure({(1, 1): own})
        last, _first, other, _first = created.call_args.args[0]['ports']
        self.assertEqual('last', last['network_id'])
        self.assertEqual(['group-1'], last['security_groups'])
        self.assertEqual(own, {name: last[name] for name in own})
        self.assertEqual([{'subnet_id': 'two'}], other['fixed_ips'])
        BULK.spec.security_groups = []
        self.neutron.ports = []
        self.ensure()
        self.assertEqual(
            ['default-1'], self.neutron.ports[0]['security_groups']
        )

    @ddt.data(
        [{'id': 'a', 'ip_version': 4}, {'id': 'b', 'ip_version': 6}],
        [{'id': 'a', 'ip_version': 6}],
        [{'id': 'a', 'ip_version': 4, 'service_types': ['compute:kuryr']}],
        [{'id': 'a', 'ip_version': 4, 'segment_id': 'rack-1'}],
        [],
    )
    def test_lets_neutron_choose_a_subnet(self, subnets):
        self.neutron.subnets = [
            dict(subnet, network_id='last') for subnet in subnets
        ]
        self.assertEqual({}, self.ports.defaults(BULK)['last'])

    def test_neutron_without_security_groups(self):
        self.neutron.networks = [{'id': 'last', 'port_security_enabled': True}]
        self.neutron.list_security_groups = mock.Mock(
            side_effect=neutron_exceptions.NotFound()
        )
        self.assertEqual({}, self.ports.defaults(BULK)['last'])

    def test_makes_only_what_is_missing(self):
        first = self.ensure()
        self.assertEqual(first, self.ensure())
        self.neutron.delete_port(first[1][0]['port'])
        again = self.ensure()
        self.assertEqual([4, 1], self.neutron.calls)
        self.assertEqual(first[1][1], again[1][1])

    def test_a_network_that_is_there_twice(self):
        """As Zun does it: the last is attached, and the first left out."""
        for names, attached in (
            (['a', 'a'], [1]),
            (['a', 'b', 'a'], [2, 1]),
            (['a', 'a', 'b'], [2, 0]),
            (['a', 'b', 'c'], [2, 0, 1]),
            ([], []),
        ):
            networks = [network(name) for name in names]
            self.assertEqual(attached, requested.attached(networks))
        BULK.spec.requested_networks = [network('net'), network('net')]
        self.assertEqual(network('net'), self.ensure()[1][0])
        self.assertEqual([2], self.neutron.calls)

    def test_what_is_taken(self):
        self.ensure()
        self.neutron.subnets = [
            {'id': 'one', 'network_id': 'first', 'gateway_ip': '10.0.0.1'},
            {'id': 'two', 'network_id': 'last', 'gateway_ip': '10.1.0.1'},
        ]
        self.assertEqual(
            {'10.0.0.1', '10.0.0.9', 'fd00::9'}, self.ports.taken('first')
        )

    def test_extensions_are_looked_up_once(self):
        self.neutron.list_extensions = mock.Mock(
            return_value={'extensions': [{'alias': 'dns-integration'}]}
        )
        self.assertTrue(self.ports.has_extension('dns-integration'))
        self.assertFalse(self.ports.has_extension('quotas'))
        self.neutron.list_extensions.assert_called_once_with()

    def test_a_port_of_the_user_is_left_to_zun(self):
        BULK.spec.requested_networks = [
            network('net', port='his', preserve_on_delete=True)
        ]
        self.placements = self.placements[:1]
        self.assertEqual({1: BULK.spec.requested_networks}, self.ensure())
        self.assertEqual([], self.neutron.calls)

    def test_refused(self):
        error = neutron_exceptions.IpAddressGenerationFailureClient(
            message='No more IP addresses available', request_ids=['req-1']
        )
        kind = errors.Kind
        self.neutron.create_port = mock.Mock(side_effect=error)
        refusal = self.assertRaises(errors.Refused, self.ensure)
        self.assertEqual(
            ('Neutron: No more IP addresses available', kind.ADDRESSES),
            (str(refusal), refusal.kind),
        )

    @ddt.data(
        (
            neutron_exceptions.IpAddressAlreadyAllocatedClient(
                message='IP address 10.0.0.5 already allocated in subnet c.'
            ),
            errors.Kind.TAKEN,
            {'10.0.0.5'},
        ),
        (
            neutron_exceptions.IpAddressInUseClient(
                message='The IP address fd00::5 is in use.'
            ),
            errors.Kind.TAKEN,
            {'fd00::5'},
        ),
        (
            neutron_exceptions.InvalidIpForNetworkClient(
                message='IP address 10.9.0.1 is not a valid IP for any of it'
            ),
            errors.Kind.OTHER,
            {'10.9.0.1'},
        ),
        (
            neutron_exceptions.OverQuotaClient(message='Quota exceeded'),
            errors.Kind.QUOTA,
            set(),
        ),
        (
            neutron_exceptions.NetworkNotFoundClient(
                message='Network 6fb5-10 could not be found.'
            ),
            errors.Kind.WHOLE,
            set(),
        ),
        (
            neutron_exceptions.Forbidden(message='disallowed by policy'),
            errors.Kind.WHOLE,
            set(),
        ),
    )
    @ddt.unpack
    def test_kinds_of_refusals(self, error, kind, addresses):
        self.neutron.create_port = mock.Mock(side_effect=error)
        refusal = self.assertRaises(errors.Refused, self.ensure)
        self.assertEqual((kind, addresses), (refusal.kind, refusal.addresses))

    @ddt.data(
        neutron_exceptions.ServiceUnavailable(),
        neutron_exceptions.ConnectionFailed(reason='refused'),
        neutron_exceptions.NeutronClientException(status_code=413),
        neutron_exceptions.NeutronClientException(status_code=429),
        neutron_exceptions.NeutronClientException(status_code=504),
        ks_exc.ConnectFailure('Remote end closed connection'),
        ks_exc.ConnectTimeout(),
    )
    def test_busy(self, error):
        self.neutron.create_port = mock.Mock(side_effect=error)
        self.assertRaises(errors.Busy, self.ensure)

    @ddt.data(429, 502, 503, 504)
    def test_what_the_breaker_knows(self, status):
        self.neutron.create_port = mock.Mock(
            side_effect=neutron_exceptions.NeutronClientException(
                message='any words', status_code=status
            )
        )
        error = self.assertRaises(errors.Busy, self.ensure)
        self.assertIs(
            failures.FailureClass.DEPENDENCY, failures.classify(str(error))
        )

    @ddt.data(
        neutron_exceptions.InternalServerError(),
        # Its own token: a matter of the operator's.
        neutron_exceptions.Unauthorized(),
    )
    def test_no_fault_of_the_members(self, error):
        self.neutron.create_port = mock.Mock(side_effect=error)
        self.assertRaises(type(error), self.ensure)

    def test_sweep(self):
        self.ensure()
        others = self.neutron.create_port(
            {'ports': [{'device_id': 'foreign', 'network_id': 'last'}]}
        )['ports']
        self.assertEqual(2, self.ports.sweep(BULK, ['uuid-1']))
        self.assertEqual(
            {'uuid-2', 'foreign'},
            {port['device_id'] for port in self.neutron.ports},
        )
        self.assertIn(others[0], self.neutron.ports)
        self.assertEqual(0, self.ports.sweep(BULK, []))

    def test_sweep_frees_a_port_of_the_user(self):
        self.ensure()
        BULK.spec.requested_networks = [
            network('last', port=self.neutron.ports[0]['id'])
        ]
        self.ports.sweep(BULK, ['uuid-1'])
        self.assertEqual('', self.neutron.ports[0]['device_id'])
