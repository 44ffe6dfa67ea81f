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

from tests.emulators import host_model
from zun_bulk.pacing import pacer


DONE = pacer.Outcome.DONE
SOFT = pacer.Outcome.SOFT
HARD = pacer.Outcome.HARD
NEUTRAL = pacer.Outcome.NEUTRAL


def fixed(limit, interval=0.0):
    return pacer.Pacer(pacer.FixedLimit(limit), random.Random(0), interval)


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
        paced.finished('a', 1, DONE)
        paced.finished('a', 1, HARD)
        paced.finished('unknown', 1, DONE)
        self.assertEqual(1, paced.available(1))

    def test_an_interval(self):
        paced = fixed(4, interval=30.0)
        self.assertEqual(1, paced.available(0))
        paced.started('a', 0)
        paced.finished('a', 1, DONE)
        self.assertEqual(0, paced.available(10))
        self.assertAlmostEqual(20.0, paced.wait(10))
        self.assertEqual((1, 0.0), (paced.available(30), paced.wait(30)))

    def test_starts_that_fail_at_once_are_not_tried_at_any_rate(self):
        rng = random.Random(0)
        paced = pacer.Pacer(pacer.AdaptiveLimit(4), rng)
        now = 0.0
        for key in range(1000):
            while not paced.available(now):
                now += paced.wait(now)
            paced.started(key, now)
            paced.finished(key, now, NEUTRAL)
        self.assertAlmostEqual(1000 / pacer.REFILL_MIN, now, delta=1)

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
                paced.finished(key, seconds, DONE)
            self.assertEqual(expected, paced.deadline())


