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

"""Listing what happened to a bulk."""

import ddt

from tests import database
from tests.unit.api import base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import transitions as db_transitions


@ddt.ddt
class TestEvents(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.create(name='other', count=1)
        self.uuid = self.create(name='web', count=3)['uuid']
        bulk = db_bulks.get_bulk(self.uuid)
        self.members = db_members.list_members(bulk.id)
        database.put(self.members[:2], 'running', host='host-1', attempt=2)
        db_transitions.move_members(
            self.members[2:], 'failed', reason='no room'
        )
        self.request('/v1/bulks/web/pause', 'POST', status=202)

    def _list(self, query='', **kwargs):
        return self.request(
            '/v1/bulks/web/events' + query, status=200, **kwargs
        ).json

    def _told(self, query='', **kwargs):
        return [
            (event['event'], event['index'])
            for event in self._list(query, **kwargs)['events']
        ]

    def test_view(self):
        events = self._list(roles='admin')['events']
        rows = self.rows(models.Event)[1:]
        self.assertEqual(
            [
                ('accepted', None, None, None, '3 members'),
                ('running', 1, 'host-1', 2, None),
                ('running', 2, 'host-1', 2, None),
                ('failed', 3, None, 0, 'no room'),
                ('paused', None, None, None, 'Paused by the user.'),
            ],
            [
                tuple(
                    event[key]
                    for key in ('event', 'index', 'host', 'attempt', 'reason')
                )
                for event in events
            ],
        )
        self.assertEqual(
            {
                'id': rows[1]['id'],
                'created_at': rows[1]['created_at'].isoformat('T', 'seconds')
                + 'Z',
                'event': 'running',
                'index': 1,
                'container_uuid': self.members[0].container_uuid,
                'host': 'host-1',
                'attempt': 2,
                'reason': None,
            },
            events[1],
        )

    def test_pages(self):
        names = self._told()
        for direction, expected in (
            ('asc', [names[:2], names[2:4], names[4:]]),
            ('desc', [names[:2:-1], names[2:0:-1], names[:1]]),
        ):
            query = '?limit=2&sort_dir=' + direction
            pages = []
            while query is not None:
                page = self._list(query)
                pages.append(
                    [(item['event'], item['index']) for item in page['events']]
                )
                query = page['next'] and '?' + page['next'].partition('?')[2]
            self.assertEqual(expected, pages)

    def test_limit_is_capped(self):
        self.config(group='api', max_limit=4)
        self.assertEqual(4, len(self._told()))

    def test_filters(self):
        self.assertEqual([('running', 2)], self._told('?index=2'))
        self.assertEqual(
            [('running', 1), ('running', 2)], self._told('?event=running')
        )
        self.assertEqual([], self._told('?event=running&index=3'))
        self.assertEqual([], self._told('?index=77'))
        page = self._list('?event=running&limit=1')
        self.assertIn('event=running', page['next'])

    def test_of_the_bulk_by_its_uuid(self):
        (event, *_rest) = self.request(
            '/v1/bulks/%s/events' % self.uuid, status=200
        ).json['events']
        self.assertEqual('accepted', event['event'])

    def test_hosts_are_for_admins(self):
        self.assertEqual(
            {None}, {event['host'] for event in self._list()['events']}
        )

    def test_what_was_asked_for_again_is_told_once(self):
        self.request('/v1/bulks/web/pause', 'POST', status=202)
        for _time in range(2):
            self.request('/v1/bulks/web', 'DELETE', status=202)
        self.assertEqual(
            [('paused', None), ('deleting', None)], self._told()[-2:]
        )

    @ddt.data(
        ('limit=0', 'limit'),
        ('marker=-1', 'marker'),
        ('marker=x', 'marker'),
        ('marker=9999999999999999999', 'marker'),
        ('index=-1', 'index'),
        ('index=x', 'index'),
        ('index=9999999999', 'index'),
        ('index=', 'index'),
        ('event=done', 'event'),
        ('event=', 'event'),
        ('sort_dir=up', 'sort_dir'),
        ('sort_key=index', "'sort_key'"),
        ('host=host-1', "'host'"),
    )
    @ddt.unpack
    def test_bad_query(self, query, field):
        response = self.request('/v1/bulks/web/events?' + query, status=400)
        self.assertIn(field, response.json['errors'][0]['detail'])

    def test_of_another_project(self):
        for ident in ('web', self.uuid):
            self.request(
                '/v1/bulks/%s/events' % ident, project='p-2', status=404
            )
        self.request(
            '/v1/bulks/%s/events' % self.uuid,
            project='p-2',
            roles='admin',
            status=200,
        )

    def test_policy(self):
        self.policy.set_rules(bulk__events='!')
        self.request('/v1/bulks/web/events', status=403)

    def test_only_to_be_read(self):
        self.request('/v1/bulks/web/events', 'DELETE', status=405)
