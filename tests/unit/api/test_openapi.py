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

import json
import re
import textwrap

import ddt
from oslotest import base

from tests import openapi


HEADERS = {
    'OpenStack-API-Version': 'container-bulk 1.0',
    'OpenStack-API-Minimum-Version': 'container-bulk 1.0',
    'OpenStack-API-Maximum-Version': 'container-bulk 1.0',
}
EVENT = {
    'id': 4711,
    'created_at': '2026-03-02T09:30:25Z',
    'event': 'starting',
    'index': 17,
    'container_uuid': 'c1a6bd5a-5f8d-4f6e-9e40-7a0a4f8a2d11',
    'host': 'host-2',
    'attempt': 1,
    'reason': None,
}


def examples():
    """The JSON that the API's page shows."""
    text = (openapi.FILE.parent / 'api.rst').read_text(encoding='utf-8')
    blocks = re.findall(
        r'^\.\. code-block:: json\n\n((?: +.*\n|\n)+)', text, re.MULTILINE
    )
    return [json.loads(textwrap.dedent(block)) for block in blocks]


class TestDocument(base.BaseTestCase):
    def test_it_is_what_the_code_makes(self):
        self.assertEqual(
            openapi.dump(openapi.document()),
            openapi.FILE.read_text(encoding='utf-8'),
            'run "tox -e openapi"',
        )

    def test_examples_of_the_page_are_as_it_says(self):
        names = openapi.written()['components']['schemas']
        shown = set()
        for example in examples():
            fitting = [
                name
                for name in names
                if openapi.validator(name).is_valid(example)
            ]
            self.assertNotEqual([], fitting, example)
            shown.update(fitting)
        # What is part of another one is not shown by itself.
        self.assertEqual({'Pace'}, set(names) - shown)


@ddt.ddt
class TestCheck(base.BaseTestCase):
    def check(self, body, path='/v1/bulks/web/events', **kwargs):
        openapi.check(
            kwargs.get('method', 'GET'),
            path,
            kwargs.get('status', 200),
            kwargs.get('headers', HEADERS),
            body,
        )

    def test_an_answer_as_it_is_documented(self):
        self.check({'events': [EVENT], 'next': None})

    def test_a_query_is_no_part_of_the_path(self):
        self.check({'events': [], 'next': None}, '/v1/bulks/w/events?index=1')

    @ddt.data(
        {'events': []},
        {'events': [dict(EVENT, more=1)], 'next': None},
        {'events': [dict(EVENT, id='4711')], 'next': None},
        {'events': [dict(EVENT, created_at='today')], 'next': None},
        None,
    )
    def test_a_body_that_is_another(self, body):
        self.assertRaises(AssertionError, self.check, body)

    def test_a_body_where_none_should_be(self):
        self.assertRaises(
            AssertionError,
            self.check,
            {'events': []},
            path='/v1/bulks/web',
            method='DELETE',
            status=202,
        )

    def test_a_status_that_is_not_documented(self):
        self.assertRaises(
            AssertionError,
            self.check,
            {'events': [], 'next': None},
            status=201,
        )

    def test_a_header_that_is_missing(self):
        self.assertRaises(
            AssertionError,
            self.check,
            {'events': [], 'next': None},
            headers={},
        )

    def test_a_path_that_is_not_documented(self):
        self.assertRaises(
            AssertionError, self.check, {}, path='/v1/bulks/web/colours'
        )
