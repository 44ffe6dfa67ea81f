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

"""Filters that hold limits, for single containers and for bulks."""

import os
import signal
import time

from tests.functional import base
from tests.lab.embedded import lab as embedded
from tests.threads import at_once
from zun_bulk.scheduler import timed_cache


FILTERS = (
    'AvailabilityZoneFilter',
    'ComputeFilter',
    'CpuOvercommitFilter',
    'MemoryOvercommitFilter',
    'DiskOvercommitFilter',
    'ContainerDensityFilter',
    'GroupAffinityFilter',
)
#: What the emulated engine says that it has.
CPUS = 64
#: What is given out; Placement has more of it.
CPU_LIMIT = 3.0
MEMORY_LIMIT = 2000
MOST = 25
NO_HOST = 'There are not enough hosts available'


class FilterTestCase(base.FunctionalTestCase):
    """The tests of a class have Zun with one configuration."""

    #: What zun-compute is to write into Placement, if not what it does else.
    ratio = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        lab = base.shared_lab()
        cls.options = cls.conf(lab)
        cls.usual = cls.ratio_in_placement()
        lab.kill('zun', signal.SIGTERM)
        cls.restart()

    @classmethod
    def restart(cls):
        base.shared_lab().start_zun(
            scheduler={
                # Beside Zun's own, which are in the lab's configuration.
                'available_filters': 'zun_bulk.scheduler.filters.all_filters',
                'enabled_filters': ','.join(FILTERS),
            },
            **cls.options,
        )
        cls.wait_for_ratio(cls.ratio or cls.usual)

    @classmethod
    def tearDownClass(cls):
        lab = base.shared_lab()
        lab.kill('zun', signal.SIGTERM)
        lab.start_zun()
        cls.wait_for_ratio(cls.usual)
        super().tearDownClass()

    @staticmethod
    def ratio_in_placement():
        return base.shared_lab().inventory()['VCPU']['allocation_ratio']

    @classmethod
    def wait_for_ratio(cls, ratio):
        embedded.wait_for(
            'zun-compute has written its ratio',
            lambda: abs(cls.ratio_in_placement() - ratio) < 1e-3,
        )

    @staticmethod
    def conf(lab):
        raise NotImplementedError()

    def create(self, **template):
        return self.ask(
            'POST',
            '/containers?run=true',
            self.template(**template),
            status=202,
        )['uuid']

    def single(self, ident):
        """A single container, once it runs or has failed."""

        def ended():
            found = self.ask('GET', '/containers/' + ident)
            return found['status'] in ('Running', 'Error') and found

        return self.wait_for('the container has ended', ended)

    def create_bulk(self, count, partial=True, **kwargs):
        """One of which as many run as fit, unless all or none are to."""
        return super().create_bulk(
            count,
            placement={'policy': 'spread', 'allow_partial': partial},
            **kwargs,
        )

    def assert_runs(self, ident):
        found = self.single(ident)
        self.assertEqual('Running', found['status'], found)

    def assert_refused(self, ident):
        found = self.single(ident)
        self.assertEqual('Error', found['status'], found)
        self.assertIn(NO_HOST, found['status_reason'])

    def assert_filled(self, ident, running, failed, others=0):
        """A bulk has as many running as fit, and says why no more.

        :param others: containers that are there beside it.
        """
        bulk = self.wait_for_end(ident)
        members = self.members(ident)
        states = [member['state'] for member in members]
        self.assertEqual(
            (running, failed),
            (states.count('running'), states.count('failed')),
            bulk,
        )
        for member in members:
            if member['state'] == 'running':
                self.assert_running(member)
                self.assertEqual(1, member['attempt'])
            else:
                self.assertIn(NO_HOST, member['reason'])
        self.assertEqual(others + running, len(self.lab.zun_containers()))

    def cpus_in_use(self):
        """As zun-compute counts."""
        return self.lab.rows('SELECT cpu_used FROM compute_node')[0][0]


