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

from tests.unit.osc import base
from zun_bulk.osc import members


class TestMemberList(base.CommandTestCase):
    def list(self, *argv, **values):
        self.api.get(
            f'{base.BULKS}/load/members',
            **base.answer(
                {
                    'members': [
                        base.member_view(1, **values),
                        base.member_view(2),
                    ],
                    'next': None,
                }
            ),
        )
        return json.loads(
            self.run_command(
                members.ListBulkMember, 'load', '-f', 'json', *argv
            )
        )

    def test_columns(self):
        self.assertEqual(
            {
                'index': 1,
                'name': 'load-1',
                'container_uuid': 'uuid-1',
                'state': 'failed',
                'host': None,
                'floating_ip': '172.24.0.2',
                'attempt': 3,
                'reason': 'no host',
            },
            self.list(state='failed', host=None, attempt=3, reason='no host')[
                0
            ],
        )

    def test_long(self):
        row = self.list('--long')[1]
        self.assertEqual(base.member_view(2), row)

    def test_long_without_addresses(self):
        self.assertIsNone(self.list('--long', addresses=None)[0]['addresses'])

    def test_filters(self):
        self.list(
            '--state',
            'failed',
            '--host',
            'host-1',
            '--marker',
            '7',
            '--limit',
            '5',
            '--sort-dir',
            'asc',
        )
        self.assertEqual(
            {
                'state': ['failed'],
                'host': ['host-1'],
                'marker': ['7'],
                'limit': ['5'],
                'sort_dir': ['asc'],
            },
            self.api.last_request.qs,
        )

    def test_name(self):
        self.list('--name', 'd-1')
        self.assertEqual({'name': ['d-1']}, self.api.last_request.qs)
        self.assertEqual(
            'container-bulk 1.1',
            self.api.last_request.headers['OpenStack-API-Version'],
        )

    def test_follows_next(self):
        url = f'{base.BULKS}/load/members'
        self.api.get(
            url,
            [
                base.answer(
                    {
                        'members': [base.member_view(1)],
                        'next': f'{url}?marker=1',
                    }
                ),
                base.answer({'members': [base.member_view(2)], 'next': None}),
            ],
        )
        rows = self.run_command(
            members.ListBulkMember, 'load', '-f', 'value', '-c', 'index'
        ).split()
        self.assertEqual(
            {'container-bulk 1.0'},
            {
                request.headers['OpenStack-API-Version']
                for request in self.api.request_history
            },
        )
        self.assertEqual(['1', '2'], rows)
        self.assertEqual('marker=1', self.api.last_request.query)
