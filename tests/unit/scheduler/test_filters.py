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
from oslo_config import fixture as config_fixture
from oslotest import base
from zun import objects
from zun.common import consts
from zun.compute import claims

from tests import database
from zun_bulk.conf import CONF
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import leases as db_leases
from zun_bulk.scheduler import usage
from zun_bulk.scheduler.filters import base_limit
from zun_bulk.scheduler.filters import base_reason
from zun_bulk.scheduler.filters import container_density
from zun_bulk.scheduler.filters import group_affinity
from zun_bulk.scheduler.filters import overcommit


def host_state(name='host-1', **values):
    values = {
        'uuid': 'rp-' + name,
        'cpus': 4,
        'mem_total': 4096,
        'disk_total': 100,
        'disk_quota_supported': True,
        **values,
    }
    return mock.Mock(hostname=name, limits={}, **values)


def container(cpu=1.0, memory='64', disk=0):
    return objects.Container(
        uuid='c-1',
        project_id='project-1',
        cpu=cpu,
        memory=memory,
        disk=disk,
        cpu_policy='shared',
    )


class FilterTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(config_fixture.Config(CONF))
        self.rows = []
        self.shared = []
        self.found = {}
        for where, read in (
            ('read', lambda: usage.Usage(self.rows, self.shared)),
            ('inventories', lambda: self.found),
            ('forget', lambda: None),
        ):
            patch = mock.patch.object(usage, where, side_effect=read)
            patch.start()
            self.addCleanup(patch.stop)

    def option(self, **values):
        self.conf.config(group='zun_bulk_scheduler', **values)

    def use(self, number, cpu=0.0, memory='0', disk=0, host='host-1'):
        self.rows.append(
            (host, consts.TYPE_CONTAINER, cpu, memory, disk, number)
        )

    def have(self, host='host-1', **inventory):
        self.found['rp-' + host] = inventory

    def passing(self, states, asked):
        self.filter = self.class_()
        return [
            state.hostname
            for state in self.filter.filter_all(
                iter(states), asked, {'hints': None}
            )
        ]

    def room(self, state, asked):
        """How often it passes, each time with one more of the kind."""
        self.passing([state], asked)
        return self.filter.room(state, asked)

    def logged(self):
        patch = mock.patch.object(base_reason.LOG, 'info')
        self.addCleanup(patch.stop)
        return patch.start()