class TestLimits(FilterTestCase):
    @staticmethod
    def conf(lab):
        ((memory,),) = lab.rows('SELECT mem_total FROM compute_node')
        return {
            'compute': {'reserved_host_memory_mb': 0},
            'zun_bulk_scheduler': {
                'cpu_allocation_ratios': 'host-1:%s' % (CPU_LIMIT / CPUS),
                'ram_allocation_ratios': '*:%.9f'
                % ((MEMORY_LIMIT + 0.5) / memory),
                'max_containers_per_host': MOST,
            },
            # Bulks are planned in several parts, and the last does not fit.
            'zun_bulk': {'claim_batch': 7},
        }

    def test_singles_up_to_the_ratio(self):
        for _number in range(4):
            self.assert_runs(self.create(cpu=0.75))
        # What was read a moment ago counts for singles.
        time.sleep(timed_cache.FRESH)
        self.assert_refused(self.create(cpu=0.1))
        self.assertEqual(CPU_LIMIT, self.cpus_in_use())

    def test_many_singles_at_once(self):
        """Where two see the same room, zun-compute's claim decides."""
        uuids = at_once([lambda: self.create(cpu=0.75)] * 8)
        found = [self.single(uuid)['status'] for uuid in uuids]
        self.assertEqual(4, found.count('Running'), found)
        self.assertEqual(CPU_LIMIT, self.cpus_in_use())

    def test_a_bulk_up_to_the_ratio(self):
        ident = self.create_bulk(24, template=self.template(cpu=0.15))
        self.assert_filled(ident, 20, 4)
        self.assertAlmostEqual(CPU_LIMIT, self.cpus_in_use(), 6)
        self.assert_refused(self.create(cpu=0.1))

    def test_a_bulk_of_one_more(self):
        template = self.template(cpu=0.15)
        ident = self.create_bulk(21, partial=False, template=template)
        bulk = self.wait_for_end(ident)
        self.assertEqual(21, bulk['members']['failed'], bulk)
        self.assertIn(
            '20 of 21 fit: VCPU on host-1', bulk['failures'][0]['reason']
        )
        self.assertEqual({}, self.lab.zun_containers())
        self.assertEqual(0, self.cpus_in_use())

    def test_two_bulks_beside_a_single(self):
        self.assert_runs(self.create(cpu=1.5))
        bulks = [
            self.create_bulk(8, template=self.template(cpu=0.15))
            for _number in range(2)
        ]
        self.assertEqual(
            10,
            sum(
                self.wait_for_end(ident)['members']['running']
                for ident in bulks
            ),
        )

    def test_memory(self):
        template = self.template(memory='500')
        self.assert_filled(self.create_bulk(6, template=template), 4, 2)

    def test_density(self):
        self.assert_runs(self.create())
        self.assert_filled(self.create_bulk(28), 24, 4, others=1)

    def test_disk_without_quota(self):
        self.assert_refused(self.create(disk=1))

    def test_hints(self):
        ident = self.create_bulk(1)
        self.wait_for_end(ident)
        self.assert_runs(self.create(hints={'same_host': ident}))
        self.assert_refused(self.create(hints={'different_host': ident}))
        template = self.template(hints={'different_host': ident})
        self.assert_filled(
            self.create_bulk(1, template=template), 0, 1, others=2
        )


class TestPlacement(FilterTestCase):
    #: That are three VCPUs, whatever the machine has.
    ratio = 3.1 / os.cpu_count()

    @classmethod
    def conf(cls, lab):
        return {'compute': {'cpu_allocation_ratio': cls.ratio}}

    def test_whole_vcpus(self):
        """There each counts as a whole VCPU, which binds before."""
        template = self.template(cpu=0.5)
        self.assert_filled(self.create_bulk(5, template=template), 3, 2)


class TestFractions(FilterTestCase):
    #: Room in Placement for many more than there are CPUs to give out.
    ratio = 60.1 / os.cpu_count()
    LIMIT = 5.0

    @classmethod
    def conf(cls, lab):
        return {
            'compute': {'cpu_allocation_ratio': cls.ratio},
            'zun_bulk_scheduler': {
                'cpu_allocation_ratios': '*:%s' % (cls.LIMIT / CPUS)
            },
        }

    def resize(self, ident, cpu, status=200):
        self.ask('PATCH', '/containers/' + ident, {'cpu': cpu}, status=status)

    def test_exact_whatever_zun_does(self):
        template = self.template(cpu=0.2)
        ident = self.create_bulk(30, template=template)
        self.assert_filled(ident, 25, 5)
        self.assertAlmostEqual(self.LIMIT, self.cpus_in_use(), 6)
        first, second, *_rest = [
            member['container_uuid']
            for member in self.members(ident)
            if member['state'] == 'running'
        ]
        # Stock deletes, resizes and restarts.
        self.resize(first, 0.4, status=500)
        self.resize(first, 0.1)
        self.assertAlmostEqual(4.9, self.cpus_in_use(), 6)
        self.ask('DELETE', '/containers/%s?force=true' % second, status=204)
        self.wait_for(
            'it is gone',
            lambda: self.lab.request('GET', '/containers/' + second)[0] == 404,
        )
        self.assertAlmostEqual(4.7, self.cpus_in_use(), 6)
        self.lab.kill('zun', signal.SIGTERM)
        self.restart()
        self.wait_for(
            'zun-compute has counted',
            lambda: abs(self.cpus_in_use() - 4.7) < 1e-6,
        )
        self.assert_runs(self.create(cpu=0.3))
        time.sleep(timed_cache.FRESH)
        self.assert_refused(self.create(cpu=0.1))
        self.assertEqual(25, len(self.lab.allocations()))
