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

"""Rates, bars and charts."""

import time
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
        self.assertEqual(10, len(samples))
        self.assertEqual(1, progress.rate(samples, now=1090))
        # What is long ago does not count.
        self.assertIsNone(progress.rate(samples, now=2000))
        self.assertIsNone(progress.rate(samples[:1], now=1000))

    def test_samples_are_bounded(self):
        made = bulk(0)
        for second in range(3000):
            samples = progress.sample(api.Bulk(made), now=1000 + second)
            self.assertLessEqual(len(samples), progress.MAX_SAMPLES)
        self.assertEqual(1000 + 2999, samples[-1][0])

    def test_what_is_done_leaves_no_more_samples(self):
        made = api.Bulk(bulk(100, status='ready'))
        progress.sample(made, now=1000)
        self.assertEqual(1, len(progress.sample(made, now=2000)))

    def test_chart(self):
        self.assertIsNone(progress.chart([]))
        self.assertIsNone(progress.chart([(1000, 5)]))
        now = time.time()
        chart = progress.chart([(now - 30, 0), (now - 20, 50), (now, 60)])
        self.assertEqual('5.0', chart['highest'])
        points = [
            tuple(map(float, point.split(',')))
            for point in chart['line'].split()
        ]
        self.assertEqual(4, len(points))
        for x, y in points:
            self.assertTrue(chart['left'] <= x <= chart['right'])
            self.assertTrue(chart['top'] <= y <= chart['bottom'])
        # The highest is at the top.
        self.assertEqual(chart['top'], points[0][1])

    def test_chart_of_a_deletion(self):
        chart = progress.chart([(1000, 50), (1010, 0)])
        self.assertEqual('0.0', chart['highest'])

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
        told, more = progress.failures(api.Bulk(made))
        self.assertEqual(1, len(told))
        self.assertIn('3 containers', more)
