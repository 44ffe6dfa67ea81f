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
import pathlib
from unittest import mock

import fixtures
from oslotest import base

from tests.bench import cpuset


class TestNumbers(base.BaseTestCase):
    def test_engines_have_the_last_cpu(self):
        self.assertEqual(([1], [0]), cpuset.split_cpus({1, 0}))
        self.assertEqual(([7], [2, 3, 5]), cpuset.split_cpus({3, 5, 7, 2}))

    def test_one_cpu_is_too_few(self):
        self.assertRaises(cpuset.CpusetError, cpuset.split_cpus, {0})

    def test_format(self):
        self.assertEqual('0,2,3', cpuset.format_cpus([0, 2, 3]))


class TestCpusetPath(base.BaseTestCase):
    def test_v1(self):
        text = (
            '4:memory:/x/y\n3:cpu,cpuset:/docker/abc\n2:cpuacct:/z\n'
            '0::/unified\n'
        )
        self.assertEqual('docker/abc', cpuset.cpuset_path(text, False))

    def test_v1_root(self):
        self.assertEqual('', cpuset.cpuset_path('3:cpuset:/\n0::/u\n', False))

    def test_v2(self):
        self.assertEqual(
            'system.slice/a:b.service',
            cpuset.cpuset_path('0::/system.slice/a:b.service\n', True),
        )


class Tree:
    """A cgroup hierarchy of ordinary files.

    A process is in the cgroup whose cgroup.procs it was written to last.
    """

    def __init__(self, root):
        self.root = root
        for name in ('', 'docker', 'docker/abc'):
            (root / name).mkdir(exist_ok=True)
            (root / name / 'cpuset.cpus').write_text('0-1\n')
            (root / name / 'cpuset.mems').write_text('0\n')
            (root / name / 'cgroup.procs').write_text('')

    def cpus(self, name):
        return (self.root / name / 'cpuset.cpus').read_text().strip()


class TestPinnedEngines(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (root / 'cpuset').mkdir()
        self.tree = Tree(root / 'cpuset')
        self.patch(cpuset, 'ROOT', root)
        self.patch(os, 'sched_getaffinity', lambda pid: {0, 1})
        self.moves = []
        self.patch(
            cpuset.PinnedEngines,
            'attach',
            lambda _self, pid, name: self.moves.append((pid, name)),
        )
        self.patch(
            cpuset,
            'read_numbers',
            lambda path: [
                pid
                for pid, name in dict(self.moves).items()
                if name == path.parent.name
            ],
        )
        # The files in a real cgroup go with it.
        self.patch(
            pathlib.Path,
            'rmdir',
            lambda path: [(file.unlink(), None) for file in path.iterdir()],
        )
        self.patch(cpuset.labapi, 'process_table', lambda: ({}, {}))
        self.patch(
            cpuset.labapi,
            'trees',
            lambda parents: {
                'dockerd-1': {10, 11},
                'dockerd-2': {20},
                'zun-api': {30},
            },
        )
        texts = {
            10: '3:cpuset:/services',
            11: '3:cpuset:/',
            20: '3:cpuset:/',
            30: '3:cpuset:/',
            os.getpid(): '3:cpuset:/home',
        }
        real = pathlib.Path.read_text

        def read_text(path, *arguments, **more):
            if path.parts[:2] == ('/', 'proc'):
                return texts[int(path.parts[2])]
            return real(path, *arguments, **more)

        self.patch(pathlib.Path, 'read_text', read_text)

    def patch(self, *arguments):
        patcher = mock.patch.object(*arguments)
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_in_and_out(self):
        with cpuset.PinnedEngines():
            where = dict(self.moves)
            self.assertEqual(
                {
                    10: cpuset.ENGINES,
                    11: cpuset.ENGINES,
                    20: cpuset.ENGINES,
                    30: cpuset.OTHERS,
                    os.getpid(): cpuset.OTHERS,
                },
                where,
            )
            self.assertEqual('1', self.tree.cpus(cpuset.ENGINES))
            self.assertEqual('0', self.tree.cpus(cpuset.OTHERS))
            self.assertEqual('1', self.tree.cpus('docker'))
            self.assertEqual('1', self.tree.cpus('docker/abc'))
        self.assertEqual(
            {10: 'services', 11: '', 20: '', 30: '', os.getpid(): 'home'},
            dict(self.moves),
        )
        self.assertEqual('0-1', self.tree.cpus('docker'))
        self.assertEqual('0-1', self.tree.cpus('docker/abc'))

    def test_left_after_an_error_too(self):
        def fail():
            with cpuset.PinnedEngines():
                raise ValueError

        self.assertRaises(ValueError, fail)
        self.assertEqual('', dict(self.moves)[30])
        self.assertEqual('0-1', self.tree.cpus('docker'))

    def test_check(self):
        pinned = cpuset.PinnedEngines()
        self.patch(
            os, 'sched_getaffinity', lambda pid: {1} if pid == 10 else {0, 1}
        )
        pinned.check([10])
        self.assertRaises(cpuset.CpusetError, pinned.check, [10, 11])

    def test_no_cpuset_controller(self):
        self.patch(cpuset, 'ROOT', pathlib.Path('/nonexistent'))
        self.assertRaises(cpuset.CpusetError, cpuset.PinnedEngines)
