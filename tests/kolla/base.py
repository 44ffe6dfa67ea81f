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

"""What Kolla and Kolla Ansible make of etc/kolla."""

import pathlib
import subprocess
import tempfile

import testtools


HERE = pathlib.Path(__file__).parent
REPOSITORY = HERE.parent.parent


def render(*arguments):
    """Run tests/kolla/render, which says what the arguments are.

    :returns: what it wrote.
    :raises: AssertionError with what it wrote when it fails.
    """
    done = subprocess.run(
        [HERE / 'render', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise AssertionError(done.stdout)
    return done.stdout


class TestCase(testtools.TestCase):
    """Tests of a class that renders once, into ``out``."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.out = pathlib.Path(folder.name)
