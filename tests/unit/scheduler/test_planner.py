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
from fractions import Fraction
import itertools
import random
import statistics

from oslotest import base

from zun_bulk.consts import PlacementPolicy
from zun_bulk.scheduler import planner
from zun_bulk.scheduler.planner import Room


def rooms(zone=None, **rooms):
    return [Room(host, zone, room) for host, room in rooms.items()]


def placed(*args, **kwargs):
    return collections.Counter(planner.plan(*args, **kwargs).hosts)


class TestSpread(base.BaseTestCase):
    def test_even_on_equal_hosts(self):
        self.assertEqual(
            {'a': 100, 'b': 100, 'c': 100},
            placed(300, rooms(a=200, b=200, c=200)),
        )

    def test_hosts_alternate(self):
        self.assertEqual(
            ['a', 'b', 'a', 'b', 'a'], planner.plan(5, rooms(b=9, a=9)).hosts
        )

    def test_all_begin_at_once(self):
        got = planner.plan(111, rooms(a=1000, b=100, c=10)).hosts
        self.assertEqual(['a', 'b', 'c'], got[:3])
        self.assertEqual({'a': 100, 'b': 10, 'c': 1}, collections.Counter(got))

    def test_in_proportion_to_what_is_free(self):
        self.assertEqual(
            {'a': 20, 'b': 60, 'c': 20},
            placed(100, rooms(a=50, b=150, c=50, d=0)),
        )

    def test_counts_what_the_bulk_has_there_already(self):
        self.assertEqual(
            {'b': 5, 'c': 5},
            placed(10, [Room('a', room=11, taken=9), *rooms(b=20, c=20)]),
        )

    def test_too_little_room(self):
        got = planner.plan(10, rooms(a=2, b=1))
        self.assertCountEqual(['a', 'a', 'b'], got.hosts)
        self.assertEqual(7, got.missing)

    def test_no_host(self):
        self.assertEqual(([], 3), planner.plan(3, [])[:2])


class TestPace(base.BaseTestCase):
    def placed(self, count, *paces):
        return [
            number
            for _host, number in sorted(
                placed(
                    count,
                    [
                        Room('host-%d' % index, None, 1000, pace=pace)
                        for index, pace in enumerate(paces)
                    ],
                ).items()
            )
        ]

    def test_noise_leaves_equal_hosts_even(self):
        self.assertEqual([100, 100, 100], self.placed(300, 3.1, 5.9, 4.2))

    def test_a_slow_host_gets_less(self):
        self.assertEqual([100, 100, 50], self.placed(250, 4.1, 4.0, 1.9))

    def test_a_fast_host_gets_more(self):
        self.assertEqual([50, 50, 200], self.placed(300, 1.0, 1.1, 5.0))

    def test_two_hosts(self):
        self.assertEqual([100, 200], self.placed(300, 1.0, 2.1))

    def test_one_that_is_not_known_counts_as_any(self):
        self.assertEqual(
            [100, 100, 100, 100, 50], self.placed(450, None, 0, 4.0, 4.1, 2.0)
        )

    def test_all_the_room_is_used_in_spite_of_it(self):
        self.assertEqual(
            {'a': 10, 'b': 10},
            placed(20, [Room('a', None, 10), Room('b', None, 10, pace=0.01)]),
        )

    def test_not_by_hosts_that_take_no_part(self):
        got = planner.plan(
            90,
            [Room(str(number), pace=0.1) for number in range(9)]
            + [Room('a', None, 500, pace=4.0), Room('b', None, 500, pace=1.5)],
        )
        self.assertEqual({'a': 60, 'b': 30}, collections.Counter(got.hosts))


class TestZoneSpread(base.BaseTestCase):
    def placed(self, count, rooms):
        return placed(count, rooms, 'zone-spread')

    def test_zones_are_even_and_hosts_in_proportion(self):
        self.assertEqual(
            {'a': 10, 'b': 20, 'c': 30},
            self.placed(60, rooms('east', a=100, b=200) + rooms('west', c=50)),
        )

    def test_a_full_zone_leaves_the_rest_to_the_others(self):
        self.assertEqual(
            {'a': 5, 'b': 13, 'c': 12},
            self.placed(
                30, rooms('east', a=5) + rooms('west', b=50) + rooms(c=40)
            ),
        )