class TestCpu(FilterTestCase):
    class_ = overcommit.CpuOvercommitFilter

    def test_order_of_ratios(self):
        state = host_state(cpus=4)
        self.conf.config(group='compute', initial_cpu_allocation_ratio=2)
        self.assertEqual(8, self.room(state, container()))
        self.conf.config(group='compute', cpu_allocation_ratio=3)
        self.assertEqual(12, self.room(state, container()))
        self.have(VCPU=(20, 0))
        self.assertEqual(20, self.room(state, container()))
        self.option(cpu_allocation_ratios={'*': 1.5, 'host-2': 9})
        self.assertEqual(6, self.room(state, container()))
        self.option(cpu_allocation_ratios={'*': 1.5, 'host-1': 2.5})
        self.assertEqual(10, self.room(state, container()))

    def test_a_ratio_of_0_is_none(self):
        self.conf.config(
            group='compute',
            initial_cpu_allocation_ratio=2,
            cpu_allocation_ratio=0,
        )
        self.assertEqual(8, self.room(host_state(), container()))

    def test_reserved_cpus(self):
        self.conf.config(group='compute', reserved_host_cpus=1)
        self.option(cpu_allocation_ratios={'host-1': 2})
        self.assertEqual(6, self.room(host_state(), container()))
        self.conf.config(group='compute', reserved_host_cpus=5)
        self.assertEqual([], self.passing([host_state()], container()))

    def test_what_another_class_has(self):
        self.conf.config(group='compute', initial_cpu_allocation_ratio=2)
        self.have(MEMORY_MB=(4096, 0))
        self.assertEqual(8, self.room(host_state(), container()))

    def test_up_to_the_limit(self):
        self.have(VCPU=(8, 7))
        self.use(7, cpu=1)
        states = [host_state()]
        self.assertEqual(['host-1'], self.passing(states, container()))
        self.use(1, cpu=1)
        self.have(VCPU=(8, 8))
        log = self.logged()
        self.assertEqual([], self.passing(states, container()))
        self.assertEqual(
            {
                'uuid': 'c-1',
                'host': 'host-1',
                'why': 'it has 0.00 CPUs left of 8.00, and 1.00 is requested',
            },
            log.call_args.args[1],
        )

    def test_fractions(self):
        # Placement, with a ratio that lets 400 of them in, counts each as 1.
        self.option(cpu_allocation_ratios={'host-1': 1})
        self.have(VCPU=(400, 30))
        self.use(30, cpu=0.1)
        self.assertEqual(10, self.room(host_state(), container(cpu=0.1)))
        self.assertEqual(2, self.room(host_state(), container(cpu=0.4)))

    def test_the_claim_of_zun_compute_agrees(self):
        """Its sum of fractions is not exact."""
        self.option(cpu_allocation_ratios={'host-1': 0.5})
        asked = container(cpu=0.1)
        node = objects.ComputeNode(
            cpus=4,
            cpu_used=0.0,
            mem_total=1,
            mem_used=0,
            disk_total=1,
            disk_used=0,
        )
        for number in range(20):
            state = host_state()
            self.assertEqual(20 - number, self.room(state, asked))
            claims.Claim(None, asked, None, node, None, state.limits)
            node.cpu_used += 0.1
            self.rows.clear()
            self.use(number + 1, cpu=0.1)
        self.assertEqual([], self.passing([state], asked))
        self.assertRaisesRegex(
            Exception,
            'Free vcpu',
            claims.Claim,
            None,
            asked,
            None,
            node,
            None,
            state.limits,
        )

    def test_nothing_asked_for(self):
        self.use(100, cpu=1)
        for cpu in (None, 0):
            state = host_state()
            self.assertEqual(
                base_limit.NO_LIMIT, self.room(state, container(cpu))
            )
            # zun-compute would refuse 0 of a negative rest.
            self.assertEqual({}, state.limits)

    def test_with_nova(self):
        self.have(VCPU=(32, 12))
        # They claim 4.
        self.use(4, cpu=0.5)
        self.shared.append('host-1')
        state = host_state()
        self.assertEqual(22, self.room(state, container()))
        self.assertAlmostEqual(24, state.limits['cpu'], 5)

    def test_what_is_on_its_way(self):
        self.have(VCPU=(32, 12))
        self.use(4, cpu=0.5)
        # Nobody is, so these claims are what is left of something.
        state = host_state()
        self.assertEqual(30, self.room(state, container()))
        self.use(20, cpu=0.25, host=None)
        self.assertEqual(28, self.room(state, container()))
        # They have not come when this one does.
        self.assertAlmostEqual(32, state.limits['cpu'], 5)

    def test_more_known_than_claimed(self):
        self.have(VCPU=(32, 1))
        self.use(4, cpu=1)
        self.shared.append('host-1')
        self.assertEqual(28, self.room(host_state(), container()))

    def test_reads_once_for_all(self):
        states = [host_state('host-%d' % number) for number in range(50)]
        self.assertEqual(50, len(self.passing(states, container())))
        for read in (usage.read, usage.inventories):
            self.assertEqual(1, read.call_count)

    def test_reads_anew_before_it_refuses_all(self):
        self.option(cpu_allocation_ratios={'*': 1})
        self.use(4, cpu=1)
        states = [host_state()]
        usage.forget.side_effect = self.rows.clear
        self.assertEqual(['host-1'], self.passing(states, container()))
        self.use(4, cpu=1)
        states.append(host_state('host-2'))
        self.assertEqual(['host-2'], self.passing(states, container()))
        self.assertEqual(1, usage.forget.call_count)

    def test_ratios_have_to_be_ratios(self):
        for wrong in ('host-1:0', 'host-1:-1', 'host-1:much', 'host-1'):
            self.assertRaises(
                ValueError, self.option, cpu_allocation_ratios=wrong
            )
        self.option(cpu_allocation_ratios='host-1:0.5,*:16')
        self.assertEqual(
            {'host-1': 0.5, '*': 16},
            CONF.zun_bulk_scheduler.cpu_allocation_ratios,
        )


