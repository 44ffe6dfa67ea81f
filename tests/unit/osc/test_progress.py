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

from tests.unit.osc import base as osc_base
from zun_bulk.osc import progress


FINAL = ('running', 'failed', 'cancelled')


class TestFormatDuration(base.BaseTestCase):
    def test_format(self):
        for seconds, text in (
            (0.2, '1 s'),
            (59, '59 s'),
            (59.5, '1 min 0 s'),
            (80, '1 min 20 s'),
            (7500, '2 h 5 min'),
        ):
            self.assertEqual(text, progress.format_duration(seconds))


class TestProgress(base.BaseTestCase):
    def track(self, total, *seen):
        """Return a Progress updated with (time, counts) pairs, from time 0."""
        tracker = progress.Progress(total, FINAL, 0)
        for now, counts in seen:
            tracker.update(counts, now)
        return tracker

    def test_no_update(self):
        tracker = self.track(60)
        self.assertEqual(0, tracker.done)
        self.assertIsNone(tracker.rate)
        self.assertIsNone(tracker.eta)
        self.assertEqual(0.5, tracker.poll_interval)

    def test_pending_floating_ips(self):
        tracker = self.track(4, (0, {'queued': 4}), (1, {'running': 3}))
        tracker.update({'running': 3, 'starting': 1}, 2, 2)
        self.assertNotIn('floating', tracker.line())
        # Once all run, they are what is waited for.
        tracker.update({'running': 4}, 30, 2)
        self.assertEqual(
            '4 of 4 done: running 4, floating IPs pending 2',
            tracker.line().partition(';')[0],
        )
        self.assertIsNone(tracker.eta)
        self.assertEqual(2.0, tracker.poll_interval)

    def test_done_counts_all_final_states(self):
        tracker = self.track(
            60,
            (1, {'running': 5, 'failed': 2, 'cancelled': 1, 'starting': 52}),
        )
        self.assertEqual(8, tracker.done)

    def test_rate_and_eta(self):
        tracker = self.track(
            60, (0, {'queued': 60}), (4, {'running': 20, 'queued': 40})
        )
        self.assertEqual(5.0, tracker.rate)
        self.assertEqual(8.0, tracker.eta)
        self.assertEqual(4, tracker.elapsed)

    def test_rate_over_a_window(self):
        tracker = self.track(
            1000,
            (0, {'running': 0}),
            (10, {'running': 500}),
            (20, {'running': 510}),
            (30, {'running': 520}),
        )
        self.assertEqual(1.0, tracker.rate)

    def test_rate_over_a_gap_longer_than_the_window(self):
        tracker = self.track(100, (0, {'running': 0}), (60, {'running': 30}))
        self.assertEqual(0.5, tracker.rate)

    def test_stalled(self):
        tracker = self.track(
            60, (0, {'running': 7}), (50, {'running': 7}), (90, {'running': 7})
        )
        self.assertEqual(0.0, tracker.rate)
        self.assertIsNone(tracker.eta)
        self.assertEqual(2.0, tracker.poll_interval)

    def test_rate_is_not_negative(self):
        tracker = self.track(60, (0, {'running': 7}), (1, {'deleting': 7}))
        self.assertEqual(0.0, tracker.rate)

    def test_same_time_twice(self):
        tracker = self.track(60, (1, {'running': 7}), (1, {'running': 9}))
        self.assertIsNone(tracker.rate)

    def test_finished(self):
        tracker = self.track(2, (0, {'running': 0}), (1, {'running': 2}))
        self.assertEqual(0.0, tracker.eta)
        self.assertEqual('2 of 2 done: running 2; 2.0/s', tracker.line())

    def test_poll_interval(self):
        for elapsed, done, interval in (
            (1, 1, 0.5),
            (10, 10, 1.0),
            (30, 30, 2.0),
            (500, 500, 2.0),
            (990, 990, 1.0),
            (999, 999, 0.5),
        ):
            tracker = self.track(
                1000, (0, {'running': 0}), (elapsed, {'running': done})
            )
            self.assertAlmostEqual(interval, tracker.poll_interval)

    def test_line(self):
        tracker = self.track(
            60,
            (0, {'queued': 60}),
            (10, {'queued': 0, 'placed': 22, 'starting': 4, 'running': 34}),
        )
        self.assertEqual(
            '34 of 60 done: running 34, starting 4, placed 22; 3.4/s, '
            '8 s left',
            tracker.line(),
        )

    def test_bar(self):
        tracker = self.track(
            60, (0, {'queued': 60}), (10, {'queued': 30, 'running': 30})
        )
        self.assertEqual(
            '[' + '#' * 20 + '-' * 20 + '] 30/60  running 30, queued 30  '
            '3.0/s  10 s left',
            tracker.bar(200),
        )
        self.assertEqual(
            '[#######-------] 30/60  3.0/s  10 s left', tracker.bar(40)
        )
        self.assertEqual('[#######-------] 30/60  10 s left', tracker.bar(33))
        self.assertEqual('[#####-----] 30/60', tracker.bar(18))
        self.assertEqual('30/60', tracker.bar(17))
        self.assertEqual('30/', tracker.bar(3))

    def test_bar_fits(self):
        tracker = self.track(
            10000,
            (0, {'queued': 10000}),
            (
                100,
                {
                    'queued': 5000,
                    'placed': 2000,
                    'starting': 1000,
                    'running': 1500,
                    'failed': 500,
                },
            ),
        )
        for width in range(1, 250):
            self.assertLessEqual(len(tracker.bar(width)), width)


class TestReporter(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.stream = osc_base.Stream()
        self.tracker = progress.Progress(60, FINAL, 0)

    def show(self, reporter, now, **counts):
        self.tracker.update(counts, now)
        reporter.show(self.tracker, now)

    def test_plain_lines(self):
        reporter = progress.Reporter(self.stream)
        self.show(reporter, 0, queued=60)
        self.show(reporter, 1, queued=50, running=10)
        self.show(reporter, 6, queued=40, running=20)
        self.show(reporter, 20, queued=40, running=20)
        self.show(reporter, 21, queued=30, running=30)
        self.show(reporter, 22, running=60)
        reporter.close()
        self.assertEqual(
            ['0 of 60', '20 of 60', '30 of 60', '60 of 60'],
            [
                line.partition(' done')[0]
                for line in self.stream.getvalue().splitlines()
            ],
        )

    def test_bar_overwrites_a_longer_one(self):
        self.stream.terminal = True
        reporter = progress.Reporter(self.stream)
        self.show(reporter, 0, queued=20, placed=20, starting=20)
        self.show(reporter, 1, running=60)
        reporter.note('Done.')
        _empty, first, second = self.stream.getvalue().split('\r')
        second, note, end = second.split('\n')
        self.assertEqual(len(first), len(second))
        self.assertEqual('Done.', note)
        self.assertEqual('', end)

    def test_close_twice(self):
        self.stream.terminal = True
        reporter = progress.Reporter(self.stream)
        self.show(reporter, 0, queued=60)
        reporter.close()
        reporter.close()
        self.assertEqual(1, self.stream.getvalue().count('\n'))
