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

"""Tests of the list of bulks and of a bulk's page."""

import re
import time
import types
from unittest import mock

from django.urls import reverse
from keystoneclient import exceptions as keystone_exceptions

from tests.dashboard import base


INDEX = reverse('horizon:project:bulks:index')


def url(name, bulk, dashboard='project'):
    return reverse(f'horizon:{dashboard}:bulks:{name}', args=[bulk['uuid']])


class TestIndex(base.BaseTestCase):
    def test_list(self):
        bulk = self.add_bulk(count=10)
        page = self.client.get(INDEX)
        self.assertContains(page, 'bulks__row__' + bulk['uuid'])
        self.assertContains(page, url('detail', bulk))
        self.assertContains(page, '50%: Running 5, Placed 5')
        self.assertContains(page, 'data-bulk-poll="3"')
        self.assertContains(
            page,
            '<td class="sortable normal_column bulk-long">nginx</td>',
            html=True,
        )
        self.assertEqual(['/bulks?sort_dir=desc&limit=21'], self.api.paths)

    def test_no_work_under_way(self):
        self.add_bulk(status='ready', finished_at='2026-03-02T09:30:40Z')
        page = self.client.get(INDEX)
        self.assertContains(page, 'data-bulk-poll="0"')
        # 30 containers in 40 s.
        self.assertContains(page, '0.8/s')

    def test_pages(self):
        for _number in range(45):
            self.add_bulk()
        shown = []
        page = self.client.get(INDEX)
        for _number in range(3):
            table = page.context['table']
            shown += [bulk.id for bulk in table.data]
            page = self.client.get(f'{INDEX}?marker={table.get_marker()}')
        self.assertEqual([bulk['uuid'] for bulk in self.api.bulks], shown)
        page = self.client.get(f'{INDEX}?prev_marker={shown[40]}')
        self.assertEqual(
            shown[20:40], [bulk.id for bulk in page.context['table'].data]
        )

    def test_filter(self):
        self.add_bulk(status='ready')
        self.client.post(
            INDEX,
            {
                'bulks__filter__q': 'paused',
                'bulks__filter__q_field': 'status',
                'action': 'bulks__filter__q',
            },
        )
        page = self.client.get(INDEX)
        self.assertIn('status=paused', self.api.paths[-1])
        self.assertEqual([], list(page.context['table'].data))

    def test_api_refuses(self):
        self.api.refusal = 503, 'The database does not answer'
        page = self.client.get(INDEX)
        self.assertContains(page, 'Unable to retrieve the list of bulks.')
        answer = self.client.get(reverse('horizon:project:bulks:refresh_list'))
        self.assertEqual(503, answer.status_code)
        self.assertEqual(
            'The database does not answer (HTTP 503)', answer.json()['error']
        )

    def test_refresh(self):
        bulk, other = self.add_bulk(), self.add_bulk(status='ready')
        answer = self.client.get(
            reverse('horizon:project:bulks:refresh_list')
        ).json()
        self.assertEqual(3, answer['poll'])
        self.assertEqual(
            {f'bulks__row__{one["uuid"]}' for one in (bulk, other)},
            set(answer['fragments']),
        )
        self.assertEqual(1, len(self.api.calls))

    def test_refresh_of_a_finished_bulk(self):
        self.add_bulk(status='ready')
        answer = self.client.get(
            reverse('horizon:project:bulks:refresh_list')
        ).json()
        self.assertEqual(0, answer['poll'])


