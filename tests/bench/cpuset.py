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

"""Giving the Docker Engines of the lab a CPU of their own.

If all processes share the CPUs, the engines lack each CPU second that the
control plane uses, which looks like bad pacing. With the engines on a CPU of
their own, as on a real compute host, pacing alone explains why a bulk is
slower than the engines, and the CPU time of the control plane is separate.
"""

import os
import pathlib

from tests.bench import exceptions
from tests.lab.real import labapi


ROOT = pathlib.Path('/sys/fs/cgroup')
ENGINES = 'zun-bulk-bench-engines'
OTHERS = 'zun-bulk-bench-others'
# Where Docker's cgroupfs driver puts containers, whatever cgroup the engine
# is in itself.
CONTAINERS = 'docker'


class CpusetError(exceptions.BenchError):
    """The machine's cgroups cannot pin the engines."""


def split_cpus(cpus):
    """Return (the engines' CPU, all others) of a list of CPU numbers.

    :raises CpusetError: if there is only one CPU
    """
    cpus = sorted(cpus)
    if len(cpus) < 2:
        raise CpusetError('pinning wants two CPUs')
    return [cpus[-1]], cpus[:-1]


def format_cpus(cpus):
    """Return CPU numbers as a cpuset file takes them."""
    return ','.join(str(cpu) for cpu in cpus)


def cpuset_path(text, unified):
    """Return a process's cpuset cgroup from the text of /proc/PID/cgroup.

    :param unified: whether the machine has cgroup v2 only
    """
    for line in text.splitlines():
        _number, controllers, path = line.split(':', 2)
        if (unified and not controllers) or 'cpuset' in controllers.split(','):
            return path.lstrip('/')
    return ''


class PinnedEngines:
    """Context in which the engines have the last CPU, the rest the others.

    Takes the processes that run when it is entered; their children follow
    them. On leaving, all go back to where they were.

    :raises CpusetError: where the machine's cgroups cannot do it
    """

    def __init__(self):
        self.unified = (ROOT / 'cgroup.controllers').exists()
        self.root = ROOT if self.unified else ROOT / 'cpuset'
        if not (self.root / 'cgroup.procs').exists():
            raise CpusetError(f'no cpuset controller at {self.root}')
        self.engine_cpus, self.other_cpus = split_cpus(os.sched_getaffinity(0))
        self.homes = {}
        self.containers_cpus = None

    def __enter__(self):
        if self.unified:
            (self.root / 'cgroup.subtree_control').write_text('+cpuset')
        self.make(ENGINES, self.engine_cpus)
        self.make(OTHERS, self.other_cpus)
        self.pin_containers()
        # Twice, for what was forked during the first.
        for _again in range(2):
            engines, others = self.lab_processes()
            self.move(engines, ENGINES)
            self.move(others, OTHERS)
        return self

    def __exit__(self, *_exception):
        home = self.homes.get(os.getpid(), '')
        for name in (ENGINES, OTHERS):
            group = self.root / name
            for pid in read_numbers(group / 'cgroup.procs'):
                self.attach(pid, self.homes.get(pid, home))
            group.rmdir()
        self.release_containers()

    def lab_processes(self):
        """Return (pids of the engines, pids of all else of the lab)."""
        parents, _cpu = labapi.process_table()
        engines, others = set(), {os.getpid()}
        for name, pids in labapi.trees(parents).items():
            (engines if name.startswith('dockerd-') else others).update(pids)
        return engines, others - engines

    def make(self, name, cpus):
        group = self.root / name
        group.mkdir(exist_ok=True)
        if not self.unified:
            mems = (self.root / 'cpuset.mems').read_text()
            (group / 'cpuset.mems').write_text(mems)
        (group / 'cpuset.cpus').write_text(format_cpus(cpus))

    def pin_containers(self):
        """Make Docker's parent of all containers hand the engines' CPU on.

        A container's cgroup is not below its engine's; without this its
        first process, and runc while it becomes that, would run anywhere.
        """
        group = self.root / CONTAINERS
        if not group.exists():
            self.make(CONTAINERS, self.engine_cpus)
            return
        self.containers_cpus = (group / 'cpuset.cpus').read_text()
        for child in [*group.glob('*/'), group]:
            self.set_cpus(child, format_cpus(self.engine_cpus))

    def release_containers(self):
        group = self.root / CONTAINERS
        cpus = self.containers_cpus
        if cpus is None:
            cpus = (
                ''
                if self.unified
                else format_cpus(self.engine_cpus + self.other_cpus)
            )
        for child in [group, *group.glob('*/')]:
            self.set_cpus(child, cpus)

    @staticmethod
    def set_cpus(group, cpus):
        try:
            (group / 'cpuset.cpus').write_text(cpus or '\n')
        except FileNotFoundError:
            # The container has ended meanwhile.
            return

    def move(self, pids, name):
        for pid in pids:
            try:
                text = pathlib.Path(f'/proc/{pid}/cgroup').read_text()
            except OSError:
                continue
            home = cpuset_path(text, self.unified)
            if home not in (ENGINES, OTHERS):
                self.homes[pid] = home
                self.attach(pid, name)

    def attach(self, pid, name):
        """Move one process, which may have ended meanwhile."""
        try:
            (self.root / name / 'cgroup.procs').write_text(str(pid))
        except ProcessLookupError:
            return

    def check(self, pids):
        """See that containers do run on the engines' CPU.

        :param pids: of the containers' first processes
        :raises CpusetError: for one that may run elsewhere
        """
        for pid in pids:
            allowed = os.sched_getaffinity(pid)
            if allowed != set(self.engine_cpus):
                raise CpusetError(
                    f'process {pid} of a container may run on '
                    f'CPUs {format_cpus(sorted(allowed))}'
                )


def read_numbers(path):
    return [int(word) for word in path.read_text().split()]
