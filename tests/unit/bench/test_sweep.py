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
import threading
import time
from unittest import mock

from oslotest import base

from tests.bench import exceptions
from tests.bench import loads
from tests.bench import sweep
from zun_bulk.pacing.adaptive import FixedLimit
from zun_bulk.pacing.pacer import Pacer


def fixed(limit, seconds, started=100, failed=0):
    return sweep.Run('fixed', limit, seconds, started, 0, failed)


def adaptive(seconds, started=100):
    return sweep.Run('adaptive', 5, seconds, started, 0, 0)


class TestOrder(base.BaseTestCase):
    def test_each_once_before_any_again(self):
        ordered = sweep.order([1, 2, 4], 3, 7)
        for first in (0, 4, 8):
            self.assertCountEqual([1, 2, 4, None], ordered[first : first + 4])

    def test_by_the_seed(self):
        orders = {tuple(sweep.order([1, 2, 4, 8], 1, n)) for n in range(20)}
        self.assertGreater(len(orders), 10)
        self.assertEqual(sweep.order([1, 2], 2, 3), sweep.order([1, 2], 2, 3))


class TestSummary(base.BaseTestCase):
    def test_the_best_limit(self):
        runs = [fixed(1, 20.0), adaptive(11.0), fixed(2, 10.0), fixed(4, 12.5)]
        self.assertEqual(
            {
                'best_fixed_limit': 2,
                'best_fixed_per_s': 10.0,
                'adaptive_per_s': 9.09,
                'ratio': 0.909,
                'failed': 0,
            },
            sweep.summary(runs),
        )

    def test_all_runs_of_a_limit_count(self):
        runs = [fixed(1, 5.0), fixed(1, 20.0), fixed(2, 10.0), adaptive(10.0)]
        # One lucky run of limit 1 does not make it the best.
        self.assertEqual(2, sweep.summary(runs)['best_fixed_limit'])

    def test_failures(self):
        runs = [fixed(1, 5.0, started=98, failed=2), adaptive(10.0)]
        self.assertEqual(2, sweep.summary(runs)['failed'])

    def test_nothing_started(self):
        runs = [fixed(1, 5.0, started=0), adaptive(1.0, started=0)]
        self.assertIsNone(sweep.summary(runs)['ratio'])

    def test_table(self):
        lines = sweep.table([fixed(4, 12.5)])
        self.assertEqual(
            ['fixed', '4', '12.5', '8.00', '0', '0'], lines[1].split()
        )


class TestPaced(base.BaseTestCase):
    def paced(self, work, limit=3, threads=8):
        return sweep.Paced(
            Pacer(FixedLimit(limit), random.Random(0)), work, threads
        )

    def test_all_are_done_within_the_limit(self):
        lock, flying, most, done = threading.Lock(), [], [0], []

        def work(number):
            with lock:
                flying.append(number)
                most[0] = max(most[0], len(flying))
            time.sleep(0.002)
            with lock:
                flying.remove(number)
                done.append(number)

        load = self.paced(work)
        load.run(30)
        self.assertEqual((list(range(30)), 3), (sorted(done), most[0]))
        self.assertEqual((30, 0, 0), (load.started, load.retried, load.failed))

    def test_what_may_pass_is_tried_again(self):
        seen = collections.Counter()

        def work(number):
            seen[number] += 1
            if number == 1 and seen[1] == 1:
                raise loads.LoadError('500 device or resource busy')

        load = self.paced(work)
        load.run(3)
        self.assertEqual({0: 1, 1: 2, 2: 1}, seen)
        self.assertEqual((3, 1, 0), (load.started, load.retried, load.failed))

    def test_what_cannot_pass_is_not(self):
        work = mock.Mock(side_effect=loads.LoadError('404 no such image'))
        load = self.paced(work)
        load.run(4)
        self.assertEqual(4, work.call_count)
        self.assertEqual((0, 0, 4), (load.started, load.retried, load.failed))

    def test_nothing_is_tried_for_ever(self):
        work = mock.Mock(side_effect=loads.LoadError('500 xtables lock'))
        load = self.paced(work)
        load.run(1)
        self.assertEqual(sweep.TRIES, work.call_count)
        self.assertEqual(1, load.failed)

    def test_stopped(self):
        load = self.paced(lambda number: number == 20 and load.stop())
        load.run(1000000)
        self.assertLess(20, load.started)
        self.assertLess(load.begun, 1000)
        self.assertEqual(load.begun, load.started)


class TestEngine(base.BaseTestCase):
    def engine(self, *statuses):
        engine = sweep.Engine('unix:///nowhere', 'busy:1')
        engine.call = mock.Mock(
            side_effect=[(status, {'message': 'why'}) for status in statuses]
        )
        return engine

    def test_create_and_start(self):
        engine = self.engine(201, 204)
        engine.start(7)
        create, start = engine.call.call_args_list
        name = f'{engine.prefix}7'
        self.assertEqual(f'/containers/create?name={name}', create.args[1])
        self.assertEqual('none', create.args[2]['HostConfig']['NetworkMode'])
        self.assertEqual(f'/containers/{name}/start', start.args[1])

    def test_what_is_there_already(self):
        self.engine(409, 304).start(7)

    def test_refused(self):
        error = self.assertRaises(loads.LoadError, self.engine(500).start, 7)
        self.assertIn('why', str(error))
        self.assertRaises(loads.LoadError, self.engine(201, 409).start, 7)

    def test_clear(self):
        engine = self.engine(204, 404, 204)
        engine.clear(3)
        self.assertEqual(3, engine.call.call_count)

    def test_one_stays(self):
        self.assertRaises(exceptions.BenchError, self.engine(500).clear, 1)
