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

"""Which host takes which member of a bulk: pure, without I/O.

The members of a bulk are all alike, so a plan is the number of members for
each host. The same input always gives the same plan, whatever the order of
the hosts.
"""

import collections
import heapq
import math
import statistics

from zun_bulk.consts import PlacementPolicy


#: The most groups of hosts, and hosts of each, in the explanation of a plan.
GROUPS = 4
NAMES = 3
#: The most characters of a cause, which may be an operator's text.
LENGTH = 80


class Room(
    collections.namedtuple(
        'Room',
        'host zone room bound_by pace taken',
        defaults=(None, 0, None, None, 0),
    )
):
    """A host that has, or may get, members of the bulk.

    host: its name; zone: its availability zone; room: how many more members
    fit; bound_by: what keeps it from taking more, as text: a resource such as
    ``MEMORY_MB`` or, if ``room`` is 0, the reason of a filter; pace: starts
    per second, or any other measure common to all hosts, None or 0 if
    unknown; taken: number of members of the bulk on it.
    """

    @property
    def size(self):
        """Number of members of the bulk that fit in total."""
        return self.room + self.taken


class Row(
    collections.namedtuple('Row', 'host zone members taken room bound_by')
):
    """A row of a plan's table: ``members`` are new, the rest as in Room."""


class Plan(collections.namedtuple('Plan', 'hosts missing policy rooms')):
    """Hosts for members.

    hosts: the host of each member that gets one, in the members' order; they
    alternate, so that all hosts begin at once; missing: number of members
    without a host; policy: the requested one; rooms: the Rooms, by host.
    """

    def table(self):
        """Return the plan as a table.

        :returns: a Row for each Room, by host.
        """
        members = collections.Counter(self.hosts)
        return [
            Row(
                room.host,
                room.zone,
                members[room.host],
                room.taken,
                room.room,
                room.bound_by,
            )
            for room in self.rooms
        ]

    def summary(self):
        """Return how many members fit, without naming hosts.

        For example ``740 of 1000 fit``.
        """
        count = len(self.hosts) + self.missing
        if not self.missing:
            return 'all %d fit' % count
        return '%d of %d fit' % (len(self.hosts), count)

    def explain(self):
        """Return how many members fit and why no more, in one short sentence.

        For example ``740 of 1000 fit: MEMORY_MB on host-2 and host-3, VCPU on
        host-1``.
        """
        if not self.missing:
            return self.summary()
        if not self.rooms:
            why = 'there is no host'
        elif self.policy == 'affinity':
            why = self._why_no_affinity()
        elif self.policy == 'anti-affinity':
            why = self._why_no_anti_affinity()
        else:
            why = _bounds(self.rooms)
        return '%s: %s' % (self.summary(), why)

    def _why_no_affinity(self):
        used = [room for room in self.rooms if room.taken]
        if len(used) > 1:
            return 'affinity: the bulk is on %s already' % _names(used)
        if used:
            return 'affinity: %s has %d of them and room for %d more (%s)' % (
                used[0].host,
                used[0].taken,
                used[0].room,
                _cause(used[0]),
            )
        if not self.hosts:
            return 'affinity: no host has room: %s' % _bounds(self.rooms)
        [most] = [room for room in self.rooms if room.host == self.hosts[0]]
        return (
            'affinity: no host has room for all %d: the most is %d on %s (%s)'
            % (
                len(self.hosts) + self.missing,
                most.room,
                most.host,
                _cause(most),
            )
        )

    def _why_no_anti_affinity(self):
        had = sum(room.taken for room in self.rooms)
        full = [room for room in self.rooms if not room.size]
        why = 'anti-affinity: only %s for %d members' % (
            _number(len(self.rooms) - len(full), 'host'),
            had + len(self.hosts) + self.missing,
        )
        return '%s; %s' % (why, _bounds(full)) if full else why


