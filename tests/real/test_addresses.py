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

"""A fixed and a floating IP for each member, on real networks.

The L3 agent's forwarding is tried from a machine outside, which is a network
namespace in the network "public".
"""

from concurrent import futures
import contextlib
import csv
import ipaddress
import os
import pathlib
import subprocess
import time

import fixtures

from tests.lab.real import labapi
from tests.real import base


class AddressesTestCase(base.RealTestCase):
    def setUp(self):
        super().setUp()
        self.neutron = self.cloud.network
        self.public = self.neutron.find_network(os.environ['LAB_PUBLIC'])
        self.group = self.neutron.create_security_group(name='open')
        self.addCleanup(self.neutron.delete_security_group, self.group)
        self.neutron.create_security_group_rule(
            security_group_id=self.group.id,
            direction='ingress',
            ethertype='IPv4',
            protocol='icmp',
        )

    def create(self, *options, status=0):
        """Have a bulk built by the command line, with the group "open".

        :returns: its name.
        """
        name = 'addresses'
        self.addCleanup(self.delete_bulk, name)
        self.openstack(
            'appcontainer',
            'bulk',
            'create',
            '--bulk-name',
            name,
            '--wait',
            '--image-pull-policy',
            'never',
            '--security-group',
            'open',
            *options,
            self.image,
            'sleep',
            '100000',
            status=status,
        )
        return name

    def delete(self, name, *options):
        """Return the output of the command."""
        return self.openstack(
            'appcontainer', 'bulk', 'delete', '--wait', *options, name
        )

    def floating_ips(self):
        """Return {address: FloatingIP}."""
        return {
            found.floating_ip_address: found for found in self.neutron.ips()
        }

    def assert_nothing_left(self):
        super().assert_nothing_left()
        self.assertEqual({}, self.floating_ips())

    def members(self, name):
        return self.zun.members(name)

    @contextlib.contextmanager
    def room(self, number):
        """Leave so many addresses in the network "public"."""
        (subnet,) = self.neutron.subnets(network_id=self.public.id)
        pools = subnet.allocation_pools
        taken = {
            ipaddress.ip_address(fixed['ip_address'])
            for port in self.neutron.ports(network_id=self.public.id)
            for fixed in port.fixed_ips
        }
        first = ipaddress.ip_address(pools[0]['start']) + 256
        while any(first + step in taken for step in range(number)):
            first += number
        self.neutron.update_subnet(
            subnet,
            allocation_pools=[
                {'start': str(first), 'end': str(first + number - 1)}
            ],
        )
        try:
            yield
        finally:
            self.neutron.update_subnet(subnet, allocation_pools=pools)

    def silent(self, addresses):
        """Return the addresses that do not answer pings from outside."""

        def answers(address):
            # The agent is told of floating IPs some at a time.
            for _try in range(30):
                done = subprocess.run(
                    [
                        'ip',
                        'netns',
                        'exec',
                        os.environ['LAB_OUTSIDE'],
                        'busybox',
                        'ping',
                        '-c1',
                        '-W2',
                        address,
                    ],
                    capture_output=True,
                )
                if done.returncode == 0:
                    return True
                time.sleep(1)
            return False

        with futures.ThreadPoolExecutor(8) as pool:
            return [
                address
                for address, heard in zip(
                    addresses, pool.map(answers, addresses), strict=True
                )
                if not heard
            ]


