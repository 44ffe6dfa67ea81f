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
from osprofiler import profiler
from zun.common import context as zun_context

from tests import zun_fixtures
from zun_bulk import rpc


class TestHostTopic(base.BaseTestCase):
    """Messages to a host's agent, over a broker that is in this process."""

    def setUp(self):
        super().setUp()
        config = self.useFixture(zun_fixtures.Config()).config
        config(host='host-1')
        self.context = zun_context.get_admin_context()
        self.woken = threading.Event()

    def serve(self, show=dict):
        server = rpc.serve_host(self.woken.set, show)
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)

    def test_each_that_tells_something_wakes_the_agent(self):
        self.serve()
        for what, values in (
            ('hold', {'reason': 'a new disk'}),
            ('release', {}),
            ('set_pace', {'mode': None, 'max_in_flight': 4}),
        ):
            rpc.tell_host(self.context, 'host-1', what, **values)
            self.assertTrue(self.woken.wait(10), what)
            self.woken.clear()

    def test_wake_as_earlier_releases_send_it(self):
        self.serve()
        rpc.wake_host(self.context, 'host-1')
        self.assertTrue(self.woken.wait(10))

    def test_get_pace(self):
        self.serve(lambda: {'starts': {'limit': 2, 'median': None}})
        self.assertEqual(
            {'starts': {'limit': 2, 'median': None}},
            rpc.get_pace(self.context, 'host-1'),
        )

    def test_get_pace_carries_a_trace(self):
        self.addCleanup(profiler.clean)
        profiler.clean()
        base_id = profiler.init('key').get_base_id()
        self.serve(lambda: {'trace': profiler.get().get_base_id()})
        self.assertEqual(
            {'trace': base_id}, rpc.get_pace(self.context, 'host-1')
        )

    def test_get_pace_of_a_host_that_is_down(self):
        self.assertRaises(
            messaging.MessagingTimeout, rpc.get_pace, self.context, 'host-2'
        )

    def test_get_pace_without_a_broker(self):
        """Then oslo.messaging waits for one, however long that takes."""
        done = threading.Event()
        self.addCleanup(done.set)
        client = mock.Mock()
        client.call.side_effect = lambda context, what: done.wait(60)
        for name, value in (
            ('PACE_TIMEOUT', 0),
            ('_ASKED', threading.BoundedSemaphore(2)),
            ('_client', lambda target, timeout: client),
        ):
            self.useFixture(fixtures.MockPatchObject(rpc, name, value))
        for _ask in range(2):
            self.assertRaises(
                TimeoutError, rpc.get_pace, self.context, 'host-1'
            )
        error = self.assertRaises(
            TimeoutError, rpc.get_pace, self.context, 'host-1'
        )
        self.assertIn('Too many', str(error))
        done.set()
        for _ask in range(2):
            self.assertTrue(rpc._ASKED.acquire(timeout=10))
