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

from keystoneauth1 import session
from keystoneauth1.identity import v3
from neutronclient.common import exceptions
from neutronclient.v2_0 import client as neutron_client
from oslotest import base

from tests.emulators import keystone
from tests.emulators import neutron
from tests.emulators import server


class TestNeutron(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.keystone = keystone.Keystone()
        identity = server.Server(self.keystone)
        identity.start()
        self.addCleanup(identity.stop)
        self.auth_url = identity.url + '/v3'
        network = server.Server(
            neutron.Neutron(self.auth_url, '10.1.0.0/29', '172.24.0.0/29')
        )
        network.start()
        self.addCleanup(network.stop)
        self.url = network.url
        self.keystone.services['network'] = network.url
        self.admin, self.demo = self.connect('admin'), self.connect('demo')
        self.network = self.demo.list_networks(name='lab')['networks'][0]

    def connect(self, user):
        auth = v3.Password(
            self.auth_url,
            username=user,
            password=user,
            project_name=user,
            user_domain_id='default',
            project_domain_id='default',
        )
        return neutron_client.Client(session=session.Session(auth))

    def port(self, **values):
        return {'network_id': self.network['id'], **values}

    def addresses(self, ports):
        return [port['fixed_ips'][0]['ip_address'] for port in ports]

    def test_a_port(self):
        port = self.demo.create_port({'port': self.port()})['port']
        self.assertEqual(
            keystone.identifier('project', 'demo'), port['project_id']
        )
        self.assertEqual(['10.1.0.2'], self.addresses([port]))
        self.assertEqual('DOWN', port['status'])
        group = self.demo.list_security_groups(name='default')[
            'security_groups'
        ][0]
        self.assertEqual([group['id']], port['security_groups'])

        port = self.admin.update_port(
            port['id'],
            {'port': {'device_id': 'one', 'binding:host_id': 'host-1'}},
        )['port']
        self.assertEqual(
            ('ACTIVE', 'one'), (port['status'], port['device_id'])
        )
        self.demo.delete_port(port['id'])
        self.assertRaises(
            exceptions.PortNotFoundClient, self.demo.show_port, port['id']
        )
        again = self.demo.create_port({'port': self.port()})['port']
        self.assertEqual(['10.1.0.2'], self.addresses([again]))

    def test_many_ports_in_one_call(self):
        project = keystone.identifier('project', 'demo')
        body = {
            'ports': [
                self.port(device_id=str(number), tenant_id=project)
                for number in range(3)
            ]
        }
        ports = self.admin.create_port(body)['ports']
        self.assertEqual(
            ['10.1.0.2', '10.1.0.3', '10.1.0.4'], self.addresses(ports)
        )
        found = self.demo.list_ports(device_id=['0', '2'])['ports']
        self.assertEqual({'0', '2'}, {port['device_id'] for port in found})
        self.assertEqual(
            [{'id': ports[1]['id']}],
            self.demo.list_ports(device_id='1', fields='id')['ports'],
        )

    def test_many_ports_are_made_together_or_not_at_all(self):
        body = {'ports': [self.port() for _number in range(6)]}
        problem = self.assertRaises(
            exceptions.Conflict, self.demo.create_port, body
        )
        self.assertIn('No more IP addresses available', str(problem))
        self.assertEqual([], self.demo.list_ports()['ports'])
        body['ports'].pop()
        self.assertEqual(5, len(self.demo.create_port(body)['ports']))

    def test_an_address_asked_for(self):
        fixed = [{'ip_address': '10.1.0.5'}]
        port = self.demo.create_port({'port': self.port(fixed_ips=fixed)})
        self.assertEqual(['10.1.0.5'], self.addresses([port['port']]))
        self.assertRaises(
            exceptions.Conflict,
            self.demo.create_port,
            {'port': self.port(fixed_ips=fixed)},
        )
        self.assertRaises(
            exceptions.BadRequest,
            self.demo.create_port,
            {'port': self.port(fixed_ips=[{'ip_address': '10.9.0.1'}])},
        )

    def test_a_quota(self):
        project = keystone.identifier('project', 'demo')
        self.admin.update_quota(project, {'quota': {'port': 1}})
        self.demo.create_port({'port': self.port()})
        self.assertRaises(
            exceptions.OverQuotaClient,
            self.demo.create_port,
            {'port': self.port()},
        )

    def test_projects_do_not_see_each_other(self):
        port = self.demo.create_port({'port': self.port()})['port']
        other = self.connect('other')
        self.assertEqual([], other.list_ports()['ports'])
        self.assertRaises(
            exceptions.PortNotFoundClient, other.delete_port, port['id']
        )
        self.assertRaises(
            exceptions.Forbidden,
            other.create_port,
            {'port': self.port(tenant_id=port['project_id'])},
        )
        self.assertEqual(1, len(self.admin.list_ports()['ports']))

    def test_a_network_of_ones_own(self):
        network = self.demo.create_network({'network': {'name': 'own'}})[
            'network'
        ]
        self.demo.create_subnet(
            {
                'subnet': {
                    'network_id': network['id'],
                    'cidr': '10.2.0.0/24',
                    'ip_version': 4,
                }
            }
        )
        port = self.demo.create_port({'port': {'network_id': network['id']}})[
            'port'
        ]
        self.assertEqual(['10.2.0.2'], self.addresses([port]))
        self.assertRaises(
            exceptions.Conflict, self.demo.delete_network, network['id']
        )
        self.assertEqual(
            [], self.connect('other').list_networks(name='own')['networks']
        )
        self.demo.delete_port(port['id'])
        self.demo.delete_network(network['id'])
        self.assertEqual(
            [], self.demo.list_subnets(network_id=network['id'])['subnets']
        )

    def floating_ip(self, client=None, **values):
        network = self.demo.list_networks(name='public')['networks'][0]
        body = {'floating_network_id': network['id'], **values}
        return (client or self.demo).create_floatingip({'floatingip': body})[
            'floatingip'
        ]

    def test_floating_ips(self):
        port = self.demo.create_port({'port': self.port()})['port']
        made = self.floating_ip(
            self.admin,
            tenant_id=keystone.identifier('project', 'demo'),
            port_id=port['id'],
            description='mark',
        )
        self.assertEqual(
            ('172.24.0.2', '10.1.0.2', port['id']),
            (
                made['floating_ip_address'],
                made['fixed_ip_address'],
                made['port_id'],
            ),
        )
        # Each port gets one alone, and none is left of what was refused.
        self.assertRaises(
            exceptions.Conflict, self.floating_ip, port_id=port['id']
        )
        other = self.floating_ip()
        self.assertEqual('172.24.0.3', other['floating_ip_address'])
        for filters in (
            {'description': ['mark', 'another']},
            {'port_id': port['id']},
            {'floating_ip_address': ['172.24.0.2', '172.24.0.9']},
        ):
            found = self.demo.list_floatingips(**filters)['floatingips']
            self.assertEqual([made['id']], [row['id'] for row in found])
        self.demo.delete_port(port['id'])
        (found,) = self.demo.list_floatingips(id=made['id'])['floatingips']
        self.assertEqual(
            (None, None), (found['port_id'], found['fixed_ip_address'])
        )

    def test_a_floating_ip_that_was_changed_meanwhile(self):
        port = self.demo.create_port({'port': self.port()})['port']
        made = self.floating_ip()
        change = {'floatingip': {'port_id': port['id']}}
        changed = self.demo.update_floatingip(
            made['id'], change, revision_number=made['revision_number']
        )['floatingip']
        self.assertEqual('10.1.0.2', changed['fixed_ip_address'])
        error = self.assertRaises(
            exceptions.NeutronClientException,
            self.demo.update_floatingip,
            made['id'],
            change,
            revision_number=made['revision_number'],
        )
        self.assertEqual(412, error.status_code)

    def test_no_more_floating_ips(self):
        project = keystone.identifier('project', 'demo')
        self.admin.update_quota(project, {'quota': {'floatingip': 6}})
        made = [self.floating_ip() for _number in range(5)]
        self.assertRaises(
            exceptions.IpAddressGenerationFailureClient, self.floating_ip
        )
        self.demo.delete_floatingip(made[0]['id'])
        self.admin.update_quota(project, {'quota': {'floatingip': 4}})
        self.assertRaises(exceptions.OverQuotaClient, self.floating_ip)
        details = self.demo.show_quota_details(project)['quota']
        self.assertEqual(
            {'limit': 4, 'used': 4, 'reserved': 0}, details['floatingip']
        )
        self.admin.update_quota(project, {'quota': {'floatingip': 6}})
        self.assertEqual(
            made[0]['floating_ip_address'],
            self.floating_ip()['floating_ip_address'],
        )
        self.assertRaises(
            exceptions.BadRequest,
            self.floating_ip,
            floating_network_id=self.network['id'],
        )

    def test_security_groups_and_rules(self):
        group = self.demo.create_security_group(
            {'security_group': {'name': 'web'}}
        )['security_group']
        self.demo.create_security_group_rule(
            {
                'security_group_rule': {
                    'security_group_id': group['id'],
                    'direction': 'ingress',
                }
            }
        )
        shown = self.demo.show_security_group(group['id'])
        self.assertEqual(
            1, len(shown['security_group']['security_group_rules'])
        )
        port = self.demo.create_port(
            {'port': self.port(security_groups=[group['id']])}
        )['port']
        self.assertEqual([group['id']], port['security_groups'])
        self.assertRaises(
            exceptions.NotFound,
            self.demo.create_port,
            {'port': self.port(security_groups=['none'])},
        )

    def test_tags_and_extensions(self):
        port = self.demo.create_port({'port': self.port()})['port']
        self.demo.replace_tag('ports', port['id'], {'tags': ['a', 'b']})
        self.assertEqual(1, len(self.demo.list_ports(tags='a')['ports']))
        self.assertEqual(0, len(self.demo.list_ports(tags='c')['ports']))
        names = [
            extension['alias']
            for extension in self.demo.list_extensions()['extensions']
        ]
        self.assertIn('binding', names)

    def test_a_token_that_nobody_gave(self):
        status, _answer, _headers = server.call(
            self.url, 'GET', '/v2.0/ports', headers={'X-Auth-Token': 'forged'}
        )
        self.assertEqual(401, status)

    def test_a_fault(self):
        server.call(
            self.url,
            'POST',
            '/_emulator/faults',
            {
                'operation': 'create',
                'name': 'ports',
                'status': 503,
                'message': 'busy',
            },
        )
        self.assertRaises(
            exceptions.ServiceUnavailable,
            self.demo.create_port,
            {'port': self.port()},
        )
        self.demo.create_port({'port': self.port()})
