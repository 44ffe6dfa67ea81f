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
import threading
import time
from unittest import mock

from oslotest import base

from zun_bulk.pacing import throttle
from zun_bulk.pacing.adaptive import FixedLimit
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.pacer import Pacer


class TestThrottle(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.freed = mock.Mock()
        self.pacer = Pacer(FixedLimit(2), random.Random(0))
        self.throttle = throttle.Throttle('start', self.pacer, self.freed)

    def in_thread(self, key, done):
        """Take a slot in a thread and give it back once ``done`` is set."""

        def work():
            with self.throttle.slot(key):
                done.wait(10)

        thread = threading.Thread(target=work)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(done.set)
        return thread

    def wait_for(self, condition):
        end = time.monotonic() + 10
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.001)

    def waiting(self):
        return len(self.throttle._waiting)

    def test_never_more_than_the_limit(self):
        done = [threading.Event() for _ in range(6)]
        for key, event in enumerate(done):
            self.in_thread(key, event)
        self.wait_for(lambda: self.waiting() == 4)
        self.assertEqual(2, self.pacer.in_flight)
        for key in range(4):
            done[key].set()
            self.wait_for(lambda key=key: self.waiting() == 3 - key)
            self.assertEqual(2, self.pacer.in_flight)

    def test_first_come_first_served(self):
        order = []
        first = threading.Event()
        now = time.monotonic()
        self.throttle.started('a member', now)
        self.in_thread('first', first)
        self.wait_for(lambda: self.pacer.in_flight == 2)

        def work(key):
            with self.throttle.slot(key):
                order.append(key)

        threads = []
        for key in 'abcd':
            threads.append(threading.Thread(target=work, args=(key,)))
            threads[-1].start()
            self.wait_for(lambda: self.waiting() == len(threads))
        first.set()
        for thread in threads:
            thread.join()
        self.assertEqual(['a', 'b', 'c', 'd'], order)

    def test_others_can_run_while_one_waits_behind_another(self):
        """A greenthread that waits for 0 s keeps all others from running."""
        waits = []

        def wait(seconds):
            waits.append(seconds)
            # There is room, and the first has not been woken yet.
            if len(waits) == 3:
                self.throttle._waiting.remove('first')

        self.throttle._waiting.append('first')
        with mock.patch.object(self.throttle._condition, 'wait', wait):
            with self.throttle.slot('second'):
                self.assertEqual(1, self.pacer.in_flight)
        self.assertEqual(3, len(waits))
        self.assertGreater(min(waits), 0)

    def test_waiting_threads_go_before_a_bulk(self):
        now = time.monotonic()
        self.assertEqual(2, self.throttle.room(now))
        self.pacer.holds['operator'] = 'maintenance'
        done = threading.Event()
        self.in_thread('single', done)
        self.wait_for(lambda: self.waiting() == 1)
        # As if it had been released and the single one not woken yet.
        with self.throttle._condition:
            self.pacer.holds.clear()
            room = self.pacer.available(now) - self.waiting()
        self.assertEqual(1, room)
        self.wait_for(lambda: self.pacer.in_flight == 1)
        self.assertEqual(1, self.throttle.room(time.monotonic()))

    def test_a_failure_is_reported_to_the_pacer(self):
        record_end = self.pacer._limit.record_end = mock.Mock()
        for error, outcome in (
            (RuntimeError('context deadline exceeded'), Outcome.HARD),
            (RuntimeError('No such image: x'), Outcome.NEUTRAL),
        ):
            with self.assertRaisesRegex(RuntimeError, str(error)):
                with self.throttle.slot('key'):
                    raise error
            self.assertIs(outcome, record_end.call_args.args[2])
        self.assertEqual(0, self.pacer.in_flight)
        self.assertEqual(2, self.freed.call_count)

    def test_a_registry_that_is_overloaded(self):
        for remote, outcome in (
            (False, Outcome.NEUTRAL),
            (True, Outcome.HARD),
        ):
            throttled = throttle.Throttle('pulls', self.pacer, remote=remote)
            record_end = self.pacer._limit.record_end = mock.Mock()
            with self.assertRaisesRegex(RuntimeError, 'toomanyrequests'):
                with throttled.slot('busybox:latest'):
                    raise RuntimeError('toomanyrequests: rate limit')
            self.assertIs(outcome, record_end.call_args.args[2])

    def test_show_counts_waiting_threads(self):
        now = time.monotonic()
        for key in 'ab':
            self.throttle.started(key, now)
        done = threading.Event()
        self.in_thread('single', done)
        self.wait_for(lambda: self.waiting() == 1)
        shown = self.throttle.show(now)
        self.assertEqual((2, 1), (shown['in_flight'], shown['waiting']))
        self.throttle.finished('a', now, Outcome.DONE)

    def test_waiting_threads_use_a_higher_limit(self):
        for key in 'ab':
            self.throttle.started(key, time.monotonic())
        done = threading.Event()
        self.in_thread('single', done)
        self.wait_for(lambda: self.waiting() == 1)
        self.throttle.adjust(limit=FixedLimit(3))
        self.wait_for(lambda: self.pacer.in_flight == 3)

    def test_another_interval(self):
        self.throttle.adjust(interval=30.0)
        self.assertEqual(1, self.throttle.room(0))
        self.throttle.started('a', 0)
        self.assertEqual(0, self.throttle.room(29.5))
        self.throttle.adjust(interval=0.0)
        self.assertEqual(1, self.throttle.room(30))
        self.assertEqual(2, self.throttle.show(30)['limit'])


class TestSettings(base.BaseTestCase):
    def test_what_is_set_goes_before_the_configuration(self):
        settings = throttle.Settings('adaptive', 4, 30.0)
        self.assertEqual(
            settings,
            settings.overridden(
                mode=None, max_in_flight=None, start_interval=None
            ),
        )
        self.assertEqual(
            throttle.Settings('fixed', 0, 0.0),
            settings.overridden(
                mode='fixed', max_in_flight=0, start_interval=0.0
            ),
        )

    def test_limits(self):
        for settings, limit, highest in (
            (throttle.Settings('fixed', 3, 0.0), 3, None),
            (throttle.Settings('fixed', 0, 0.0), 2, None),
            (throttle.Settings('adaptive', 3, 0.0), 2, 3),
        ):
            made = throttle.new_limit('starts', 'host-1', settings)
            self.assertEqual(limit, made.limit)
            self.assertEqual(highest, getattr(made, '_highest', None))
