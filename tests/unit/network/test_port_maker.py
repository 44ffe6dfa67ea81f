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

"""Making ports with the real client and the emulated Neutron."""

import collections
from unittest import mock

from oslotest import base

from tests import emulated_neutron
from zun_bulk.db import models
from zun_bulk.db import specs
from zun_bulk.network import errors
from zun_bulk.network import port_maker
from zun_bulk.network import ports
from zun_bulk.network import requested


class MakerTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.lab = self.useFixture(emulated_neutron.EmulatedNeutron())
        self.api = ports.Ports()
        self.hostnames = {}
        self.networks = [self.requested(self.lab.network)]
        self.nets = [{'network': 'lab'}]
        self.groups = []

    def requested(self, network, **values):
        return {
            'network': network['id'],
            'port': '',
            'fixed_ip': '',
            'preserve_on_delete': False,
            **values,
        }

    def range(self, first, last):
        self.networks[0][requested.RANGE] = [
            '10.1.0.%s' % first,
            '10.1.0.%s' % last,
        ]

    def new_members(self, number, addresses=None):
        """Make members; addresses: {index: its own addresses}."""
        self.members = [
            models.Member(
                id=index,
                container_uuid='uuid-%d' % index,
                name='web-%d' % index,
                host='host-1',
                wanted=specs.MemberSpec(),
            )
            for index in range(1, number + 1)
        ]
        for member in self.members:
            if member.id in (addresses or {}):
                member.wanted.addresses = addresses[member.id]

    def new_maker(self):
        bulk = models.Bulk(
            project_id=self.lab.project,
            count=len(self.members),
            template={'nets': self.nets},
            spec=specs.BulkSpec(
                requested_networks=self.networks, security_groups=self.groups
            ),
        )
        self.maker = port_maker.PortMaker(
            self.api, bulk, self.members, lambda uuids: self.hostnames
        )

    def make(self, number=0, addresses=None):
        """Return ({member id: [its addresses]}, {reason: [member id]})."""
        if number:
            self.new_members(number, addresses)
        self.new_maker()
        self.maker.prepare(self.members)
        return self.make_prepared()

    def make_prepared(self, members=None):
        before = self.lab.emulator.calls['create']
        made, refused = self.maker.make(members or self.members)
        self.creates = self.lab.emulator.calls['create'] - before
        return (
            {
                ident: requested.addresses(found)
                for ident, found in made.items()
            },
            {
                reason: [member.id for member in found]
                for reason, found in refused.items()
            },
        )

    def addresses(self, *numbers):
        return {
            index: ['10.1.0.%d' % number]
            for index, number in enumerate(numbers, 1)
        }


class TestAddresses(MakerTestCase):
    def test_what_neutron_chooses(self):
        self.assertEqual((self.addresses(2, 3, 4), {}), self.make(3))
        self.assertEqual(1, self.creates)

    def test_a_range(self):
        self.range(5, 8)
        self.lab.take('10.1.0.6')
        self.assertEqual((self.addresses(5, 7, 8), {}), self.make(3))
        self.assertEqual(1, self.creates)

    def test_a_range_with_the_gateway(self):
        self.range(1, 3)
        self.assertEqual((self.addresses(2, 3), {}), self.make(2))

    def test_a_range_in_parts(self):
        """Whichever part comes first, the first member has the lowest."""
        self.range(5, 8)
        self.new_members(4)
        self.new_maker()
        self.maker.prepare(self.members)
        made = {}
        for part in (self.members[2:], self.members[:2]):
            made.update(self.make_prepared(part)[0])
        self.assertEqual(self.addresses(5, 6, 7, 8), made)

    def test_a_race_that_is_lost(self):
        self.range(5, 10)
        self.new_members(3)
        self.new_maker()
        self.maker.prepare(self.members)
        self.lab.take('10.1.0.5', '10.1.0.7')
        self.assertEqual((self.addresses(6, 8, 9), {}), self.make_prepared())
        self.assertEqual(2, self.creates)

    def test_a_race_for_what_neutron_does_not_list(self):
        self.range(5, 6)
        # Its IPAM knows more than it has ports.
        self.lab.emulator._used[self.lab.network['subnets'][0]].update(
            ('10.1.0.5', '10.1.0.6')
        )
        self.assertEqual(({}, {}), self.make(2))
        self.assertEqual({1, 2}, self.maker.short)

    def test_a_race_of_which_no_address_is_told(self):
        self.range(5, 8)
        self.new_members(1)
        self.new_maker()
        self.maker.prepare(self.members)
        self.lab.take('10.1.0.5')
        with mock.patch(
            'zun_bulk.network.errors.message', return_value='taken'
        ):
            made = self.make_prepared()
        self.assertEqual((self.addresses(6), {}), made)

    def test_of_its_own(self):
        subnet = {
            'network_id': self.lab.network['id'],
            'cidr': 'fd00::/64',
            'ip_version': 6,
        }
        self.lab.client.create_subnet({'subnet': subnet})
        own = {1: ['10.1.0.9'], 2: [None], 3: ['FD00:0::0009']}
        self.assertEqual(
            ({1: ['10.1.0.9'], 2: ['10.1.0.2'], 3: ['fd00::9']}, {}),
            self.make(3, own),
        )

    def test_of_its_own_beside_a_range(self):
        self.range(5, 8)
        made, _refused = self.make(3, {3: ['10.1.0.5']})
        self.assertEqual(self.addresses(6, 7, 5), made)

    def test_of_the_template(self):
        self.networks[0]['fixed_ip'] = '10.1.0.7'
        self.assertEqual((self.addresses(7), {}), self.make(1))

    def test_several_networks(self):
        other = self.lab.create_network('10.2.0.0/24')
        self.networks.append(
            self.requested(other, v4_range=['10.2.0.10', '10.2.0.20'])
        )
        self.nets.append({'network': other['id']})
        made, refused = self.make(2, {2: ['10.1.0.9', None]})
        self.assertEqual(
            {1: ['10.1.0.2', '10.2.0.10'], 2: ['10.1.0.9', '10.2.0.11']}, made
        )
        self.assertEqual(
            {'uuid-1': [other['id']], 'uuid-2': [other['id']]},
            self.bound_to_host(),
        )

    def bound_to_host(self):
        found = collections.defaultdict(list)
        for port in self.lab.ports():
            if port['binding:host_id']:
                found[port['device_id']].append(port['network_id'])
        return found

    def test_what_is_there_already(self):
        self.range(5, 8)
        self.make(2)
        self.assertEqual((self.addresses(5, 6), {}), self.make())
        self.assertEqual(0, self.creates)
        self.assertEqual((self.addresses(5, 6, 7), {}), self.make(3))
        self.assertEqual(3, len(self.lab.ports()))


