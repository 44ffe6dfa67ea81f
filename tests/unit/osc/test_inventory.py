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

import ast
import json
import shlex

import ddt
from oslotest import base as test_base
import yaml

from tests.unit.osc import base
from zun_bulk.osc import inventory


def member(index, **values):
    return base.member_view(index, **{'floating_ip': None, **values})


def read_ini(text):
    """Read an inventory by the rules that Ansible documents for it.

    :returns: {host: variables}, {group: hosts}
    """
    hosts, groups, group = {}, {}, None
    for line in text.splitlines():
        tokens = shlex.split(line, comments=True)
        if not tokens:
            continue
        if line.startswith('['):
            group = groups.setdefault(line.strip('[]'), [])
            continue
        if group is not None:
            group.append(tokens[0])
        variables = hosts.setdefault(tokens[0], {})
        for token in tokens[1:]:
            name, value = token.split('=', 1)
            try:
                variables[name] = ast.literal_eval(value)
            except (SyntaxError, ValueError):
                variables[name] = value
    return hosts, groups


@ddt.ddt
class TestNames(test_base.BaseTestCase):
    @ddt.data(
        ('load', 'load'),
        ('my-load.2', 'my_load_2'),
        ('60-webs', '_60_webs'),
        ('all', '_all'),
        ('ungrouped', '_ungrouped'),
        ('überall', '_berall'),
    )
    @ddt.unpack
    def test_group(self, name, group):
        self.assertEqual(group, inventory.group_name(name))

    def test_of_hosts_are_unique(self):
        names = ['a', 'a', 'a-2', 'b']
        hosts, groups = inventory.build(
            'load',
            [member(index, name=name) for index, name in enumerate(names, 1)],
        )
        self.assertEqual(['a-1', 'a-2-2', 'a-2', 'b'], list(hosts))
        self.assertEqual([1, 2, 3, 4], [h['index'] for h in hosts.values()])
        self.assertEqual(list(hosts), groups['load'])


class TestAddress(test_base.BaseTestCase):
    def test_choice(self):
        without = member(1)
        with_one = member(2, floating_ip='192.0.2.7')
        new = member(3, addresses=None)
        self.assertEqual(
            ['10.0.0.5', '192.0.2.7', None],
            [inventory.address(m) for m in (without, with_one, new)],
        )
        self.assertEqual(
            ['10.0.0.5', '10.0.0.5', None],
            [inventory.address(m, 'fixed') for m in (without, with_one, new)],
        )
        self.assertEqual(
            [None, '192.0.2.7', None],
            [
                inventory.address(m, 'floating')
                for m in (without, with_one, new)
            ],
        )


class TestInventory(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        view = {**base.bulk_view('ready'), 'name': 'my-load'}
        self.api.get(f'{base.BULKS}/load', **base.answer(view))
        self.members = [
            member(1, floating_ip='192.0.2.7'),
            # Both look like something else than a name.
            member(2, host='1e5', name='0x10'),
            member(3, state='failed', addresses=None),
            member(4, addresses=None, host=None),
        ]
        self.api.get(
            f'{base.BULKS}/{base.UUID}/members',
            json=lambda request, context: {
                'members': [
                    member
                    for member in self.members
                    if member['state']
                    in request.qs.get('state', [member['state']])
                ],
                'next': None,
            },
            headers=base.HEADERS,
        )

    def show(self, *argv):
        return self.run_command(inventory.ShowBulkInventory, 'load', *argv)

    HOSTS = {
        'load-1': {
            'ansible_host': '192.0.2.7',
            'container_uuid': 'uuid-1',
            'index': 1,
            'state': 'running',
            'host': 'host-1',
            'addresses': ['10.0.0.5', 'fd00::5'],
            'floating_ip': '192.0.2.7',
        },
        '0x10': {
            'ansible_host': '10.0.0.5',
            'container_uuid': 'uuid-2',
            'index': 2,
            'state': 'running',
            'host': '1e5',
            'addresses': ['10.0.0.5', 'fd00::5'],
            'floating_ip': None,
        },
    }
    GROUPS = {
        'my_load': ['load-1', '0x10'],
        'state_running': ['load-1', '0x10'],
        'host_host_1': ['load-1'],
        'host_1e5': ['0x10'],
    }

    def test_json(self):
        shown = json.loads(self.show())
        self.assertEqual({'hostvars': self.HOSTS}, shown.pop('_meta'))
        self.assertEqual(
            {'ungrouped', *self.GROUPS}, set(shown.pop('all')['children'])
        )
        self.assertEqual(
            {name: {'hosts': hosts} for name, hosts in self.GROUPS.items()},
            shown,
        )
        self.assertEqual(
            '1 containers are left out because they have no address.\n',
            self.progress,
        )

    def test_yaml(self):
        shown = yaml.safe_load(self.show('--format', 'yaml'))
        self.assertEqual({'all'}, set(shown))
        self.assertEqual(self.HOSTS, shown['all']['hosts'])
        self.assertEqual(
            {
                name: {'hosts': dict.fromkeys(hosts)}
                for name, hosts in self.GROUPS.items()
            },
            shown['all']['children'],
        )

    def test_ini(self):
        self.assertEqual(
            (self.HOSTS, self.GROUPS), read_ini(self.show('-f', 'ini'))
        )

    def test_ini_of_odd_values(self):
        hosts = {
            'a': {
                'quoted': 'it\'s "it" # no comment',
                'number': '123',
                'literal': '[1]',
                'nothing': 'None',
                'equal': 'a=b c',
            }
        }
        self.assertEqual(
            (hosts, {'load': ['a']}),
            read_ini(inventory.as_ini(hosts, {'load': ['a']})),
        )

    def test_all(self):
        for name in ('json', 'yaml', 'ini'):
            shown = self.show('--all', '--format', name)
            if name == 'json':
                hosts = json.loads(shown)['_meta']['hostvars']
                groups = json.loads(shown)
                self.assertEqual(['load-3'], groups['state_failed']['hosts'])
            elif name == 'yaml':
                hosts = yaml.safe_load(shown)['all']['hosts']
            else:
                hosts = read_ini(shown)[0]
            self.assertEqual(
                {'load-1', '0x10', 'load-3', 'load-4'}, set(hosts)
            )
            self.assertNotIn('ansible_host', hosts['load-3'])
            self.assertEqual([], hosts['load-3']['addresses'])
            self.assertIsNone(hosts['load-4']['host'])
        self.assertEqual('', self.progress)

    def test_floating_alone(self):
        shown = json.loads(self.show('--use', 'floating'))
        self.assertEqual(['load-1'], list(shown['_meta']['hostvars']))
        self.assertEqual(
            '2 containers are left out because they have no floating '
            'address.\n',
            self.progress,
        )

    def test_none(self):
        self.members = []
        shown = json.loads(self.show())
        self.assertEqual({}, shown['_meta']['hostvars'])
        self.assertEqual({'hosts': []}, shown['my_load'])
        self.assertEqual(({}, {'my_load': []}), read_ini(self.show('-fini')))
