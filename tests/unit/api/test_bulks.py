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

"""Showing, listing and deleting bulks."""

import datetime
from unittest import mock

import ddt
from oslo_utils import fixture as utils_fixture
from oslo_utils import timeutils
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests.unit.api import base
from zun_bulk import disclosure
from zun_bulk.api.views import bulk as view
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import specs
from zun_bulk.db import transitions as db_transitions
from zun_bulk.states import MemberState


ADMIN = {'roles': 'admin', 'project': 'admin-project'}
NEWEST = {'OpenStack-API-Version': 'container-bulk latest'}


def update(model, where, **values):
    """Do to rows what a conductor or an agent would."""
    with db_base.writer() as session:
        session.execute(
            sa.update(model.__table__).where(where).values(**values)
        )


@ddt.ddt
class TestShow(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.bulk = self.create(name='web', count=4)

    @ddt.data('uuid', 'name')
    def test_show(self, key):
        bulk = self.request('/v1/bulks/' + self.bulk[key], status=200).json
        self.assertEqual(self.bulk, bulk)

    def test_placement_of_an_earlier_release(self):
        update(models.Bulk, sa.true(), placement={'policy': 'spread'})
        self.assertEqual(
            {'policy': 'spread', 'allow_partial': False},
            self.request('/v1/bulks/web').json['placement'],
        )

    def test_progress(self):
        for index, values in enumerate(
            (
                {'state': 'running', 'host': 'host-1'},
                {'state': 'running', 'host': 'host-2'},
                {
                    'state': 'failed',
                    'host': 'host-1',
                    'reason_class': 'application',
                    'reason': 'exited with 1',
                },
                {
                    'state': 'failed',
                    'reason_class': 'application',
                    'reason': 'exited with 1',
                },
            ),
            1,
        ):
            update(
                models.Member, models.Member.member_index == index, **values
            )
        update(
            models.Bulk,
            sa.true(),
            status='error',
            status_reason='2 of 4 failed',
            finished_at=datetime.datetime(2026, 1, 2, 3, 4, 5, 678901),
        )
        bulk = self.request('/v1/bulks/web', status=200, roles='admin').json
        self.assertEqual(
            ('error', '2 of 4 failed', '2026-01-02T03:04:05Z'),
            (bulk['status'], bulk['status_reason'], bulk['finished_at']),
        )
        self.assertEqual(
            dict(dict.fromkeys(MemberState.ALL, 0), running=2, failed=2),
            bulk['members'],
        )
        self.assertEqual(
            {'host-1': {'running': 1, 'failed': 1}, 'host-2': {'running': 1}},
            bulk['hosts'],
        )
        self.assertEqual(
            [{'class': 'application', 'count': 2, 'reason': 'exited with 1'}],
            bulk['failures'],
        )
        self.assertIsNone(self.request('/v1/bulks/web').json['hosts'])

    def _fail_on_hosts(self):
        for index in (1, 2, 3):
            update(
                models.Member,
                models.Member.member_index == index,
                state='failed',
                reason_class='transient',
                reason=disclosure.mark_host('host-%d' % index, 'Docker: no'),
            )
        (bulk,) = db_bulks.list_bulks()
        db_bulks.pause_bulk(
            bulk.id,
            'the last: %s' % disclosure.mark_host('host-3', 'Docker: no'),
        )
        db_transitions.move_members(
            db_members.list_members_by_index(bulk.id, [4]),
            'failed',
            event_values={'host': 'host-4'},
            reason='No room: '
            + disclosure.mark('0 of 1 fit: VCPU on host-4', '0 of 1 fit'),
            reason_class='capacity',
        )

    def _texts(self, **user):
        bulk = self.request('/v1/bulks/web', status=200, **user).json
        (listed,) = self.request('/v1/bulks', status=200, **user).json['bulks']
        self.assertEqual(bulk['status_reason'], listed['status_reason'])
        members = self.request('/v1/bulks/web/members', status=200, **user)
        events = self.request('/v1/bulks/web/events', status=200, **user)
        return (
            bulk['status_reason'],
            [(one['reason'], one['count']) for one in bulk['failures']],
            [one['reason'] for one in members.json['members']],
            [one['reason'] for one in events.json['events']][1:],
        )

    def test_texts_for_an_admin_name_hosts(self):
        self._fail_on_hosts()
        full = 'No room: 0 of 1 fit: VCPU on host-4'
        reasons = ['host-%d: Docker: no' % index for index in (1, 2, 3)]
        status, failures, members, events = self._texts(roles='admin')
        self.assertEqual('the last: host-3: Docker: no', status)
        self.assertEqual(
            [('host-1, host-2, host-3: Docker: no', 3), (full, 1)], failures
        )
        self.assertEqual([*reasons, full], members)
        self.assertEqual([status, full], events)

    def test_a_reason_on_many_hosts(self):
        failures = [
            ('image', disclosure.mark_host('host-%d' % index, 'no image'), 9)
            for index in range(100)
        ]
        failures += [('image', 'no image', 1), ('network', 'no image', 1)]
        self.assertEqual(
            [
                {
                    'class': 'image',
                    'reason': 'host-0, host-1, host-2 and 97 more: no image',
                    'count': 901,
                },
                {'class': 'network', 'reason': 'no image', 'count': 1},
            ],
            view._failures(failures, True),
        )
        self.assertEqual(
            [('no image', 901), ('no image', 1)],
            [
                (told['reason'], told['count'])
                for told in view._failures(failures, False)
            ],
        )

    def test_texts_for_others_do_not(self):
        self._fail_on_hosts()
        status, failures, members, events = self._texts()
        self.assertEqual('the last: Docker: no', status)
        self.assertEqual(
            [('Docker: no', 3), ('No room: 0 of 1 fit', 1)], failures
        )
        self.assertEqual([*3 * ['Docker: no'], 'No room: 0 of 1 fit'], members)
        self.assertEqual([status, 'No room: 0 of 1 fit'], events)

    def test_who_may_see_hosts_is_told_them(self):
        self._fail_on_hosts()
        for_admins = self._texts(roles='admin')
        self.policy.set_rules(container__get_one__host='rule:admin_or_owner')
        self.assertEqual(for_admins, self._texts())

    @ddt.data(
        'none',
        '00000000-0000-4000-8000-000000000000',
        'a b',
        '%C3%A9',
        '%FF',
        "'",
        'x' * 300,
        '%',
    )
    def test_not_found(self, ident):
        self.request('/v1/bulks/' + ident, status=404)
        self.request('/v1/bulks/%s/members' % ident, status=404)
        self.request('/v1/bulks/' + ident, 'DELETE', status=404)

    def test_ambiguous_name(self):
        self.create(name='web')
        error = self.request('/v1/bulks/web', status=409).json['errors'][0]
        self.assertIn('web', error['detail'])
        self.request('/v1/bulks/' + self.bulk['uuid'], status=200)

    @ddt.data('uuid', 'name')
    def test_of_another_project(self, key):
        path = '/v1/bulks/' + self.bulk[key]
        self.request(path, project='project-2', status=404)
        self.request(path + '/members', project='project-2', status=404)
        self.request(path, 'DELETE', project='project-2', status=404)
        self.assertEqual('building', self.request(path).json['status'])

    def test_admin_reaches_it_by_uuid(self):
        self.request('/v1/bulks/' + self.bulk['uuid'], status=200, **ADMIN)
        self.request('/v1/bulks/web', status=404, **ADMIN)

    def test_policy(self):
        self.policy.set_rules(bulk__get='role:reader')
        self.request('/v1/bulks/web', status=403)
        self.request('/v1/bulks/web', status=200, roles='reader')

    def test_policy_sees_the_owner(self):
        self.policy.set_rules(bulk__get='user_id:%(user_id)s')
        self.request('/v1/bulks/web', status=403, user='user-2')
        self.request('/v1/bulks/web', status=200)

    def test_no_query(self):
        self.request('/v1/bulks/web?all_projects=1', status=400)
        self.request('/v1/bulks/web?rate_window=60', status=400)

    def _rates(self, window=86400):
        response = self.request(
            '/v1/bulks/web?rate_window=%s' % window, status=200, headers=NEWEST
        )
        return response.json['rates']

    def test_rates(self):
        made = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)
        update(models.Bulk, sa.true(), created_at=made)
        for index, (state, seconds) in enumerate(
            (('running', 1), ('failed', 1), ('stopped', 5)), 1
        ):
            update(
                models.Member,
                models.Member.member_index == index,
                state=state,
                finished_at=made + datetime.timedelta(seconds=seconds),
            )
        update(
            models.Bulk,
            sa.true(),
            status='ready',
            finished_at=made + datetime.timedelta(seconds=5),
        )
        expected = {
            'start': '2026-01-02T03:04:05Z',
            'end': '2026-01-02T03:04:11Z',
            'step': 1,
            'running': [0, 1, 0, 0, 0, 0],
            'stopped': [0, 0, 0, 0, 0, 1],
            'failed': [0, 1, 0, 0, 0, 0],
        }
        self.assertEqual(expected, self._rates())
        self.assertEqual(
            {
                'start': '2026-01-02T03:04:10Z',
                'end': '2026-01-02T03:04:11Z',
                'step': 1,
                'running': [0],
                'stopped': [1],
                'failed': [0],
            },
            self._rates(1),
        )
        # One that is paused has come no further since.
        update(
            models.Bulk,
            sa.true(),
            status='paused',
            updated_at=made + datetime.timedelta(seconds=5),
            finished_at=None,
        )
        self.assertEqual(expected, self._rates())
        # One that is at work has come as far as now.
        update(models.Bulk, sa.true(), status='building')
        now = made + datetime.timedelta(hours=1)
        self.useFixture(utils_fixture.TimeFixture(now))
        shown = self._rates()
        self.assertEqual(
            ('2026-01-02T03:04:05Z', '2026-01-02T04:04:06Z', 64),
            (shown['start'], shown['end'], shown['step']),
        )
        self.assertEqual([1, *[0] * 56], shown['running'])

    def test_rates_of_nothing(self):
        shown = self._rates()
        for state in ('running', 'stopped', 'failed'):
            self.assertEqual({0}, set(shown[state]))

    @ddt.data('', '0', '-1', 'x', '1.5', '1e9', '1' * 10)
    def test_bad_rate_window(self, window):
        response = self.request(
            '/v1/bulks/web?rate_window=' + window, status=400, headers=NEWEST
        )
        self.assertIn('rate_window', response.json['errors'][0]['detail'])

    def test_own_fields(self):
        def shown(name='web'):
            return self.request('/v1/bulks/' + name, headers=NEWEST).json[
                'own_fields'
            ]

        self.assertNotIn('own_fields', self.bulk)
        self.assertEqual([], shown())
        self.create(
            name='own',
            count=3,
            members=[
                {},
                {'name': 'first', 'labels': {}},
                {'environment': {'A': 'b'}, 'name': 'second'},
            ],
        )
        self.assertEqual(['environment', 'name'], shown('own'))
        # Those of earlier releases do not say.
        update(models.Bulk, sa.true(), spec=specs.BulkSpec())
        self.assertIsNone(shown())


