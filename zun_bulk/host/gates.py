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

"""Gates: whether a host has resources for another container. Pure.

Each container uses mounts, processes, file descriptors and more, of which the
whole host has a limited number. At such a limit every start fails, and often
other services of the host fail too. A gate holds the host before that, and its
text explains what lifts the hold.
"""

import collections
import dataclasses


#: Percentage points below its limit at which a gate releases the host.
SLACK = 2
MIB = 1024**2


class Usage(collections.namedtuple('Usage', 'used most')):
    """How much of a resource is used, and its limit."""


@dataclasses.dataclass(frozen=True)
class Readings:
    """The resources of a host. None for those that could not be read."""

    #: Bytes.
    memory_available: int | None = None
    memory_total: int | None = None
    #: Processes and threads, with the limit that is closest to being reached.
    pids: Usage | None = None
    #: The setting of that limit.
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
    #: Ports of the bridge with the most ports.
    bridge_ports: int | None = None
    #: Containers in Docker, running or not.
    containers: int | None = None
    #: Seconds that the engine took to answer. No gate uses it.
    ping: float | None = None


class _Share(collections.namedtuple('_Share', 'name what lift unit')):
    """A gate on the used share of a resource.

    :ivar name: its field of Readings; also part of the name of its option.
    :ivar what: the resource, for its text.
    :ivar lift: what lifts the hold, for its text.
    :ivar unit: bytes to show it in; None for a number.
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

#: The names of all gates.
NAMES = (
    'memory',
    *(share.name for share in _SHARES),
    'bridge_ports',
    'containers',
)


def held(readings, limits, already=frozenset()):
    """Return the gates that hold the host.

    :param readings: the host's Readings.
    :param limits: object with the options of ``[zun_bulk_pacing]``.
    :param already: names of the gates that hold it now. They release it only
        when it is a little below their limit, so that a host at a limit does
        not stop and start all the time.
    :returns: {gate: text for the operator}.
    """
    texts = {
        'memory': _memory(readings, limits, 'memory' in already),
        'bridge_ports': _count(
            readings.bridge_ports,
            limits.max_bridge_ports,
            'bridge_ports' in already,
            'ports on one bridge',
            'use more networks, as the kernel allows 1023 ports per bridge,',
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
        # At most twice the limit: 2 % of a large host's memory may be many
        # times the limit.
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
    """Format a number with spaces, such as 82 013."""
    return f'{value:_}'.replace('_', ' ')
