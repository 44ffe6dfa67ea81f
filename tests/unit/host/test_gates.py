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

import types

import ddt
from oslotest import base

from zun_bulk.conf import pacing
from zun_bulk.host import gates


MIB = 1024**2
GIB = 1024**3


def limits(**values):
    """Options of which only these are set."""
    found = {option.dest: option.default for option in pacing.GATES}
    return types.SimpleNamespace(**{**found, **values})


def held(already=(), limits=limits(), **readings):
    return gates.held(gates.Readings(**readings), limits, frozenset(already))


#: Gate and its default limit in percent.
SHARES = (
    ('pids', 90),
    ('mounts', 80),
    ('fds', 90),
    ('inotify', 90),
    ('keys', 90),
    ('shm', 90),
    ('disk', 90),
)


@ddt.ddt
class TestShares(base.BaseTestCase):
    def is_held(self, name, used, most=1000, already=(), **values):
        found = held(
            already, limits(**values), **{name: gates.Usage(used, most)}
        )
        self.assertLessEqual(set(found), {name})
        return name in found

    @ddt.unpack
    @ddt.data(*SHARES)
    def test_from_its_limit_on(self, name, percent):
        self.assertFalse(self.is_held(name, percent * 10 - 1))
        self.assertTrue(self.is_held(name, percent * 10))
        self.assertTrue(self.is_held(name, percent * 10 + 1))

    @ddt.unpack
    @ddt.data(*SHARES)
    def test_lets_go_two_points_below(self, name, percent):
        self.assertTrue(self.is_held(name, percent * 10 - 1, already=[name]))
        self.assertTrue(self.is_held(name, percent * 10 - 19, already=[name]))
        self.assertFalse(self.is_held(name, percent * 10 - 20, already=[name]))

    @ddt.unpack
    @ddt.data(*SHARES)
    def test_by_its_own_option(self, name, percent):
        values = {'max_%s_percent' % name: 50}
        self.assertTrue(self.is_held(name, 500, **values))
        self.assertFalse(self.is_held(name, 499, **values))

    @ddt.unpack
    @ddt.data(*SHARES)
    def test_others_do_not_make_it_stay(self, name, percent):
        others = {other for other, _percent in SHARES} - {name}
        self.assertFalse(self.is_held(name, percent * 10 - 1, already=others))

    @ddt.unpack
    @ddt.data(*SHARES)
    def test_without_a_limit(self, name, percent):
        self.assertFalse(self.is_held(name, 5, most=0, already=[name]))


class TestMemory(base.BaseTestCase):
    def is_held(self, mib, total=GIB, already=(), **values):
        found = held(
            already,
            limits(**values),
            memory_available=int(mib * MIB),
            memory_total=total,
        )
        self.assertLessEqual(set(found), {'memory'})
        return bool(found)

    def test_below_its_limit(self):
        self.assertTrue(self.is_held(255))
        self.assertFalse(self.is_held(256))
        self.assertFalse(self.is_held(257))
        self.assertFalse(self.is_held(299, min_memory_mb=299))
        self.assertTrue(self.is_held(298, min_memory_mb=299))

    def test_lets_go_two_points_above(self):
        # 2 % of 1000 MiB are 20.
        total = 1000 * MIB
        self.assertTrue(self.is_held(275.9, total, already=['memory']))
        self.assertFalse(self.is_held(276, total, already=['memory']))

    def test_lets_go_a_large_host_at_twice_its_limit(self):
        total = 512 * GIB
        self.assertTrue(self.is_held(511, total, already=['memory']))
        self.assertFalse(self.is_held(512, total, already=['memory']))

    def test_total_unknown(self):
        self.assertFalse(self.is_held(256, None, already=['memory']))
        self.assertTrue(self.is_held(255, None, already=['memory']))

    def test_switched_off(self):
        self.assertFalse(self.is_held(0, min_memory_mb=0))
        self.assertFalse(self.is_held(0, already=['memory'], min_memory_mb=0))


@ddt.ddt
class TestCounts(base.BaseTestCase):
    @ddt.data('bridge_ports', 'containers')
    def test_from_its_limit_on(self, name):
        few = limits(max_bridge_ports=500, max_containers=500)
        for used, expected in (499, set()), (500, {name}), (501, {name}):
            self.assertEqual(expected, set(held(limits=few, **{name: used})))

    @ddt.data('bridge_ports', 'containers')
    def test_lets_go_two_hundredths_below(self, name):
        few = limits(max_bridge_ports=500, max_containers=500)
        for used, expected in (491, {name}), (490, set()):
            self.assertEqual(
                expected, set(held([name], limits=few, **{name: used}))
            )

    @ddt.data('bridge_ports', 'containers')
    def test_lets_go_below_a_low_limit(self, name):
        few = limits(max_bridge_ports=3, max_containers=3)
        for used, expected in (3, {name}), (2, set()):
            self.assertEqual(
                expected, set(held([name], limits=few, **{name: used}))
            )

    def test_defaults(self):
        self.assertEqual({}, held(bridge_ports=999, containers=100000))
        self.assertEqual({'bridge_ports'}, set(held(bridge_ports=1000)))


