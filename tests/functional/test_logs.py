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

"""The logs of a bulk, read from zun-api by the command."""

import io
import json
import time
import types

from keystoneauth1 import session
from keystoneauth1.identity import v3
from zunclient import api_versions
from zunclient.v1 import client as zun_client

from tests.functional import base
from zun_bulk.osc import inventory
from zun_bulk.osc import log_lines
from zun_bulk.osc import logs


class TestLogs(base.FunctionalTestCase):
    def setUp(self):
        super().setUp()
        login = self.lab.credentials()
        auth = v3.Password(
            auth_url=login['OS_AUTH_URL'],
            username=login['OS_USERNAME'],
            password=login['OS_PASSWORD'],
            project_name=login['OS_PROJECT_NAME'],
            user_domain_id='default',
            project_domain_id='default',
        )
        container = zun_client.Client(
            session=session.Session(auth=auth),
            api_version=api_versions.APIVersion('1.40'),
        )
        self.app = types.SimpleNamespace(
            client_manager=types.SimpleNamespace(container=container),
            stdout=None,
            stderr=io.StringIO(),
        )

    def run_command(self, command, *argv):
        """Return the output of the command."""
        self.app.stdout = io.StringIO()
        command = command(self.app, None)
        command.run(command.get_parser('bulk').parse_args(argv))
        return self.app.stdout.getvalue()

    def show(self, *argv):
        return self.run_command(logs.ShowBulkLogs, *argv).splitlines()

    def write(self, member, *lines):
        self.lab.control(
            'POST',
            f'/containers/zun-{member["container_uuid"]}/log',
            {'lines': lines},
        )

    def test_logs_and_inventory(self):
        ident = self.create_bulk(
            5, name='talk', template=self.template(name='talk-{index}')
        )
        members = self.assert_all_running(ident, 5)
        # Later than what the emulated engine has written at the start.
        start = (int(time.time()) + 10) * log_lines.SECOND
        for member in members:
            index = member['index']
            self.write(
                member,
                # Those of an even number come before those of an odd one.
                [start + index % 2 * 10 + index, 'stdout', f'é "{index}" \\'],
                [start + 50 - index, 'stderr', f'bye {index}'],
            )
        since = str(start // log_lines.SECOND)
        self.assertEqual(
            [f'talk-{index} | é "{index}" \\' for index in (2, 4, 1, 3, 5)]
            + [f'talk-{index} | bye {index}' for index in (5, 4, 3, 2, 1)],
            self.show('--since', since, 'talk'),
        )
        self.assertEqual(10 + 5, len(self.show('talk')))
        self.assertEqual(
            ['bye 4', 'bye 2'],
            self.show(
                '--index',
                '2,4',
                '--stderr',
                '--no-prefix',
                '--tail',
                '1',
                ident,
            ),
        )
        (line,) = self.show('--index', '3', '--timestamps', '--tail=1', ident)
        self.assertTrue(line.endswith('.000000047Z bye 3'), line)
        self.assertEqual('', self.app.stderr.getvalue())

        # Followed until all have ended; the conductor hears of it.
        for member in members:
            self.ask(
                'POST',
                f'/containers/{member["container_uuid"]}/stop?timeout=1',
                status=202,
            )
        self.assertEqual(
            [f'bye {index}' for index in (5, 4, 3, 2, 1)],
            self.show('--follow', '--no-prefix', '--tail', '1', ident),
        )

        shown = json.loads(
            self.run_command(inventory.ShowBulkInventory, '--all', ident)
        )
        self.assertEqual(
            {member['name']: member['addresses'] for member in members},
            {
                name: [values['ansible_host']]
                for name, values in shown['_meta']['hostvars'].items()
            },
        )
        self.assertEqual(5, len(shown['host_host_1']['hosts']))

    def test_without_a_log(self):
        ident = self.create_bulk(
            2,
            template=self.template(name='none-{index}', image='none-such'),
            max_attempts=1,
            on_failure='continue',
        )
        self.assertEqual('error', self.wait_for_end(ident)['status'])
        self.assertEqual([], self.show(ident))
        self.assertEqual(
            'No log exists for none-1 (failed), none-2 (failed).\n',
            self.app.stderr.getvalue(),
        )
