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

"""Tests of the page of hosts."""

from django.urls import reverse

from tests.dashboard import base


INDEX = reverse('horizon:admin:bulk_hosts:index')


def url(name, host='host-1'):
    return reverse(f'horizon:admin:bulk_hosts:{name}', args=[host])


class TestHosts(base.AdminTestCase):
    def setUp(self):
        super().setUp()
        self.host = base.make_host('host-1')
        self.api.hosts = [
            self.host,
            base.make_host(
                'host-2',
                state='held',
                held=True,
                hold_reason='a <new> disk',
                max_in_flight=3,
            ),
            # This host has never reported.
            base.make_host(
                'host-3', state='unknown', source=None, age=None, pace=None
            ),
        ]
        self.api.hosts[1]['pace']['held_by'] = {'operator': 'a <new> disk'}

    def test_list(self):
        page = self.client.get(INDEX)
        self.assertContains(page, 'Operator: a &lt;new&gt; disk')
        self.assertContains(page, 'Maximum parallel starts: 3')
        self.assertContains(page, '12 min 3 s ago: overload')
        self.assertContains(page, '0.8 s')
        self.assertContains(page, 'bulk_hosts__row__host-3')
        self.assertContains(page, 'bulk_hosts__row_host-1__action_hold')
        self.assertNotContains(page, 'bulk_hosts__row_host-1__action_release')
        self.assertContains(page, 'bulk_hosts__row_host-2__action_release')
        self.assertContains(page, 'data-bulk-poll="3"')
        self.assertEqual(['/bulk_hosts'], self.api.paths)

    def test_refresh(self):
        answer = self.client.get(
            reverse('horizon:admin:bulk_hosts:refresh_list')
        ).json()
        self.assertEqual(3, len(answer['fragments']))
        self.assertEqual(3, answer['poll'])
        self.assertEqual(['/bulk_hosts'], self.api.paths)

    def test_hold(self):
        self.assertContains(self.client.get(url('hold')), 'Hold Host')
        page = self.client.post(
            url('hold'), {'host': 'host-1', 'hold_reason': 'a new disk'}
        )
        self.assertRedirectsNoFollow(page, INDEX)
        self.assertEqual(
            (
                'PATCH',
                '/bulk_hosts/host-1',
                {'held': True, 'hold_reason': 'a new disk'},
            ),
            self.api.calls[-1],
        )

    def test_release(self):
        self.client.post(INDEX, {'action': 'bulk_hosts__release__host-2'})
        self.assertEqual(
            ('PATCH', '/bulk_hosts/host-2', {'held': False}),
            self.api.calls[-1],
        )

    def test_limits(self):
        self.host['max_in_flight'] = 7
        self.assertContains(self.client.get(url('limits')), 'value="7"')
        self.client.post(
            url('limits'),
            {'host': 'host-1', 'mode': 'fixed', 'max_in_flight': '0'},
        )
        self.assertEqual(
            {'mode': 'fixed', 'max_in_flight': 0, 'start_interval': None},
            self.api.calls[-1][2],
        )

    def test_refused(self):
        self.api.refusal = 400, 'hold_reason: it is too long'
        page = self.client.post(
            url('hold'), {'host': 'host-1', 'hold_reason': 'x'}
        )
        self.assertContains(page, 'hold_reason: it is too long')

    def test_gone(self):
        page = self.client.get(url('limits', 'host-9'))
        self.assertRedirectsNoFollow(page, INDEX)


class TestNotAdmin(base.BaseTestCase):
    def test_hosts_are_for_administrators(self):
        self.assertEqual(403, self.client.get(INDEX).status_code)
        self.assertEqual([], self.api.calls)
