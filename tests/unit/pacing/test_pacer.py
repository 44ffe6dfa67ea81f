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

from zun_bulk.pacing.adaptive import AdaptiveLimit
from zun_bulk.pacing.adaptive import FixedLimit
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.pacer import Pacer
from zun_bulk.pacing.tuning import TUNING


def fixed(limit, interval=0.0):
    return Pacer(FixedLimit(limit), random.Random(0), interval)


class TestPacer(base.BaseTestCase):
    def test_never_more_than_the_limit(self):
        paced = fixed(2)
        self.assertEqual(2, paced.available(0))
        paced.started('a', 0)
        paced.started('b', 0)
        self.assertEqual((0, 2), (paced.available(9), paced.in_flight))
        self.assertIsNone(paced.wait(9))

    def test_an_end_frees_one_place_once(self):
        paced = fixed(2)
        paced.started('a', 0)
        paced.started('b', 0)
        paced.finished('a', 1, Outcome.DONE)
        paced.finished('a', 1, Outcome.HARD)
        paced.finished('unknown', 1, Outcome.DONE)
        self.assertEqual(1, paced.available(1))

    def test_an_interval(self):
        paced = fixed(4, interval=30.0)
        self.assertEqual(1, paced.available(0))
        paced.started('a', 0)
        paced.finished('a', 1, Outcome.DONE)
        self.assertEqual(0, paced.available(10))
        self.assertAlmostEqual(20.0, paced.wait(10))
        self.assertEqual((1, 0.0), (paced.available(30), paced.wait(30)))

    def test_starts_that_fail_at_once_are_not_tried_at_any_rate(self):
        rng = random.Random(0)
        paced = Pacer(AdaptiveLimit(4), rng)
        now = 0.0
        for key in range(1000):
            while not paced.available(now):
                now += paced.wait(now)
            paced.started(key, now)
            paced.finished(key, now, Outcome.NEUTRAL)
        self.assertAlmostEqual(1000 / TUNING.min_start_rate, now, delta=1)

    def test_held(self):
        paced = fixed(4)
        paced.holds['disk'] = '95 % of the disk used'
        self.assertEqual((0, None), (paced.available(0), paced.wait(0)))
        del paced.holds['disk']
        self.assertEqual(4, paced.available(0))

    def test_the_deadline_follows_what_starts_take(self):
        paced = fixed(4)
        self.assertEqual(120, paced.deadline())
        for seconds, expected in ((0.1, 30), (20, 80), (100, 120)):
            for key in range(200):
                paced.started(key, 0)
                paced.finished(key, seconds, Outcome.DONE)
            self.assertEqual(expected, paced.deadline())


class TestShow(base.BaseTestCase):
    """What an operator is shown."""

    def setUp(self):
        super().setUp()
        rng = random.Random(0)
        self.limit = AdaptiveLimit(8)
        self.pacer = Pacer(self.limit, rng)

    def run_one(self, key, since, seconds, outcome=Outcome.DONE):
        self.pacer.started(key, since)
        self.pacer.finished(key, since + seconds, outcome)

    def test_at_first(self):
        self.assertEqual(
            {
                'limit': 2,
                'in_flight': 0,
                'interval': 0.0,
                'per_second': 0.0,
                'median': None,
                'p95': None,
                'seconds': 0.0,
                'ended': {'done': 0, 'soft': 0, 'hard': 0, 'neutral': 0},
                'breaker': 'closed',
                'last_cut': None,
            },
            self.pacer.show(0),
        )

    def test_starts_of_the_last_minute(self):
        for number in range(6):
            self.run_one(number, 10.0 * number, 1.0 + number)
        self.pacer.started('on its way', 60)
        shown = self.pacer.show(60)
        self.assertEqual(1, shown['in_flight'])
        self.assertAlmostEqual(6 / 60, shown['per_second'])
        self.assertEqual((3.0, 6.0), (shown['median'], shown['p95']))
        self.assertEqual(21.0, shown['seconds'])
        self.assertEqual(6, shown['ended']['done'])
        # The ends at 1 and 12 are too long ago, their times are still known.
        shown = self.pacer.show(75)
        self.assertAlmostEqual(4 / 60, shown['per_second'])
        self.assertEqual(3.0, shown['median'])

    def test_what_failed(self):
        self.run_one('a', 0, 1.0, Outcome.HARD)
        self.run_one('b', 2, 1.0, Outcome.NEUTRAL)
        shown = self.pacer.show(11)
        self.assertEqual(
            {'done': 0, 'soft': 0, 'hard': 1, 'neutral': 1}, shown['ended']
        )
        self.assertEqual(0.0, shown['per_second'])
        self.assertEqual({'ago': 10, 'why': 'overload'}, shown['last_cut'])

    def test_the_breaker(self):
        self.pacer.pinged(0, None)
        self.assertEqual('open', self.pacer.show(1)['breaker'])
        self.assertEqual('half-open', self.pacer.show(99)['breaker'])

    def test_another_limit(self):
        self.pacer.started('a', 0)
        self.pacer.replace_limit(FixedLimit(3))
        self.assertEqual(2, self.pacer.available(1))
        self.pacer.finished('a', 2, Outcome.DONE)
        self.assertEqual(
            (3, 0, None),
            tuple(
                self.pacer.show(2)[name]
                for name in ('limit', 'in_flight', 'last_cut')
            ),
        )
        self.pacer.replace_limit(AdaptiveLimit(8))
        self.assertEqual(2, self.pacer.available(3))
