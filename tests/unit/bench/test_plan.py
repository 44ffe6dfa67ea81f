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

import collections

from oslotest import base

from tests.bench import exceptions
from tests.bench import plan
from zun_bulk.consts import PlacementPolicy
from zun_bulk.scheduler import planner


# Two requests, one of which Placement logs twice.
LOG = """\
2026-01-31 10:00:00.000 7 DEBUG placement.requestlog [None req-1 - - - - - -] \
Starting request: 127.0.0.1 "GET /allocation_candidates?limit=1000" __call__
2026-01-31 10:00:00.010 7 INFO placement.requestlog [None req-1 - - - - - -] \
127.0.0.1 "GET /allocation_candidates?limit=1000" status: 200 len: 10 \
microversion: 1.28
2026-01-31 10:00:00.011 7 WARNING placement.handlers [None req-1] "GET / is odd
2026-01-31 10:00:00.020 7 INFO placement.requestlog [None req-2 - - - - - -] \
127.0.0.1 "POST /allocations" status: 204 len: - microversion: 1.28
"""


class TestSimulate(base.BaseTestCase):
    def test_hosts(self):
        rooms = plan.simulate(1000, 50, 1)
        self.assertEqual(50, len({room.host for room in rooms}))
        self.assertEqual(10, sum(not room.room for room in rooms))
        self.assertEqual(set(plan.ZONES), {room.zone for room in rooms})
        self.assertLess(3, len({room.room for room in rooms}))
        self.assertLess(1000, sum(room.room for room in rooms))

    def test_by_the_seed(self):
        self.assertEqual(plan.simulate(9, 5, 1), plan.simulate(9, 5, 1))
        self.assertNotEqual(plan.simulate(9, 5, 1), plan.simulate(9, 5, 2))


class TestTimePolicies(base.BaseTestCase):
    def test_each(self):
        rows = plan.time_policies(100, plan.simulate(100, 10, 1))
        self.assertEqual(list(PlacementPolicy.ALL), [row[0] for row in rows])
        found = {policy: (hosts, text) for policy, _s, hosts, text in rows}
        self.assertEqual((8, 'all 100 fit'), found['spread'])
        self.assertEqual(8, found['anti-affinity'][0])


class TestInventories(base.BaseTestCase):
    def fits(self, room):
        """How many members Placement would say fit, and by what."""
        numbers = {
            name: (found['total'] - found['reserved']) // plan.NEEDS[name]
            for name, found in plan.inventories(room).items()
        }
        return min(zip(numbers.values(), numbers, strict=True))

    def test_as_much_as_the_room_and_no_more(self):
        for room in (0, 1, 17):
            for name in plan.NEEDS:
                self.assertEqual(
                    (room, name),
                    self.fits(planner.Room('a', room=room, bound_by=name)),
                )


class TestRequests(base.BaseTestCase):
    def test_each_once(self):
        self.assertEqual(2, plan.requests(LOG))


class TestCheck(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.rooms = [planner.Room('a', room=9), planner.Room('b', room=9)]

    def test_as_planned(self):
        plan.check(4, self.rooms, collections.Counter(a=2, b=2), 4)

    def test_uneven(self):
        self.assertRaises(
            exceptions.BenchError,
            plan.check,
            4,
            self.rooms,
            collections.Counter(a=3, b=1),
            4,
        )

    def test_a_claim_is_lost(self):
        self.assertRaises(
            exceptions.BenchError,
            plan.check,
            4,
            self.rooms,
            collections.Counter(a=2, b=2),
            3,
        )
