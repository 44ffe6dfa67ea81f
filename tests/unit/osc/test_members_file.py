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

import base64
import json
import os
import pathlib
import re
import textwrap

import ddt
import fixtures
from osc_lib import exceptions
import yaml
from zun.api.controllers.v1.schemas import parameter_types

from tests.unit.osc import base
from zun_bulk.api.schemas import member as schema
from zun_bulk.osc import create
from zun_bulk.osc import members_file
from zun_bulk.osc import members_file_checks as checks
from zun_bulk.osc import members_file_entries as entries


GUIDE = (
    pathlib.Path(__file__).parents[3].resolve() / 'doc/source/user/members.rst'
)
CSV = """\
name,hostname,environment,env.ZONE,labels,label.rack,addresses,floating_ip,mounts
web-a,a,COLOR=red;SIZE=,north,role=web,7,10.0.0.5;10.1.0.5,172.24.4.9,

"web-{index}", ,,,,,- 10.1.0.6,,"type=bind,source=motd,destination=/etc/motd;
type=bind,source=motd,destination=/m"
"""
JSON = """[
  {"name": "web-a", "hostname": "a",
   "environment": {"COLOR": "red", "SIZE": "", "ZONE": "north"},
   "labels": {"role": "web", "rack": 7},
   "addresses": ["10.0.0.5", "10.1.0.5"],
   "floating_ip": "172.24.4.9"},
  {"name": "web-{index}", "hostname": null,
   "addresses": [null, "10.1.0.6"],
   "mounts": ["type=bind,source=motd,destination=/etc/motd",
              {"type": "bind", "source": "motd", "destination": "/m"}]}
]
"""
YAML = """\
- name: web-a
  hostname: a
  environment: {COLOR: red, SIZE: "", ZONE: north}
  labels:
    role: web
    rack: 7
  addresses: [10.0.0.5, 10.1.0.5]
  floating_ip: 172.24.4.9
- name: web-{index}
  hostname:
  addresses: [~, 10.1.0.6]
  mounts:
    - type=bind,source=motd,destination=/etc/motd
    - type: bind
      source: motd
      destination: /m
"""
SOURCE = base64.b64encode(b'hello\xff').decode()
MEMBERS = [
    {
        'name': 'web-a',
        'hostname': 'a',
        'environment': {'COLOR': 'red', 'SIZE': '', 'ZONE': 'north'},
        'labels': {'role': 'web', 'rack': '7'},
        'addresses': ['10.0.0.5', '10.1.0.5'],
        'floating_ip': '172.24.4.9',
    },
    {
        'name': 'web-{index}',
        'addresses': [None, '10.1.0.6'],
        'mounts': [
            {'type': 'bind', 'source': SOURCE, 'destination': '/etc/motd'},
            {'type': 'bind', 'source': SOURCE, 'destination': '/m'},
        ],
    },
]


