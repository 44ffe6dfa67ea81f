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

import contextlib
import io
import json

from oslotest import base

from tests.bench import panel


LOG = """\
2026-01-30 10:00:00.000 20 INFO eventlet.wsgi.server [None req-1 u p - -] \
127.0.0.1 "GET /v1/bulks?limit=21 HTTP/1.1" status: 200  len: 1686 time: 0.25
2026-01-30 10:00:00.500 20 INFO zun_bulk.api [None req-2 u p - -] GET /v1/x
2026-01-30 10:00:01.000 20 INFO eventlet.wsgi.server [None req-2 u p - -] \
127.0.0.1 "POST /v1/bulks/u/pause HTTP/1.1" status: 202  len: 99 time: 1.5
"""


def page(name, seconds=(0.5, 0.3, 0.4), calls=1):
    made = [('GET /v1/bulks/u', 0.1)] * calls
    cpu = dict.fromkeys(panel.PROCESSES, 0.1)
    return panel.Page(name, list(seconds), [made] * len(seconds), cpu, 2000)


def tell(*pages):
    """Return (exit status, the last line)."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        failed = panel.tell(list(pages), (0.1, 9.5))
    return failed, json.loads(output.getvalue().splitlines()[-1])


class TestCalls(base.BaseTestCase):
    def test_requests_that_were_answered(self):
        self.assertEqual(
            [
                ('GET /v1/bulks?limit=21', 0.25),
                ('POST /v1/bulks/u/pause', 1.5),
            ],
            panel.calls(LOG),
        )


class TestTell(base.BaseTestCase):
    def test_as_it_should_be(self):
        failed, line = tell(
            page('bulk'), page('bulk, refresh'), page('list', [3.0], 2)
        )
        self.assertEqual(0, failed)
        self.assertEqual(0.5, line['bulk_s'])
        self.assertEqual(1, line['refresh_calls'])
        self.assertEqual(3.0, line['slowest_s'])
        self.assertEqual(9.5, line['delete_s'])

    def test_a_page_that_takes_too_long(self):
        failed, _line = tell(
            page('bulk', [0.3, 2.1]), page('bulk, refresh', [0.2])
        )
        self.assertEqual(1, failed)

    def test_a_refresh_with_two_calls(self):
        failed, line = tell(page('bulk'), page('bulk, refresh', calls=2))
        self.assertEqual(1, failed)
        self.assertEqual(2, line['refresh_calls'])