class TestMemory(FilterTestCase):
    class_ = overcommit.MemoryOvercommitFilter

    def test_ratios(self):
        self.conf.config(
            group='compute',
            initial_ram_allocation_ratio=1.5,
            reserved_host_memory_mb=512,
        )
        state = host_state(mem_total=2560)
        self.use(2, memory='512')
        self.assertEqual(4, self.room(state, container(memory='512')))
        self.assertEqual({'memory': 3072}, state.limits)
        self.conf.config(group='compute', ram_allocation_ratio=1)
        self.assertEqual(2, self.room(state, container(memory='512')))
        self.have(MEMORY_MB=(5000, 1024))
        self.assertEqual(7, self.room(state, container(memory='512')))
        self.option(ram_allocation_ratios={'host-1': 0.75})
        self.assertEqual(1, self.room(state, container(memory='512')))

    def test_refuses(self):
        self.have(MEMORY_MB=(1024, 1000))
        self.use(1, memory='1000')
        log = self.logged()
        self.assertEqual(
            [], self.passing([host_state()], container(memory='25'))
        )
        self.assertIn('MiB of memory left', log.call_args.args[1]['why'])

    def test_nothing_asked_for(self):
        self.have(MEMORY_MB=(1, 1))
        for memory in (None, '0'):
            self.assertEqual(
                ['host-1'],
                self.passing([host_state()], container(memory=memory)),
            )


class TestDisk(FilterTestCase):
    class_ = overcommit.DiskOvercommitFilter

    def test_ratios(self):
        self.conf.config(group='compute', reserved_host_disk_mb=10 * 1024 - 1)
        self.use(3, disk=10)
        state = host_state()
        self.assertEqual(6, self.room(state, container(disk=10)))
        self.assertEqual({'disk': 90}, state.limits)
        self.conf.config(group='compute', disk_allocation_ratio=2)
        self.assertEqual(15, self.room(state, container(disk=10)))
        self.have(DISK_GB=(120, 30))
        self.assertEqual(9, self.room(state, container(disk=10)))
        self.option(disk_allocation_ratios={'host-1': 0.5})
        self.assertEqual(1, self.room(state, container(disk=10)))

    def test_no_disk_quota(self):
        state = host_state(disk_quota_supported=False)
        log = self.logged()
        self.assertEqual([], self.passing([state], container(disk=1)))
        self.assertIn('storage driver', log.call_args.args[1]['why'])
        self.assertEqual(['host-1'], self.passing([state], container()))

    def test_refuses(self):
        self.have(DISK_GB=(100, 100))
        self.use(1, disk=100)
        log = self.logged()
        self.assertEqual([], self.passing([host_state()], container(disk=1)))
        self.assertIn('GB of disk left', log.call_args.args[1]['why'])


