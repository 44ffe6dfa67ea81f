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
[pid: 20] GET /v2.0/ports/7d5ff8cc-9a2b-4e77-9d0c-5d2d4a1f3c10?fields=id => \
200 in 19 ms for zun_bulk
2026-01-30 10:00:00.000 20 INFO GET /allocations/1 of its own log
[pid: 21] POST /v2.0/ports => 201 in 219 ms for python-neutronclient
[pid: 20] GET /v2.0/ports/ae0d54b4-6f1c-4d54-8f1e-0a4f8d9c2b11 => \
404 in 9 ms for zun_bulk
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
        self.assertEqual(3, counters.requests(LOG))

    def test_requests_by_caller(self):
        self.assertEqual(
            {
                ('zun_bulk', 'GET', '/v2.0/ports/{id}'): 2,
                ('python-neutronclient', 'POST', '/v2.0/ports'): 1,
            },
            counters.requests_by_caller(LOG),
        )

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