class TestPack(base.BaseTestCase):
    def placed(self, count, rooms):
        return placed(count, rooms, 'pack')

    def test_one_that_holds_all_with_the_least_room(self):
        self.assertEqual({'b': 9}, self.placed(9, rooms(a=50, b=10, c=8)))

    def test_the_rest_goes_where_it_just_fits(self):
        self.assertEqual(
            {'a': 50, 'b': 9}, self.placed(59, rooms(a=50, b=10, c=40, d=8))
        )

    def test_used_ones_first(self):
        self.assertEqual(
            {'a': 1, 'b': 3, 'c': 5},
            self.placed(
                9,
                [
                    Room('a', room=1, taken=1),
                    Room('b', room=3, taken=1),
                    *rooms(c=5, d=9),
                ],
            ),
        )


class TestAffinity(base.BaseTestCase):
    def placed(self, count, rooms):
        return placed(count, rooms, 'affinity')

    def test_one_host(self):
        self.assertEqual({'b': 9}, self.placed(9, rooms(a=10, b=50, c=50)))

    def test_the_one_that_has_some_already(self):
        self.assertEqual(
            {'a': 3},
            self.placed(9, [Room('a', room=3, taken=1), *rooms(b=50)]),
        )
        self.assertEqual(
            {}, self.placed(9, [Room('a', room=0, taken=1), *rooms(b=50)])
        )

    def test_no_place_is_right_where_it_is_on_two(self):
        self.assertEqual(
            {},
            self.placed(
                1, [Room('a', room=9, taken=1), Room('b', room=9, taken=1)]
            ),
        )


class TestSoftAffinity(base.BaseTestCase):
    def test_where_most_are_then_where_most_can_be(self):
        self.assertEqual(
            {'a': 2, 'b': 1, 'd': 7},
            placed(
                10,
                [
                    Room('a', room=2, taken=5),
                    Room('b', room=1, taken=2),
                    *rooms(c=7, d=9),
                ],
                'soft-affinity',
            ),
        )


class TestAntiAffinity(base.BaseTestCase):
    def test_one_each_on_the_roomiest(self):
        self.assertEqual(
            {'b': 1, 'c': 1}, placed(2, rooms(a=5, b=7, c=6), 'anti-affinity')
        )

    def test_none_where_one_is(self):
        got = planner.plan(
            3, [Room('a', room=9, taken=1), *rooms(b=1)], 'anti-affinity'
        )
        self.assertEqual((['b'], 2), got[:2])

    def test_soft(self):
        self.assertEqual(
            {'a': 2, 'b': 2, 'c': 1},
            placed(5, rooms(a=900, b=900, c=1), 'soft-anti-affinity'),
        )


def random_case(chance):
    return chance.randint(0, 8), [
        Room(
            'host-%d' % number,
            chance.choice((None, 'east', 'west')),
            chance.randint(0, 4),
            'VCPU',
            chance.choice((None, 0.5, 1.0, 1.2, 2.0, 9.0)),
            chance.choice((0, 0, 1, 3)),
        )
        for number in range(chance.randint(0, 4))
    ]


def all_ways(rooms):
    """Each way to place some members, as a tuple of one number a Room."""
    return itertools.product(*(range(room.room + 1) for room in rooms))


def descending(values):
    return tuple(sorted(values, reverse=True))


def heights(rooms, way):
    """Members by weight, the highest first, by a computation of its own."""
    paces = sorted(r.pace for r in rooms if r.pace and r.room + r.taken)
    found = []
    for room, new in zip(rooms, way, strict=True):
        weight = Fraction(room.room + room.taken)
        if room.pace and weight:
            ratio = room.pace / statistics.median_low(paces)
            while ratio >= 2:
                weight, ratio = weight * 2, ratio / 2
            while ratio <= 0.5:
                weight, ratio = weight / 2, ratio * 2
        if weight:
            found.append((room.taken + new) / weight)
    return descending(found)


def by_zone(rooms, way):
    zones = collections.defaultdict(list)
    for room, new in zip(rooms, way, strict=True):
        zones[room.zone or ''].append((room, new))
    return {
        zone: [list(column) for column in zip(*pairs, strict=True)]
        for zone, pairs in zones.items()
    }


def zone_numbers(rooms, way):
    return descending(
        sum(room.taken for room in members) + sum(new)
        for members, new in by_zone(rooms, way).values()
    )


def on_hosts(rooms, way):
    return descending(
        room.taken + new for room, new in zip(rooms, way, strict=True)
    )


