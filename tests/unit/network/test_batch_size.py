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

from oslotest import base

from zun_bulk.network import batch_size


class TestBatchSize(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.size = batch_size.BatchSize(20)

    def sizes(self, number):
        """The sizes of so many calls that succeed, and the next."""
        found = [self.size.now]
        for _call in range(number):
            self.size.succeeded(self.size.now)
            found.append(self.size.now)
        return found

    def test_begins_with_all(self):
        self.assertEqual([20, 20], self.sizes(1))

    def test_grows_from_the_first_ones(self):
        self.size.begin(4)
        self.assertEqual([4, 8, 16, 20, 20], self.sizes(4))

    def test_halves_and_grows_slowly(self):
        self.size.overloaded(20)
        self.assertEqual([10, 12, 14, 16, 18, 20, 20], self.sizes(6))

    def test_one_is_the_least(self):
        for expected in (10, 5, 2, 1, 1):
            self.size.overloaded(self.size.now)
            self.assertEqual(expected, self.size.now)
        self.assertEqual([1, 3, 5], self.sizes(2))

    def test_doubles_up_to_what_is_known_to_be_borne(self):
        self.size.overloaded(20)
        self.size.begin(4)
        self.assertEqual([4, 8, 10, 12], self.sizes(3))

    def test_calls_of_before_a_cut_say_nothing_new(self):
        self.size.overloaded(20)
        self.size.overloaded(20)
        self.assertEqual(10, self.size.now)

    def test_a_smaller_call_says_nothing_of_larger_ones(self):
        self.size.overloaded(20)
        self.size.succeeded(3)
        self.assertEqual(10, self.size.now)

    def test_a_small_one_that_is_too_much(self):
        self.size.overloaded(3)
        self.assertEqual(1, self.size.now)

    def test_a_beginning_makes_it_no_larger(self):
        self.size.overloaded(4)
        self.size.begin(4)
        self.assertEqual(2, self.size.now)

    def test_most_of_one(self):
        self.size = batch_size.BatchSize(1)
        self.size.overloaded(1)
        self.assertEqual([1, 1], self.sizes(1))
