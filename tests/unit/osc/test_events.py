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


import json
import re

from tests.unit.osc import base
from zun_bulk.consts import EventName
from zun_bulk.osc import events


def event(number, **values):
    return {
        'id': number,
        'created_at': 'c',
        'event': 'starting',
        'index': 1,
        'container_uuid': 'uuid-1',
        'host': 'host-1',
        'attempt': 1,
        'reason': None,
        **values,
    }


class TestEventList(base.CommandTestCase):
    def test_help_names_each_event(self):
        parser = events.ListBulkEvent(self.app, None).get_parser('bulk')
        words = re.findall(r'[a-z]+', parser.format_help())
        self.assertEqual(set(), set(EventName.ALL) - set(words))

    def list(self, *argv, **values):
        self.api.get(
            f'{base.BULKS}/load/events',
            **base.answer({'events': [event(1, **values)], 'next': None}),
        )
        return json.loads(
            self.run_command(events.ListBulkEvent, 'load', '-f', 'json', *argv)
        )

    def test_columns(self):
        self.assertEqual(
            [
                {
                    'created_at': 'c',
                    'index': None,
                    'event': 'paused',
                    'host': None,
                    'attempt': None,
                    'reason': 'why',
                }
            ],
            self.list(
                event='paused',
                index=None,
                host=None,
                attempt=None,
                reason='why',
            ),
        )

    def test_long(self):
        self.assertEqual([event(1)], self.list('--long'))

    def test_filters(self):
        self.list(
            '--index',
            '3',
            '--event',
            'failed',
            '--marker',
            '7',
            '--limit',
            '5',
            '--sort-dir',
            'desc',
        )
        self.assertEqual(
            {
                'index': ['3'],
                'event': ['failed'],
                'marker': ['7'],
                'limit': ['5'],
                'sort_dir': ['desc'],
            },
            self.api.last_request.qs,
        )

    def test_follows_next(self):
        url = f'{base.BULKS}/load/events'
        self.api.get(
            url,
            [
                base.answer({'events': [event(1)], 'next': f'{url}?marker=1'}),
                base.answer({'events': [event(2)], 'next': None}),
            ],
        )
        rows = self.run_command(
            events.ListBulkEvent, 'load', '--long', '-f', 'value', '-c', 'id'
        ).split()
        self.assertEqual(['1', '2'], rows)
