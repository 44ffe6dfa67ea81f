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

"""What is told of a bulk: its history, and notifications."""

import json

from tests.functional import base


class TestEvents(base.FunctionalTestCase):
    def events(self, ident, query=''):
        return self.ask('GET', '/bulks/%s/events%s' % (ident, query))['events']

    def told(self, ident, index):
        return [
            (event['event'], event['attempt'])
            for event in self.events(ident, '?index=%d' % index)
        ]

    def notifications(self, ident):
        """The payloads that the driver has written to Zun's log."""
        found = []
        for line in (
            (self.lab.root / 'log' / 'zun.log').read_text().splitlines()
        ):
            if ' oslo.messaging.notification.bulk.' in line:
                message = json.loads(line[line.index('{') :])
                if message['payload']['uuid'] == ident:
                    found.append((message['event_type'], message['payload']))
        return found

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
        rates = self.ask(
            'GET', '/bulks/%s?rate_window=3600' % ident, version='1.1'
        )['rates']
        self.assertEqual(
            (bulk['created_at'], 6, 0),
            (rates['start'], sum(rates['running']), sum(rates['failed'])),
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

    def test_notifications(self):
        ident = self.create_bulk(3)
        self.wait_for_end(ident)
        self.ask('POST', '/bulks/%s/scale' % ident, {'count': 2}, status=202)
        self.wait_for_end(ident)
        self.delete_bulk(ident)
        told = self.wait_for(
            'the last is sent',
            lambda: (
                'bulk.deleted' in dict(self.notifications(ident))
                and self.notifications(ident)
            ),
        )
        self.assertEqual(
            [
                ('bulk.create', 'building', 3),
                ('bulk.end', 'ready', 3),
                ('bulk.scale', 'building', 2),
                ('bulk.end', 'ready', 2),
                ('bulk.delete', 'deleting', 2),
                ('bulk.deleted', 'deleting', 2),
            ],
            [
                (event_type, payload['status'], payload['count'])
                for event_type, payload in told
            ],
        )
        self.assertEqual(
            [3, 2],
            [
                payload['members']['running']
                for event_type, payload in told
                if event_type == 'bulk.end'
            ],
        )
        for _event_type, payload in told:
            self.assertEqual('1.0', payload['version'])
            self.assertNotIn('template', payload)
