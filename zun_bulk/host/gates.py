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

"""Whether a host has room for one more container: pure, without I/O.

Each container takes mounts, processes, file descriptors and more from limits
that the whole host shares. Past one of them Docker fails every start, and
often other services of the host too. A gate holds the host before that, and
says what lifts it.
"""

import collections
import dataclasses


#: Percentage points below its limit at which a gate lets the host go.
SLACK = 2
MIB = 1024**2


class Usage(collections.namedtuple('Usage', 'used most')):
    """How much of something is used, of the most that there can be."""


@dataclasses.dataclass(frozen=True)
class Readings:
    """What a host has left. None is what could not be read."""

    #: Bytes.
    memory_available: int | None = None
    memory_total: int | None = None
    #: Processes and threads, of the limit that is nearest.
    pids: Usage | None = None
    #: What sets that limit.
    pids_limit: str = 'sysctl kernel.pid_max'
    mounts: Usage | None = None
    fds: Usage | None = None
    #: root's inotify instances.
    inotify: Usage | None = None
    #: root's kernel keys.
    keys: Usage | None = None
    #: Bytes of /dev/shm.
    shm: Usage | None = None
    #: Bytes of the file system of Docker's data root.
    disk: Usage | None = None
    #: Ports of the bridge that has the most.
    bridge_ports: int | None = None
    #: Containers that Docker has, running or not.
    containers: int | None = None
    #: Seconds in which the engine answered. No gate looks at it.
    ping: float | None = None


class _Share(collections.namedtuple('_Share', 'name what lift unit')):
    """A gate on a share of something.

    Its name is that of its field of Readings and is in that of its option.
    """


_SHARES = (
    _Share('pids', 'processes and threads', 'raise {pids_limit} or', None),
    _Share('mounts', 'mounts', 'raise sysctl fs.mount-max or', None),
    _Share('fds', 'file descriptors', 'raise sysctl fs.file-max or', None),
    _Share(
        'inotify',
        "root's inotify instances",
        'raise sysctl fs.inotify.max_user_instances or',
        None,
    ),
    _Share(
        'keys',
        "root's kernel keys",
        'raise sysctl kernel.keys.root_maxkeys or',
        None,
    ),
    _Share(
        'shm',
        "the host's /dev/shm",
        'free some, remount it with a larger size= or raise',
        MIB,
    ),
    _Share(
        'disk',
        "the disk of Docker's data root",
        'free some, enlarge it or raise',
        MIB,
    ),
)

#: Of all gates.
NAMES = (
    'memory',
    *(share.name for share in _SHARES),
    'bridge_ports',
    'containers',
)


def held(readings, limits, already=frozenset()):
    """Which gates hold the host.

    :param readings: the host's Readings.
    :param limits: what has the options of ``[zun_bulk_pacing]``.
    :param already: names of the gates that hold it now. They go on holding
        it until it is a little below their limit, so that a host at a limit
        does not start and stop all the time.
    :returns: dict of each such gate's name to a text for the operator.
    """
    texts = {
        'memory': _memory(readings, limits, 'memory' in already),
        'bridge_ports': _count(
            readings.bridge_ports,
            limits.max_bridge_ports,
            'bridge_ports' in already,
            'ports on one bridge',
            'use more networks, as the kernel has no more than 1023 to a '
            'bridge,',
            'max_bridge_ports',
        ),
        'containers': _count(
            readings.containers,
            limits.max_containers,
            'containers' in already,
            'containers',
            'delete some',
            'max_containers',
        ),
    }
    for share in _SHARES:
        texts[share.name] = _share(
            share, readings, limits, share.name in already
        )
    return {name: text for name, text in texts.items() if text}


def _memory(readings, limits, holds):
    if readings.memory_available is None:
        return None
    least = limits.min_memory_mb * MIB
    if holds:
        # On a large host two hundredths of it are many times the limit.
        total = readings.memory_total or 0
        least += min(least, total * SLACK // 100)
    if readings.memory_available >= least:
        return None
    return (
        '%s MiB of memory available (limit %s): add memory, stop something '
        'or lower [zun_bulk_pacing] min_memory_mb'
        % (
            _number(readings.memory_available // MIB),
            _number(limits.min_memory_mb),
        )
    )


def _count(used, limit, holds, what, lift, option):
    if used is None or not limit:
        return None
    if used < limit and not (
        holds and used > limit - max(1, limit * SLACK // 100)
    ):
        return None
    return '%s %s (limit %s): %s or raise [zun_bulk_pacing] %s' % (
        _number(used),
        what,
        _number(limit),
        lift,
        option,
    )


def _share(share, readings, limits, holds):
    usage = getattr(readings, share.name)
    if usage is None or usage.most <= 0:
        return None
    option = 'max_%s_percent' % share.name
    limit = getattr(limits, option)
    percent = usage.used * 100 / usage.most
    if percent < limit and not (holds and percent > limit - SLACK):
        return None
    unit = share.unit or 1
    return (
        '%d %% of %s used (%s of %s%s; limit %d %%): %s '
        '[zun_bulk_pacing] %s'
        % (
            percent,
            share.what,
            _number(usage.used // unit),
            _number(usage.most // unit),
            ' MiB' if share.unit else '',
            limit,
            share.lift.format(pids_limit=readings.pids_limit),
            option,
        )
    )


def _number(value):
    """82013 as 82 013."""
    return f'{value:_}'.replace('_', ' ')
