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

import datetime

import ddt
from oslotest import base

from zun_bulk.api import rates


MADE = datetime.datetime(2026, 1, 2, 3, 4, 5)


def after(seconds):
    return MADE + datetime.timedelta(seconds=seconds)


@ddt.ddt
class TestSpan(base.BaseTestCase):
    @ddt.data(
        (0, 1, 1),
        (0.2, 1, 1),
        (1, 1, 1),
        (59.5, 60, 1),
        (60, 60, 1),
        (60.1, 31, 2),
        (120, 60, 2),
        (7200, 57, 128),
        (365 * 86400, 31, 2**20),
    )
    @ddt.unpack
    def test_all(self, seconds, number, step):
        span = rates.span(MADE, after(seconds), 10**9)
        self.assertEqual((MADE, step), (span.start, span.step))
        self.assertEqual(number, len(span.ends))
        self.assertFalse(span.is_cut)
        self.assertEqual(span.end, span.ends[-1])
        self.assertTrue(after(seconds) <= span.end <= after(seconds + 1))

    @ddt.data(1, 2, 59, 60, 61, 119, 120, 1000, 86399, 86400)
    def test_window(self, window):
        for seconds in (86400, 86401, 86459):
            span = rates.span(MADE, after(seconds), window)
            self.assertLessEqual(len(span.ends), rates.MAX_STEPS)
            # All that was asked for, and less than a step besides.
            early = (span.end - span.start).total_seconds() - window
            self.assertTrue(0 <= early < span.step)
            self.assertEqual(MADE < span.start, span.is_cut)

    def test_steps_stay_where_they_are(self):
        spans = [rates.span(MADE, after(end), 100) for end in (1001, 1002)]
        self.assertEqual([2, 2], [span.step for span in spans])
        # But for the last one, which goes on.
        first, second = [span.ends[:-1] for span in spans]
        self.assertEqual(first[1:], second)

    def test_a_clock_that_was_put_back(self):
        span = rates.span(MADE, after(-10), 100)
        self.assertEqual([after(1)], span.ends)
