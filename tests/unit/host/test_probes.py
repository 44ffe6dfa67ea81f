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

import os
import types
from unittest import mock

import fixtures
from oslotest import base

from zun_bulk.host import gates
from zun_bulk.host import probes


class ProbesTestCase(base.BaseTestCase):
    """Probes that read a tree made by the test."""

    def setUp(self):
        super().setUp()
        self.root = self.useFixture(fixtures.TempDir()).path
        self.now = 100.0
        self.euid = self.useFixture(
            fixtures.MockPatch('os.geteuid', return_value=0)
        ).mock
        self.probes = probes.Probes(self.root, clock=lambda: self.now)

    def make(self, path, content=None):
        """Make a file, or a directory if it has no content."""
        path = os.path.join(self.root, path)
        if content is None:
            os.makedirs(path, exist_ok=True)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(content)

    def read(self, *args):
        return self.probes.read(*args)


class TestNothingThere(ProbesTestCase):
    def test_an_empty_root(self):
        self.assertEqual(gates.Readings(), self.read('/var/lib/docker'))

    def test_docker_is_not_known(self):
        self.assertEqual(gates.Readings(), self.read())

    def test_what_makes_no_sense(self):
        for path in (
            'proc/meminfo',
            'proc/loadavg',
            'proc/key-users',
            'proc/sys/fs/file-nr',
            'proc/sys/fs/mount-max',
            'proc/sys/kernel/pid_max',
            'sys/fs/cgroup/docker/pids.max',
        ):
            for content in '', '\n', 'MemTotal\n', 'a b c d e\n', '1\xff':
                self.make(path, content)
                self.assertEqual(gates.Readings(), self.read(), path)
            os.remove(os.path.join(self.root, path))


class TestMemory(ProbesTestCase):
    def test_memory(self):
        self.make(
            'proc/meminfo',
            'MemTotal:       49368188 kB\n'
            'MemFree:        44119512 kB\n'
            'MemAvailable:   46954932 kB\n'
            'HugePages_Total:       0\n',
        )
        found = self.read()
        self.assertEqual(46954932 * 1024, found.memory_available)
        self.assertEqual(49368188 * 1024, found.memory_total)


class TestPids(ProbesTestCase):
    def setUp(self):
        super().setUp()
        self.make('proc/loadavg', '0.20 0.18 0.12 1/800 11206\n')
        self.make('proc/sys/kernel/pid_max', '4194304\n')
        self.make('proc/sys/kernel/threads-max', '192730\n')

    def test_the_smaller_sysctl(self):
        found = self.read()
        self.assertEqual(gates.Usage(800, 192730), found.pids)
        self.assertEqual('sysctl kernel.threads-max', found.pids_limit)
        self.make('proc/sys/kernel/pid_max', '32768\n')
        found = self.read()
        self.assertEqual(gates.Usage(800, 32768), found.pids)
        self.assertEqual('sysctl kernel.pid_max', found.pids_limit)

    def test_a_cgroup_that_is_nearer_to_its_own(self):
        for directory in (
            'sys/fs/cgroup/system.slice/containerd.service',
            'sys/fs/cgroup/pids/docker',
        ):
            self.make(directory + '/pids.max', '100\n')
            self.make(directory + '/pids.current', '60\n')
            found = self.read()
            self.assertEqual(gates.Usage(60, 100), found.pids)
            cgroup = directory.removeprefix('sys/fs/cgroup/')
            self.assertEqual(
                'pids.max of cgroup /%s (TasksMax in systemd)'
                % cgroup.removeprefix('pids/'),
                found.pids_limit,
            )
            self.make(directory + '/pids.max', 'max\n')

    def test_a_cgroup_that_is_further_from_its_own(self):
        self.make('sys/fs/cgroup/docker/pids.max', '100000000\n')
        self.make('sys/fs/cgroup/docker/pids.current', '60\n')
        self.assertEqual('sysctl kernel.threads-max', self.read().pids_limit)

    def test_a_cgroup_without_a_limit(self):
        self.make('sys/fs/cgroup/docker/pids.max', 'max\n')
        self.make('sys/fs/cgroup/docker/pids.current', '60\n')
        self.assertEqual('sysctl kernel.threads-max', self.read().pids_limit)


class TestKernelTables(ProbesTestCase):
    def test_mounts(self):
        self.make('proc/sys/fs/mount-max', '100000\n')
        self.assertIsNone(self.read().mounts)
        self.make('proc/self/mounts', 'a mount\n' * 3)
        self.assertEqual(gates.Usage(3, 100000), self.read().mounts)
        # Docker's mounts are the host's, whatever this process has.
        self.make('proc/1/mounts', 'a mount\n' * 400000)
        self.assertEqual(gates.Usage(400000, 100000), self.read().mounts)

    def test_fds(self):
        self.make('proc/sys/fs/file-nr', '5760\t60\t2466186\n')
        self.assertEqual(gates.Usage(5700, 2466186), self.read().fds)

    def test_keys(self):
        self.make(
            'proc/key-users',
            ' 1000:     2 2/2 2/200 20/20000\n'
            '    0:     9 8/8 3/1000000 40/25000000\n',
        )
        self.assertEqual(gates.Usage(3, 1000000), self.read().keys)
        self.make('proc/key-users', ' 1000:     2 2/2 2/200 20/20000\n')
        self.assertIsNone(self.read().keys)


