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


from multiprocessing import pool as pools
import os
import tracemalloc

import fixtures
from oslotest import base as test_base

from tests.unit.osc import base
from tests.unit.osc import log_fixtures
from zun_bulk.osc import log_merger


class Endless:
    """Logs that are generated while they are read."""

    def __init__(self, lines, text=''):
        self._lines = lines
        self._text = text

    def logs(self, uuid, **_query):
        number = int(uuid.partition('-')[2])
        for line in range(self._lines):
            moment = log_fixtures.NOW + line * log_fixtures.MILLISECOND
            yield f'{log_fixtures.stamp(moment + number)} {self._text}\n'


class TestBounds(test_base.BaseTestCase):
    def merge(self, containers, count, write):
        members = [base.member_view(index) for index in range(count)]
        merger = log_merger.Merger(
            containers, {}, None, None, lambda line, text, name, width: line
        )
        with pools.ThreadPool(4) as pool:
            spool, places = merger.read(members, pool)
        merger.write(spool, places, write, True)

    def test_memory(self):
        self.useFixture(
            fixtures.MonkeyPatch('zun_bulk.osc.spool.MEMORY', 2**20)
        )
        size = 0

        def write(text):
            nonlocal size
            size += len(text)

        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.merge(Endless(2000, 'x' * 2000), 8, write)
        peak = tracemalloc.get_traced_memory()[1]
        self.assertGreater(size, 30 * 2**20)
        self.assertLess(peak, 5 * 2**20)

    def test_a_thousand_members(self):
        self.useFixture(
            fixtures.MonkeyPatch('zun_bulk.osc.spool.MEMORY', 2**10)
        )
        before = len(os.listdir('/proc/self/fd'))
        lines, most = [], 0

        def write(text):
            nonlocal most
            lines.append(text)
            if len(lines) % 500 == 0:
                most = max(most, len(os.listdir('/proc/self/fd')))

        self.merge(Endless(3), 1000, write)
        self.assertEqual(3000, len(lines))
        self.assertEqual(sorted(lines), lines)
        self.assertLess(most - before, 10)
