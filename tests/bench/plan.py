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

"""How long the planner takes, and what a plan costs in calls to Placement.

Plans members over simulated hosts of unequal room, a fifth of them full, by
each policy. With ``--placement`` a real Placement on SQLite gets such hosts,
and the members are placed by ``spread`` and claimed as the conductor does it.
"""

import collections
import math
import random
import re
import resource
import tempfile
import time
import uuid

from zun.common import consts
from zun.scheduler import utils

from tests.bench import exceptions
from tests.bench import report
from tests.emulators import server
from tests.lab.embedded import lab as embedded
from zun_bulk.conf import CONF
from zun_bulk.consts import PlacementPolicy
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import planner


ZONES = ('zone-1', 'zone-2', 'zone-3')
#: Room that all hosts have together for each member.
ROOM = 1.5
#: What a member asks for.
NEEDS = {'VCPU': 1, 'MEMORY_MB': 64}

# What Placement logs of a request that it has answered.
REQUEST = re.compile(r' placement\.requestlog \[.*"[A-Z]+ /.*" status: \d')


def add_arguments(parser):
    parser.add_argument(
        '--members',
        type=int,
        default=10000,
        metavar='N',
        help='members of the bulk (%(default)s)',
    )
    parser.add_argument(
        '--hosts',
        type=int,
        default=1000,
        metavar='N',
        help='hosts to place them on (%(default)s)',
    )
    parser.add_argument(
        '--seed', type=int, default=1, help='of the hosts (%(default)s)'
    )
    parser.add_argument(
        '--placement',
        action='store_true',
        help='claim for them in a real Placement, too',
    )


def simulate(members, hosts, seed):
    """Return Rooms, a fifth of them full, for more than all members.

    :param members: how many there are
    :param hosts: how many Rooms
    """
    rng = random.Random(seed)
    full = set(rng.sample(range(hosts), hosts // 5))
    sizes = [
        0 if number in full else rng.randint(1, 9) for number in range(hosts)
    ]
    each = ROOM * members / sum(sizes)
    return [
        planner.Room(
            'host-%d' % number,
            ZONES[number % len(ZONES)],
            math.ceil(each * size),
            rng.choice(list(NEEDS)),
            rng.uniform(0.5, 8.0),
        )
        for number, size in enumerate(sizes)
    ]


def time_policies(members, rooms):
    """Return [[policy, seconds, hosts used, what became of the members]]."""
    rows = []
    for policy in PlacementPolicy.ALL:
        began = time.perf_counter()
        plan = planner.plan(members, rooms, policy)
        seconds = time.perf_counter() - began
        rows.append([policy, seconds, len(set(plan.hosts)), plan.explain()])
    return rows


def peak_mb():
    """Return the peak memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# ------------------------------------------------------------ with Placement


def inventories(room):
    """Return what a host has that has this room for members, and no more."""
    return {
        name: {
            'total': max(1, room.room) * need
            if name == room.bound_by
            else (room.room + 1) * need * 2,
            # What is full has something, but none of it to give.
            'reserved': 0 if room.room or name != room.bound_by else need,
        }
        for name, need in NEEDS.items()
    }


def requests(text):
    """Count the requests in Placement's log."""
    return len(REQUEST.findall(text))


class Lab(embedded.Lab):
    def ask(self, method, path, body=None):
        """Ask Placement as the lab's administrator.

        :raises BenchError: if it refuses
        """
        status, answer, _headers = server.call(
            self.placement_url,
            method,
            path,
            body,
            {
                'X-Auth-Token': self.token(),
                'OpenStack-API-Version': 'placement 1.28',
            },
        )
        if status >= 300:
            raise exceptions.BenchError(f'{method} {path}: {status} {answer}')
        return answer

    def make_hosts(self, rooms):
        """Make a resource provider for each Room.

        :returns: {host name: uuid of its provider}
        """
        providers = {}
        for room in rooms:
            providers[room.host] = str(uuid.uuid4())
            self.ask(
                'POST',
                '/resource_providers',
                {'name': room.host, 'uuid': providers[room.host]},
            )
            self.ask(
                'PUT',
                f'/resource_providers/{providers[room.host]}/inventories',
                {
                    'resource_provider_generation': 0,
                    'inventories': inventories(room),
                },
            )
        return providers

    def requests(self):
        return requests((self.root / 'log' / 'placement.log').read_text())


def claim(members, rooms, providers):
    """Claim for members as the conductor does it.

    :param providers: {host name: uuid of its provider}
    :returns: members by host
    """
    api = placement.Placement()
    asked = utils.ResourceRequest.from_extra_specs(
        {
            **{f'resources:{name}': need for name, need in NEEDS.items()},
            **{
                f'trait:{trait}': 'forbidden' for trait in consts.CUSTOM_TRAITS
            },
        }
    )
    found = api.candidates(asked)
    if len(found) < len(rooms):
        # What the full ones lack, as a bulk is told.
        api.short_of(asked)
    hosts = planner.plan(
        members,
        [
            room._replace(
                room=found[providers[room.host]].room
                if providers[room.host] in found
                else 0
            )
            for room in rooms
        ],
    ).hosts
    for start in range(0, members, CONF.zun_bulk.claim_batch):
        api.claim(
            {
                str(uuid.uuid4()): found[providers[host]].allocations
                for host in hosts[start : start + CONF.zun_bulk.claim_batch]
            },
            'project',
            'user',
        )
    return collections.Counter(hosts)


def claim_on_a_lab(members, rooms):
    """Return (calls to Placement, seconds) of the claims for members.

    :raises BenchError: if the claims are not as one plan for all would be
    """
    with tempfile.TemporaryDirectory(prefix='zun-bulk-plan-') as root:
        lab = Lab(root)
        try:
            conf = lab.start_placement()
            CONF(['--config-file', str(conf)], project='zun')
            providers = lab.make_hosts(rooms)
            before = lab.requests()
            began = time.perf_counter()
            taken = claim(members, rooms, providers)
            seconds = time.perf_counter() - began
            calls = lab.requests() - before
            check(members, rooms, taken, len(lab.allocations()))
        finally:
            lab.stop()
    return calls, seconds


def check(members, rooms, taken, claims):
    """Compare what was claimed with a plan for all at once.

    :param taken: members by host
    :param claims: how many containers have a claim in Placement
    :raises BenchError: if they differ
    """
    planned = collections.Counter(planner.plan(members, rooms).hosts)
    if taken != planned:
        raise exceptions.BenchError('in batches it became another plan')
    if claims != members:
        raise exceptions.BenchError(f'{claims} of {members} have a claim')


def run(args):
    rooms = simulate(args.members, args.hosts, args.seed)
    rows = time_policies(args.members, rooms)
    print(
        '\n'.join(
            report.table(
                ['policy', 'seconds', 'hosts'],
                [
                    [policy, f'{seconds:.3f}', hosts]
                    for policy, seconds, hosts, _text in rows
                ],
            )
        )
    )
    for policy, _seconds, _hosts, text in rows:
        print(f'{policy}: {text}')
    values = {
        'bench': 'plan',
        'members': args.members,
        'hosts': args.hosts,
        'seconds': round(max(seconds for _policy, seconds, *_ in rows), 3),
        'rss_mb': round(peak_mb()),
        'placement_calls': None,
    }
    if args.placement:
        calls, seconds = claim_on_a_lab(args.members, rooms)
        values['placement_calls'] = calls
        values['placement_s'] = round(seconds, 2)
    print(report.json_line(values))
    return 0
