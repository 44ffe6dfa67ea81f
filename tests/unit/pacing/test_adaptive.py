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
from zun_bulk.pacing.adaptive import AdaptiveLimit
from zun_bulk.pacing.adaptive import Record
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.pacer import Pacer
from zun_bulk.pacing.tuning import TUNING


class TestAdaptiveLimit(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.messages = []
        rng = random.Random(0)
        self.limit = AdaptiveLimit(32, self.messages.append)
        self.pacer = Pacer(self.limit, rng)
        self.host = host_model.EmulatedHost(
            host_model.HostModel(host_model.measured), self.pacer, rng
        )

    def test_begins_with_two(self):
        self.assertEqual(2, self.pacer.available(0))

    def test_not_above_its_own_limit(self):
        self.assertEqual(1, AdaptiveLimit(1).limit)

    def test_finds_the_knee(self):
        self.host.run(500)
        self.assertIn(self.limit.limit, (3, 4, 5))

    def test_does_not_grow_while_it_is_not_asked_for_more(self):
        now = 0.0
        for key in range(500):
            now += 1.0
            self.pacer.started(key, now)
            self.pacer.finished(key, now + 0.1, Outcome.DONE)
        self.assertEqual(2, self.limit.limit)

    def test_a_burst_of_overload_cuts_once(self):
        self.host.run(200)
        before = self.limit.limit
        now = self.host.now + 1
        for key in 'abc':
            self.pacer.started(key, now)
        for key in 'abc':
            now += 0.1
            self.pacer.finished(key, now, Outcome.HARD)
        self.assertEqual(before // 2, self.limit.limit)
        self.assertEqual(1, len(self.messages))
        self.assertIn('overload', self.messages[0])

    def test_does_not_climb_back_while_nothing_ends(self):
        self.host.run(200)
        now = self.host.now + 1
        self.pacer.started('failed', now)
        self.pacer.finished('failed', now + 1, Outcome.HARD)
        cut = self.limit.limit
        self.assertLess(cut, self.limit._best)
        for key in range(cut):
            self.pacer.started(key, now + 1)
        for later in range(2, 100):
            self.pacer.started('another', now + later)
            self.assertLessEqual(self.limit.limit, cut)
            self.pacer.finished('another', now + later, Outcome.NEUTRAL)

    def test_what_began_before_a_cut_does_not_climb_back(self):
        self.host.run(200)
        before = self.limit.limit
        now = self.host.now + 1
        for key in range(before):
            self.pacer.started(key, now)
        self.pacer.finished(0, now + 1, Outcome.HARD)
        for key in range(1, before):
            self.pacer.finished(key, now + 1 + key, Outcome.DONE)
        self.assertEqual(before // 2, self.limit.limit)

    def test_a_soft_failure_costs_a_tenth(self):
        self.host.run(200)
        before = self.limit.limit
        self.pacer.started('a', self.host.now + 1)
        self.pacer.finished('a', self.host.now + 2, Outcome.SOFT)
        self.assertEqual(int(before * 0.9), self.limit.limit)

    def test_what_says_nothing_of_load_changes_nothing(self):
        self.host.run(200)
        before = self.limit.limit
        for key in range(20):
            self.pacer.started(key, self.host.now + key)
            self.pacer.finished(key, self.host.now + key, Outcome.NEUTRAL)
        self.assertEqual(before, self.limit.limit)
        self.assertEqual([], self.messages)

    def test_uneven_starts_are_not_taken_for_a_change(self):
        self.host.run(3000)
        self.assertEqual([], self.messages)

    def test_what_fails_for_good_was_work_too(self):
        limit = AdaptiveLimit(2, self.messages.append)
        paced = Pacer(limit, random.Random(0))
        for now in range(60):
            for key in 'ab':
                paced.started(key, now)
            for key in 'ab':
                paced.finished(
                    key, now + 1, Outcome.DONE if now < 20 else Outcome.NEUTRAL
                )
        self.assertEqual([], self.messages)
        self.assertAlmostEqual(2.0, limit.rate, delta=0.1)

    def test_comes_down_to_what_a_host_bears(self):
        model = host_model.HostModel(
            host_model.plateau(1.5, 12), outcome=Outcome.HARD
        )
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
        self.limit._records[32] = Record(0.9 * TUNING.min_record_starts, 1.0)
        self.limit._learn(1.0, 0.1)
        self.assertNotIn(32, self.limit._records)
        self.assertIn(self.limit._best, self.limit._records)

    def test_stays_at_the_knee(self):
        self.host.run(1000)
        began = self.host.now
        self.host.run(5000)
        # 9.9 a second is what the best limit gives.
        self.assertGreater(5000 / (self.host.now - began), 0.97 * 9.9)

    def test_never_below_one(self):
        for key in range(4):
            self.pacer.started(key, 10.0 * key)
            self.pacer.finished(key, 10.0 * key + 1, Outcome.HARD)
        self.assertEqual(1, self.limit.limit)


class TestSlowedHost(base.BaseTestCase):
    """A host whose engine gets a quarter of its CPU, and gets it back."""

    def host(self, seed, limit, power, phases):
        rng = random.Random(seed)
        return host_model.EmulatedHost(
            host_model.HostModel(power, phases), Pacer(limit, rng), rng
        )

    def test_down_within_ten_seconds_and_back_within_sixty(self):
        rates = []
        for seed in range(20):
            messages = []
            host = self.host(
                seed,
                AdaptiveLimit(32, messages.append),
                host_model.measured,
                phases=((30, 1.0), (60, 0.25), (60, 1.0)),
            )
            host.run(10**6, until=30)
            messages.clear()
            host.run(10**6, until=40)
            self.assertIn('the rate fell', messages[0], seed)
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
            messages = []
            limit = AdaptiveLimit(32, messages.append)
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
            messages.clear()
            host.run(10**6, until=30 + seed)
            # Or what was tried is given up without a word, being more.
            late += not messages and limit.limit >= before
        self.assertLessEqual(late, 2)
