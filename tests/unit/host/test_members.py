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

from tests.unit.host import base
from zun_bulk.conf import CONF


class TestWakeUps(base.AgentTestCase):
    """When the agent wakes conductors."""

    def test_at_most_one_a_second_and_the_last_one(self):
        for _member in range(3):
            (uuid,) = self.accept(1)
            self.agent.wake()
            self.cycle(0.01)
            self.start([uuid])
            self.cycle(0.01)
            self.cycle(5.0)
        self.assertEqual(3, self.wake.call_count)
        CONF.set_override('settle_time', 0.0, 'zun_bulk')
        for _member in range(5):
            (uuid,) = self.accept(1)
            self.agent.wake()
            self.cycle(0.01)
            self.start([uuid])
            self.cycle(0.01)
            self.cycle(0.01)
            self.assertEqual({'running': 1}, self.states())
        self.assertEqual(3, self.wake.call_count)
        wait = self.agent._seconds_to_wait(self.now)
        self.assertLess(wait, 1.0)
        self.cycle(wait)
        self.assertEqual(4, self.wake.call_count)
        self.cycle(5)
        self.assertEqual(4, self.wake.call_count)
