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

import collections

from oslotest import base

from tests.bench import counters


LOG = """\
*** uWSGI is running in multiple interpreter mode ***
[pid: 20|app: 0|req: 25/25] 127.0.0.1 () {34 vars in 795 bytes} \
[Fri Jan 30 10:00:00 2026] GET /allocations/1 => generated 19 bytes
2026-01-30 10:00:00.000 20 INFO GET /allocations/1 of its own log
[pid: 21|app: 0|req: 8/17] 127.0.0.1 () {30 vars in 643 bytes} \
[Fri Jan 30 10:00:01 2026] POST /v2.0/ports => generated 701 bytes
"""

OVERVIEW = """\
#{[{protocol,amqp091}] =>
      #{consumers => 8,messages_confirmed_total => 90,
        messages_received_confirm_total => 91,messages_received_total => 93,
        messages_routed_total => 75},
  [{protocol,stream}] =>
      #{messages_received_total => 2}}
"""


class TestCounters(base.BaseTestCase):
    def test_requests(self):
        self.assertEqual(2, counters.requests(LOG))

    def test_messages_of_all_protocols(self):
        self.assertEqual(95, counters.published(OVERVIEW))

    def test_per_member(self):
        self.assertEqual(
            {'sql zun': 4.5, 'messages': 0.0, 'http neutron': 1.0},
            counters.per_member(
                collections.Counter(
                    {'sql zun': 100, 'messages': 3, 'http neutron': 20}
                ),
                idle={'sql zun': 1.0, 'messages': 0.5},
                seconds=10,
                members=20,
            ),
        )