class TestActions(base.BaseTestCase):
    ALL = {'pause', 'resume', 'retry', 'scale', 'cancel', 'delete'}

    def offered(self, **bulk):
        self.api.bulks.clear()
        bulk = self.add_bulk(**bulk)
        page = self.client.get(INDEX)
        return {
            name
            for name in self.ALL
            if f'bulks__row_{bulk["uuid"]}__action_{name}'
            in page.content.decode()
        }

    def test_by_status(self):
        self.assertEqual(
            {'pause', 'scale', 'cancel', 'delete'}, self.offered()
        )
        self.assertEqual(
            {'resume', 'scale', 'cancel', 'delete'},
            self.offered(status='paused'),
        )
        self.assertEqual({'scale', 'delete'}, self.offered(status='ready'))
        members = dict.fromkeys(base.STATES, 0)
        self.assertEqual(
            {'retry', 'scale', 'delete'},
            self.offered(
                status='error', count=2, members=dict(members, failed=2)
            ),
        )
        self.assertEqual({'delete'}, self.offered(status='cancelled'))
        self.assertEqual({'delete'}, self.offered(status='cancelling'))
        self.assertEqual(set(), self.offered(status='deleting'))

    def test_policy(self):
        self.assertEqual(
            set(), self.offered(project_id='of others', status='ready')
        )

    def act(self, name, bulk):
        return self.client.post(
            INDEX, {'action': f'bulks__{name}__{bulk["uuid"]}'}
        )

    def test_act(self):
        for name, status in (
            ('pause', 'building'),
            ('resume', 'paused'),
            ('cancel', 'building'),
        ):
            self.api.bulks.clear()
            bulk = self.add_bulk(status=status)
            self.api.calls.clear()
            page = self.act(name, bulk)
            self.assertRedirectsNoFollow(page, INDEX)
            self.assertEqual(
                ('POST', f'/bulks/{bulk["uuid"]}/{name}', {}),
                self.api.calls[-1],
            )

    def test_delete(self):
        bulk = self.add_bulk()
        self.act('delete', bulk)
        self.assertEqual(
            ('DELETE', f'/bulks/{bulk["uuid"]}', None), self.api.calls[-1]
        )

    def test_refused(self):
        bulk = self.add_bulk()
        self.api.refuses = ('POST',)
        self.api.refusal = 409, 'Bulk web is ready: it cannot be paused.'
        page = self.client.post(
            INDEX, {'action': f'bulks__pause__{bulk["uuid"]}'}, follow=True
        )
        self.assertContains(page, 'it cannot be paused')

    def test_an_action_that_is_not_offered_is_refused(self):
        bulk = self.add_bulk(status='ready')
        self.act('pause', bulk)
        self.assertNotIn('POST', [call[0] for call in self.api.calls])

    def test_from_detail(self):
        bulk = self.add_bulk()
        page = self.client.post(
            url('detail', bulk), {'action': f'bulks__pause__{bulk["uuid"]}'}
        )
        self.assertRedirectsNoFollow(page, url('detail', bulk))
        self.assertEqual('POST', self.api.calls[-1][0])

    def test_scale(self):
        bulk = self.add_bulk()
        page = self.client.get(url('scale', bulk))
        self.assertContains(page, 'value="60"')
        page = self.client.post(
            url('scale', bulk), {'bulk_id': bulk['uuid'], 'count': '80'}
        )
        self.assertRedirectsNoFollow(page, url('detail', bulk))
        self.assertEqual(
            ('POST', f'/bulks/{bulk["uuid"]}/scale', {'count': 80}),
            self.api.calls[-1],
        )

    def test_scale_refused(self):
        bulk = self.add_bulk()
        self.api.refuses = ('POST',)
        self.api.refusal = 403, 'containers: 40 are used'
        page = self.client.post(
            url('scale', bulk), {'bulk_id': bulk['uuid'], 'count': '80'}
        )
        self.assertContains(page, 'containers: 40 are used')


