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

"""Reads a host's resources from /proc, /sys and its file systems.

They are read as zun-compute sees them. If zun-compute runs in a container,
resources that are not visible there stay unread, and their gates do not hold.
"""

import os
import time

from zun_bulk.host.gates import Readings
from zun_bulk.host.gates import Usage


#: Seconds between two counts of inotify instances. The kernel does not show
#: their number, so each descriptor of each process has to be read, and each
#: container has at least a shim with about ten descriptors.
INOTIFY_INTERVAL = 60.0
#: Where containers and their shims are counted, under cgroup version 2 or 1;
#: the first is zun-compute's own container, if it runs in one.
_CGROUPS = (
    '',
    'docker',
    'system.slice',
    'system.slice/docker.service',
    'system.slice/containerd.service',
)


class Probes:
    """Reads a host's resources; keeps what is expensive to read."""

    def __init__(self, root='/', clock=time.monotonic):
        """Create it.

        :param root: directory that contains proc, sys and the rest.
        :param clock: function that returns monotonic seconds.
        """
        self._root = root
        self._clock = clock
        self._inotify = None
        self._inotify_counted = None
        self._no_bridges = set()

    def read(self, docker_root=None, ping=None):
        """Read all resources.

        :param docker_root: Docker's data root; None if it is unknown.
        :param ping: function that returns once the engine has answered, and
            raises if it does not.
        :returns: Readings, with None where an error occurred.
        """
        memory = self._memory()
        pids, pids_limit = self._pids()
        return Readings(
            memory_available=memory.get('MemAvailable'),
            memory_total=memory.get('MemTotal'),
            pids=pids,
            pids_limit=pids_limit,
            mounts=self._mounts(),
            fds=self._fds(),
            inotify=self._inotify_instances(),
            keys=self._keys(),
            shm=self._space('dev/shm'),
            disk=self._space(docker_root),
            bridge_ports=self._bridge_ports(),
            containers=self._containers(docker_root),
            ping=self._ping(ping),
        )

    def _path(self, path):
        return os.path.join(self._root, path.lstrip('/'))

    def _text(self, path):
        """Return the content of a small file; '' if there is none."""
        try:
            with open(self._path(path), encoding='ascii') as file:
                return file.read()
        except (OSError, ValueError):
            return ''

    def _number(self, path):
        return _number(self._text(path))

    def _memory(self):
        """Return {name: bytes} of /proc/meminfo."""
        values = {}
        for line in self._text('proc/meminfo').splitlines():
            name, _colon, rest = line.partition(':')
            kib = _number(rest.removesuffix('kB'))
            if kib is not None:
                values[name] = kib * 1024
        return values

    def _pids(self):
        """Return the Usage closest to its limit, and the limit's setting."""
        found = []
        # "0.20 0.18 0.12 1/80 11206": the 80 are threads, of all namespaces.
        load = self._text('proc/loadavg').split()
        threads = _number(load[3].partition('/')[2]) if load[3:] else None
        for name in 'pid_max', 'threads-max':
            most = self._number('proc/sys/kernel/' + name)
            found.append((_usage(threads, most), 'sysctl kernel.' + name))
        for cgroup in _CGROUPS:
            for mount in '', 'pids':
                directory = os.path.join('sys/fs/cgroup', mount, cgroup)
                # "max", not a number, if there is no limit.
                most = self._number(os.path.join(directory, 'pids.max'))
                if most is None:
                    continue
                used = self._number(os.path.join(directory, 'pids.current'))
                found.append(
                    (
                        _usage(used, most),
                        'pids.max of cgroup /%s (TasksMax in systemd)'
                        % cgroup,
                    )
                )
        found = [(usage, what) for usage, what in found if usage]
        if not found:
            return None, Readings.pids_limit
        return max(found, key=lambda item: item[0].used / item[0].most)

    def _mounts(self):
        # The limit applies to a mount namespace. Docker's is that of the
        # host's first process, which only root may read. The kernel generates
        # mounts in half the time of mountinfo.
        used = self._lines('proc/1/mounts')
        if not used:
            used = self._lines('proc/self/mounts')
        return _usage(used or None, self._number('proc/sys/fs/mount-max'))

    def _lines(self, path):
        # Read large pieces: lines of overlay file systems are long.
        count = 0
        try:
            with open(self._path(path), 'rb', buffering=0) as file:
                while piece := file.read(1 << 20):
                    count += piece.count(b'\n')
        except OSError:
            return 0
        return count

    def _fds(self):
        # "576	0	2466186": allocated, free among them, limit.
        words = [
            _number(word) for word in self._text('proc/sys/fs/file-nr').split()
        ]
        if len(words) != 3 or None in words:
            return None
        return _usage(words[0] - words[1], words[2])

    def _inotify_instances(self):
        # Only root may read the descriptors of other processes.
        if os.geteuid() != 0:
            return None
        now = self._clock()
        if (
            self._inotify_counted is None
            or now - self._inotify_counted >= INOTIFY_INTERVAL
        ):
            self._inotify_counted = now
            self._inotify = self._count_inotify()
        return _usage(
            self._inotify,
            self._number('proc/sys/fs/inotify/max_user_instances'),
        )

    def _count_inotify(self):
        """Count root's inotify instances; None if there is no /proc.

        An instance that processes share counts once for each, because the
        kernel does not show which are shared.
        """
        try:
            pids = [
                entry.path
                for entry in os.scandir(self._path('proc'))
                if entry.name.isdigit()
            ]
        except OSError:
            return None
        count = 0
        for pid in pids:
            # A process may end at any time.
            try:
                if os.stat(pid).st_uid != 0:
                    continue
                directory = os.path.join(pid, 'fd')
                names = os.listdir(directory)
            except OSError:
                continue
            for name in names:
                try:
                    target = os.readlink(os.path.join(directory, name))
                except OSError:
                    continue
                count += target == 'anon_inode:inotify'
        return count

    def _keys(self):
        # "    0:     9 8/8 3/1000000 40/25000000": the third is the number of
        # the user's keys and its limit.
        for line in self._text('proc/key-users').splitlines():
            words = line.split()
            if len(words) == 5 and words[0] == '0:':
                used, _slash, most = words[3].partition('/')
                return _usage(_number(used), _number(most))
        return None

    def _space(self, path):
        if path is None:
            return None
        try:
            found = os.statvfs(self._path(path))
        except OSError:
            return None
        # As df does, without the space that is reserved for root.
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        return _usage(used, used + found.f_bavail * found.f_frsize)

    def _bridge_ports(self):
        """Return the most ports of any bridge; 0 without a bridge."""
        directory = self._path('sys/class/net')
        try:
            names = set(os.listdir(directory))
        except OSError:
            return None
        # Do not check the interfaces of a thousand containers each time: that
        # would cost more than everything else.
        self._no_bridges &= names
        most = 0
        for name in names - self._no_bridges:
            try:
                ports = os.listdir(os.path.join(directory, name, 'brif'))
            except OSError:
                self._no_bridges.add(name)
                continue
            most = max(most, len(ports))
        return most

    def _containers(self, docker_root):
        # Docker has a directory for each container. Its API is slower, as it
        # inspects all of them.
        if docker_root is None:
            return None
        try:
            return len(
                os.listdir(self._path(os.path.join(docker_root, 'containers')))
            )
        except OSError:
            return None

    def _ping(self, ping):
        if ping is None:
            return None
        begun = self._clock()
        try:
            ping()
        except Exception:
            # There was no answer, for any reason; the caller handles that.
            return None
        return self._clock() - begun


def _number(text):
    """Parse an integer; None if the text is not one."""
    try:
        return int(text)
    except ValueError:
        return None


def _usage(used, most):
    """Make a Usage; None unless both are known and there is a limit."""
    return Usage(used, most) if used is not None and most else None