class TestInotify(ProbesTestCase):
    def setUp(self):
        super().setUp()
        self.make('proc/sys/fs/inotify/max_user_instances', '128\n')
        self.owners = {}
        stat = os.stat

        def owned(path, *args, **kwargs):
            name = os.path.basename(os.fspath(path))
            if name in self.owners:
                return types.SimpleNamespace(st_uid=self.owners[name])
            return stat(path, *args, **kwargs)

        self.useFixture(
            fixtures.MockPatch('zun_bulk.host.probes.os.stat', owned)
        )

    def process(self, pid, *targets, owner=0):
        directory = os.path.join(self.root, 'proc', str(pid), 'fd')
        os.makedirs(directory)
        self.owners[str(pid)] = owner
        for number, target in enumerate(targets):
            os.symlink(target, os.path.join(directory, str(number)))

    def test_those_of_root(self):
        self.process(1, '/dev/null', 'anon_inode:inotify', 'socket:[1]')
        self.process(20, 'anon_inode:inotify', 'anon_inode:inotify')
        self.process(30, 'anon_inode:[eventpoll]')
        self.process(40, 'anon_inode:inotify', owner=1000)
        self.assertEqual(gates.Usage(3, 128), self.read().inotify)

    def test_a_process_that_has_ended(self):
        self.process(1, 'anon_inode:inotify')
        self.make('proc/20')
        self.owners['20'] = 0
        self.assertEqual(gates.Usage(1, 128), self.read().inotify)

    def test_once_a_minute(self):
        self.process(1, 'anon_inode:inotify')
        self.assertEqual(1, self.read().inotify.used)
        self.process(20, 'anon_inode:inotify')
        self.now += probes.INOTIFY_INTERVAL - 1
        self.assertEqual(1, self.read().inotify.used)
        self.now += 1
        self.assertEqual(2, self.read().inotify.used)

    def test_the_limit_is_read_each_time(self):
        self.process(1, 'anon_inode:inotify')
        self.read()
        self.make('proc/sys/fs/inotify/max_user_instances', '1024\n')
        self.assertEqual(gates.Usage(1, 1024), self.read().inotify)

    def test_only_root_counts(self):
        self.process(1, 'anon_inode:inotify')
        self.euid.return_value = 1000
        self.assertIsNone(self.read().inotify)


class TestBridges(ProbesTestCase):
    def test_the_fullest(self):
        for port in range(3):
            self.make('sys/class/net/br-1/brif/veth%d' % port)
        self.make('sys/class/net/br-2/brif/veth9')
        self.make('sys/class/net/veth9/statistics')
        self.assertEqual(3, self.read().bridge_ports)

    def test_interfaces_come_and_go(self):
        self.make('sys/class/net/veth1/statistics')
        self.assertEqual(0, self.read().bridge_ports)
        self.make('sys/class/net/br-1/brif/veth1')
        self.assertEqual(1, self.read().bridge_ports)
        self.make('sys/class/net/br-1/brif/veth2')
        self.assertEqual(2, self.read().bridge_ports)

    def test_a_bridge_takes_the_name_of_what_is_gone(self):
        path = os.path.join(self.root, 'sys/class/net/veth1')
        self.make('sys/class/net/veth1')
        self.read()
        os.rmdir(path)
        self.read()
        self.make('sys/class/net/veth1/brif/veth2')
        self.assertEqual(1, self.read().bridge_ports)

    def test_none(self):
        self.make('sys/class/net/lo')
        self.assertEqual(0, self.read().bridge_ports)


class TestDocker(ProbesTestCase):
    def test_containers(self):
        for name in 'abc':
            self.make('var/lib/docker/containers/' + name)
        self.assertEqual(3, self.read('/var/lib/docker').containers)
        self.assertIsNone(self.read('/srv/docker').containers)

    def test_space(self):
        # 1000 blocks of 4096, of which 300 are free and 250 are so for all.
        space = types.SimpleNamespace(
            f_frsize=4096, f_blocks=1000, f_bfree=300, f_bavail=250
        )
        with mock.patch('os.statvfs', return_value=space) as statvfs:
            found = self.read('/var/lib/docker')
        expected = gates.Usage(700 * 4096, 950 * 4096)
        self.assertEqual((expected, expected), (found.shm, found.disk))
        self.assertEqual(
            [
                os.path.join(self.root, 'dev/shm'),
                os.path.join(self.root, 'var/lib/docker'),
            ],
            [call.args[0] for call in statvfs.call_args_list],
        )

    def test_a_file_system_without_blocks(self):
        space = types.SimpleNamespace(
            f_frsize=4096, f_blocks=0, f_bfree=0, f_bavail=0
        )
        with mock.patch('os.statvfs', return_value=space):
            self.assertIsNone(self.read().shm)

    def test_ping(self):
        def ping():
            self.now += 0.25

        self.assertEqual(0.25, self.read(None, ping).ping)

    def test_no_answer(self):
        ping = mock.Mock(side_effect=OSError('refused'))
        self.assertIsNone(self.read(None, ping).ping)


class TestThisMachine(base.BaseTestCase):
    def test_reads_what_every_linux_has(self):
        found = probes.Probes().read('/')
        self.assertLess(0, found.memory_available)
        self.assertLess(found.memory_available, found.memory_total)
        for usage in found.pids, found.mounts, found.fds, found.disk:
            self.assertLess(0, usage.used)
            self.assertLess(0, usage.most)
