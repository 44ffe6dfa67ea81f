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

"""Which host takes which member of a bulk: pure, without I/O."""

import heapq


def spread(count, capacity, taken=None):
    """Give each member the host that has the fewest of its bulk.

    :param count: members to place.
    :param capacity: {host: how many more members fit}.
    :param taken: {host: members of the bulk that it has already}.
    :returns: a host for each member, in the members' order; shorter than
        ``count`` if not all fit. Hosts alternate, so that all begin at once.
        The same input always gives the same output.
    """
    taken = taken or {}
    heap = [
        (taken.get(host, 0), host)
        for host, room in capacity.items()
        if room > 0
    ]
    heapq.heapify(heap)
    room = dict(capacity)
    hosts = []
    while heap and len(hosts) < count:
        load, host = heap[0]
        hosts.append(host)
        room[host] -= 1
        if room[host]:
            heapq.heapreplace(heap, (load + 1, host))
        else:
            heapq.heappop(heap)
    return hosts
