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

"""More CPUs than there are: up to exactly the ratio in zun.conf."""

from concurrent import futures
import tempfile

from tests.lab.real import labapi
from tests.real import base


RATIO = 2
STOCK = """
[compute]
cpu_allocation_ratio = %d
[scheduler]
available_filters = zun.scheduler.filters.all_filters
available_filters = zun_bulk.scheduler.filters.all_filters
enabled_filters = AvailabilityZoneFilter,ComputeFilter,RuntimeFilter,%s
"""


class OvercommitTestCase(base.RealTestCase):
    """Zun with a ratio, and with one filter more than those that matter."""

    FILTER = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as conf:
            conf.write(STOCK % (RATIO, cls.FILTER))
            conf.flush()
            # Zun has read it by the end of this.
            cls.addClassCleanup(cls.lab, 'zun', '--conf', '')
            cls.lab('zun', '--conf', conf.name)

    def setUp(self):
        super().setUp()
        self.wait_until(self.is_in_force, 'the ratio is in Placement')

    def inventories(self):
        return [
            self.cloud.placement.get(
                f'/resource_providers/{provider.id}/inventories'
            ).json()['inventories']['VCPU']
            for provider in self.cloud.placement.resource_providers()
        ]

    def is_in_force(self):
        return {one['allocation_ratio'] for one in self.inventories()} == {
            RATIO
        }

    @property
    def cpus(self):
        """What all hosts have, without any overcommit."""
        return sum(one['total'] for one in self.inventories())

    def bulk(self, count, **more):
        """Have a bulk built of containers with a CPU each.

        :returns: it, once it is finished.
        """
        status, bulk, _seconds = self.post_bulk(count, {'cpu': 1.0}, **more)
        self.assertEqual(202, status, bulk)
        return self.finished(bulk)

    def finished(self, bulk):
        def ended():
            status, shown = self.zun.request('GET', f'/bulks/{bulk["uuid"]}')
            self.assertEqual(200, status, shown)
            return shown['status'] != 'building' and shown

        self.wait_until(ended, 'the bulk is finished')
        return ended()

    def single(self, name):
        """Create a container with a CPU by Zun's own API.

        :returns: how it ends.
        """
        status, container = self.zun.request(
            'POST',
            '/containers?run=true',
            labapi.container_body(name, self.network, cpu=1.0),
        )
        self.assertEqual(202, status, container)
        path = f'/containers/{container["uuid"]}?force=true'
        self.addCleanup(
            self.wait_until,
            lambda: self.zun.request('GET', path)[0] == 404,
            f'{name} is gone',
        )
        self.addCleanup(self.zun.request, 'DELETE', path)

        def ended():
            status = self.zun.request('GET', path)[1]['status']
            return status in ('Running', 'Error') and status

        self.wait_until(ended, f'{name} runs or does not')
        return ended()


class TestStockFilter(OvercommitTestCase):
    FILTER = 'CPUFilter'

    def test_stock_filter_knows_no_ratio(self):
        bulk = self.bulk(
            self.cpus + 1,
            placement={'policy': 'spread', 'allow_partial': True},
        )
        self.assertEqual(self.cpus, bulk['members']['running'], bulk)
        self.assertIn('CPUFilter', str(bulk['failures']))
        self.assertEqual('Error', self.single('one-more'))


class TestOvercommit(OvercommitTestCase):
    FILTER = 'CpuOvercommitFilter'

    def test_bulks(self):
        room = self.cpus * RATIO
        bulk = self.bulk(room + 1)
        self.assertEqual(room + 1, bulk['members']['failed'], bulk)
        self.assertIn(
            '%d of %d fit: VCPU on' % (room, room + 1), str(bulk['failures'])
        )
        self.delete_bulk(bulk['uuid'])
        bulk = self.bulk(room)
        self.assertEqual(room, bulk['members']['running'], bulk)
        self.assertEqual(1, self.bulk(1)['members']['failed'])
        self.assertEqual('Error', self.single('one-more'))

    def test_singles(self):
        room = self.cpus * RATIO
        for number in range(room):
            self.assertEqual('Running', self.single(f's-{number}'))
        self.assertEqual('Error', self.single('one-more'))
        self.assertEqual(1, self.bulk(1)['members']['failed'])

    def test_many_bulks_for_the_last_room(self):
        room = self.cpus * RATIO
        clients = [labapi.Zun() for _number in range(8)]

        def post(client):
            return [
                self.post_bulk(1, {'cpu': 1.0}, zun=client)
                for _number in range(32 // len(clients))
            ]

        with futures.ThreadPoolExecutor(len(clients)) as pool:
            answers = sum(pool.map(post, clients), [])
        self.assertEqual({202}, {status for status, *_rest in answers})
        bulks = [self.finished(bulk) for _status, bulk, _seconds in answers]
        running = [bulk for bulk in bulks if bulk['status'] == 'ready']
        self.assertEqual(room, len(running))
        for bulk in bulks:
            if bulk not in running:
                self.assertIn('0 of 1 fit: VCPU', str(bulk['failures']))
        for bulk in bulks:
            self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()