class TestBreaker(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.told = []
        self.pacer = pacer.Pacer(
            pacer.FixedLimit(4), random.Random(0), tell=self.told.append
        )
        self.now = 0.0

    def end(self, *outcomes):
        for outcome in outcomes:
            self.now += 1.0
            self.pacer.started('key', self.now)
            self.now += 1.0
            self.pacer.finished('key', self.now, outcome)

    def test_opens_after_five_overloads_in_a_row(self):
        self.end(HARD, HARD, HARD, HARD, DONE, HARD, HARD, HARD, HARD)
        self.assertEqual([], self.told)
        self.end(HARD)
        self.assertEqual(0, self.pacer.available(self.now))
        self.assertIn('5 starts in a row', self.told[0])

    def test_opens_if_most_of_the_last_failed(self):
        self.end(*[HARD, HARD, HARD, DONE] * 3)
        self.assertEqual([], self.told)
        self.end(HARD, HARD)
        self.assertIn('11 of the last 14', self.told[0])

    def test_failures_that_tell_nothing_do_not_open_it(self):
        self.end(*[NEUTRAL, SOFT] * 20)
        self.assertEqual([], self.told)

    def test_closes_after_three_good_starts_one_by_one(self):
        self.end(*[HARD] * 5)
        wait = self.pacer.wait(self.now)
        self.assertTrue(5 <= wait <= 60, wait)
        self.now += wait
        for _ in range(3):
            self.assertEqual(1, self.pacer.available(self.now))
            self.end(DONE)
        self.assertEqual(4, self.pacer.available(self.now + 10))
        self.assertEqual('breaker closed', self.told[-1])

    def test_stays_open_longer_if_it_still_fails(self):
        self.end(*[HARD] * 5)
        for _ in range(20):
            self.now += self.pacer.wait(self.now)
            self.end(HARD)
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
        self.end(*[HARD] * 5)
        self.now += self.pacer.wait(self.now)
        for key in range(4):
            self.pacer.finished(key, self.now, DONE)
        self.assertEqual(1, self.pacer.available(self.now))

    def test_an_engine_that_does_not_answer(self):
        self.pacer.pinged(0, 4.0)
        self.assertEqual(4, self.pacer.available(0))
        self.pacer.pinged(0, None)
        self.assertEqual(0, self.pacer.available(0))


class TestAdaptiveLimit(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.told = []
        rng = random.Random(0)
        self.limit = pacer.AdaptiveLimit(32, self.told.append)
        self.pacer = pacer.Pacer(self.limit, rng)
        self.host = host_model.EmulatedHost(
            host_model.HostModel(host_model.measured), self.pacer, rng
        )

    def test_begins_with_two(self):
        self.assertEqual(2, self.pacer.available(0))

    def test_not_above_its_own_limit(self):
        self.assertEqual(1, pacer.AdaptiveLimit(1).limit)

    def test_finds_the_knee(self):
        self.host.run(500)
        self.assertIn(self.limit.limit, (3, 4, 5))

    def test_does_not_grow_while_it_is_not_asked_for_more(self):
        now = 0.0
        for key in range(500):
            now += 1.0
            self.pacer.started(key, now)
            self.pacer.finished(key, now + 0.1, DONE)
        self.assertEqual(2, self.limit.limit)

    def test_a_burst_of_overload_cuts_once(self):
        self.host.run(200)
        before = self.limit.limit
        now = self.host.now + 1
        for key in 'abc':
            self.pacer.started(key, now)
        for key in 'abc':
            now += 0.1
            self.pacer.finished(key, now, HARD)
        self.assertEqual(before // 2, self.limit.limit)
        self.assertEqual(1, len(self.told))
        self.assertIn('overload', self.told[0])

    def test_does_not_climb_back_while_nothing_ends(self):
        self.host.run(200)
        now = self.host.now + 1
        self.pacer.started('failed', now)
        self.pacer.finished('failed', now + 1, HARD)
        cut = self.limit.limit
        self.assertLess(cut, self.limit._home)
        for key in range(cut):
            self.pacer.started(key, now + 1)
        for later in range(2, 100):
            self.pacer.started('another', now + later)
            self.assertLessEqual(self.limit.limit, cut)
            self.pacer.finished('another', now + later, NEUTRAL)

    def test_what_began_before_a_cut_does_not_climb_back(self):
        self.host.run(200)
        before = self.limit.limit
        now = self.host.now + 1
        for key in range(before):
            self.pacer.started(key, now)
        self.pacer.finished(0, now + 1, HARD)
        for key in range(1, before):
            self.pacer.finished(key, now + 1 + key, DONE)
        self.assertEqual(before // 2, self.limit.limit)

    def test_a_soft_failure_costs_a_tenth(self):
        self.host.run(200)
        before = self.limit.limit
        self.pacer.started('a', self.host.now + 1)
        self.pacer.finished('a', self.host.now + 2, SOFT)
        self.assertEqual(int(before * 0.9), self.limit.limit)

    def test_what_says_nothing_of_load_changes_nothing(self):
        self.host.run(200)
        before = self.limit.limit
        for key in range(20):
            self.pacer.started(key, self.host.now + key)
            self.pacer.finished(key, self.host.now + key, NEUTRAL)
        self.assertEqual(before, self.limit.limit)
        self.assertEqual([], self.told)

    def test_uneven_starts_are_not_taken_for_a_change(self):
        self.host.run(3000)
        self.assertEqual([], self.told)

    def test_what_fails_for_good_was_work_too(self):
        limit = pacer.AdaptiveLimit(2, self.told.append)
        paced = pacer.Pacer(limit, random.Random(0))
        for now in range(60):
            for key in 'ab':
                paced.started(key, now)
            for key in 'ab':
                paced.finished(key, now + 1, DONE if now < 20 else NEUTRAL)
        self.assertEqual([], self.told)
        self.assertAlmostEqual(2.0, limit.rate, delta=0.1)

    def test_comes_down_to_what_a_host_bears(self):
        model = host_model.HostModel(host_model.plateau(1.5, 12), outcome=HARD)
        rng = random.Random(0)
        host = host_model.EmulatedHost(model, self.pacer, rng)
        host.run(600)
        self.assertGreater(self.limit.limit, 8)
        model.bears = 4
        host.run(10**6, until=host.now + 300)
        self.assertEqual(4, self.limit.limit)
        before = host.tried
        host.run(300)
        self.assertLess(host.tried - before, 315)

    def test_forgets_what_is_long_ago(self):
        self.host.run(200)
        self.limit._known[32] = pacer.Known(0.9 * pacer.FORGOTTEN, 1.0)
        self.limit._note(1.0, 0.1)
        self.assertNotIn(32, self.limit._known)
        self.assertIn(self.limit._home, self.limit._known)

    def test_stays_at_the_knee(self):
        self.host.run(1000)
        began = self.host.now
        self.host.run(5000)
        # 9.9 a second is what the best limit gives.
        self.assertGreater(5000 / (self.host.now - began), 0.97 * 9.9)

    def test_never_below_one(self):
        for key in range(4):
            self.pacer.started(key, 10.0 * key)
            self.pacer.finished(key, 10.0 * key + 1, HARD)
        self.assertEqual(1, self.limit.limit)


class TestShow(base.BaseTestCase):
    """What an operator is shown."""

    def setUp(self):
        super().setUp()
        rng = random.Random(0)
        self.limit = pacer.AdaptiveLimit(8)
        self.pacer = pacer.Pacer(self.limit, rng)

    def run_one(self, key, since, seconds, outcome=DONE):
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
        self.run_one('a', 0, 1.0, HARD)
        self.run_one('b', 2, 1.0, NEUTRAL)
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
        self.pacer.replace_limit(pacer.FixedLimit(3))
        self.assertEqual(2, self.pacer.available(1))
        self.pacer.finished('a', 2, DONE)
        self.assertEqual(
            (3, 0, None),
            tuple(
                self.pacer.show(2)[name]
                for name in ('limit', 'in_flight', 'last_cut')
            ),
        )
        self.pacer.replace_limit(pacer.AdaptiveLimit(8))
        self.assertEqual(2, self.pacer.available(3))


class TestSlowedHost(base.BaseTestCase):
    """A host whose engine gets a quarter of its CPU, and gets it back."""

    def host(self, seed, limit, power, phases):
        rng = random.Random(seed)
        return host_model.EmulatedHost(
            host_model.HostModel(power, phases), pacer.Pacer(limit, rng), rng
        )

    def test_down_within_ten_seconds_and_back_within_sixty(self):
        rates = []
        for seed in range(20):
            told = []
            host = self.host(
                seed,
                pacer.AdaptiveLimit(32, told.append),
                host_model.measured,
                phases=((30, 1.0), (60, 0.25), (60, 1.0)),
            )
            host.run(10**6, until=30)
            told.clear()
            host.run(10**6, until=40)
            self.assertIn('the rate fell', told[0], seed)
            host.run(10**6, until=120)
            before = host.tried
            host.run(10**6, until=150)
            rates.append((host.tried - before) / 30)
            self.assertEqual(0, host.violations)
        # 9.9 a second is what the best limit gives.
        self.assertGreater(sum(rates) / len(rates), 0.95 * 9.9)
        self.assertGreater(min(rates), 0.75 * 9.9)

    def test_of_a_host_that_does_four_a_second(self):
        late = 0
        for seed in range(20):
            told = []
            limit = pacer.AdaptiveLimit(32, told.append)
            host = self.host(
                seed,
                limit,
                lambda flying, containers: (
                    0.45 * host_model.measured(flying, containers)
                ),
                phases=((20 + seed, 1.0), (100, 0.25)),
            )
            host.run(10**6, until=20 + seed)
            before = limit.limit
            told.clear()
            host.run(10**6, until=30 + seed)
            # Or what was tried is given up without a word, being more.
            late += not told and limit.limit >= before
        self.assertLessEqual(late, 2)
