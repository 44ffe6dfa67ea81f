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

import random

from oslotest import base

from zun_bulk.pacing.adaptive import FixedLimit
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.pacer import Pacer


class TestBreaker(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.messages = []
        self.pacer = Pacer(
            FixedLimit(4), random.Random(0), notify=self.messages.append
        )
        self.now = 0.0

    def end(self, *outcomes):
        for outcome in outcomes:
            self.now += 1.0
            self.pacer.started('key', self.now)
            self.now += 1.0
            self.pacer.finished('key', self.now, outcome)

    def test_opens_after_five_overloads_in_a_row(self):
        self.end(
            Outcome.HARD,
            Outcome.HARD,
            Outcome.HARD,
            Outcome.HARD,
            Outcome.DONE,
            Outcome.HARD,
            Outcome.HARD,
            Outcome.HARD,
            Outcome.HARD,
        )
        self.assertEqual([], self.messages)
        self.end(Outcome.HARD)
        self.assertEqual(0, self.pacer.available(self.now))
        self.assertIn('5 starts in a row', self.messages[0])

    def test_opens_if_most_of_the_last_failed(self):
        self.end(*[Outcome.HARD, Outcome.HARD, Outcome.HARD, Outcome.DONE] * 3)
        self.assertEqual([], self.messages)
        self.end(Outcome.HARD, Outcome.HARD)
        self.assertIn('11 of the last 14', self.messages[0])

    def test_failures_that_tell_nothing_do_not_open_it(self):
        self.end(*[Outcome.NEUTRAL, Outcome.SOFT] * 20)
        self.assertEqual([], self.messages)

    def test_closes_after_three_good_starts_one_by_one(self):
        self.end(*[Outcome.HARD] * 5)
        wait = self.pacer.wait(self.now)
        self.assertTrue(5 <= wait <= 60, wait)
        self.now += wait
        for _ in range(3):
            self.assertEqual(1, self.pacer.available(self.now))
            self.end(Outcome.DONE)
        self.assertEqual(4, self.pacer.available(self.now + 10))
        self.assertEqual('breaker closed', self.messages[-1])

    def test_stays_open_longer_if_it_still_fails(self):
        self.end(*[Outcome.HARD] * 5)
        for _ in range(20):
            self.now += self.pacer.wait(self.now)
            self.end(Outcome.HARD)
            self.assertTrue(5 <= self.pacer.wait(self.now) <= 60)

    def test_an_engine_that_is_down_for_days(self):
        for _ in range(2000):
            self.pacer.pinged(self.now, None)
            wait = self.pacer.wait(self.now)
            self.assertTrue(5 <= wait <= 60, wait)
            self.now += wait
        self.assertEqual(1, self.pacer.available(self.now))

    def test_what_began_before_it_opened_does_not_count(self):
        for key in range(4):
            self.pacer.started(key, 0.0)
        self.now = 1.0
        self.end(*[Outcome.HARD] * 5)
        self.now += self.pacer.wait(self.now)
        for key in range(4):
            self.pacer.finished(key, self.now, Outcome.DONE)
        self.assertEqual(1, self.pacer.available(self.now))

    def test_an_engine_that_does_not_answer(self):
        self.pacer.pinged(0, 4.0)
        self.assertEqual(4, self.pacer.available(0))
        self.pacer.pinged(0, None)
        self.assertEqual(0, self.pacer.available(0))