def hosts_with_members(rooms, way):
    return sum(number > 0 for number in on_hosts(rooms, way))


class TestBest(base.BaseTestCase):
    """Each policy beside the best of all ways there are, in small cases."""

    def check(self, policy, cost, allowed=lambda rooms, way: True):
        """Compare the plans of random cases.

        :param cost: of (rooms, way), to be as small as can be among the ways
            that place as many members.
        :param allowed: whether the policy lets a way (rooms, way) be.
        """
        chance = random.Random(1)
        for _case in range(400):
            count, rooms = random_case(chance)
            ways = [
                way
                for way in all_ways(rooms)
                if sum(way) <= count and (not sum(way) or allowed(rooms, way))
            ]
            most = max(map(sum, ways))
            got = planner.plan(count, rooms, policy)
            self.assertEqual(count - most, got.missing, (count, rooms))
            numbers = collections.Counter(got.hosts)
            way = tuple(numbers[room.host] for room in rooms)
            self.assertIn(way, ways, (count, rooms))
            self.assertEqual(most, sum(way))
            self.assertEqual(
                min(cost(rooms, way) for way in ways if sum(way) == most),
                cost(rooms, way),
                (count, rooms, way),
            )
            yield rooms, way

    def check_all(self, *args, **kwargs):
        self.assertEqual(400, len(list(self.check(*args, **kwargs))))

    def test_spread(self):
        self.check_all('spread', heights)

    def test_zone_spread(self):
        for rooms, way in self.check('zone-spread', zone_numbers):
            for members, new in by_zone(rooms, way).values():
                # By the pace beside that of the zone.
                self.assertEqual(
                    min(
                        heights(members, other)
                        for other in all_ways(members)
                        if sum(other) == sum(new)
                    ),
                    heights(members, new),
                )

    def test_soft_anti_affinity(self):
        self.check_all('soft-anti-affinity', on_hosts)

    def test_pack(self):
        self.check_all('pack', hosts_with_members)

    def test_soft_affinity(self):
        self.check_all('soft-affinity', hosts_with_members)

    def test_affinity(self):
        self.check_all(
            'affinity',
            lambda rooms, way: 0,
            allowed=lambda rooms, way: hosts_with_members(rooms, way) == 1,
        )

    def test_anti_affinity(self):
        def one_each(rooms, way):
            return all(
                room.taken + new == 1
                for room, new in zip(rooms, way, strict=True)
                if new
            )

        def new_heights(rooms, way):
            return heights(
                [room for room in rooms if not room.taken],
                [
                    new
                    for room, new in zip(rooms, way, strict=True)
                    if not room.taken
                ],
            )

        self.check_all('anti-affinity', new_heights, allowed=one_each)


class TestAny(base.BaseTestCase):
    def cases(self):
        chance = random.Random(2)
        for _case in range(100):
            count, rooms = random_case(chance)
            for policy in PlacementPolicy.ALL:
                yield chance, count, rooms, policy

    def test_the_order_of_hosts_does_not_matter(self):
        for chance, count, rooms, policy in self.cases():
            shuffled = chance.sample(rooms, len(rooms))
            self.assertEqual(
                planner.plan(count, rooms, policy),
                planner.plan(count, shuffled, policy),
            )

    def test_never_beyond_the_room(self):
        for _chance, count, rooms, policy in self.cases():
            got = planner.plan(count, rooms, policy)
            numbers = collections.Counter(got.hosts)
            self.assertEqual(count, len(got.hosts) + got.missing)
            for room in rooms:
                self.assertLessEqual(numbers.pop(room.host, 0), room.room)
            self.assertEqual({}, numbers)

    def test_what_is_planned_in_parts(self):
        """Claims of a part, then a plan for the rest: nothing gets worse."""
        for chance, count, rooms, policy in self.cases():
            whole = planner.plan(count, rooms, policy)
            part = chance.randint(0, len(whole.hosts))
            begun = collections.Counter(whole.hosts[:part])
            rest = planner.plan(
                count - part,
                [
                    room._replace(
                        room=room.room - begun[room.host],
                        taken=room.taken + begun[room.host],
                    )
                    for room in rooms
                ],
                policy,
            )
            both = begun + collections.Counter(rest.hosts)
            case = (count, rooms, policy, part)
            self.assertEqual(whole.missing, rest.missing, case)
            if policy in ('pack', 'soft-affinity'):
                used = {room.host for room in rooms if room.taken}
                self.assertEqual(
                    len(used.union(whole.hosts)), len(used.union(both)), case
                )
            else:
                self.assertEqual(collections.Counter(whole.hosts), both, case)

    def test_no_such_policy(self):
        self.assertRaises(ValueError, planner.plan, 1, [], 'random')


