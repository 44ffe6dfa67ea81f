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

"""Bulks whose members have something of their own."""

import base64
import json
import pathlib

from tests.functional import base


class TestMembers(base.FunctionalTestCase):
    def mount(self, name):
        return {
            'type': 'bind',
            'source': base64.b64encode(name.encode()).decode(),
            'destination': '/etc/' + name,
        }

    def mounted(self, inspected):
        """Return {position: content of the file}."""
        found = {}
        for bind in inspected['HostConfig']['Binds']:
            source, destination = bind.split(':')[:2]
            found[destination] = pathlib.Path(source).read_text()
        return found

    def test_names_environment_labels_files_and_addresses(self):
        own = [
            {
                'name': 'node-%s' % letter,
                'hostname': 'n-{index}',
                'environment': {'LETTER': letter},
                'labels': {'rack': letter},
                'addresses': ['10.77.9.%d' % number],
                'mounts': [self.mount(letter)],
            }
            for number, letter in enumerate('abcd', 200)
        ]
        ident = self.create_bulk(
            5,
            template=self.template(
                name='web',
                environment={'LETTER': 'none', 'ALL': '1'},
                mounts=[self.mount('all')],
            ),
            members=[*own, {}],
        )
        members = self.assert_all_running(ident, 5)
        self.assertEqual(
            ['node-a', 'node-b', 'node-c', 'node-d', 'web-5'],
            [member['name'] for member in members],
        )
        bulk = self.ask('GET', '/bulks/' + ident, version='1.1')
        self.assertEqual(sorted(own[0]), bulk['own_fields'])
        found = self.ask(
            'GET', '/bulks/%s/members?name=E-B' % ident, version='1.1'
        )['members']
        self.assertEqual([members[1]], found)
        for letter, member in zip('abcd', members, strict=False):
            inspected = self.inspect(member['container_uuid'])
            config = inspected['Config']
            self.assertEqual('n-%d' % member['index'], config['Hostname'])
            self.assertEqual(letter, config['Labels']['rack'])
            self.assertLessEqual(
                {'LETTER=' + letter, 'ALL=1'}, set(config['Env'])
            )
            self.assertEqual(
                {'/etc/all': 'all', '/etc/' + letter: letter},
                self.mounted(inspected),
            )
        last = self.inspect(members[-1]['container_uuid'])
        self.assertEqual({'/etc/all': 'all'}, self.mounted(last))
        self.assertIn('LETTER=none', last['Config']['Env'])
        self.assertEqual(
            [{key: one[key] for key in ('addresses', 'mounts')} for one in own]
            + [None],
            [
                wanted and json.loads(wanted)
                for (wanted,) in self.lab.rows(
                    'SELECT wanted FROM zun_bulk_member ORDER BY member_index'
                )
            ],
        )

    def test_all_that_is_wrong_is_told(self):
        members = [{} for _number in range(1000)]
        members[17] = {'hostname': 'a b', 'addresses': ['192.0.2.1']}
        members[999] = {'name': 'a b'}
        answer = self.ask(
            'POST',
            '/bulks',
            {'count': 1000, 'template': self.template(), 'members': members},
            status=400,
        )
        lines = answer['errors'][0]['detail'].split('\n')
        self.assertEqual(
            [
                'members[17].addresses[0]',
                'members[17].hostname',
                'members[999].name',
            ],
            [line.split(':')[0] for line in lines],
        )
        self.assertEqual([], self.lab.rows('SELECT id FROM zun_bulk_bulk'))