class TestRefused(MakerTestCase):
    TAKEN = 'Neutron: IP address 10.1.0.%d already allocated in subnet %s'

    def test_a_taken_address_fails_its_member_alone(self):
        self.lab.take('10.1.0.9')
        made, refused = self.make(
            8, {index: ['10.1.0.%d' % (6 + index)] for index in range(1, 9)}
        )
        self.assertEqual({1, 2, 4, 5, 6, 7, 8}, set(made))
        subnet = self.lab.network['subnets'][0]
        self.assertEqual({self.TAKEN % (9, subnet): [3]}, refused)
        # Neutron has named it.
        self.assertEqual(2, self.creates)
        self.assertEqual(7, len(self.lab.ports()))

    def test_addresses_outside_the_subnet(self):
        made, refused = self.make(
            4, {2: ['10.9.0.1'], 3: ['10.9.0.2'], 4: ['10.1.0.9']}
        )
        self.assertEqual({1, 4}, set(made))
        self.assertEqual([[2], [3]], list(refused.values()))
        self.assertIn('10.9.0.1 is not a valid IP', list(refused)[0])

    def test_one_that_is_not_named(self):
        self.lab.take('10.1.0.9')
        with mock.patch('zun_bulk.network.errors.message', return_value='no'):
            made, refused = self.make(8, {6: ['10.1.0.9']})
        self.assertEqual(({6}, 7), ({6} - set(made), len(made)))
        self.assertEqual({'Neutron: no (asked for 10.1.0.9)': [6]}, refused)

    def test_what_all_have_in_common_is_asked_once(self):
        self.networks[0]['network'] = 'gone'
        made, refused = self.make(20)
        self.assertEqual({}, made)
        self.assertEqual(
            {'Neutron: Network gone could not be found.': list(range(1, 21))},
            refused,
        )
        self.assertEqual(1, self.creates)
        # Nor for the others of this bulk.
        self.assertEqual(1, len(self.make_prepared()[1]))
        self.assertEqual(0, self.creates)

    def test_what_all_are_refused_alike(self):
        self.lab.order('create', status=409, message='odd', count=100)
        made, refused = self.make(20)
        self.assertEqual(
            ({}, {'Neutron: odd': 20}),
            (made, {text: len(found) for text, found in refused.items()}),
        )
        self.assertLessEqual(self.creates, 10)

    def test_a_few_alike_among_others(self):
        """What Neutron has made some of may be had by the rest."""
        self.make(1)
        self.new_members(9)
        self.new_maker()
        self.maker.prepare(self.members)
        self.assertEqual({1}, set(self.make_prepared(self.members[:1])[0]))
        self.lab.order('create', status=409, message='odd', count=9)
        made, refused = self.make_prepared()
        self.assertEqual(9, len(made) + len(refused['Neutron: odd']))
        self.assertGreater(len(made), 1)

    def test_down(self):
        self.lab.order('create', status=503)
        self.assertRaises(errors.Busy, self.make, 3)

    def test_an_answer_that_is_lost(self):
        self.range(5, 8)
        self.lab.order('create', kind='drop')
        self.assertRaises(errors.Busy, self.make, 3)
        self.maker.look(self.members)
        self.assertEqual((self.addresses(5, 6, 7), {}), self.make_prepared())
        self.assertEqual((0, 3), (self.creates, len(self.lab.ports())))

    def test_an_answer_that_is_lost_and_a_look_too_early(self):
        self.lab.order('create', kind='drop')
        addresses = {number: ['10.1.0.%d' % (4 + number)] for number in (1, 2)}
        self.assertRaises(errors.Busy, self.make, 2, addresses)
        # What holds their addresses is their own.
        self.assertEqual((addresses, {}), self.make_prepared())
        self.assertEqual(2, len(self.lab.ports()))