class TestExplain(base.BaseTestCase):
    def explain(self, *args):
        return planner.plan(*args).explain()

    def test_all_fit(self):
        self.assertEqual('all 3 fit', self.explain(3, rooms(a=9)))

    def test_no_host(self):
        self.assertEqual('0 of 3 fit: there is no host', self.explain(3, []))

    def test_summary(self):
        for number, text in ((9, 'all 3 fit'), (1, '1 of 3 fit')):
            plan = planner.plan(3, rooms(a=number))
            self.assertEqual(text, plan.summary())

    def test_what_bounds_each_host(self):
        self.assertEqual(
            '740 of 1000 fit: MEMORY_MB on host-2 and host-3, VCPU on host-1',
            self.explain(
                1000,
                [
                    Room('host-1', None, 300, 'VCPU'),
                    Room('host-2', None, 400, 'MEMORY_MB'),
                    Room('host-3', None, 40, 'MEMORY_MB'),
                ],
            ),
        )

    def test_not_known_why(self):
        self.assertEqual(
            '1 of 2 fit: no room on a', self.explain(2, rooms(a=1))
        )

    def test_many_hosts(self):
        text = self.explain(
            9999, [Room('host-%04d' % n, None, 1, 'VCPU') for n in range(1000)]
        )
        self.assertEqual(
            '1000 of 9999 fit: VCPU on host-0000, host-0001, host-0002 and '
            '997 more',
            text,
        )

    def test_many_long_causes(self):
        text = self.explain(
            1,
            [
                Room(
                    'host-%04d' % n, None, 0, 'held: %04d %s' % (n, 'x' * 999)
                )
                for n in range(1000)
            ],
        )
        self.assertIn('other causes on 996 hosts', text)
        self.assertLess(len(text), 600)

    def test_affinity(self):
        self.assertEqual(
            '7 of 10 fit: affinity: no host has room for all 10: the most is '
            '7 on host-2 (VCPU)',
            self.explain(
                10,
                [
                    Room('host-1', None, 6, 'VCPU'),
                    Room('host-2', None, 7, 'VCPU'),
                ],
                'affinity',
            ),
        )
        self.assertEqual(
            '2 of 10 fit: affinity: host-1 has 3 of them and room for 2 more '
            '(VCPU)',
            self.explain(
                10, [Room('host-1', None, 2, 'VCPU', taken=3)], 'affinity'
            ),
        )
        self.assertEqual(
            '0 of 1 fit: affinity: the bulk is on a and b already',
            self.explain(
                1, [Room('a', taken=1), Room('b', taken=1)], 'affinity'
            ),
        )
        self.assertEqual(
            '0 of 1 fit: affinity: no host has room: VCPU on a',
            self.explain(1, [Room('a', bound_by='VCPU')], 'affinity'),
        )

    def test_anti_affinity(self):
        self.assertEqual(
            '3 of 5 fit: anti-affinity: only 3 hosts for 5 members',
            self.explain(5, rooms(a=9, b=9, c=9), 'anti-affinity'),
        )
        self.assertEqual(
            '1 of 2 fit: anti-affinity: only 2 hosts for 3 members; VCPU on c',
            self.explain(
                2,
                [
                    Room('a', None, 9, taken=1),
                    Room('b', None, 9),
                    Room('c', None, 0, 'VCPU'),
                ],
                'anti-affinity',
            ),
        )

    def test_whatever_is_missing_is_explained(self):
        chance = random.Random(3)
        for _case in range(100):
            count, rooms = random_case(chance)
            for policy in PlacementPolicy.ALL:
                got = planner.plan(count, rooms, policy)
                self.assertEqual(not got.missing, ':' not in got.explain())


class TestTable(base.BaseTestCase):
    def test_a_row_for_each_host(self):
        rows = planner.plan(
            4, [Room('b', 'east', 9, 'VCPU', None, 2), *rooms(a=0)]
        ).table()
        self.assertEqual(
            [('a', None, 0, 0, 0, None), ('b', 'east', 4, 2, 9, 'VCPU')], rows
        )
        self.assertEqual(4, rows[1].members)
