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


SCRIPT = """
import importlib
import pkgutil
import sys


class NoZun:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'zun':
            raise ModuleNotFoundError(f'{name} is not for the command line')


sys.meta_path.insert(0, NoZun())
try:
    import zun
except ModuleNotFoundError:
    pass
else:
    sys.exit('The hook does not work.')

import zun_bulk.osc

for module in pkgutil.walk_packages(zun_bulk.osc.__path__, 'zun_bulk.osc.'):
    print(importlib.import_module(module.name).__name__)
services = [
    name
    for name in sys.modules
    if name.startswith('zun_bulk.')
    and name not in ('zun_bulk.consts', 'zun_bulk.states')
    and name.split('.')[1] != 'osc'
]
if services:
    sys.exit(f'The command line imports the services: {services}')
"""


class TestImports(base.BaseTestCase):
    """The command line is installed where there is no Zun."""

    def test_osc_imports_without_zun(self):
        process = subprocess.run(
            [sys.executable, '-c', SCRIPT], capture_output=True, text=True
        )
        self.assertEqual('', process.stderr)
        self.assertEqual(0, process.returncode)
        self.assertIn('zun_bulk.osc.create', process.stdout.split())