class FileTestCase(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        directory = self.useFixture(fixtures.TempDir()).path
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        self.write('motd', b'hello\xff')

    def write(self, name, content):
        if isinstance(content, str):
            content = content.encode()
        with open(name, 'wb') as file:
            file.write(content)

    def read(self, name, content, nets=2):
        self.write(name, content)
        return members_file.read(name, nets).members

    def problems(self, name, content, nets=2):
        """Read an invalid file; return the reported problems."""
        error = self.assertRaises(
            exceptions.CommandError, self.read, name, content, nets
        )
        *lines, last = str(error).split('\n')
        self.assertEqual('Nothing was created.', last)
        return lines

    def command(self, *argv):
        return self.run_command(create.CreateBulk, *argv)


@ddt.ddt
class TestRead(FileTestCase):
    @ddt.data(
        ('f.csv', CSV),
        ('f.CSV', '\ufeff' + CSV.replace('\n', '\r\n')),
        ('f.json', JSON),
        ('f.json', '\n\t' + json.dumps(json.loads(JSON))),
        ('f.yaml', YAML),
        ('f.yml', JSON),
    )
    @ddt.unpack
    def test_format(self, name, content):
        self.assertEqual(MEMBERS, self.read(name, content))

    def test_scalars_are_taken_literally(self):
        values = {'A': '010', 'B': 'yes', 'C': '1.10', 'D': '2026-01-02'}
        content = textwrap.dedent(
            """\
            - environment: {A: 010, B: yes, C: 1.10, D: 2026-01-02}
            """
        )
        self.assertEqual(
            [{'environment': values}], self.read('f.yaml', content)
        )
        self.assertEqual(
            [{'environment': {'A': '1.10', 'B': '1e3'}}],
            self.read('f.json', '[{"environment": {"A": 1.10, "B": 1e3}}]'),
        )

    def test_cells_with_lines(self):
        members = self.read('f.csv', 'env.A,name\n"a\n; b",ab\n')
        self.assertEqual(
            [{'environment': {'A': 'a\n; b'}, 'name': 'ab'}], members
        )

    @ddt.data('csv', 'json', 'yaml')
    def test_a_thousand(self, suffix):
        members = [
            {
                'name': f'web-{number}',
                'hostname': f'h{number}',
                'environment': {'NUMBER': str(number), 'A': 'x y'},
                'labels': {'rack': str(number // 40)},
                'addresses': ['10.0.%d.%d' % divmod(number + 10, 256)],
                'floating_ip': '172.24.%d.%d' % divmod(number + 10, 256),
            }
            for number in range(1000)
        ]
        content = {
            'csv': lambda: '\n'.join(
                ['name,hostname,env.NUMBER,env.A,labels,addresses,floating_ip']
                + [
                    ','.join(
                        [
                            member['name'],
                            member['hostname'],
                            *member['environment'].values(),
                            f'rack={member["labels"]["rack"]}',
                            *member['addresses'],
                            member['floating_ip'],
                        ]
                    )
                    for member in members
                ]
            ),
            'json': lambda: json.dumps(members, indent=1),
            'yaml': lambda: yaml.safe_dump(members),
        }[suffix]()
        self.assertEqual(members, self.read(f'f.{suffix}', content))

    def test_examples_of_the_user_guide(self):
        self.write('b.conf', b'b')
        blocks = re.findall(
            r'\.\. code-block:: (text|json|yaml)\n\n((?:   .*\n|\n)+)',
            GUIDE.read_text(),
        )
        made = [
            self.read(f'f.{suffix}', textwrap.dedent(block))
            for suffix, (_kind, block) in zip(
                ('csv', 'json', 'yaml'), blocks, strict=False
            )
        ]
        self.assertEqual('node-c', made[0][2]['name'])
        self.assertEqual(made[0], made[1])
        self.assertEqual(made[0], made[2])

    def test_checks_are_those_of_the_api(self):
        self.assertEqual(set(schema.own), set(entries.FIELDS))
        for ours, theirs in (
            (checks.NAME, parameter_types.container_name),
            (checks.HOSTNAME, parameter_types.hostname),
        ):
            self.assertEqual(
                theirs['pattern'].rstrip('+*$'), '^' + ours.rpartition('{')[0]
            )
            shortest = ours.count('[') - 1
            self.assertEqual(
                ours.rpartition('{')[2],
                '%d,%d}'
                % (
                    theirs['minLength'] - shortest,
                    theirs['maxLength'] - shortest,
                ),
            )


@ddt.ddt
class TestProblems(FileTestCase):
    @ddt.data(
        # fields as JSON has them, column, what is problem
        ({'name': 'a'}, 'name', "'a' does not match"),
        ({'name': 'a b'}, 'name', 'match'),
        ({'name': True}, 'name', 'string'),
        ({'name': 'a' + 255 * 'b'}, 'name', 'match'),
        ({'hostname': 'a_\n'}, 'hostname', 'match'),
        ({'hostname': ['a']}, 'hostname', 'string'),
        ({'environment': 'A=1'}, 'environment', 'mapping'),
        ({'environment': {'A': True}}, 'environment.A', 'string'),
        ({'environment': {'A': None}}, 'environment.A', 'string'),
        ({'labels': {'org.openstack.zun_bulk.x': ''}}, None, 'reserved'),
        ({'addresses': {}}, 'addresses', 'list'),
        ({'addresses': 3 * [None]}, 'addresses', '2 networks'),
        ({'addresses': ['10.0.0.256']}, 'addresses', '10.0.0.256'),
        ({'addresses': [True]}, 'addresses', 'True'),
        ({'floating_ip': '2001:db8::1'}, 'floating_ip', '2001:db8::1'),
        ({'mounts': ['/a:/b']}, 'mounts', '/a:/b'),
        ({'mounts': ['type=bind,size=1,destination=/a']}, 'mounts', 'size'),
        ({'mounts': [{'type': 'bind'}]}, 'mounts', 'destination'),
        ({'mounts': [5]}, 'mounts', '5'),
        ({'mounts': 7}, 'mounts', 'type=bind'),
        (
            {'mounts': ['type=bind,source=none,destination=/a']},
            'mounts',
            "No such file or directory: 'none'",
        ),
        ({'env': {}}, 'env', 'environment'),
        ({'flaoting_ip': 'x'}, 'flaoting_ip', 'did you mean floating_ip?'),
        ({'zzz': 'x'}, 'zzz', 'valid names are name, hostname'),
        ('web', '', 'field names'),
        (None, '', 'field names'),
    )
    @ddt.unpack
    def test_field(self, fields, column, text):
        content = json.dumps([{}, fields, {}], indent=1)
        line = 1 + content[: content.index('\n', 6) + 1].count('\n')
        (problem,) = self.problems('f.json', content)
        if column is not None:
            place = f'f.json:{line}: [1].{column}'.rstrip('.')
            self.assertTrue(problem.startswith(place + ': '), problem)
        self.assertIn(text, problem)

    def test_lines_of_csv(self):
        lines = self.problems(
            'f.csv',
            'name,addrs,environment, addresses,name\n'
            'a b,,A=1,,\n'
            '\n'
            '"ok",,"A=1;\n;B;A=2",10.0.0.5 - -,\n'
            'ok,,,\n'
            'ok,,,10.0.0.5,\n',
        )
        self.assertEqual(
            [
                'f.csv:1: addrs: unknown column; did you mean addresses?',
                'f.csv:1: name: duplicate column',
                'f.csv:1: name: duplicate column',
                "f.csv:2: name: 'a b' does not match " + checks.NAME,
                "f.csv:4: environment: 'B' is not KEY=VALUE",
                'f.csv:4: environment: A is given more than once',
                'f.csv:4: addresses: 3 addresses are given, but a container '
                'has 2 networks (--net)',
                'f.csv:6: the row has 4 cells, but there are 5 columns',
                'f.csv:7: name: ok is already used in line 4',
            ],
            lines,
        )

    def test_lines_of_yaml(self):
        lines = self.problems(
            'f.yaml',
            '# names\n- name: ab\n\n- hostname: h\n  name: AB\n'
            '  colour: red\n  hostname: i\n- {environment: [A]}\n'
            '- environment: {[A]: b}\n- [[[[[]]]]]\n',
        )
        self.assertEqual(
            [
                'f.yaml:7: hostname: duplicate key',
                'f.yaml:5: name: ab is already used in line 2',
                'f.yaml:6: colour: unknown key; valid names are '
                + ', '.join(entries.FIELDS),
                'f.yaml:8: environment: must be a mapping of names to values',
                'f.yaml:9: keys must be strings',
                'f.yaml:10: nested too deeply',
                'f.yaml:10: a member must be a mapping of field names to '
                'values',
            ],
            lines,
        )

    def test_duplicate_values(self):
        member = {'addresses': ['10.0.0.5'], 'floating_ip': '172.24.4.9'}
        lines = self.problems(
            'f.json', json.dumps([{'name': 'w2'}, {}, member, member])
        )
        self.assertEqual(
            [
                'f.json:1: [3].addresses: 10.0.0.5 is already used in '
                'line 1 [2]',
                'f.json:1: [3].floating_ip: 172.24.4.9 is already used in '
                'line 1 [2]',
            ],
            lines,
        )
        # With the index in its place.
        lines = self.problems('f.csv', 'name\nw2\nw{index}\n')
        self.assertEqual(
            ['f.csv:3: name: w2 is already used in line 2'], lines
        )

    def test_duplicate_keys(self):
        (line,) = self.problems(
            'f.json',
            '[{"environment": {"A": "1"}},\n{"name": "ab",'
            ' "environment": {"A": "1", "B": "2", "A": "3"}}]',
        )
        self.assertEqual('f.json:2: [1].A: duplicate key', line)

    @ddt.data(
        ('f.csv', '', 1, 'no members'),
        ('f.csv', 'name\n', 1, 'no members'),
        ('f.csv', 'name\nab\n"cd"e\n', 3, "',' expected"),
        ('f.json', '[]', 1, 'no members'),
        ('f.json', '{"name": "ab"}', 1, 'list'),
        ('f.json', '', 1, 'list'),
        ('f.json', '[\n{"name": "ab"}\n{}]', 3, "','"),
        ('f.json', '[\n{"name": "ab",}]', 2, 'column'),
        ('f.json', '[{"name": "ab"}]\n]', 2, 'Extra'),
        ('f.json', '[{"name": "ab"},\n', 2, 'Expecting value'),
        ('f.json', '[' + 100000 * '[', 1, 'nested'),
        ('f.yaml', '', 1, 'list'),
        ('f.yaml', '[]', 1, 'no members'),
        ('f.yaml', 'name: ab', 1, 'list'),
        ('f.yaml', '- name: ab\n- name: "c\n', 3, 'end of stream'),
        ('f.yaml', '- name: a\x07b\n', 1, 'character'),
        ('f.yaml', '- &a [*a]\n', 1, 'nested'),
    )
    @ddt.unpack
    def test_invalid_format(self, name, content, line, text):
        problem = self.problems(name, content)[0]
        self.assertTrue(problem.startswith(f'{name}:{line}: '), problem)
        self.assertIn(text, problem)

    def test_too_many_problems(self):
        lines = self.problems('f.csv', 'hostname\n' + 117 * 'a b\n')
        self.assertEqual(101, len(lines))
        self.assertTrue(lines[99].startswith('f.csv:101: '))
        self.assertEqual('and 17 more problems', lines[100])

    @ddt.data(
        ('f.txt', b'', '.csv, .json, .yaml or .yml'),
        ('f.csv', b'\xff', 'not UTF-8'),
    )
    @ddt.unpack
    def test_no_such_file(self, name, content, text):
        self.write(name, content)
        error = self.assertRaises(
            exceptions.CommandError, members_file.read, name, 1
        )
        self.assertIn(text, str(error))

    def test_no_file(self):
        error = self.assertRaises(
            exceptions.CommandError, members_file.read, 'none.csv', 1
        )
        self.assertIn("'none.csv'", str(error))


@ddt.ddt
class TestCommand(FileTestCase):
    def setUp(self):
        super().setUp()
        self.write('f.csv', CSV)
        self.nets = ['--net', 'network=a', '--net', 'network=b']

    @ddt.data([], ['--count', '2'])
    def test_request(self, count):
        self.api.post(base.BULKS, **base.answer(base.bulk_view(), 202))
        self.command('--members-from', 'f.csv', *count, *self.nets, 'busybox')
        body = self.api.last_request.json()
        self.assertEqual(MEMBERS, body['members'])
        self.assertEqual(2, body['count'])
        self.assertIn('client_token', body)

    @ddt.data(
        (
            ['--count', '3', '--net', 'network=a', '--net', 'network=b'],
            '2 mem',
        ),
        (['--net', 'network=a'], '1 networks'),
        ([], '1 networks'),
    )
    @ddt.unpack
    def test_nothing_is_sent(self, argv, text):
        error = self.assertRaises(
            exceptions.CommandError,
            self.command,
            '--members-from',
            'f.csv',
            *argv,
            'busybox',
        )
        self.assertIn(text, str(error))
        self.assertFalse(self.api.called)

    @ddt.data([], ['--dry-run'])
    def test_errors_of_the_api_name_lines(self, argv):
        self.write('f.json', '[{}, {}]')
        detail = (
            'members[1].addresses[0]: 10.0.0.5 is also that of members[0]\n'
            'members[1]: bad\nmembers[9].name: strange'
        )
        for name, expected in (
            (
                'f.csv',
                'f.csv:4: addresses[0]: 10.0.0.5 is also that of f.csv:2\n'
                'f.csv:4: bad\nmembers[9].name: strange (HTTP 400)',
            ),
            (
                'f.json',
                'f.json:1: [1].addresses[0]: 10.0.0.5 is also that of '
                'f.json:1 [0]\nf.json:1: [1]: bad\nmembers[9].name: strange '
                '(HTTP 400)',
            ),
        ):
            self.api.post(base.BULKS, **base.error(400, detail))
            error = self.assertRaises(
                exceptions.CommandError,
                self.command,
                '--members-from',
                name,
                *argv,
                *self.nets,
                'busybox',
            )
            self.assertIn(expected, str(error))