class TestShort(MakerTestCase):
    def assert_short(self, text, *members):
        self.assertEqual(set(members), self.maker.short)
        self.assertEqual(
            '%s: %d of %d containers wait for an address'
            % (text, len(members), len(self.members)),
            self.maker.shortage_reason(),
        )

    def test_none_is(self):
        self.make(1)
        self.assertIsNone(self.maker.shortage_reason())

    def test_a_network(self):
        """It has 13 addresses."""
        # One that is in no pool.
        made, refused = self.make(20, {20: ['10.1.0.1']})
        self.assertEqual({*range(1, 14), 20}, set(made))
        self.assertEqual({}, refused)
        self.assert_short(
            'no address is left on network lab (%s)' % self.lab.network['id'],
            *range(14, 20),
        )
        self.assertLessEqual(self.creates, 12)
        # Nobody asks in vain in this pass.
        self.make_prepared(self.members[13:19])
        self.assertEqual(0, self.creates)

        # Somebody makes room.
        self.lab.client.delete_port(self.lab.ports()[0]['id'])
        self.members = self.members[13:19]
        self.assertEqual({14}, set(self.make()[0]))

    def test_a_range(self):
        self.range(5, 7)
        self.nets[0]['network'] = self.lab.network['id']
        self.lab.take('10.1.0.6')
        made, refused = self.make(4, {4: ['10.1.0.9']})
        self.assertEqual(
            {1: ['10.1.0.5'], 2: ['10.1.0.7'], 4: ['10.1.0.9']}, made
        )
        self.assert_short(
            'no address is free in 10.1.0.5-10.1.0.7 on network '
            + self.lab.network['id'],
            3,
        )
        self.assertEqual(1, self.creates)

    def test_the_quota(self):
        self.lab.emulator.quotas[self.lab.project] = {'port': 5}
        made, refused = self.make(8, {8: ['10.1.0.9']})
        self.assertEqual({1, 2, 3, 4, 5}, set(made))
        self.assertEqual({}, refused)
        self.assert_short(
            'Neutron: Quota exceeded for resources: [\'port\'].', 6, 7, 8
        )

    def test_one_of_two_networks(self):
        self.networks.append(
            self.requested(self.lab.create_network('10.2.0.0/30'))
        )
        self.nets.append({'network': 'small'})
        made, _refused = self.make(2)
        self.assertEqual({1: ['10.1.0.2', '10.2.0.2']}, made)
        self.assert_short(
            'no address is left on network small (%s)'
            % self.networks[1]['network'],
            2,
        )
        self.assertEqual(2, len(self.lab.ports()))


class TestNames(MakerTestCase):
    def names(self):
        return {
            port['device_id']: port['dns_name'] or None
            for port in self.lab.ports()
        }

    def make_with(self, *hostnames, names=()):
        self.new_members(len(hostnames))
        self.hostnames = {
            'uuid-%d' % index: name for index, name in enumerate(hostnames, 1)
        }
        for member, name in zip(self.members, names, strict=False):
            member.name = name
        made, refused = self.make()
        self.assertEqual((len(hostnames), {}), (len(made), refused))
        return list(self.names().values())

    def test_hostnames(self):
        self.assertEqual(
            ['web', 'db-7', None, None, None, 'x' * 63],
            self.make_with(
                'Web', 'db-7', 'a.example.org', '-x', 'x' * 64, 'x' * 63
            ),
        )

    def test_names_of_containers(self):
        self.assertEqual(
            ['web-1', 'a-b-c', 'x' * 63, None],
            self.make_with(
                None,
                '',
                None,
                None,
                names=['web-1', '_A.b_c_', 'x' * 64, '___'],
            ),
        )

    def test_a_neutron_without_names(self):
        self.api._extensions = {'quotas'}
        self.assertEqual([None], self.make_with('web'))

    def test_what_neutron_does_not_take_fails_nobody(self):
        self.lab.order(
            'create',
            status=400,
            message='Invalid input for dns_name. Reason: too long.',
        )
        self.assertEqual([None, None], self.make_with('web', 'db'))
