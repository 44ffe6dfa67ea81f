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


from tests.unit.conductor import base


class TestWakeHosts(base.ConductorTestCase):
    def test_a_wake_up_that_is_lost_is_no_matter(self):
        self.accept(2)
        self.wake.side_effect = Exception('no broker')
        self.cycle()
        self.assertEqual({'placed': 2}, self.states())
