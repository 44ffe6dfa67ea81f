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

"""Zun's database is restored from a backup that is older than some bulks."""

import signal
import sqlite3
import subprocess
import sys

from tests.functional import base
from tests.lab.embedded import lab as embedded


class TestRestore(base.FunctionalTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.lab.root / 'data' / 'zun.sqlite'
        self.backup = self.lab.root / 'data' / 'zun.backup'

    def copy(self, source, target):
        with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
            old.backup(new)
        old.close()
        new.close()

    def restore(self):
        self.lab.kill('zun', signal.SIGTERM)
        self.copy(self.backup, self.path)
        self.lab.start_zun()

    def orphans(self, *options):
        """Return the lines that the command writes."""
        done = subprocess.run(
            [
                sys.executable,
                '-m',
                'zun_bulk.cmd.orphans',
                '--config-file',
                str(self.lab.root / 'etc' / 'zun.conf'),
                *options,
            ],
            cwd=embedded.REPOSITORY,
            capture_output=True,
            text=True,
            timeout=180,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout.splitlines()

    def test_what_is_newer_is_found_and_what_is_gone_is_told(self):
        gone, kept = self.create_bulk(2), self.create_bulk(3)
        for ident in (gone, kept):
            self.assertEqual('ready', self.wait_for_end(ident)['status'])
        self.copy(self.path, self.backup)
        self.delete_bulk(gone)
        newer = self.create_bulk(
            4,
            'demo',
            self.template(
                mounts=[{'type': 'volume', 'size': 1, 'destination': '/data'}]
            ),
        )
        self.wait_for_end(newer)
        lost = {member['container_uuid'] for member in self.members(newer)}
        self.restore()

        # What was deleted since comes back as failed.
        self.wait_for(
            'what is gone has failed',
            lambda: self.bulk(gone)['members']['failed'] == 2,
        )
        self.assertEqual('error', self.bulk(gone)['status'])
        self.assertEqual('ready', self.bulk(kept)['status'])
        # What was made since is nobody's.
        found = self.orphans()
        volumes = {
            volume['id']: volume['attachments'][0]['server_id']
            for volume in self.lab.made_volumes()
        }
        self.assertEqual('16 resources unknown to Zun', found[-1])
        self.assertEqual(
            {'container ' + uuid for uuid in lost}
            | {
                'volume %s of container %s, in-use, on host-1' % pair
                for pair in volumes.items()
            }
            | {'claim of container ' + uuid for uuid in lost},
            {line for line in found[:-1] if not line.startswith('port')},
        )
        # A host may have mounted what is attached.
        self.assertEqual('12 removed', self.orphans('--remove')[-1])
        self.assertEqual(4, len(self.lab.made_volumes()))
        for ident in volumes:
            self.lab.cinder(
                'POST', '/volumes/%s/action' % ident, {'os-force_detach': {}}
            )
        self.assertEqual('4 removed', self.orphans('--remove')[-1])
        self.wait_for(
            'the volumes are gone', lambda: not self.lab.made_volumes()
        )
        self.assertEqual(['0 resources unknown to Zun'], self.orphans())
        for member in self.members(kept):
            self.assert_running(member)
