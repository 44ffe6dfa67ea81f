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

"""Bulks that cannot succeed, by what the real engine says of them."""

import time

from tests.real import base


class TestDoomed(base.RealTestCase):
    COUNT = 100
    #: Of each of two hosts, its first window and one more.
    DOOMED = 2 * (8 + 1)

    def assert_paused(self, template, *words):
        """A bulk of this template stops in time, and says why."""
        began = time.monotonic()
        status, bulk, _seconds = self.post_bulk(self.COUNT, template)
        self.assertEqual(202, status, bulk)
        path = f'/bulks/{bulk["uuid"]}'
        self.wait_until(
            lambda: self.zun.request('GET', path)[1]['status'] != 'building',
            'it is paused',
        )
        # Ten are allowed for on a quiet machine, and the first port is slow.
        self.assertLess(time.monotonic() - began, 30)
        self.wait_until(
            lambda: (
                not self.zun.request('GET', path)[1]['members']['starting']
            ),
            'what was being started has ended',
        )
        shown = self.zun.request('GET', path)[1]
        self.assertEqual('paused', shown['status'], shown)
        for word in words:
            self.assertIn(word, shown['status_reason'])
        self.assertEqual(
            {'permanent'}, {failure['class'] for failure in shown['failures']}
        )
        # All have one cause, so they have one reason on each host.
        self.assertLessEqual(len(shown['failures']), 2, shown['failures'])
        self.assertLessEqual(shown['members']['failed'], self.DOOMED)

        status, _answer = self.zun.request('POST', path + '/cancel')
        self.assertEqual(202, status)
        self.wait_until(
            lambda: self.zun.request('GET', path)[1]['status'] == 'cancelled',
            'it is cancelled',
        )
        self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()

    def test_an_image_that_is_not_there(self):
        self.assert_paused(
            {'image': 'nosuch:1'}, 'Image nosuch not present', 'host-'
        )

    def test_a_command_that_is_not_there(self):
        self.assert_paused(
            {'command': ['/no/such/command']},
            'Docker: ',
            '"/no/such/command"',
            'no such file or directory',
        )

    def test_a_command_that_must_not_be_run(self):
        self.assert_paused(
            {'command': ['/etc']}, 'Docker: ', '"/etc"', 'permission denied'
        )
