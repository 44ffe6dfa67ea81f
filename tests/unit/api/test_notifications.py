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

"""What other programs are told of what users do to a bulk."""

import fixtures

from tests.unit.api import base


class TestNotifications(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.sent = []
        self.useFixture(
            fixtures.MockPatch(
                'zun_bulk.notifications.send',
                side_effect=lambda what, bulk, **changes: self.sent.append(
                    (
                        what,
                        bulk.name,
                        changes.get('status', bulk.status),
                        changes.get('status_reason', bulk.status_reason),
                        bulk.count,
                    )
                ),
            )
        )

    def act(self, action, body=None, status=202):
        self.request('/v1/bulks/web/' + action, 'POST', body, status=status)

    def test_each_once(self):
        for _time in range(2):
            self.create(name='web', count=4, client_token='once')
        self.assertEqual([('create', 'web', 'building', None, 4)], self.sent)
        for action, expected in (
            ('pause', ('paused', 'Paused by the user.', 4)),
            ('resume', ('building', None, 4)),
            ('cancel', ('cancelling', None, 4)),
        ):
            self.sent.clear()
            self.act(action)
            self.act(action)
            self.assertEqual([(action, 'web', *expected)], self.sent)
        self.sent.clear()
        for _time in range(2):
            self.request('/v1/bulks/web', 'DELETE', status=202)
        self.assertEqual([('delete', 'web', 'deleting', None, 4)], self.sent)

    def test_scale(self):
        self.create(name='web', count=4)
        for count in (6, 3):
            self.sent.clear()
            self.act('scale', {'count': count})
            self.act('scale', {'count': count})
            self.assertEqual(
                [('scale', 'web', 'building', None, count)], self.sent
            )

    def test_retry(self):
        self.create(name='web', count=4)
        self.sent.clear()
        self.act('retry')
        self.assertEqual([], self.sent)

    def test_what_is_refused(self):
        self.refuse('count', count=0)
        self.create(name='web', count=4)
        self.sent.clear()
        self.act('scale', {'count': 0}, status=400)
        self.assertEqual([], self.sent)
