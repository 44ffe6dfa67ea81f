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

import threading
from unittest import mock

import fixtures
import oslo_messaging as messaging
from oslotest import base

from tests import zun_fixtures
from zun_bulk import disclosure
from zun_bulk import notifications
from zun_bulk.conf import CONF
from zun_bulk.db import models


BULK = models.Bulk(
    id=1,
    uuid='4c1ff94f-bbbd-4ee0-8a55-3a2e5a7c4fd8',
    name='web',
    project_id='project-1',
    user_id='user-1',
    request_id='req-1',
    status='building',
    status_reason=None,
    count=3,
    template={'image': 'busybox', 'environment': {'PASSWORD': 'secret'}},
)


#: What a payload of each version has. What is added is a new version with an
#: entry of its own, and what is changed or taken away a new first number.
PAYLOADS = {
    '1.0': {
        'version',
        'uuid',
        'name',
        'project_id',
        'user_id',
        'request_id',
        'status',
        'status_reason',
        'count',
    }
}


class Endpoint:
    """What another program listens with."""

    def __init__(self):
        self.told = []
        self.got = threading.Event()

    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        self.told.append((ctxt, publisher_id, event_type, payload))
        self.got.set()


class NotificationTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.config = self.useFixture(zun_fixtures.Config()).config
        self.config(host='host-1')
        self.useFixture(
            fixtures.MonkeyPatch('zun_bulk.notifications._waiting', None)
        )
        # It knows the options from here on.
        self.transport = messaging.get_notification_transport(CONF)

    def use(self, driver):
        self.config(group='oslo_messaging_notifications', driver=driver)


class TestSend(NotificationTestCase):
    """Over a broker that is in this process."""

    def test_is_received(self):
        self.use(['messagingv2'])
        endpoint = Endpoint()
        listener = messaging.get_notification_listener(
            self.transport,
            [messaging.Target(topic='notifications')],
            [endpoint],
            executor='threading',
        )
        listener.start()
        self.addCleanup(listener.wait)
        self.addCleanup(listener.stop)

        notifications.send(
            'pause',
            BULK,
            status='paused',
            status_reason=disclosure.mark_host('host-1', 'why'),
        )
        self.assertTrue(endpoint.got.wait(60))
        self.assertEqual(
            [
                (
                    {},
                    'zun-bulk.host-1',
                    'bulk.pause',
                    {
                        'version': '1.0',
                        'uuid': BULK.uuid,
                        'name': 'web',
                        'project_id': 'project-1',
                        'user_id': 'user-1',
                        'request_id': 'req-1',
                        'status': 'paused',
                        'status_reason': 'host-1: why',
                        'count': 3,
                    },
                )
            ],
            endpoint.told,
        )

    def test_payload_is_that_of_its_version(self):
        self.assertEqual(list(PAYLOADS)[-1], notifications.VERSION)
        self.assertEqual(
            PAYLOADS[notifications.VERSION],
            {*notifications._FIELDS, 'version'},
            'raise VERSION and record it',
        )
        versions = list(PAYLOADS)
        for before, after in zip(versions, versions[1:]):
            if before.split('.')[0] == after.split('.')[0]:
                self.assertLess(PAYLOADS[before], PAYLOADS[after])

    def test_nobody_wants_any(self):
        with mock.patch.object(notifications.threading, 'Thread') as thread:
            notifications.send('create', BULK)
            notifications.send('delete', BULK)
        self.assertEqual([], thread.mock_calls)


class TestTrouble(NotificationTestCase):
    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.use(['log'])

    def send_by(self, notifier):
        self.useFixture(
            fixtures.MockPatch(
                'oslo_messaging.Notifier', return_value=notifier
            )
        )

    def test_a_broker_that_does_not_answer(self):
        """It is waited for by a thread, and by no more than so many."""
        self.useFixture(
            fixtures.MockPatchObject(notifications, 'MAX_WAITING', 3)
        )
        begun, answers = threading.Event(), threading.Event()
        self.addCleanup(answers.set)
        sent = []

        def info(ctxt, event_type, payload):
            begun.set()
            answers.wait(60)
            sent.append(event_type)

        self.send_by(mock.Mock(info=info))
        notifications.send('create', BULK)
        self.assertTrue(begun.wait(60))
        for number in range(5):
            notifications.send('scale%d' % number, BULK)
        self.assertNotIn('scale2', self.log.output)
        for number in (3, 4):
            self.assertIn(
                'notification bulk.scale%d of bulk %s' % (number, BULK.uuid),
                self.log.output,
            )
        self.assertEqual([], sent)

    def test_one_that_fails_does_not_end_the_others(self):
        done = threading.Event()

        def info(ctxt, event_type, payload):
            if event_type == 'bulk.create':
                raise RuntimeError('refused')
            done.set()

        self.send_by(mock.Mock(info=info))
        notifications.send('create', BULK)
        notifications.send('end', BULK)
        self.assertTrue(done.wait(60))
        self.assertIn(
            'Failed to send notification bulk.create', self.log.output
        )

    def test_a_configuration_that_is_no_good(self):
        """It is told once."""
        self.useFixture(
            fixtures.MockPatch(
                'oslo_messaging.get_notification_transport',
                side_effect=messaging.InvalidTransportURL('x:', 'no such'),
            )
        )
        notifications.send('create', BULK)
        self.assertIn('bulk.create of bulk', self.log.output)
        notifications.send('delete', BULK)
        self.assertNotIn('bulk.delete', self.log.output)
