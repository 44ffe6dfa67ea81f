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


import argparse
import time
from unittest import mock

import ddt
import fixtures
from oslotest import base

from tests.unit.osc import log_fixtures
from zun_bulk.osc import log_lines


@ddt.ddt
class TestTimes(base.BaseTestCase):
    @ddt.data(
        (
            '2026-01-02T03:04:05.123456789Z text',
            log_fixtures.NOW + 123456789,
            'text',
        ),
        (
            '2026-01-02T03:04:05.000000001Z  a b ',
            log_fixtures.NOW + 1,
            ' a b ',
        ),
        ('2026-01-02T03:04:05Z ', log_fixtures.NOW, ''),
        (
            '2026-01-02T03:04:05.5Z text',
            log_fixtures.NOW + 500 * log_fixtures.MILLISECOND,
            'text',
        ),
        (
            '2026-01-02T05:04:05.7+02:00 x',
            log_fixtures.NOW + 700 * log_fixtures.MILLISECOND,
            'x',
        ),
        ('2026-13-02T03:04:05Z text', None, '2026-13-02T03:04:05Z text'),
        ('2026-01-02T03:04:05 text', None, '2026-01-02T03:04:05 text'),
        ('no time', None, 'no time'),
        ('', None, ''),
    )
    @ddt.unpack
    def test_line(self, line, moment, text):
        self.assertEqual((moment, text), log_lines.parse_line(line))

    @ddt.data(
        ('2026-01-02T03:04:05Z', log_fixtures.NOW),
        ('2026-01-02T03:04:05.123456789Z', log_fixtures.NOW + 123456789),
        (
            '2026-01-02T04:04:05.1+01:00',
            log_fixtures.NOW + 100 * log_fixtures.MILLISECOND,
        ),
        ('1767323045', log_fixtures.NOW),
        ('1767323045.000000009', log_fixtures.NOW + 9),
        ('0', 0),
    )
    @ddt.unpack
    def test_since(self, text, moment):
        self.assertEqual(moment, log_lines.since_time(text))

    @ddt.data(
        ('10m', 600), ('1h30m', 5400), ('2d', 172800), ('1m5s', 65), ('0s', 0)
    )
    @ddt.unpack
    def test_since_a_time_ago(self, text, ago):
        with mock.patch.object(
            log_lines.time, 'time', return_value=1767323045.0
        ):
            self.assertEqual(
                log_fixtures.NOW - ago * log_lines.SECOND,
                log_lines.since_time(text),
            )

    def test_since_local_time(self):
        self.addCleanup(log_lines._unix_time.cache_clear)
        self.addCleanup(time.tzset)
        self.useFixture(fixtures.EnvironmentVariable('TZ', 'UTC-2'))
        time.tzset()
        log_lines._unix_time.cache_clear()
        for text in ('2026-01-02T05:04:05', '2026-01-02 05:04:05'):
            self.assertEqual(log_fixtures.NOW, log_lines.since_time(text))
        self.assertEqual(
            log_fixtures.NOW - (5 * 3600 + 245) * log_lines.SECOND,
            log_lines.since_time('2026-01-02'),
        )

    @ddt.data(
        '', 'yesterday', '-5', '10x', 'm', '2026-13-01', '9' * 12, '5m1h'
    )
    def test_invalid_since(self, text):
        self.assertRaises(
            argparse.ArgumentTypeError, log_lines.since_time, text
        )


class TestLines(base.BaseTestCase):
    def test_only_newlines_end_lines(self):
        self.assertEqual(
            ['a\rb\x0b\u2028c', '', 'de', 'f'],
            list(
                log_lines.split_lines(['a\rb\x0b\u2028', 'c\n\nd', 'e\n', 'f'])
            ),
        )
        self.assertEqual([], list(log_lines.split_lines([])))

    def test_long_lines_are_split_at_the_same_places(self):
        length = log_lines.LONGEST_LINE
        text = f'{"a" * length}\n{"b" * (2 * length + 5)}\nc\n'
        wanted = ['a' * length, 'b' * length, 'b' * length, 'bbbbb', 'c']
        for size in (length // 3, length, length + 1, len(text)):
            pieces = [
                text[start : start + size]
                for start in range(0, len(text), size)
            ]
            self.assertEqual(wanted, list(log_lines.split_lines(pieces)))
