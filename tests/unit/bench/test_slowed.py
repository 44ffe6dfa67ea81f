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

import types

from oslotest import base

from tests.bench import slowed


class TestWatch(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.watch = slowed.Watch(types.SimpleNamespace())
        # Five a second for ten seconds, then one.
        self.watch.samples = [
            (float(second), started, limit)
            for second, started, limit in (
                *((s, 5 * s, 8) for s in range(11)),
                (11, 51, 8),
                (12, 52, 6),
                (13, 53, 3),
            )
        ]

    def test_rate(self):
        self.assertEqual(5.0, self.watch.rate(0, 10))
        self.assertEqual(5.0, self.watch.rate(4.5, 9.5))
        self.assertEqual(1.0, self.watch.rate(10, 13))

    def test_when_the_limit_fell(self):
        self.assertEqual(8, self.watch.limit_at(10.5))
        self.assertEqual(2.0, self.watch.below_after(10.0, 8))
        self.assertEqual(3.0, self.watch.below_after(10.0, 4))
        self.assertIsNone(self.watch.below_after(10.0, 3))