def plan(count, rooms, policy=PlacementPolicy.SPREAD):
    """Choose a host for each member.

    A plan for the rest of a bulk continues an earlier one if the members that
    one placed are in ``taken``. The choice of ``pack``, ``affinity`` and
    ``soft-affinity`` depends on the number of members, so pass all members
    without a host, even if only some are claimed at a time.

    :param count: members to place.
    :param rooms: the Rooms of all hosts, including those without room that
        have members of the bulk.
    :param policy: a PlacementPolicy.
    :returns: a Plan.
    :raises: ValueError if there is no such policy.
    """
    if policy not in _QUOTAS:
        raise ValueError('there is no placement policy %r' % policy)
    rooms = sorted(rooms, key=lambda room: room.host)
    quotas = _QUOTAS[policy](count, rooms)
    hosts = _alternate(quotas)
    return Plan(hosts, count - len(hosts), policy, rooms)


# Each policy is a function of the number of members and the Rooms, sorted by
# host, and returns {host: how many of them it takes}.


def _spread(count, rooms):
    """Spread evenly by the hosts' size and pace.

    Minimizes the greatest (members of the bulk on a host) / (its weight), then
    the second greatest, and so on.
    """
    weights = _weights(rooms)
    return _level(
        count,
        [
            _Bin(room.host, room.taken, room.room, weight, weight)
            for room, weight in zip(rooms, weights, strict=True)
        ],
    )


def _zone_spread(count, rooms):
    """Spread evenly over availability zones, whatever their size.

    Minimizes the most members of the bulk in a zone, then those in the zone
    with the second most, and so on. Within each zone it is ``spread``.
    """
    zones = collections.defaultdict(list)
    for room in rooms:
        zones[room.zone or ''].append(room)
    numbers = _level(
        count,
        [
            _Bin(
                zone,
                sum(room.taken for room in members),
                sum(room.room for room in members),
                1,
                sum(room.size for room in members),
            )
            for zone, members in zones.items()
        ],
    )
    quotas = {}
    for zone, number in numbers.items():
        quotas.update(_spread(number, zones[zone]))
    return quotas


def _soft_anti_affinity(count, rooms):
    """Let as few members as possible share a host, whatever its size.

    Minimizes the most members of the bulk on a host, then those on the host
    with the second most, and so on.
    """
    weights = _weights(rooms)
    return _level(
        count,
        [
            _Bin(room.host, room.taken, room.room, 1, weight)
            for room, weight in zip(rooms, weights, strict=True)
        ],
    )


def _anti_affinity(count, rooms):
    """Place at most one member of the bulk on a host.

    Places as many members as possible, on the hosts that ``spread`` chooses.
    """
    weights = _weights(rooms)
    return _level(
        count,
        [
            _Bin(room.host, 0, min(room.room, 1), weight, weight)
            for room, weight in zip(rooms, weights, strict=True)
            if not room.taken
        ],
    )


def _pack(count, rooms):
    """Use the fewest hosts.

    Hosts that already have members are filled first. The others follow in the
    order of their room, largest first, as this needs the fewest. The last is
    the one with the least room that holds the rest, so that large rooms stay
    free.
    """
    used = [room for room in rooms if room.taken]
    others = [room for room in rooms if not room.taken]
    used.sort(key=lambda room: room.room)
    others.sort(key=lambda room: -room.room)
    quotas = _fill(count, used)
    rest = count - sum(quotas.values())
    for place, room in enumerate(others):
        if room.room >= rest:
            last = min(
                (other for other in others[place:] if other.room >= rest),
                key=lambda other: other.room,
            )
            quotas[last.host] = rest
            break
        quotas[room.host] = room.room
        rest -= room.room
    return quotas


def _soft_affinity(count, rooms):
    """Use the fewest hosts, and leave room there for the bulk to grow.

    Hosts with the most members of the bulk are filled first, then those with
    the most room.
    """
    return _fill(
        count, sorted(rooms, key=lambda room: (-room.taken, -room.room))
    )