class TestDetail(base.BaseTestCase):
    def test_overview(self):
        bulk = self.add_bulk(
            failures=[
                {'class': 'image', 'reason': 'no <such> image', 'count': 1}
            ]
        )
        page = self.client.get(url('detail', bulk))
        self.assertContains(page, '<h1 class="word-wrap">web</h1>', html=True)
        self.assertContains(page, '30 of 60 done')
        self.assertContains(page, 'no &lt;such&gt; image')
        self.assertContains(
            page,
            'openstack appcontainer bulk create --count 60 --bulk-name web',
        )
        self.assertContains(page, 'host-1')
        self.assertEqual(
            [f'/bulks/{bulk["uuid"]}?rate_window=7200'], self.api.paths
        )

    def test_hosts_are_hidden_from_members(self):
        bulk = self.add_bulk()
        bulk['hosts'] = None
        page = self.client.get(url('detail', bulk))
        self.assertNotContains(page, 'bulk-hosts-chart')
        self.api.members = [base.make_member(1)]
        for tab in ('members', 'events'):
            page = self.client.get(
                url('detail', bulk), {'tab': f'bulk_details__{tab}'}
            )
            heads = re.findall(r'<th[^>]*>\s*(\w+)', page.content.decode())
            self.assertIn('Reason', heads)
            self.assertNotIn('Host', heads)

    def test_gone(self):
        bulk = base.make_bulk(self.tenant.id)
        page = self.client.get(url('detail', bulk))
        self.assertRedirectsNoFollow(page, INDEX)

    def test_refresh(self):
        bulk = self.add_bulk()
        answer = self.client.get(url('refresh', bulk)).json()
        self.assertEqual(3, answer['poll'])
        self.assertEqual('web: Building, 50% done', answer['announce'])
        self.assertIn('id="bulk-live"', answer['fragments']['bulk-live'])
        self.assertIn('Pause Bulk', answer['fragments']['bulk-actions'])
        self.assertEqual(
            [f'/bulks/{bulk["uuid"]}?rate_window=7200'], self.api.paths
        )

    def test_refresh_of_a_deleted_bulk(self):
        answer = self.client.get(url('refresh', base.make_bulk('x')))
        self.assertEqual({'reload': True}, answer.json())

    def test_chart_at_the_first_request(self):
        bulk = self.add_bulk(
            status='ready', rates=base.make_rates([0, 20, 10], 10)
        )
        page = self.client.get(url('detail', bulk))
        self.assertContains(page, '<polyline')
        self.assertContains(page, '2.0/s</text>')
        bulk['rates'] = base.make_rates([0, 0], 1)
        page = self.client.get(url('detail', bulk))
        self.assertNotContains(page, '<polyline')
        self.assertContains(page, 'No container has run or failed yet.')

    def test_command(self):
        for own, option, text in (
            (
                [],
                '--count 60',
                'This command creates the same bulk. FILE stands',
            ),
            (
                ['labels', 'name'],
                '--members-from FILE',
                'values for each container: labels, name.',
            ),
            (None, '--count 60', 'except for any per-container values'),
        ):
            bulk = self.add_bulk(own_fields=own)
            page = self.client.get(url('detail', bulk))
            self.assertContains(page, option)
            self.assertContains(page, text)

    def test_rate(self):
        bulk = self.add_bulk(rates=base.make_rates([0, 20, 10], 10))
        self.client.get(url('refresh', bulk))
        bulk['members'].update(running=40, placed=20)
        time.sleep(1.1)
        answer = self.client.get(url('refresh', bulk)).json()
        live = answer['fragments']['bulk-live']
        self.assertIn('<polyline', live)
        self.assertRegex(live, r'<li>[0-9.]+/s</li>')
        self.assertIn(' left', live)

    def test_ten_thousand(self):
        """The page takes at most 2 s, its refresh one API request."""
        bulk = self.add_bulk(count=10000, hosts=500)
        self.api.members = [
            base.make_member(index) for index in range(1, 10001)
        ]
        # Templates are compiled once.
        self.client.get(url('detail', bulk))
        for tab in ('overview', 'members', 'events'):
            self.api.calls.clear()
            started = time.monotonic()
            page = self.client.get(
                url('detail', bulk) + f'?tab=bulk_details__{tab}'
            )
            spent = time.monotonic() - started
            self.assertEqual(200, page.status_code)
            self.assertLess(spent, 2)
            self.assertLessEqual(len(self.api.calls), 2)
        self.api.calls.clear()
        self.client.get(url('refresh', bulk))
        self.assertEqual(
            [f'/bulks/{bulk["uuid"]}?rate_window=7200'], self.api.paths
        )


