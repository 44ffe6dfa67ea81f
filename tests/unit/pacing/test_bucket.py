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

from zun_bulk.pacing import bucket


class TestTokenBucket(base.BaseTestCase):
    def test_a_burst_and_then_a_rate(self):
        tokens = bucket.TokenBucket()
        self.assertEqual(3, tokens.available(100.0, rate=2.0, burst=3))
        for _start in range(3):
            tokens.take()
        self.assertEqual(0, tokens.available(100.0, rate=2.0, burst=3))
        self.assertAlmostEqual(0.5, tokens.wait(2.0))
        self.assertEqual(1, tokens.available(100.5, rate=2.0, burst=3))
        self.assertEqual(3, tokens.available(200.0, rate=2.0, burst=3))
