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

"""Listing the members of a bulk."""

import ddt
import sqlalchemy as sa

from tests.unit.api import base
from zun_bulk.db import base as db_base
from zun_bulk.db import models
from zun_bulk.network import requested


@ddt.ddt
class TestMembers(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.create(name='other', count=1)
        self.create(
            name='web',
            count=5,
            template={'image': 'busybox', 'name': 'web-{index}'},
        )
        with db_base.writer() as session:
            session.execute(
                sa.update(models.Member)
                .where(models.Member.name.in_(('web-2', 'web-4')))
                .values(
                    state='running',
                    host='host-1',
                    attempt=1,
                    networks=[
                        {
                            'network': 'n',
                            requested.PORT: {
                                'addresses': [{'addr': '10.0.0.4'}]
                            },
                        },
                        {'network': 'm'},
                    ],
                )
            )

    def _list(self, query='', **kwargs):
        return self.request(
            '/v1/bulks/web/members' + query, status=200, **kwargs
        ).json

    def _indexes(self, query='', **kwargs):
        return [
            member['index']
            for member in self._list(query, **kwargs)['members']
        ]

    def test_view(self):
        queued, running = self._list('?limit=2', roles='admin')['members']
        containers = [
            row['container_uuid'] for row in self.rows(models.Member)
        ]
        self.assertEqual(
            {
                'index': 1,
                'name': 'web-1',
                'container_uuid': containers[1],
                'state': 'queued',
                'host': None,
                'attempt': 0,
                'reason_class': None,
                'reason': None,
                'addresses': None,
                'floating_ip': None,
                'floating_ip_state': None,
                'floating_ip_reason': None,
                'created_at': queued['created_at'],
                'updated_at': queued['updated_at'],
                'started_at': None,
                'finished_at': None,
            },
            queued,
        )
        self.assertEqual(
            ('host-1', 1, ['10.0.0.4'], 'running'),
            tuple(
                running[key]
                for key in ('host', 'attempt', 'addresses', 'state')
            ),
        )

    def test_pages(self):
        for direction, expected in (
            ('asc', [[1, 2], [3, 4], [5]]),
            ('desc', [[5, 4], [3, 2], [1]]),
        ):
            path = '/v1/bulks/web/members?limit=2&sort_dir=' + direction
            pages = []
            while path:
                page = self.request(path, status=200).json
                pages.append([member['index'] for member in page['members']])
                path = page['next']
            self.assertEqual(expected, pages)

    def test_limit_is_capped(self):
        self.config(group='api', max_limit=4)
        self.assertEqual([1, 2, 3, 4], self._indexes())
        self.assertIn('marker=4', self._list()['next'])

    def test_filters(self):
        self.assertEqual([2, 4], self._indexes('?state=running'))
        self.assertEqual([4], self._indexes('?state=running&marker=2'))
        self.assertEqual([], self._indexes('?state=failed'))
        self.assertEqual([2, 4], self._indexes('?host=host-1', roles='admin'))
        self.assertEqual([], self._indexes('?host=host-2', roles='admin'))

    def test_name(self):
        headers = {'OpenStack-API-Version': 'container-bulk 1.1'}
        self.assertEqual([3], self._indexes('?name=B-3', headers=headers))
        self.assertEqual(
            [2, 4], self._indexes('?name=web&state=running', headers=headers)
        )
        page = self._list('?name=web&limit=4', headers=headers)
        self.assertIn('name=web', page['next'])
        self.assertEqual([], self._indexes('?name=w_b', headers=headers))
        for name in ('', '%25', 'a+b', '%00', '%F0%9F%90%8B', 'x' * 256):
            response = self.request(
                '/v1/bulks/web/members?name=' + name,
                status=400,
                headers=headers,
            )
            self.assertIn('name', response.json['errors'][0]['detail'])

    def test_name_is_not_of_the_first_version(self):
        response = self.request('/v1/bulks/web/members?name=web', status=400)
        self.assertIn("'name'", response.json['errors'][0]['detail'])

    def test_host_is_for_admins(self):
        self.assertEqual(
            {None}, {member['host'] for member in self._list()['members']}
        )
        self.request('/v1/bulks/web/members?host=host-1', status=403)

    @ddt.data(
        ('limit=0', 'limit'),
        ('marker=-1', 'marker'),
        ('marker=x', 'marker'),
        ('state=done', 'state'),
        ('sort_dir=up', 'sort_dir'),
        ('host=', 'host'),
        ('sort_key=index', "'sort_key'"),
    )
    @ddt.unpack
    def test_bad_query(self, query, field):
        response = self.request(
            '/v1/bulks/web/members?' + query, status=400, roles='admin'
        )
        self.assertIn(field, response.json['errors'][0]['detail'])

    def test_policy(self):
        self.policy.set_rules(bulk__members='!')
        self.request('/v1/bulks/web/members', status=403)