class TestHeld(base.BaseTestCase):
    def test_what_could_not_be_read_holds_nothing(self):
        names = [name for name, _percent in SHARES]
        names += ['memory', 'bridge_ports', 'containers']
        self.assertEqual({}, held())
        self.assertEqual({}, held(names, limits(max_containers=1)))

    def test_a_slow_engine_is_no_gate(self):
        self.assertEqual({}, held(ping=60.0))

    def test_several_at_once(self):
        found = held(
            memory_available=0, mounts=gates.Usage(9, 10), containers=5
        )
        self.assertEqual({'memory', 'mounts'}, set(found))


@ddt.ddt
class TestTexts(base.BaseTestCase):
    @ddt.unpack
    @ddt.data(
        (
            'mounts',
            {'mounts': gates.Usage(82013, 100000)},
            '82 % of mounts used (82 013 of 100 000; limit 80 %): raise '
            'sysctl fs.mount-max or [zun_bulk_pacing] max_mounts_percent',
        ),
        (
            'pids',
            {
                'pids': gates.Usage(30000, 32768),
                'pids_limit': 'sysctl kernel.pid_max',
            },
            '91 % of processes and threads used (30 000 of 32 768; limit '
            '90 %): raise sysctl kernel.pid_max or [zun_bulk_pacing] '
            'max_pids_percent',
        ),
        (
            'fds',
            {'fds': gates.Usage(999, 1000)},
            '99 % of file descriptors used (999 of 1 000; limit 90 %): '
            'raise sysctl fs.file-max or [zun_bulk_pacing] max_fds_percent',
        ),
        (
            'inotify',
            {'inotify': gates.Usage(128, 128)},
            "100 % of root's inotify instances used (128 of 128; limit "
            '90 %): raise sysctl fs.inotify.max_user_instances or '
            '[zun_bulk_pacing] max_inotify_percent',
        ),
        (
            'keys',
            {'keys': gates.Usage(9, 10)},
            "90 % of root's kernel keys used (9 of 10; limit 90 %): raise "
            'sysctl kernel.keys.root_maxkeys or [zun_bulk_pacing] '
            'max_keys_percent',
        ),
        (
            'shm',
            {'shm': gates.Usage(60 * MIB, 64 * MIB)},
            "93 % of the host's /dev/shm used (60 of 64 MiB; limit 90 %): "
            'free some, remount it with a larger size= or raise '
            '[zun_bulk_pacing] max_shm_percent',
        ),
        (
            'disk',
            {'disk': gates.Usage(950 * GIB, 1000 * GIB)},
            "95 % of the disk of Docker's data root used (972 800 of "
            '1 024 000 MiB; limit 90 %): free some, enlarge it or raise '
            '[zun_bulk_pacing] max_disk_percent',
        ),
        (
            'memory',
            {'memory_available': 100 * MIB, 'memory_total': GIB},
            '100 MiB of memory available (limit 256): add memory, stop '
            'something or lower [zun_bulk_pacing] min_memory_mb',
        ),
        (
            'bridge_ports',
            {'bridge_ports': 1010},
            '1 010 ports on one bridge (limit 1 000): use more networks, as '
            'the kernel allows 1023 ports per bridge, or raise '
            '[zun_bulk_pacing] max_bridge_ports',
        ),
        (
            'containers',
            {'containers': 50},
            '50 containers (limit 50): delete some or raise '
            '[zun_bulk_pacing] max_containers',
        ),
    )
    def test_text(self, name, readings, text):
        found = held(limits=limits(max_containers=50), **readings)
        self.assertEqual({name: text}, found)

    def test_every_option_is_in_a_text(self):
        """So that an option without a gate, or one misspelt, is found."""
        full = gates.Usage(10, 10)
        texts = held(
            limits=limits(max_containers=1),
            memory_available=0,
            bridge_ports=1023,
            containers=1,
            **{name: full for name, _percent in SHARES},
        )
        self.assertEqual(
            {option.dest for option in pacing.GATES} - {'probe_interval'},
            {text.rpartition(' ')[2] for text in texts.values()},
        )