class TestAddresses(AddressesTestCase):
    COUNT = 60
    FIRST, LAST = '10.77.200.10', '10.77.200.99'

    def test_each_has_a_fixed_and_a_floating_ip(self):
        name = self.create(
            '--count',
            str(self.COUNT),
            '--net',
            f'network={self.network},v4-range={self.FIRST}-{self.LAST}',
            '--floating-ip-network',
            self.public.name,
        )
        members, addresses = self.assert_all_run(name, self.COUNT)
        self.assertEqual(
            {
                member['container_uuid']: member['addresses']
                for member in members
            },
            {uuid: [address] for uuid, address in addresses.items()},
        )
        low, high = map(ipaddress.ip_address, (self.FIRST, self.LAST))
        self.assertEqual(self.COUNT, len(set(addresses.values())))
        for address in addresses.values():
            self.assertTrue(low <= ipaddress.ip_address(address) <= high)
        self.assertEqual([], labapi.unreachable(members, addresses))

        found = self.floating_ips()
        self.assertEqual(
            set(found), {member['floating_ip'] for member in members}
        )
        for member in members:
            self.assertEqual(
                member['addresses'][0],
                found[member['floating_ip']].fixed_ip_address,
            )
        self.assertEqual([], self.silent(sorted(found)))

        self.delete(name)
        self.assert_nothing_left()

    def test_a_taken_address_fails_one_member(self):
        taken = self.neutron.create_port(
            network_id=self.network, fixed_ips=[{'ip_address': '10.77.201.2'}]
        )
        self.addCleanup(self.neutron.delete_port, taken)
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'm.csv')
        with path.open('w') as file:
            rows = csv.writer(file)
            rows.writerow(['name', 'addresses'])
            for number in range(4):
                rows.writerow([f'a-{number}', f'10.77.201.{number}'])
        name = self.create(
            '--members-from',
            str(path),
            '--net',
            f'network={self.network}',
            status=1,
        )
        states = {
            member['name']: (member['state'], member['addresses'])
            for member in self.members(name)
        }
        self.assertEqual(
            {
                f'a-{number}': ('running', [f'10.77.201.{number}'])
                for number in (0, 1, 3)
            },
            {key: states[key] for key in states if key != 'a-2'},
        )
        self.assertEqual('failed', states['a-2'][0])
        failed = next(m for m in self.members(name) if m['state'] == 'failed')
        self.assertIn('10.77.201.2', failed['reason'])
        self.neutron.delete_port(taken)
        self.delete(name)
        self.assert_nothing_left()

    def test_no_address_is_left_outside(self):
        count, room = 6, 4
        with self.room(room):
            name = self.create(
                '--count',
                str(count),
                '--net',
                f'network={self.network}',
                '--floating-ip-network',
                self.public.name,
                status=1,
            )
            bulk = self.zun.request('GET', f'/bulks/{name}')[1]
            self.assertEqual('paused', bulk['status'], bulk)
            self.assertIn(self.public.name, bulk['status_reason'])
            self.assertIn(str(count - room), bulk['status_reason'])
            self.assertEqual(room, len(self.floating_ips()))
        self.openstack('appcontainer', 'bulk', 'resume', '--wait', name)
        self.assertEqual(count, len(self.floating_ips()))
        self.assert_all_run(name, count)
        self.delete(name)
        self.assert_nothing_left()

    def test_some_of_a_pool_that_are_kept(self):
        given = {
            self.neutron.create_ip(
                floating_network_id=self.public.id
            ).floating_ip_address
            for _number in range(3)
        }
        for found in self.floating_ips().values():
            self.addCleanup(self.neutron.delete_ip, found)
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'pool')
        path.write_text('\n'.join(given))
        name = self.create(
            '--count',
            '3',
            '--net',
            f'network={self.network}',
            '--floating-ip-pool',
            str(path),
        )
        self.assertEqual(
            given, {member['floating_ip'] for member in self.members(name)}
        )
        self.assertEqual([], self.silent(sorted(given)))
        self.delete(name)
        self.assertEqual(
            {address: None for address in given},
            {
                address: found.port_id
                for address, found in self.floating_ips().items()
            },
        )

    def test_neutron_dies_meanwhile(self):
        count = 20
        status, bulk, _seconds = self.post_bulk(
            count,
            {'security_groups': ['open']},
            floating_ips={'network': self.public.id},
        )
        self.assertEqual(202, status, bulk)
        self.wait_until(
            lambda: 0 < len(self.floating_ips()) < count,
            'some have a floating IP',
        )
        self.lab('stop', 'neutron')
        time.sleep(5)
        self.lab('start', 'neutron')
        self.wait_until(
            lambda: self.show(bulk)['status'] != 'building', 'it is finished'
        )
        self.assertEqual('ready', self.show(bulk)['status'], self.show(bulk))
        members, _addresses = self.assert_all_run(bulk['uuid'], count)
        found = self.floating_ips()
        self.assertEqual(count, len(found))
        self.assertEqual(
            set(found), {member['floating_ip'] for member in members}
        )
        self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()