def _affinity(count, rooms):
    """Place all members of the bulk on one host, or as many as fit.

    It is the host that already has members, or the one with the most room, so
    that the bulk can grow there. If several hosts have members, none is
    valid.
    """
    used = [room for room in rooms if room.taken]
    if len(used) > 1 or not rooms:
        return {}
    return _fill(count, used or [max(rooms, key=lambda room: room.room)])


_QUOTAS = {
    PlacementPolicy.SPREAD: _spread,
    PlacementPolicy.PACK: _pack,
    PlacementPolicy.ZONE_SPREAD: _zone_spread,
    PlacementPolicy.AFFINITY: _affinity,
    PlacementPolicy.SOFT_AFFINITY: _soft_affinity,
    PlacementPolicy.ANTI_AFFINITY: _anti_affinity,
    PlacementPolicy.SOFT_ANTI_AFFINITY: _soft_anti_affinity,
}


def _weights(rooms):
    """Return the share of a bulk for each host, in the Rooms' order.

    A bulk that is placed in parts has the same weights each time, as placed
    members move from ``room`` to ``taken``.
    """
    paces = [room.pace for room in rooms if room.pace and room.size]
    # A host's own pace, not the mean of two.
    median = statistics.median_low(paces) if paces else None
    return [
        room.size * (_step(room.pace / median) if room.pace and median else 1)
        for room in rooms
    ]


def _step(ratio):
    """Round a ratio of paces to a power of two: 1 if between 1/2 and 2.

    Measured paces of equal hosts are never quite equal, but such hosts should
    get equal numbers. A host that ends a little late is better than uneven
    numbers on all others.
    """
    return 2.0 ** int(math.log2(ratio))


_Bin = collections.namedtuple('_Bin', 'name taken room weight size')


def _level(count, bins):
    """Fill bins so that the greatest (members / weight) is minimal.

    Each member goes where (members then) / weight is the least. This takes the
    ``count`` least of all these quotients, and any other choice has a greater
    one. Among equal quotients the largest bin is filled first.

    :returns: {name: members}, for bins that get some.
    """
    heap = [
        ((one.taken + 1) / one.weight, -one.size, one.name, one)
        for one in bins
        if one.room
    ]
    heapq.heapify(heap)
    numbers = collections.Counter()
    while heap and count:
        _height, size, name, one = heap[0]
        numbers[name] += 1
        count -= 1
        if numbers[name] < one.room:
            height = (one.taken + numbers[name] + 1) / one.weight
            heapq.heapreplace(heap, (height, size, name, one))
        else:
            heapq.heappop(heap)
    return numbers


def _fill(count, rooms):
    """Fill one host after the other.

    :returns: {host: members}.
    """
    quotas = {}
    for room in rooms:
        quotas[room.host] = min(room.room, count)
        count -= quotas[room.host]
    return quotas


def _alternate(quotas):
    """List each host as often as its quota, spread over the list.

    :returns: [host].
    """
    positions = [
        (number / quota, host)
        for host, quota in quotas.items()
        for number in range(quota)
    ]
    return [host for _position, host in sorted(positions)]


def _bounds(rooms):
    """Return what keeps hosts from taking more, most common cause first."""
    groups = collections.defaultdict(list)
    for room in rooms:
        groups[_cause(room)].append(room)
    ordered = sorted(groups, key=lambda cause: (-len(groups[cause]), cause))
    parts = [
        '%s on %s' % (cause, _names(groups[cause]))
        for cause in ordered[:GROUPS]
    ]
    others = sum(len(groups[cause]) for cause in ordered[GROUPS:])
    if others:
        parts.append('other causes on %s' % _number(others, 'host'))
    return ', '.join(parts)


def _cause(room):
    cause = room.bound_by or 'no room'
    return cause if len(cause) <= LENGTH else cause[: LENGTH - 3] + '...'


def _names(rooms):
    names = [room.host for room in rooms[:NAMES]]
    if len(rooms) > NAMES:
        names.append('%d more' % (len(rooms) - NAMES))
    return ' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))


def _number(number, noun):
    return '%d %s%s' % (number, noun, '' if number == 1 else 's')