@ddt.ddt
class TestList(base.ApiTestCase):
    def _names(self, query='', **kwargs):
        return [
            bulk['name']
            for bulk in self.request(
                '/v1/bulks' + query, status=200, **kwargs
            ).json['bulks']
        ]

    def test_empty(self):
        self.assertEqual(
            {'bulks': [], 'next': None},
            self.request('/v1/bulks', status=200).json,
        )

    def test_view(self):
        bulk = self.create(count=3)
        for key in ('template', 'hosts', 'failures'):
            del bulk[key]
        self.assertEqual([bulk], self.request('/v1/bulks').json['bulks'])

    def test_counts_are_each_bulks_own(self):
        for count in (1, 2):
            self.create(count=count)
        self.assertEqual(
            [2, 1],
            [
                bulk['members']['queued']
                for bulk in self.request('/v1/bulks').json['bulks']
            ],
        )

    def test_pages(self):
        for name in ('b1', 'b2', 'b3', 'b4', 'b5'):
            self.create(name=name)
        pages, path = [], '/v1/bulks?limit=2&status=building'
        while path:
            page = self.request(path, status=200).json
            pages.append([bulk['name'] for bulk in page['bulks']])
            path = page['next'] and page['next'].removeprefix(
                'http://localhost'
            )
        self.assertEqual([['b5', 'b4'], ['b3', 'b2'], ['b1']], pages)

    def test_full_last_page_has_no_next(self):
        self.create()
        self.assertIsNone(self.request('/v1/bulks?limit=1').json['next'])

    def test_limit_is_capped(self):
        self.config(group='api', max_limit=2)
        for _number in range(3):
            self.create()
        for query in ('', '?limit=3'):
            page = self.request('/v1/bulks' + query).json
            self.assertEqual(2, len(page['bulks']))
            self.assertIn('marker=', page['next'])

    @ddt.data('uuid', 'name', 'status', 'count', 'created_at')
    def test_sort(self, key):
        for number, name in enumerate(('bb', 'aa', 'cc'), 1):
            self.create(name=name, count=number)
        for direction in ('asc', 'desc'):
            path = '/v1/bulks?limit=1&sort_key=%s&sort_dir=%s' % (
                key,
                direction,
            )
            values = []
            while path:
                page = self.request(path, status=200).json
                values += [bulk[key] for bulk in page['bulks']]
                path = page['next']
            self.assertEqual(3, len(values))
            self.assertEqual(
                sorted(values, reverse=direction == 'desc'), values
            )

    def test_filters(self):
        for name in ('aa', 'bb'):
            self.create(name=name)
        update(models.Bulk, models.Bulk.name == 'aa', status='ready')
        self.assertEqual(['aa'], self._names('?status=ready'))
        self.assertEqual(['bb'], self._names('?name=bb'))
        self.assertEqual([], self._names('?name=bb&status=ready'))

    def test_projects(self):
        self.create(name='mine')
        self.create(name='theirs', request={'project': 'project-2'})
        self.assertEqual(['mine'], self._names())
        self.assertEqual(['mine'], self._names('?all_projects=false'))
        self.request('/v1/bulks?all_projects=true', status=403)
        self.assertEqual([], self._names(**ADMIN))
        self.assertEqual(
            ['theirs', 'mine'], self._names('?all_projects=1', **ADMIN)
        )

    def test_marker_of_another_project(self):
        bulk = self.create(request={'project': 'project-2'})
        self.request('/v1/bulks?marker=' + bulk['uuid'], status=400)

    @ddt.data(
        ('limit=0', 'limit'),
        ('limit=-1', 'limit'),
        ('limit=x', 'limit'),
        ('limit=', 'limit'),
        ('limit=1&limit=2', 'limit'),
        ('limit=9999999999', 'limit'),
        ('marker=x', 'marker'),
        ('marker=' + 36 * 'x', 'marker'),
        ('marker=00000000-0000-4000-8000-000000000000', 'marker'),
        ('sort_key=template', 'sort_key'),
        ('sort_key=id', 'sort_key'),
        ('sort_dir=up', 'sort_dir'),
        ('status=done', 'status'),
        ('all_projects=maybe', 'all_projects'),
        ('name=', 'name'),
        ('other=1', "'other'"),
        ('project_id=1', "'project_id'"),
        ('name=%FF', 'UTF-8'),
    )
    @ddt.unpack
    def test_bad_query(self, query, field):
        response = self.request('/v1/bulks?' + query, status=400)
        self.assertIn(field, response.json['errors'][0]['detail'])

    def test_policy(self):
        self.policy.set_rules(bulk__get_all='!')
        self.request('/v1/bulks', status=403)


