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

"""zun-bulk-status in a cloud that has nothing wrong, and with a fault."""

import json
import subprocess
import sys

from tests.functional import base


class TestStatus(base.FunctionalTestCase):
    def check(self, *arguments):
        """Return (exit status, {check: (result, details)})."""
        done = subprocess.run(
            [
                sys.executable,
                '-m',
                'zun_bulk.cmd.status',
                '--config-file',
                str(self.lab.root / 'etc' / 'zun.conf'),
                *arguments,
                'upgrade',
                'check',
                '--json',
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.returncode, {
            found['check']: (found['result'], found['details'])
            for found in json.loads(done.stdout)['checks']
        }

    def test_lab(self):
        # The agent makes its row a moment after zun-compute is up.
        self.wait_for(
            'the host is known',
            lambda: self.lab.rows('SELECT host FROM zun_bulk_host'),
        )
        code, found = self.check()
        self.assertEqual({(0, None)}, set(found.values()), found)
        self.assertEqual(0, code)

        faults = self.lab.root / 'etc' / 'faults.conf'
        faults.write_text(
            '[scheduler]\n'
            'enabled_filters = ComputeFilter,CPUFilter\n'
            '[keystone_auth]\n'
            'password = wrong\n'
        )
        code, found = self.check('--config-file', str(faults))
        self.assertEqual(2, code)
        self.assertEqual(
            {'Scheduler filters': 1, 'Keystone, Placement, Neutron': 2},
            {
                name: result
                for name, (result, _details) in found.items()
                if result
            },
            found,
        )
