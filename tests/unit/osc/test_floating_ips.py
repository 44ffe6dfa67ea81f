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

import contextlib
import io
import os
import tempfile

from osc_lib import exceptions

from tests.unit.osc import base
from zun_bulk.osc import create


class TestCreate(base.CommandTestCase):
    def create(self, *argv):
        self.api.post(base.BULKS, **base.answer(base.bulk_view(), 202))
        self.run_command(create.CreateBulk, '--count', '3', *argv, 'busybox')
        return self.api.last_request.json().get('floating_ips')

    def pool(self, text):
        handle, path = tempfile.mkstemp()
        self.addCleanup(os.unlink, path)
        with open(handle, 'wb') as file:
            file.write(text)
        return path

    def refuse(self, text, *argv):
        """Try options that the parser refuses."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertRaises(SystemExit, self.create, *argv)
        self.assertIn(text, said.getvalue())

    def test_none(self):
        self.assertIsNone(self.create())

    def test_of_a_network(self):
        self.assertEqual(
            {'network': 'public'},
            self.create('--floating-ip-network', 'public'),
        )
        self.assertEqual(
            {'network': 'public', 'on_delete': 'keep'},
            self.create(
                '--floating-ip-network',
                'public',
                '--floating-ip-on-delete',
                'keep',
            ),
        )

    def test_of_a_pool(self):
        path = self.pool(b'# ours\n172.24.0.7\n\n 172.24.0.3 # the web\n')
        self.assertEqual(
            {'pool': ['172.24.0.7', '172.24.0.3']},
            self.create('--floating-ip-pool', path),
        )

    def test_invalid_pool(self):
        for text, said in (
            (
                b'172.24.0.7\n\n172.24.0\n',
                ":3: '172.24.0' is not an IPv4 address",
            ),
            (b'fd00::1', ":1: 'fd00::1' is not an IPv4 address"),
            (b'172.24.0.7\n172.24.0.7', ':2: 172.24.0.7 is already in line 1'),
            (b'# none', ' contains no addresses'),
            (b'\xff', 'cannot read'),
        ):
            path = self.pool(text)
            self.refuse(said, '--floating-ip-pool', path)
        self.refuse('cannot read', '--floating-ip-pool', '/nosuch')

    def test_failed_floating_ips(self):
        seen = dict(
            base.bulk_view('error', running=3),
            status_reason='2 of 3 members have no floating IP',
            floating_ips={
                'network': 'public',
                'pool': 0,
                'on_delete': 'release',
                'wanted': 0,
                'bound': 1,
                'failed': 2,
            },
        )
        self.api.get(f'{base.BULKS}/{base.UUID}', **base.answer(seen))
        error = self.assertRaises(
            exceptions.CommandError,
            self.create,
            '--floating-ip-network',
            'public',
            '--wait',
        )
        lines = str(error).splitlines()
        self.assertIn('3 of 3 containers running, 0 failed', lines[0])
        self.assertEqual('2 of 3 members have no floating IP', lines[1])
        self.assertIn('2 × no floating IP: see', lines[2])
        self.assertIn(
            'network=public, on_delete=release, bound=1, failed=2', self.output
        )
