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

import inspect
import threading
from unittest import mock

import fixtures
import oslo_messaging as messaging
from oslotest import base
from osprofiler import profiler
from zun.common import context as zun_context
from zun.common import rpc as zun_rpc

from tests import zun_fixtures
from zun_bulk import rpc
from zun_bulk import zun_compat


#: What each version of an endpoint takes. A change is a new version, with an
#: entry of its own: the second number rises with what is added, and the first
#: one is not to rise, as services of two releases run beside each other.
WAKE = {'1.0': {'wake': '(self, context)'}}
HOST = {
    '1.0': WAKE['1.0'],
    '1.1': {
        'wake': '(self, context)',
        'get_pace': '(self, context)',
        'set_pace': '(self, context, **settings)',
        'hold': '(self, context, reason=None)',
        'release': '(self, context)',
    },
}
#: Which version each message asks for: the first one that has it.
SENT = {
    'wake': '1.0',
    'get_pace': '1.1',
    'set_pace': '1.1',
    'hold': '1.1',
    'release': '1.1',
}


class RpcTestCase(base.BaseTestCase):
    """Messages over a broker that is in this process."""

    def setUp(self):
        super().setUp()
        config = self.useFixture(zun_fixtures.Config()).config
        config(host='host-1')
        self.context = zun_context.get_admin_context()
        self.woken = threading.Event()


class TestInterfaces(base.BaseTestCase):
    def methods(self, endpoint):
        return {
            name: str(inspect.signature(method))
            for name, method in inspect.getmembers(
                endpoint, inspect.isfunction
            )
            if not name.startswith('_')
        }

    def test_are_those_of_their_versions(self):
        for endpoint, versions in (
            (rpc.WakeEndpoint, WAKE),
            (rpc.HostEndpoint, HOST),
        ):
            self.assertEqual(list(versions)[-1], endpoint.target.version)
            self.assertEqual(
                versions[endpoint.target.version],
                self.methods(endpoint),
                'raise the version of %s and record it' % endpoint.__name__,
            )

    def test_each_version_has_what_the_one_before_had(self):
        for versions in (WAKE, HOST):
            self.assertEqual({'1'}, {number[0] for number in versions})
            numbers = list(versions)
            for before, after in zip(numbers, numbers[1:]):
                self.assertLessEqual(
                    versions[before].items(), versions[after].items()
                )

    def test_messages_ask_for_no_more_than_they_need(self):
        for what, version in SENT.items():
            having = [
                number for number, methods in HOST.items() if what in methods
            ]
            self.assertEqual(version, having[0])
        targets = []
        context = zun_context.get_admin_context()
        with mock.patch.object(
            rpc,
            '_client',
            lambda target, *args: targets.append(target) or mock.Mock(),
        ):
            rpc.wake_conductors(context)
            rpc.wake_host(context, 'host-1')
            self.assertEqual(
                [SENT['wake']] * 2, [target.version for target in targets]
            )
            targets.clear()
            rpc.get_pace(context, 'host-1')
            for what in ('hold', 'release', 'set_pace'):
                rpc.tell_host(context, 'host-1', what)
        self.assertEqual(['1.1'] * 4, [target.version for target in targets])


class TestWake(base.BaseTestCase):
    """Messages that cannot be sent are logged, once for all of them."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger())
        self.sent = []

    def patch(self, error=None):
        for name in ('wake_conductors', 'wake_host'):
            self.useFixture(
                fixtures.MockPatchObject(
                    rpc,
                    name,
                    side_effect=lambda context, *args, name=name: self.send(
                        error, name, *args
                    ),
                )
            )

    def send(self, error, *message):
        self.sent.append(message)
        if error:
            raise error

    def test_wake(self):
        self.patch()
        rpc.wake(mock.sentinel.context, ['host-1', 'host-2'])
        self.assertEqual(
            [
                ('wake_conductors',),
                ('wake_host', 'host-1'),
                ('wake_host', 'host-2'),
            ],
            self.sent,
        )

    def test_hosts_only(self):
        self.patch()
        rpc.wake(mock.sentinel.context, ['host-1'], conductors=False)
        self.assertEqual([('wake_host', 'host-1')], self.sent)

    def test_no_broker(self):
        self.patch(RuntimeError('no broker'))
        rpc.wake(mock.sentinel.context, ['host-1', 'host-2'])
        self.assertEqual([('wake_conductors',)], self.sent)
        self.assertIn('Failed to send a wake-up message', self.log.output)
        self.assertIn('no broker', self.log.output)


class Endpoint10:
    """What agents and conductors listened with in version 1.0."""

    target = messaging.Target(version='1.0')

    def __init__(self, wake):
        self.wake_up = wake

    def wake(self, context):
        self.wake_up()


class TestReleases(RpcTestCase):
    """One end is of this release, the other one of version 1.0.

    There is no earlier release that was tagged; version 1.0 is what the
    project had before there was get_pace, with its senders as they were.
    """

    def serve(self, topic, endpoint):
        server = messaging.get_rpc_server(
            zun_rpc.TRANSPORT,
            messaging.Target(topic=topic, server='host-1'),
            [endpoint],
            executor='threading',
            serializer=zun_compat.make_rpc_serializer(),
        )
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)

    def assert_woken(self):
        self.assertTrue(self.woken.wait(10))
        self.woken.clear()

    def test_new_wakes_old(self):
        for topic in (rpc.HOST_TOPIC, rpc.CONDUCTOR_TOPIC):
            self.serve(topic, Endpoint10(self.woken.set))
        rpc.wake_host(self.context, 'host-1')
        self.assert_woken()
        rpc.wake_conductors(self.context)
        self.assert_woken()

    def test_old_wakes_new(self):
        server = rpc.serve_host(self.woken.set, dict)
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        server = rpc.serve(rpc.CONDUCTOR_TOPIC, self.woken.set)
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        for target in (
            messaging.Target(
                topic=rpc.HOST_TOPIC, server='host-1', version='1.0'
            ),
            # Any of them, as all were not told then.
            messaging.Target(topic=rpc.CONDUCTOR_TOPIC, version='1.0'),
        ):
            client = zun_rpc.get_client(
                target, serializer=zun_compat.make_rpc_serializer()
            )
            client.prepare(retry=0).cast(self.context, 'wake')
            self.assert_woken()

    def test_what_old_does_not_know_does_no_harm(self):
        """It refuses or drops it, and what counts is in the database."""
        self.serve(rpc.HOST_TOPIC, Endpoint10(self.woken.set))
        for what, values in (
            ('hold', {'reason': 'a new disk'}),
            ('release', {}),
            ('set_pace', {'mode': None, 'max_in_flight': 4}),
        ):
            rpc.tell_host(self.context, 'host-1', what, **values)
        # A RemoteError, were it another process. As of a host that is down,
        # the API shows its last report then.
        self.assertRaises(
            messaging.UnsupportedVersion, rpc.get_pace, self.context, 'host-1'
        )
        self.assertFalse(self.woken.is_set())
        rpc.wake_host(self.context, 'host-1')
        self.assert_woken()


class TestHostTopic(RpcTestCase):
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
            ('_PENDING', threading.BoundedSemaphore(2)),
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
            self.assertTrue(rpc._PENDING.acquire(timeout=10))