class TestMembers(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.bulk = self.add_bulk(count=3000)
        self.api.members = [
            base.make_member(index, state='failed' if index % 2 else 'running')
            for index in range(1, 3001)
        ]

    def get(self, **query):
        self.api.calls.clear()
        return self.client.get(
            url('detail', self.bulk), {'tab': 'bulk_details__members', **query}
        )

    def test_pages(self):
        page = self.get()
        self.assertContains(page, 'web-20\n')
        self.assertNotContains(page, 'web-21\n')
        self.assertContains(page, 'members_marker=20')
        self.assertNotContains(page, 'bulk-previous')
        page = self.get(members_marker='20')
        self.assertContains(page, 'web-21\n')
        self.assertContains(page, 'members_before=21')
        page = self.get(members_before='21')
        self.assertContains(page, 'web-20\n')
        self.assertNotContains(page, 'bulk-previous')
        self.assertEqual(2, len(self.api.calls))

    def test_filter(self):
        page = self.get(state='failed', host='host-1')
        self.assertIn('state=failed&host=host-1', self.api.paths[-1])
        self.assertContains(page, 'web-39\n')
        self.assertNotContains(page, 'web-2\n')
        self.assertContains(page, 'state=failed&amp;host=host-1&amp;members_')

    def test_number(self):
        page = self.get(q='2500')
        self.assertContains(page, 'web-2500\n')
        self.assertEqual(
            f'/bulks/{self.bulk["uuid"]}/members?marker=2499&limit=1',
            self.api.paths[-1],
        )
        self.assertNotContains(self.get(q='9999'), 'web-3000\n')

    def test_name(self):
        page = self.get(q='WEB-299')
        for index in (299, *range(2990, 3000)):
            self.assertContains(page, f'web-{index}\n')
        self.assertNotContains(page, 'web-298\n')
        # The API searches, with one request besides that for the bulk.
        self.assertEqual(2, len(self.api.calls))
        self.assertIn('name=WEB-299', self.api.paths[-1])

    def test_name_in_pages(self):
        page = self.get(q='web-2')
        self.assertContains(page, 'q=web-2&amp;members_marker=208')
        page = self.get(q='web-2', members_marker='208')
        self.assertContains(page, 'web-209\n')
        self.assertNotContains(page, 'web-208\n')

    def test_text_that_no_name_can_contain(self):
        self.assertNotContains(self.get(q='web 2'), 'web-2\n')
        self.assertEqual(1, len(self.api.calls))

    def test_nonsense(self):
        for query in (
            {'members_marker': 'x'},
            {'members_before': '99999999999'},
            {'q': '<script>'},
        ):
            page = self.get(**query)
            self.assertEqual(200, page.status_code)
            self.assertNotContains(page, 'value="<script>')


class TestEvents(base.BaseTestCase):
    def test_latest_first(self):
        bulk = self.add_bulk()
        self.api.events = [
            {
                'id': number,
                'created_at': '2026-03-02T09:30:25Z',
                'event': 'starting',
                'index': number,
                'container_uuid': None,
                'host': 'host-2',
                'attempt': 1,
                'reason': f'reason {number}.',
            }
            for number in range(1, 31)
        ]
        page = self.client.get(
            url('detail', bulk), {'tab': 'bulk_details__events', 'index': '7'}
        )
        self.assertContains(page, 'reason 30.')
        self.assertNotContains(page, 'reason 10.')
        self.assertIn('index=7', self.api.paths[-1])
        self.assertIn('sort_dir=desc', self.api.paths[-1])


class TestAdmin(base.AdminTestCase):
    INDEX = reverse('horizon:admin:bulks:index')

    def setUp(self):
        super().setUp()
        patcher = mock.patch(
            'openstack_dashboard.api.keystone.tenant_list',
            return_value=(
                [types.SimpleNamespace(id='of others', name='demo <3')],
                False,
            ),
        )
        self.tenant_list = patcher.start()
        self.addCleanup(patcher.stop)

    def test_names_of_projects(self):
        for _number in range(3):
            self.add_bulk(project_id='of others')
        unknown = self.add_bulk(project_id='of nobody')
        refresh = reverse('horizon:admin:bulks:refresh_list')
        self.assertContains(self.client.get(self.INDEX), 'demo &lt;3', 3)
        rows = self.client.get(refresh).json()['fragments']
        self.assertEqual(3, sum('demo &lt;3' in row for row in rows.values()))
        self.assertIn('of nobody', rows['bulks__row__' + unknown['uuid']])
        # Refreshes use the cache.
        self.tenant_list.assert_called_once()

    def test_without_names_of_projects(self):
        self.add_bulk(project_id='of others')
        self.tenant_list.side_effect = keystone_exceptions.Forbidden('no')
        page = self.client.get(self.INDEX)
        self.assertContains(page, 'of others')
        self.assertNotContains(page, 'demo')

    def test_list(self):
        bulk = self.add_bulk(project_id='of others')
        page = self.client.get(self.INDEX)
        self.assertIn('all_projects=true', self.api.paths[-1])
        self.assertContains(page, 'of others')
        self.assertContains(page, url('detail', bulk, 'admin'))
        self.assertContains(page, 'action_pause')

    def test_refresh(self):
        self.add_bulk(project_id='of others')
        self.client.get(reverse('horizon:admin:bulks:refresh_list'))
        self.assertEqual(1, len(self.api.calls))
        self.assertIn('all_projects=true', self.api.paths[-1])

    def test_detail(self):
        bulk = self.add_bulk()
        page = self.client.get(url('detail', bulk, 'admin'))
        self.assertContains(page, url('refresh', bulk, 'admin'))
        page = self.client.post(
            url('detail', bulk, 'admin'),
            {'action': f'bulks__pause__{bulk["uuid"]}'},
        )
        self.assertRedirectsNoFollow(page, url('detail', bulk, 'admin'))
