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


import io
import json
import tracemalloc

import ddt
from oslotest import base as test_base

from tests.unit.osc import base
from tests.unit.osc import log_fixtures
from zun_bulk.osc import client


JSON = {'Content-Type': 'application/json'}


@ddt.ddt
class TestJsonText(test_base.BaseTestCase):
    TEXT = 'a "q" \\ \\n\n\u00e9 \U0001f600 \x00 \ud83d\udc4d/'

    @ddt.data(1, 2, 3, 7, 1000)
    def test_in_chunks(self, size):
        text = self.TEXT.encode('utf-16', 'surrogatepass').decode('utf-16')
        for ascii_only in (True, False):
            data = json.dumps(text, ensure_ascii=ascii_only).encode()
            chunks = [
                data[start : start + size]
                for start in range(0, len(data), size)
            ]
            self.assertEqual(text, ''.join(client.json_text(chunks)))

    @ddt.data(b'', b'"abc', b'"abc\\', b'"\\ud83d"', b'{"a": 1}', b'null')
    def test_invalid(self, data):
        self.assertRaises(ValueError, list, client.json_text([data]))


class Body(io.RawIOBase):
    """A response body that is generated while it is read."""

    def __init__(self, size):
        self.left = size
        self.given = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.left:
            return 0
        line = json.dumps(
            f'{log_fixtures.stamp(log_fixtures.NOW)} {"x" * 63}\n'
        )[1:-1].encode()
        data = b'"' if not self.given else line * (len(buffer) // len(line))
        data = data or line
        if len(data) >= self.left:
            data, self.left = b'"', 0
        else:
            self.left -= len(data)
        buffer[: len(data)] = data
        self.given += len(data)
        return len(data)


class TestContainerClient(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.client = client.ContainerClient(self.app.client_manager.container)
        self.url = f'{base.ENDPOINT}/containers/uuid-1/logs'

    def test_response_is_not_held_in_memory(self):
        body = Body(50 * 1024 * 1024)
        self.api.get(self.url, headers=JSON, body=body)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        size = sum(map(len, self.client.logs('uuid-1', tail='all')))
        peak = tracemalloc.get_traced_memory()[1]
        self.assertGreater(size, 45 * 1024 * 1024)
        self.assertLess(peak, 5 * 1024 * 1024)

    def test_version_is_of_the_container_api(self):
        self.api.get(self.url, headers=JSON, text='""')
        self.assertEqual('', ''.join(self.client.logs('uuid-1')))
        self.assertEqual(
            'container 1.40',
            self.api.last_request.headers['OpenStack-API-Version'],
        )

    def test_invalid_log(self):
        for text in ('"abc', '{}', '"\\q"'):
            self.api.get(self.url, headers=JSON, text=text)
            self.assertRaises(
                client.ApiError, list, self.client.logs('uuid-1')
            )

    def test_refused(self):
        self.api.get(self.url, **base.error(404, 'No such container.'))
        error = self.assertRaises(
            client.ApiError, list, self.client.logs('uuid-1')
        )
        self.assertEqual(404, error.status)
        self.assertEqual(
            'No such container. (HTTP 404) (Request-ID: req-1)', str(error)
        )
