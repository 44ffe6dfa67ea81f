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

"""Pausing, resuming, cancelling and retrying bulks."""

import ddt
import sqlalchemy as sa

from tests.unit.api import base
from zun_bulk.db import base as db_base
from zun_bulk.db import models


@ddt.ddt
class TestActions(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.uuid = self.create(name='web', count=4)['uuid']
        self.woken.clear()

    def set_status(self, status, **member):
        with db_base.writer() as session:
            session.execute(
                sa.update(models.Bulk.__table__).values(status=status)
            )
            if member:
                session.execute(
                    sa.update(models.Member.__table__).values(**member)
                )

    def act(self, action, status=202, **kwargs):
        return self.request(
            '/v1/bulks/web/' + action, 'POST', status=status, **kwargs
        ).json

    @ddt.data(
        ('pause', 'building', 'paused'),
        ('resume', 'paused', 'building'),
        ('cancel', 'building', 'cancelling'),
        ('cancel', 'paused', 'cancelling'),
    )
    @ddt.unpack
    def test_turns_once(self, action, before, after):
        self.set_status(before)
        bulk = self.act(action)
        self.assertEqual((self.uuid, after), (bulk['uuid'], bulk['status']))
        self.assertEqual([('wake_conductors',)], self.woken)
        self.assertEqual(after, self.act(action, body={})['status'])
        self.assertEqual(1, len(self.woken))

    @ddt.data('ready', 'error', 'cancelled', 'paused')
    def test_retry(self, status):
        self.set_status(status, state='failed', host='host-1')
        bulk = self.act('retry')
        self.assertEqual('building', bulk['status'])
        self.assertEqual(4, bulk['members']['placed'])
        self.assertIn(('wake_host', 'host-1'), self.woken)
        self.assertEqual(4, self.act('retry')['members']['placed'])

    def test_nothing_to_retry(self):
        self.set_status('ready', state='running')
        self.assertEqual('ready', self.act('retry')['status'])
        self.assertEqual([], self.woken)

    @ddt.data(
        ('pause', 'ready'),
        ('pause', 'cancelling'),
        ('resume', 'error'),
        ('cancel', 'ready'),
        ('cancel', 'deleting'),
        ('retry', 'deleting'),
        ('retry', 'cancelling'),
    )
    @ddt.unpack
    def test_not_in_this_status(self, action, status):
        self.set_status(status, state='failed')
        before = self.rows(models.Bulk)
        error = self.act(action, status=409)['errors'][0]
        self.assertIn('%s is %s' % (self.uuid, status), error['detail'])
        self.assertEqual(before, self.rows(models.Bulk))

    @ddt.data('pause', 'resume', 'cancel', 'retry')
    def test_of_another_project(self, action):
        self.act(action, status=404, project='project-2')

    @ddt.data('pause', 'resume', 'cancel', 'retry')
    def test_takes_no_more_than_its_path(self, action):
        self.act(action, status=400, body={'force': True})
        self.request('/v1/bulks/web/%s?force=1' % action, 'POST', status=400)
        self.request('/v1/bulks/web/' + action, 'GET', status=405)
        self.assertEqual('building', self.rows(models.Bulk)[0]['status'])

    def test_on_failure(self):
        self.assertEqual(
            'continue',
            self.create(name='bb', on_failure='continue')['on_failure'],
        )
        self.create(name='cc', on_failure='ignore', status=400)
