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

"""Tests of rates, bars and charts."""

import unittest

from django.core.cache import cache

from tests.dashboard import base
from zun_bulk.dashboard import api
from zun_bulk.dashboard import progress


def bulk(done, count=100, **changes):
    made = base.make_bulk(count=count, **changes)
    made['members'] = dict.fromkeys(base.STATES, 0)
    made['members'].update(running=done, queued=count - done)
    return made


class TestProgress(unittest.TestCase):
    def setUp(self):
        cache.clear()

    def test_bars(self):
        self.assertEqual(
            [('running', '33.33'), ('failed', '16.67')],
            [
                (bar['state'], bar['width'])
                for bar in progress.bars(
                    {'running': 2, 'failed': 1, 'queued': 3}, 6
                )
            ],
        )
        self.assertEqual([], progress.bars({}, 0))

    def test_rate(self):
        made = bulk(0)
        for second in range(0, 100, 10):
            made['members'].update(running=second, queued=100 - second)
            samples = progress.sample(api.Bulk(made), now=1000 + second)
        self.assertEqual(1, progress.rate(samples, now=1090))
        # Old samples do not count.
        self.assertIsNone(progress.rate(samples, now=2000))
        self.assertIsNone(progress.rate(samples[:1], now=1000))

    def test_samples_are_bounded(self):
        made = bulk(0)
        for second in range(300):
            samples = progress.sample(api.Bulk(made), now=1000 + second)
        self.assertEqual(
            [1299 - progress.WINDOW, 1299], [samples[0][0], samples[-1][0]]
        )

    def test_a_finished_bulk_adds_no_samples(self):
        made = api.Bulk(bulk(100, status='ready'))
        progress.sample(made, now=1000)
        self.assertEqual(1, len(progress.sample(made, now=2000)))

    def test_rate_at_the_first_request(self):
        made = api.Bulk(
            bulk(50, rates=base.make_rates([0] * 20 + [10] * 5, 2))
        )
        samples = progress.sample(made)
        # 50 members in the last 30 s.
        self.assertEqual('1.7/s', progress.rate_text(made, samples))
        self.assertEqual('30 s left', progress.eta_text(made, samples))
        # The API returns no rates of a bulk that is being deleted.
        made.status = 'deleting'
        self.assertEqual('', progress.rate_text(made, samples))

    def test_chart(self):
        self.assertIsNone(progress.chart(None))
        self.assertIsNone(progress.chart(base.make_rates([0, 0], 1)))
        chart = progress.chart(base.make_rates([0, 50, 10], 10))
        self.assertEqual('5.0', chart['highest'])
        self.assertRegex(chart['start'], '^3[0-5] s ago$')
        self.assertEqual('now', chart['end'])
        self.assertIn('over 30 s; maximum 5.0', chart['description'])
        points = [
            tuple(map(float, point.split(',')))
            for point in chart['line'].split()
        ]
        self.assertEqual(6, len(points))
        for x, y in points:
            self.assertTrue(chart['left'] <= x <= chart['right'])
            self.assertTrue(chart['top'] <= y <= chart['bottom'])
        self.assertEqual(
            [chart['left'], chart['right']], [points[0][0], points[-1][0]]
        )
        # The highest rate is at the top, zero at the bottom.
        self.assertEqual(chart['top'], points[2][1])
        self.assertEqual(chart['bottom'], points[0][1])

    def test_chart_with_a_short_last_step(self):
        rates = base.make_rates([10, 1], 10)
        rates['end'] = rates['start'][:17] + '11Z'
        rates['start'] = rates['start'][:17] + '00Z'
        self.assertEqual('1.0', progress.chart(rates)['highest'])
        self.assertIn('11 s', progress.chart(rates)['description'])

    def test_hosts(self):
        made = bulk(100)
        made['hosts'] = {
            f'host-{number:03}': {'running': number} for number in range(150)
        }
        shown, more = progress.hosts(api.Bulk(made))
        self.assertEqual(progress.MAX_HOSTS, len(shown))
        self.assertEqual(50, more)
        self.assertEqual('host-149', shown[0]['name'])
        self.assertEqual('100.00', shown[0]['bars'][0]['width'])

    def test_failures(self):
        made = bulk(0)
        made['members']['failed'] = 7
        made['failures'] = [{'class': 'image', 'reason': 'x', 'count': 4}]
        reasons, more = progress.failures(api.Bulk(made))
        self.assertEqual(1, len(reasons))
        self.assertIn('3 containers', more)
