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

import collections

from tests.emulators import keystone
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


class TestQuota(base.FunctionalTestCase):
    """The quota of the project demo, whose user is called so too."""

    def setUp(self):
        super().setUp()
        self.project = keystone.identifier('project', 'demo')
        self.addCleanup(self.set_quota, containers=-1, cpu=-1, memory=-1)

    def set_quota(self, **quota):
        self.ask('PUT', '/quotas/' + self.project, quota)

    def used(self):
        quotas = self.ask('GET', '/quotas/%s?usages=true' % self.project)
        return {
            name: quotas[name]['in_use']
            for name in ('containers', 'cpu', 'memory')
        }

    def post(self, count, **template):
        return self.lab.request(
            'POST',
            '/bulks',
            {'count': count, 'template': self.template(**template)},
            user='demo',
        )

    def refuse(self, count, text):
        status, answer = self.post(count)
        self.assertEqual(403, status, answer)
        self.assertIn(text, answer['errors'][0]['detail'])

    def assert_answers(self, numbers, refusal, answers):
        """So many answers have each status, and all refusals one reason."""
        self.assertEqual(
            numbers,
            collections.Counter(status for status, _answer in answers),
            answers,
        )
        self.assertEqual(
            {'Quota exceeded for resources: ' + refusal},
            {
                answer['errors'][0]['detail']
                for status, answer in answers
                if status == 403
            },
        )

    def hold_host(self, held):
        self.ask('PATCH', '/bulk_hosts/host-1', {'held': held})

    def test_fifty_at_once(self):
        self.set_quota(containers=20)
        answers = at_once([lambda: self.post(3)] * 50)
        self.assert_answers(
            {202: 6, 403: 44},
            'containers (18 used, 3 requested, 20 allowed)',
            answers,
        )
        self.assertEqual(18, self.used()['containers'])
        self.assertEqual(
            [(6,)], self.lab.rows('SELECT count(*) FROM zun_bulk_bulk')
        )
        for status, answer in answers:
            if status == 202:
                bulk = self.wait_for_end(answer['uuid'], 'demo')
                self.assertEqual('ready', bulk['status'], bulk)

    def test_fifty_at_once_for_parts_of_a_cpu(self):
        self.set_quota(cpu=1, memory=1000)
        answers = at_once([lambda: self.post(2, cpu=0.15, memory='64')] * 50)
        self.assert_answers(
            {202: 3, 403: 47},
            'cpu (0.9 used, 0.3 requested, 1 allowed)',
            answers,
        )
        self.assertEqual(
            {'containers': 6, 'cpu': 0.9, 'memory': 384}, self.used()
        )

    def test_single_containers_and_bulks_count_each_other(self):
        self.set_quota(containers=4)
        container = self.ask(
            'POST', '/containers', self.template(), user='demo', status=202
        )
        self.addCleanup(
            self.lab.request,
            'DELETE',
            '/containers/%s?force=true' % container['uuid'],
            user='demo',
        )
        self.refuse(4, 'containers (1 used, 4 requested, 4 allowed)')
        self.assertEqual(202, self.post(3)[0])
        answer = self.ask(
            'POST', '/containers', self.template(), user='demo', status=403
        )
        self.assertIn('containers', answer['errors'][0]['detail'])

    def test_what_waits_counts_until_it_is_cancelled(self):
        self.set_quota(containers=4)
        self.addCleanup(self.hold_host, False)
        self.hold_host(True)
        status, bulk = self.post(4)
        self.assertEqual(202, status, bulk)
        self.refuse(1, 'containers (4 used, 1 requested, 4 allowed)')
        path = '/bulks/' + bulk['uuid']
        self.ask('POST', path + '/cancel', user='demo', status=202)
        self.wait_for(
            'there is room again', lambda: self.used()['containers'] == 0
        )
        self.assertEqual(
            4, self.bulk(bulk['uuid'], 'demo')['members']['cancelled']
        )
        self.assertEqual(202, self.post(4)[0])
        self.refuse(1, 'containers (4 used, 1 requested, 4 allowed)')

    def test_what_has_failed_counts_until_it_is_deleted(self):
        self.set_quota(containers=2)
        status, bulk = self.post(2, image='nosuch')
        self.assertEqual(202, status, bulk)
        self.wait_for_end(bulk['uuid'], 'demo')
        self.refuse(1, 'containers (2 used, 1 requested, 2 allowed)')
        self.delete_bulk(bulk['uuid'], 'demo')
        self.assertEqual(202, self.post(2)[0])