class TestDelete(base.ApiTestCase):
    def test_delete(self):
        self.create(name='web', count=3)
        for index, host in ((1, 'host-1'), (2, 'host-2')):
            update(
                models.Member,
                models.Member.member_index == index,
                state='running',
                host=host,
                placed_at=timeutils.utcnow(),
            )
        del self.woken[:]
        response = self.request('/v1/bulks/web', 'DELETE', status=202)
        self.assertEqual(b'', response.body)
        bulk = self.request('/v1/bulks/web', status=200).json
        self.assertEqual('deleting', bulk['status'])
        self.assertEqual(3, bulk['members']['deleting'])
        self.assertEqual(
            [
                ('wake_conductors',),
                ('wake_host', 'host-1'),
                ('wake_host', 'host-2'),
            ],
            sorted(self.woken),
        )

    def keep(self, **kwargs):
        return self.request(
            '/v1/bulks/web?keep_containers=true', 'DELETE', **kwargs
        )

    def test_but_keep_the_containers(self):
        self.create(name='web', count=3)
        update(models.Bulk, sa.true(), status='ready')
        update(models.Member, sa.true(), state='running', host='host-1')
        del self.woken[:]
        self.keep(status=202)
        self.request('/v1/bulks/web', status=404)
        self.assertEqual([], self.rows(models.Member))
        self.assertEqual(3, len(self.rows(zun_models.Container)))
        self.assertEqual([], self.woken)

    def test_what_is_under_way_cannot_be_kept(self):
        self.create(name='web', count=3)
        self.assertIn('building', self.keep(status=409).text)
        update(models.Bulk, sa.true(), status='ready')
        update(models.Member, sa.true(), state='running')
        update(models.Member, models.Member.member_index == 3, state='deleted')
        self.keep(status=409)
        self.assertEqual(3, len(self.rows(models.Member)))
        self.request(
            '/v1/bulks/web?keep_containers=perhaps', 'DELETE', status=400
        )

    def test_again(self):
        self.create(name='web')
        self.request('/v1/bulks/web', 'DELETE', status=202)
        epochs = [row['epoch'] for row in self.rows(models.Member)]
        self.request('/v1/bulks/web', 'DELETE', status=202)
        self.assertEqual(
            epochs, [row['epoch'] for row in self.rows(models.Member)]
        )

    def test_lost_messages_lose_nothing(self):
        self.create(name='web')
        update(models.Member, sa.true(), state='running', host='host-1')
        with (
            mock.patch(
                'zun_bulk.rpc.wake_conductors',
                side_effect=RuntimeError('no broker'),
            ),
            mock.patch(
                'zun_bulk.rpc.wake_host', side_effect=RuntimeError('no broker')
            ),
        ):
            self.request('/v1/bulks/web', 'DELETE', status=202)
        self.assertEqual(
            {'deleting'}, {row['state'] for row in self.rows(models.Member)}
        )

    def test_admin_deletes_anothers(self):
        bulk = self.create()
        self.request(
            '/v1/bulks/' + bulk['uuid'], 'DELETE', status=202, **ADMIN
        )

    def test_policy(self):
        self.create(name='web')
        self.policy.set_rules(bulk__delete='role:operator')
        self.request('/v1/bulks/web', 'DELETE', status=403)
        self.assertEqual(
            'building', self.request('/v1/bulks/web').json['status']
        )
