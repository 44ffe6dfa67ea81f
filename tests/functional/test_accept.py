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

"""Many who ask for bulks at once."""

from tests.functional import base
from tests.threads import at_once


class TestClientToken(base.FunctionalTestCase):
    def body(self, count=2, **template):
        return {
            'count': count,
            'name': 'once',
            'template': self.template(**template),
            'client_token': 'once',
        }

    def post(self, body):
        return self.lab.request('POST', '/bulks', body)

    def count(self, table):
        return self.lab.rows('SELECT count(*) FROM ' + table)[0][0]

    def assert_one_bulk(self, members):
        self.assertEqual(
            [1, members, members],
            [
                self.count(table)
                for table in ('zun_bulk_bulk', 'zun_bulk_member', 'container')
            ],
        )

    def test_a_hundred_at_once_are_one_bulk(self):
        answers = at_once([lambda: self.post(self.body())] * 100)
        self.assertEqual(
            {202}, {status for status, _answer in answers}, answers
        )
        (ident,) = {answer['uuid'] for _status, answer in answers}
        self.assert_one_bulk(2)
        bulk = self.wait_for_end(ident)
        self.assertEqual('ready', bulk['status'], bulk)
        # It is the same bulk still, as it is by now.
        status, answer = self.post(self.body())
        self.assertEqual(
            (202, ident, 'ready'), (status, answer['uuid'], answer['status'])
        )
        self.assert_one_bulk(2)
        self.assertEqual(2, len(self.lab.zun_containers()))

    def test_another_body(self):
        ident = self.ask('POST', '/bulks', self.body(), status=202)['uuid']
        for body in (self.body(3), self.body(image='other')):
            answer = self.ask('POST', '/bulks', body, status=409)
            detail = answer['errors'][0]['detail']
            self.assertIn('client_token', detail)
            self.assertIn(ident, detail)
        self.assert_one_bulk(2)
        # Another project's token is another one.
        other = self.create_bulk(1, user='demo', client_token='once')
        self.assertNotEqual(ident, other)

    def test_what_is_refused_burns_no_token(self):
        self.ask(
            'POST', '/bulks', self.body(nets=[{'network': 'none'}]), status=400
        )
        self.assertEqual(0, self.count('zun_bulk_bulk'))
        self.assertEqual({}, self.lab.leftovers())
        self.ask('POST', '/bulks', self.body(), status=202)
        self.assert_one_bulk(2)

    def test_a_token_goes_with_its_bulk(self):
        ident = self.ask('POST', '/bulks', self.body(), status=202)['uuid']
        self.delete_bulk(ident)
        again = self.ask('POST', '/bulks', self.body(), status=202)['uuid']
        self.assertNotEqual(ident, again)