class TestDensity(FilterTestCase):
    class_ = container_density.ContainerDensityFilter

    def setUp(self):
        super().setUp()
        self.use(3)
        self.states = [host_state('host-1'), host_state('host-2')]

    def test_no_limit(self):
        self.assertEqual(
            ['host-1', 'host-2'], self.passing(self.states, container())
        )
        self.assertEqual(
            base_limit.NO_LIMIT, self.room(self.states[0], container())
        )

    def test_up_to_the_limit(self):
        self.option(max_containers_per_host=4)
        self.assertEqual(1, self.room(self.states[0], container()))
        self.assertEqual(4, self.room(self.states[1], container()))
        self.option(max_containers_per_host=3)
        log = self.logged()
        self.assertEqual(['host-2'], self.passing(self.states, container()))
        self.assertEqual(
            'it has 3 containers of at most 3', log.call_args.args[1]['why']
        )
        self.option(max_containers_per_host=2)
        self.assertEqual(0, self.room(self.states[0], container()))

    def test_hosts_that_differ(self):
        self.option(
            max_containers_per_host=2,
            max_containers_by_host={'host-1': 5, 'host-2': 0},
        )
        self.assertEqual(2, self.room(self.states[0], container()))
        self.assertEqual(
            base_limit.NO_LIMIT, self.room(self.states[1], container())
        )


@ddt.ddt
class TestGroupAffinity(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        self.states = [host_state('host-%d' % n) for n in (1, 2, 3)]
        self.bulk = self.make('host-1', 'host-2')
        self.other = self.make('host-2')

    def make(self, *names):
        bulk, members = database.accept(len(names))
        epoch = db_leases.take_lease(bulk, 'conductor')
        database.place(
            bulk.id,
            epoch,
            [
                (member, host, [], {})
                for member, host in zip(members, names, strict=True)
            ],
        )
        return bulk.uuid

    def passing(self, project_id='project-1', **hints):
        asked = container()
        asked.project_id = project_id
        return [
            state.hostname
            for state in group_affinity.GroupAffinityFilter().filter_all(
                iter(self.states), asked, {'hints': hints}
            )
        ]

    def test_no_hints(self):
        with mock.patch.object(db_hosts, 'hosts_of_bulks') as read:
            for hints in ({}, {'hints': None}, {'hints': {'label:a': 'b'}}):
                found = group_affinity.GroupAffinityFilter().filter_all(
                    self.states, container(), hints
                )
                self.assertEqual(self.states, list(found))
        read.assert_not_called()

    def test_same(self):
        self.assertEqual(
            ['host-1', 'host-2'], self.passing(same_host=self.bulk)
        )

    def test_different(self):
        self.assertEqual(['host-3'], self.passing(different_host=self.bulk))

    def test_both(self):
        self.assertEqual(
            ['host-1'],
            self.passing(same_host=self.bulk, different_host=self.other),
        )

    def test_several(self):
        third = self.make('host-3')
        for several in (
            [self.other, third],
            '%s, %s' % (self.other.upper(), third),
        ):
            self.assertEqual(
                ['host-2', 'host-3'], self.passing(same_host=several)
            )
            self.assertEqual(['host-1'], self.passing(different_host=several))

    @ddt.data('8f1b3b0e-0c1b-4c39-a9e5-9d9fae2a3b10', 7, {'a': 1}, 'x')
    def test_unknown(self, unknown):
        with mock.patch.object(group_affinity.LOG, 'info') as log:
            self.assertEqual([], self.passing(same_host=unknown))
        self.assertIn('does not exist', log.call_args_list[0].args[0])
        self.assertEqual(3, len(self.passing(different_host=unknown)))

    def test_of_another_project(self):
        self.assertEqual(
            [], self.passing(project_id='project-2', same_host=self.bulk)
        )
        self.assertEqual(
            3,
            len(
                self.passing(project_id='project-2', different_host=self.bulk)
            ),
        )

    def test_says_why(self):
        with mock.patch.object(base_reason.LOG, 'info') as log:
            self.passing(same_host=self.bulk, different_host=self.other)
        self.assertEqual(
            [
                'it has members of bulk ' + self.other,
                'it has no member of bulk ' + self.bulk,
            ],
            [call.args[1]['why'] for call in log.call_args_list],
        )

    def test_reads_once_for_all(self):
        with mock.patch.object(
            db_hosts, 'hosts_of_bulks', side_effect=db_hosts.hosts_of_bulks
        ) as reads:
            self.passing(same_host=self.bulk, different_host=self.other)
        self.assertEqual(1, reads.call_count)
