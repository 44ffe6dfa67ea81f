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
import subprocess
import sys
import textwrap

import fixtures
from oslo_config import cfg
from oslo_config import fixture as config_fixture
from oslotest import base

from tests import database
from zun_bulk.cmd import db_manage
from zun_bulk.conf import CONF
from zun_bulk.db import migration


class TestDbManage(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.conf_file = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'zun.conf'
        )
        with open(self.conf_file, 'w') as conf:
            conf.write('[DEFAULT]\nhost = host-1\n')
        self.useFixture(config_fixture.Config(CONF))
        self.useFixture(database.Database(tables=False))
        self.addCleanup(self._unregister)
        # It would turn the tests' own logging around.
        self.useFixture(fixtures.MockPatchObject(db_manage.logging, 'setup'))

    def _unregister(self):
        CONF.reset()
        CONF.unregister_opt(cfg.SubCommandOpt('command'))

    def run_command(self, *argv):
        """Return (exit status, stdout, stderr)."""
        # A command can be added only before the command line is parsed.
        CONF.reset()
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = db_manage.main(
                    ['--config-file', self.conf_file, *argv]
                )
            except SystemExit as exc:
                status = exc.code
        return status, out.getvalue(), err.getvalue()

    def test_from_nothing_to_head(self):
        self.assertEqual(
            (0, 'Current DB revision is None\n', ''),
            self.run_command('version'),
        )
        self.assertEqual(1, self.run_command('check')[0])
        self.assertEqual(0, self.run_command('upgrade')[0])
        self.assertEqual(0, self.run_command('upgrade')[0])
        self.assertEqual(
            (0, 'Current DB revision is %s\n' % migration.head(), ''),
            self.run_command('version'),
        )
        self.assertEqual(0, self.run_command('check')[0])

    def test_expand_and_contract(self):
        self.assertEqual(0, self.run_command('upgrade', '--expand')[0])
        self.assertEqual(migration.head(), migration.version())
        self.assertEqual(0, self.run_command('upgrade', '--contract')[0])
        self.assertEqual({}, migration.missing())
        self.assertEqual(0, self.run_command('check')[0])

    def test_one_of_expand_contract_and_a_revision(self):
        for argv in (
            ('--expand', '--contract'),
            ('--expand', migration.head()),
            (migration.head(), '--contract'),
        ):
            status, _out, err = self.run_command('upgrade', *argv)
            self.assertEqual(2, status)
            self.assertIn('not allowed with', err)
        self.assertIsNone(migration.version())

    def test_reads_the_configuration_of_zun(self):
        self.run_command('version')
        self.assertEqual('host-1', CONF.host)

    def test_stamp_and_history(self):
        self.assertEqual(0, self.run_command('stamp', 'head')[0])
        self.assertEqual(migration.head(), migration.version())
        status, out, _err = self.run_command('history')
        self.assertEqual(0, status)
        self.assertIn(migration.head(), out)

    def test_unknown_revision(self):
        status, _out, err = self.run_command('upgrade', 'nonesuch')
        self.assertEqual(1, status)
        self.assertIn('nonesuch', err)
        self.assertNotIn('Traceback', err)

    def test_no_command(self):
        status, _out, err = self.run_command()
        self.assertEqual(2, status)
        self.assertIn('usage', err)

    def test_no_database(self):
        with open(self.conf_file, 'w') as conf:
            conf.write(
                '[database]\nmax_retries = 1\nretry_interval = 0\n'
                'connection = sqlite:////nonesuch/zun.sqlite\n'
            )
        # A process of its own, for the fixture holds another database.
        done = subprocess.run(
            [
                sys.executable,
                '-m',
                'zun_bulk.cmd.db_manage',
                '--config-file',
                self.conf_file,
                'version',
            ],
            capture_output=True,
            text=True,
        )
        self.assertEqual(1, done.returncode)
        self.assertIn('zun-bulk-db-manage: ', done.stderr)
        self.assertIn('unable to open database file', done.stderr)

    def test_patches_nothing(self):
        # Zun's own commands import zun.cmd, which patches all of Python.
        program = textwrap.dedent('''
            import sys
            from zun_bulk.cmd import db_manage
            eventlet = sys.modules.get('eventlet.patcher')
            sys.exit(bool(eventlet and (eventlet.is_monkey_patched('thread')
                     or eventlet.is_monkey_patched('socket'))))
            ''')
        subprocess.run([sys.executable, '-c', program], check=True)
