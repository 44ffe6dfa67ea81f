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

import subprocess
import sys

from oslotest import base


class TestImports(base.BaseTestCase):
    def test_needs_nothing(self):
        """Commands and panels are installed without Zun."""
        subprocess.run(
            [
                sys.executable,
                '-c',
                'import sys; before = set(sys.modules)\n'
                'import zun_bulk.consts\n'
                'new = {m for m in set(sys.modules) - before if "." not in m}'
                '\nassert new <= {"zun_bulk"}, new',
            ],
            check=True,
        )
