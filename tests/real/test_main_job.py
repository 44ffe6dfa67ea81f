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

import collections

from tests.lab.real import labapi
from tests.real import base


class TestMainJob(base.RealTestCase):
    """One command makes many containers, on all hosts, and all of them run."""

    COUNT = 24

    def test_main_job(self):
        name = 'main-job'
        self.addCleanup(self.delete_bulk, name)
        bulk = self.openstack_json(
            'appcontainer',
            'bulk',
            'create',
            '--bulk-name',
            name,
            '--count',
            str(self.COUNT),
            '--name',
            'worker-{index}',
            '--environment',
            'NUMBER={index}',
            '--wait',
            '--image-pull-policy',
            'never',
            '--net',
            f'network={self.network}',
            self.image,
            'sleep',
            '100000',
        )
        self.assertEqual('ready', bulk['status'], bulk)

        members, addresses = self.assert_all_run(name, self.COUNT)
        self.assertEqual(
            [f'worker-{number + 1}' for number in range(self.COUNT)],
            [member['name'] for member in members],
        )

        # Each host has its share, within two.
        hosts = labapi.hosts().values()
        share = self.COUNT / len(hosts)
        spread = collections.Counter(member['host'] for member in members)
        self.assertEqual(set(hosts), set(spread))
        for host in hosts:
            self.assertLessEqual(abs(spread[host] - share), 2, spread)

        # Each has the address that the API tells, one of its own, and answers
        # there.
        self.assertEqual(
            addresses,
            {
                member['container_uuid']: member['addresses'][0]
                for member in members
            },
        )
        self.assertEqual(self.COUNT, len(set(addresses.values())))
        self.assertEqual([], labapi.unreachable(members, addresses))

        # Zun's ordinary commands see them.
        last = members[-1]
        shown = self.openstack_json('appcontainer', 'show', last['name'])
        self.assertEqual(last['container_uuid'], shown['uuid'])
        self.assertEqual('Running', shown['status'])
        self.assertEqual(str(self.COUNT), shown['environment']['NUMBER'])

        self.openstack('appcontainer', 'bulk', 'delete', '--wait', name)
        self.assertEqual(404, self.zun.request('GET', f'/bulks/{name}')[0])
        self.assert_nothing_left()


class TestOutsideInterference(base.RealTestCase):
    def test_delete_while_it_is_built(self):
        status, bulk, _seconds = self.post_bulk(20)
        self.assertEqual(202, status, bulk)
        self.wait_until(
            lambda: self.count(bulk, 'starting') + self.count(bulk, 'running'),
            'the first container is being started',
        )
        self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()

    def test_a_container_that_ends_at_once_fails_its_member(self):
        status, bulk, _seconds = self.post_bulk(
            2, {'command': ['sh', '-c', 'exit 3']}
        )
        self.assertEqual(202, status, bulk)
        self.wait_until(
            lambda: self.show(bulk)['status'] != 'building', 'it is finished'
        )
        shown = self.show(bulk)
        self.assertEqual('error', shown['status'])
        self.assertEqual(2, shown['members']['failed'])
        self.assertEqual(
            2, sum(failure['count'] for failure in shown['failures'])
        )
        for failure in shown['failures']:
            self.assertEqual('application', failure['class'])
            self.assertIn('exited with code 3', failure['reason'])
        self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()

    def count(self, bulk, state):
        return self.show(bulk)['members'][state]
