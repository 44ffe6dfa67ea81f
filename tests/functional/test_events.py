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

"""What is told of a bulk: its history."""

from tests.functional import base


class TestEvents(base.FunctionalTestCase):
    def events(self, ident, query=''):
        return self.ask('GET', '/bulks/%s/events%s' % (ident, query))['events']

    def told(self, ident, index):
        return [
            (event['event'], event['attempt'])
            for event in self.events(ident, '?index=%d' % index)
        ]

    def test_starts_that_fail(self):
        self.lab.control(
            'POST',
            '/faults',
            {
                'operation': 'container_start',
                'kind': 'error',
                'count': 2,
                'status': 500,
                'message': 'context deadline exceeded',
            },
        )
        ident = self.create_bulk(6)
        bulk = self.wait_for_end(ident)
        self.assertEqual('ready', bulk['status'], bulk)

        events = self.events(ident)
        self.assertEqual(
            ('accepted', '6 members'),
            (events[0]['event'], events[0]['reason']),
        )
        self.assertEqual(
            ('ready', None), (events[-1]['event'], events[-1]['index'])
        )
        again = [event for event in events if event['event'] == 'placed']
        self.assertEqual(2, len(again), events)
        for event in again:
            self.assertIn('context deadline exceeded', event['reason'])
        tries = {event['index'] for event in again}
        for member in self.members(ident):
            index = member['index']
            expected = [('starting', 1), ('running', 1)]
            if index in tries:
                expected = [
                    ('starting', 1),
                    ('placed', 1),
                    ('starting', 2),
                    ('running', 2),
                ]
            self.assertEqual(expected, self.told(ident, index))
            for event in self.events(ident, '?index=%d' % index):
                self.assertEqual(
                    (member['container_uuid'], member['host']),
                    (event['container_uuid'], event['host']),
                )
