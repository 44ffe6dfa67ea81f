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

from unittest import mock

import fixtures
from oslotest import base

from zun_bulk.host import events


class Over(BaseException):
    """Ends what runs for ever."""


class TestFollow(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.calls = []
        self.naps = []
        time = self.useFixture(
            fixtures.MockPatch('zun_bulk.host.events.time')
        ).mock
        time.time.side_effect = lambda: 1000.0 + sum(self.naps)
        time.sleep.side_effect = self.naps.append

    def follow(self, *streams):
        subscribe = mock.Mock(side_effect=[*streams, Over()])
        self.assertRaises(
            Over,
            events.follow,
            subscribe,
            lambda *event: self.calls.append(event),
            self.calls.append,
            lambda: self.calls.append('unsubscribed'),
        )
        return [call.args[0] for call in subscribe.mock_calls]

    def test_reports_and_subscribes_again(self):
        first = [('start', 'uuid-1'), ('die', 'uuid-1')]
        self.assertEqual([995, 996, 998], self.follow(first, []))
        # Missed events are looked for once the engine answers.
        self.assertEqual(
            [1000, *first, 'unsubscribed', 1001, 'unsubscribed'], self.calls
        )

    def test_an_engine_that_is_down(self):
        self.follow(*[OSError('refused')] * 5, [('die', 'uuid-1')])
        self.assertEqual(
            ['unsubscribed'] * 5 + [1017.0, ('die', 'uuid-1'), 'unsubscribed'],
            self.calls,
        )
        self.assertEqual([1, 2, 4, 5, 5, 1], self.naps[:6])

    def test_a_stream_that_breaks(self):
        def stream():
            yield 'die', 'uuid-1'
            raise ValueError('half an event')

        self.follow(stream())
        self.assertEqual([1000, ('die', 'uuid-1'), 'unsubscribed'], self.calls)
