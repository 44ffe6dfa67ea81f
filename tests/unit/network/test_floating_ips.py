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

from neutronclient.common import exceptions as neutron_exceptions
from oslotest import base

from tests import emulated_neutron
from zun_bulk.db import models
from zun_bulk.db import specs
from zun_bulk.network import floating_ips
from zun_bulk.network import requested


class TestFloatingIps(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # It has five addresses.
        self.neutron = self.useFixture(
            emulated_neutron.EmulatedNeutron(
                cidr='10.1.0.0/24', public_cidr='172.24.0.0/29'
            )
        )
        self.floating_ips = floating_ips.FloatingIps()
        self.bulk = models.Bulk(
            project_id=self.neutron.project,
            spec=specs.BulkSpec(
                requested_networks=[{'network': 'lab', 'port': ''}],
                floating_ips=specs.FloatingIpSpec(
                    network_id=self.neutron.network_id('public')
                ),
            ),
        )

    def member(self, number=1, given=None):
        uuid = 'uuid-%d' % number
        port = self.neutron.port(uuid)
        return models.Member(
            container_uuid=uuid,
            name='web-%d' % number,
            wanted=specs.MemberSpec(floating_ip=given),
            networks=[
                {
                    'network': 'lab',
                    'port': port['id'],
                    requested.PORT: {
                        'id': port['id'],
                        'addresses': [
                            {'addr': 'fd00::9', 'version': 6},
                            {
                                'addr': port['fixed_ips'][0]['ip_address'],
                                'version': 4,
                            },
                        ],
                    },
                }
            ],
        )

    def find(self, member):
        found = self.floating_ips.find(self.bulk, [member])
        return found[member.container_uuid]

    def bind(self, member):
        return self.floating_ips.bind(self.bulk, member, self.find(member))

    def release(self, member, keep=False):
        for row in self.find(member):
            self.floating_ips.release(self.bulk, member, row, keep)

    def calls(self):
        calls = self.neutron.emulator.calls
        return calls['create'], calls['update'], calls['delete']

    def test_one_call_makes_and_binds_one(self):
        member = self.member()
        before = self.calls()
        self.assertEqual('172.24.0.2', self.bind(member))
        self.assertEqual((before[0] + 1, before[1], before[2]), self.calls())
        row = self.neutron.floating_ips()['172.24.0.2']
        self.assertEqual(
            (
                self.neutron.project,
                'zun_bulk:uuid-1',
                member.networks[0]['port'],
                '10.1.0.2',
            ),
            (
                row['project_id'],
                row['description'],
                row['port_id'],
                row['fixed_ip_address'],
            ),
        )

    def test_what_is_there_is_not_made_again(self):
        members = [self.member(number) for number in (1, 2)]
        addresses = [self.bind(member) for member in members]
        self.assertEqual(addresses, [self.bind(m) for m in members])
        self.assertEqual(set(addresses), set(self.neutron.floating_ips()))
        # Nor if it was bound to a port that is gone.
        self.neutron.client.delete_port(members[0].networks[0]['port'])
        again = self.member(1)
        self.assertEqual(addresses[0], self.bind(again))
        self.assertEqual(
            again.networks[0]['port'],
            self.neutron.floating_ips()[addresses[0]]['port_id'],
        )

    def test_an_answer_that_is_lost(self):
        member = self.member()
        self.neutron.order_fault('create', 'drop')
        self.assertRaises(floating_ips.Unavailable, self.bind, member)
        self.assertEqual('172.24.0.2', self.bind(member))
        self.assertEqual(1, len(self.neutron.floating_ips()))

    def test_neutron_is_busy(self):
        member = self.member()
        for status in (429, 503):
            self.neutron.order_fault('create', status=status, message='busy')
            self.assertRaises(floating_ips.Unavailable, self.bind, member)
        self.neutron.order_fault('create', status=409, message='try again')
        self.assertRaises(floating_ips.Failed, self.bind, member)

    def test_there_are_no_more(self):
        members = [self.member(number) for number in range(7)]
        for member in members[:5]:
            self.bind(member)
        error = self.assertRaises(
            floating_ips.Exhausted, self.bind, members[5]
        )
        self.assertIn('No more IP addresses available', str(error))
        self.neutron.client.update_quota(
            self.neutron.project, {'quota': {'floatingip': 5}}
        )
        error = self.assertRaises(
            floating_ips.Exhausted, self.bind, members[6]
        )
        self.assertEqual(
            "Neutron: Quota exceeded for resources: ['floatingip'].",
            str(error),
        )

    def test_refused(self):
        member = self.member()
        self.neutron.floating_ip(port_id=member.networks[0]['port'])
        # It may be our own, of a call that Neutron has not come to the end of.
        error = self.assertRaises(floating_ips.Failed, self.bind, member)
        self.assertIn('already has a floating IP', str(error))
        self.neutron.client.delete_port(member.networks[0]['port'])
        error = self.assertRaises(floating_ips.Refused, self.bind, member)
        self.assertIn('could not be found', str(error))
        member.networks[0][requested.PORT]['addresses'].pop()
        self.assertRaises(floating_ips.Refused, self.bind, member)

    def test_a_port_of_the_user(self):
        member = self.member()
        del member.networks[0][requested.PORT]
        self.assertEqual('172.24.0.2', self.bind(member))

    def test_given_ones_are_bound_and_unbound(self):
        row = self.neutron.floating_ip(description='mine')
        address = row['floating_ip_address']
        member = self.member(given=address)
        for _time in range(2):
            self.assertEqual(address, self.bind(member))
            row = self.neutron.floating_ips()[address]
            self.assertEqual(
                (member.networks[0]['port'], 'mine'),
                (row['port_id'], row['description']),
            )
        self.release(member)
        row = self.neutron.floating_ips()[address]
        self.assertEqual((None, 'mine'), (row['port_id'], row['description']))

    def test_given_ones_that_others_have(self):
        port = self.neutron.port()
        row = self.neutron.floating_ip(port_id=port['id'])
        member = self.member(given=row['floating_ip_address'])
        error = self.assertRaises(floating_ips.Refused, self.bind, member)
        self.assertIn(
            'was bound to port %s outside the bulk' % port['id'], str(error)
        )
        self.release(member)
        self.assertEqual(
            port['id'],
            self.neutron.floating_ips()[row['floating_ip_address']]['port_id'],
        )
        # It is taken by others right after it was looked at.
        self.neutron.client.delete_port(port['id'])
        found = self.find(member)
        change = {'floatingip': {'port_id': self.neutron.port()['id']}}
        self.neutron.client.update_floatingip(row['id'], change)
        self.assertRaises(
            floating_ips.Failed,
            self.floating_ips.bind,
            self.bulk,
            member,
            found,
        )

    def test_given_ones_that_are_gone_or_of_another_project(self):
        error = self.assertRaises(
            floating_ips.Refused, self.bind, self.member(given='172.24.0.2')
        )
        self.assertIn('no longer has floating IP 172.24.0.2', str(error))
        self.neutron.floating_ip(tenant_id='other')
        self.assertRaises(
            floating_ips.Refused, self.bind, self.member(given='172.24.0.2')
        )

    def test_what_was_made_is_deleted(self):
        member = self.member()
        self.bind(member)
        (row,) = self.find(member)
        self.release(member)
        self.assertEqual({}, self.neutron.floating_ips())
        # Somebody else was quicker.
        self.floating_ips.release(self.bulk, member, row, False)
        self.floating_ips.release(self.bulk, member, row, True)

    def test_one_that_its_user_forwards_ports_with_stays(self):
        member = self.member()
        self.bind(member)
        (row,) = self.find(member)
        self.neutron.order_fault(
            'delete',
            status=409,
            message='Floating IP %s in use by Port Forwarding resources.'
            % row['id'],
        )
        self.release(member)
        self.assertEqual([], self.find(member))
        self.assertEqual(1, len(self.neutron.floating_ips()))

    def test_what_another_project_says_is_ours(self):
        member = self.member()
        self.neutron.floating_ip(
            tenant_id='other', description='zun_bulk:uuid-1'
        )
        self.assertEqual([], self.find(member))

    def test_what_is_kept_is_no_more_looked_for(self):
        member = self.member()
        address = self.bind(member)
        self.release(member, keep=True)
        row = self.neutron.floating_ips()[address]
        self.assertEqual(
            (None, 'was of container web-1, kept by zun_bulk'),
            (row['port_id'], row['description']),
        )
        self.assertEqual([], self.find(member))
        self.assertEqual([], self.floating_ips.marked())

    def test_what_its_user_has_bound_elsewhere_stays_there(self):
        member = self.member()
        address = self.bind(member)
        (row,) = self.find(member)
        port = self.neutron.port()
        self.neutron.client.update_floatingip(
            row['id'], {'floatingip': {'port_id': port['id']}}
        )
        self.release(member)
        self.assertEqual(
            port['id'], self.neutron.floating_ips()[address]['port_id']
        )
        self.assertEqual([], self.find(member))

    def test_marked(self):
        self.neutron.floating_ip(description='mine')
        address = self.bind(self.member())
        (row,) = self.floating_ips.marked()
        self.assertEqual(
            (address, 'uuid-1'),
            (row['floating_ip_address'], row['container_uuid']),
        )

    def test_delete_goes_wrong(self):
        self.bind(self.member())
        (row,) = self.floating_ips.marked()
        self.neutron.order_fault('delete', status=503, message='busy')
        self.assertRaises(
            floating_ips.Unavailable, self.floating_ips.delete, row['id']
        )
        self.floating_ips.delete(row['id'])
        self.assertRaises(
            neutron_exceptions.NotFound,
            self.neutron.client.show_floatingip,
            row['id'],
        )
