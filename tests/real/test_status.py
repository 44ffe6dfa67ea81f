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

"""zun-bulk-status has nothing to say of the lab."""

import os
import subprocess

from tests.real import base


class TestStatus(base.RealTestCase):
    def test_upgrade_check(self):
        done = subprocess.run(
            [
                os.path.join(
                    os.environ['LAB_ZUN_VENV'], 'bin', 'zun-bulk-status'
                ),
                *os.environ['LAB_ZUN_FLAGS'].split(),
                'upgrade',
                'check',
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stdout)
