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
import random

from oslotest import base

from zun_bulk.conductor import planner


def placed(*args):
    return collections.Counter(planner.spread(*args))


class TestSpread(base.BaseTestCase):
    def test_even_on_equal_hosts(self):
        self.assertEqual(
            {'a': 100, 'b': 100, 'c': 100},
            placed(300, dict.fromkeys('abc', 200)),
        )

    def test_hosts_alternate(self):
        self.assertEqual(
            ['a', 'b', 'a', 'b', 'a'], planner.spread(5, {'b': 9, 'a': 9})
        )

    def test_a_full_host_leaves_the_rest_to_the_others(self):
        self.assertEqual(
            {'a': 2, 'b': 5, 'c': 5},
            placed(12, {'a': 2, 'b': 9, 'c': 9, 'd': 0}),
        )

    def test_counts_what_the_bulk_has_there_already(self):
        self.assertEqual(
            {'b': 4, 'c': 4}, placed(8, dict.fromkeys('abc', 99), {'a': 9})
        )

    def test_too_little_room(self):
        self.assertEqual(['a', 'b', 'a'], planner.spread(10, {'a': 2, 'b': 1}))

    def test_no_host(self):
        self.assertEqual([], planner.spread(3, {}))

    def test_any_input(self):
        chance = random.Random(1)
        for _case in range(300):
            capacity = {
                str(host): chance.randint(0, 6)
                for host in range(chance.randint(1, 6))
            }
            taken = {host: chance.randint(0, 4) for host in capacity}
            count = chance.randint(0, 30)
            got = placed(count, capacity, taken)
            self.assertEqual(
                min(count, sum(capacity.values())), sum(got.values())
            )
            after = {host: taken[host] + got[host] for host in capacity}
            for host in capacity:
                self.assertLessEqual(got[host], capacity[host])
                for other in capacity:
                    # Moving one to a host with room must not even it out.
                    if got[other] and got[host] < capacity[host]:
                        self.assertLessEqual(after[other], after[host] + 1)
