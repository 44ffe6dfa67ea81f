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

"""The emulated Neutron for unit tests, with the real client."""

import fixtures
from keystoneauth1 import session
from keystoneauth1.identity import v3
from neutronclient.v2_0 import client as neutron_client

from tests.emulators import keystone
from tests.emulators import neutron
from tests.emulators import server
from zun_bulk.network import ports


class EmulatedNeutron(fixtures.Fixture):
    """What ``connections.neutron`` connects to.

    :param cidr: the subnet of the network ``lab``.
    :param public_cidr: that of the external network ``public``.
    :ivar network: the network ``lab``.
    :ivar client: a client of neutronclient, as the administrator.
    :ivar emulator: counts the calls.
    :ivar project: the id of a project.
    """

    def __init__(self, cidr='10.1.0.0/28', public_cidr='172.24.0.0/24'):
        super().__init__()
        self._cidrs = cidr, public_cidr

    def _setUp(self):
        identity = self._serve(keystone.Keystone())
        self.auth_url = identity.url + '/v3'
        self.emulator = neutron.Neutron(self.auth_url, *self._cidrs)
        network = self._serve(self.emulator)
        identity.emulator.services['network'] = network.url
        self.network = next(iter(self.emulator.rows['networks'].values()))
        self.project = keystone.identifier('project', 'demo')
        self.client = self._connect()
        self.useFixture(
            fixtures.MockPatch(
                'zun_bulk.connections.neutron', return_value=self.client
            )
        )

    def _serve(self, emulator):
        service = server.Server(emulator)
        service.start()
        self.addCleanup(service.stop)
        return service

    def _connect(self):
        auth = v3.Password(
            self.auth_url,
            username='admin',
            password='admin',
            project_name='admin',
            user_domain_id='default',
            project_domain_id='default',
        )
        return neutron_client.Client(session=session.Session(auth))

    def create_network(self, cidr):
        network = self.client.create_network({'network': {'shared': True}})
        network = network['network']
        self.client.create_subnet(
            {'subnet': {'network_id': network['id'], 'cidr': cidr}}
        )
        return network

    def take(self, *addresses, network=None):
        """Have somebody else's ports have some addresses."""
        for address in addresses:
            self.client.create_port(
                {
                    'port': {
                        'network_id': (network or self.network)['id'],
                        'fixed_ips': [{'ip_address': address}],
                    }
                }
            )

    def ports(self):
        return [
            port
            for port in self.emulator.rows['ports'].values()
            if port['description'] == ports.MARK
        ]

    def order(self, operation, **fault):
        self.emulator.faults.append(server.Fault(operation, **fault))

    def order_fault(self, operation, kind='error', **fault):
        """Order one for floating IPs. See server.Fault."""
        self.order(operation, kind=kind, name='floatingips', **fault)

    def port(self, container_uuid=''):
        """Make a port for a container in ``lab``. Returns it."""
        body = {
            'network_id': self.network['id'],
            'tenant_id': self.project,
            'device_id': container_uuid,
        }
        return self.client.create_port({'port': body})['port']

    def network_id(self, name):
        return self.client.list_networks(name=name)['networks'][0]['id']

    def floating_ip(self, **values):
        """Make one of the project's. Returns it."""
        body = {
            'floating_network_id': self.network_id('public'),
            'tenant_id': self.project,
            **values,
        }
        return self.client.create_floatingip({'floatingip': body})[
            'floatingip'
        ]

    def floating_ips(self):
        """Return {address: floating IP} of all floating IPs."""
        return {
            row['floating_ip_address']: row
            for row in self.client.list_floatingips()['floatingips']
        }
