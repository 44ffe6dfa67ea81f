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

"""Request bodies and queries that are not valid."""

import ddt

from tests.unit.api import base
from zun_bulk.api import validation


@ddt.ddt
class TestBody(base.ApiTestCase):
    @ddt.data(
        b'',
        b'{',
        b'[]',
        b'"x"',
        b'1',
        b'null',
        b'\xff',
        b'{"count": NaN, "template": {"image": "busybox"}}',
        b'{"count": 1e999, "template": {"image": "busybox"}}',
        b'{"template": {"image": "busybox"}}',
        b'{"count": 2}',
        b'[' * 100000,
        b'{"count":' + b'1' * 5000 + b'}',
    )
    def test_not_a_bulk(self, body):
        response = self.request('/v1/bulks', 'POST', body, status=400)
        error = response.json['errors'][0]
        self.assertEqual('container.schema-validation-error', error['code'])
        self.assertNotEqual('', error['detail'])
        self.assertLess(len(error['detail']), 1000)

    @ddt.data('text/plain', 'application/x-www-form-urlencoded', '')
    def test_content_type(self, content_type):
        response = self.request(
            '/v1/bulks',
            'POST',
            b'{}',
            status=415,
            environ={'CONTENT_TYPE': content_type},
        )
        self.assertIn('Content-Type', response.json['errors'][0]['detail'])

    def test_charset_is_no_other_type(self):
        self.request(
            '/v1/bulks',
            'POST',
            {'count': 1, 'template': {'image': 'busybox'}},
            status=202,
            environ={'CONTENT_TYPE': 'application/json; charset=utf-8'},
        )

    def test_too_large(self):
        body = b' ' * (validation.MAX_LARGE_SIZE + 1)
        self.request('/v1/bulks', 'POST', body, status=413)
        self.request(
            '/v1/bulks',
            'POST',
            body,
            status=413,
            environ={'CONTENT_LENGTH': '', 'wsgi.input_terminated': True},
        )
        self.request('/v1/bulks', 'POST', body[1:], status=400)

    def test_no_query(self):
        error = self.request(
            '/v1/bulks?run=1', 'POST', b'{}', status=400
        ).json['errors'][0]
        self.assertIn("'run'", error['detail'])
