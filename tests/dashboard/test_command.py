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

"""Tests of the command that creates the same bulk."""

import shlex
import types
import unittest

from zun_bulk.dashboard import command
from zun_bulk.osc import create


BODY = {
    'name': 'web',
    'count': 60,
    'run': False,
    'max_attempts': 3,
    'on_failure': 'continue',
    'placement': {'policy': 'pack', 'allow_partial': True},
    'floating_ips': {'network': 'public', 'on_delete': 'keep'},
    'template': {
        'name': 'web-{index}',
        'image': 'nginx:alpine',
        'command': ['sh', '-c', "echo 'a b'; sleep 1"],
        'cpu': '0.1',
        'memory': '64',
        'disk': 2,
        'workdir': '/tmp',
        'hostname': 'web-{index}',
        'environment': {'A': '1', 'B': 'x y'},
        'labels': {'rack': '7', 'row': '8'},
        'hints': {'a': 'b'},
        'image_driver': 'docker',
        'image_pull_policy': 'always',
        'restart_policy': {'Name': 'on-failure', 'MaximumRetryCount': '3'},
        'interactive': True,
        'auto_heal': True,
        'security_groups': ['default', 'web'],
        'availability_zone': 'nova',
        'host': 'host-1',
        'runtime': 'runc',
        'entrypoint': ['/bin/sh', '-x'],
        'healthcheck': {
            'cmd': 'true',
            'interval': 5,
            'retries': 3,
            'timeout': 2,
        },
        'nets': [
            {'network': 'private', 'v4-range': '10.0.0.1-10.0.0.9'},
            {'network': 'storage'},
        ],
        'mounts': [{'type': 'volume', 'size': '1', 'destination': '/data'}],
    },
}


def parsed(line):
    """Return the request that the command makes from a command line."""
    words = shlex.split(line)
    assert words[:4] == ['openstack', 'appcontainer', 'bulk', 'create']
    cmd = create.CreateBulk(types.SimpleNamespace(), None)
    args = cmd.get_parser('create').parse_args(words[4:])
    body = cmd._body(args)
    del body['client_token']
    return body


class TestCommand(unittest.TestCase):
    maxDiff = None

    def test_the_command_parses_it(self):
        body = parsed(command.line(BODY))
        template = body['template']
        # Zun's command sets tty with interactive.
        self.assertIs(True, template.pop('tty'))
        for field in ('auto_remove', 'exposed_ports'):
            if not template.get(field):
                template.pop(field, None)
        self.assertEqual(BODY, body)

    def test_short(self):
        self.assertEqual(
            'openstack appcontainer bulk create --count 3 nginx',
            command.line({'count': 3, 'template': {'image': 'nginx'}}),
        )

    def test_values_are_quoted(self):
        line = command.line(
            {'count': 3, 'name': "a'; reboot", 'template': {'image': 'x'}}
        )
        self.assertEqual("a'; reboot", shlex.split(line)[7])

    def test_members_and_files(self):
        line = command.line(
            {
                'count': 3,
                'template': {
                    'image': 'nginx',
                    'mounts': [
                        {
                            'type': 'bind',
                            'source': 'aGVsbG8=',
                            'destination': '/etc/motd',
                        }
                    ],
                },
            },
            'nodes.csv',
        )
        self.assertIn('--members-from nodes.csv', line)
        self.assertNotIn('--count', line)
        self.assertIn('type=bind,source=FILE,destination=/etc/motd', line)
