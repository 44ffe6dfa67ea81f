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

"""Checks that the commands in the documentation can be parsed."""

import argparse
import os
import pathlib
import re
import shlex

from cliff import commandmanager
import fixtures
from oslotest import base


ROOT = pathlib.Path(__file__).parents[3]
#: A command by itself, on a line or on several that end with a backslash.
#: Where there are brackets it is not a command but says what one looks like.
COMMAND = re.compile(
    r'^ +(?:[$#] )?openstack (appcontainer bulk (?:[^\n\[]*\\\n)*[^\n\[]*)$'
    r'(?!\n +[\[(])',
    re.MULTILINE,
)


def commands():
    """Yield (name of the page, command line)."""
    for page in [
        ROOT / 'README.rst',
        *sorted((ROOT / 'doc' / 'source').rglob('*.rst')),
    ]:
        for found in COMMAND.findall(page.read_text(encoding='utf-8')):
            # A variable, a placeholder, and what a shell makes of the rest.
            text = found.rstrip('\\').replace('\\\n', ' ')
            text = re.sub(r'\$\(\(.*?\)\)|\$\w+', '10', text)
            text = re.sub(r'<([\w-]+)>', r'\1', text)
            yield page.name, re.sub(r' [|>;&].*', '', text)


class TestCommands(base.BaseTestCase):
    def test_each_can_be_parsed(self):
        # The parser reads the one file that a page names for it.
        folder = self.useFixture(fixtures.TempDir()).path
        pathlib.Path(folder, 'addresses').write_text('172.24.4.17\n')
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        manager = commandmanager.CommandManager('openstack.container.v1')
        pages = set()
        for page, text in commands():
            words = shlex.split(text)
            try:
                command, name, arguments = manager.find_command(words)
                command(None, None).get_parser(name).parse_args(arguments)
            except (ValueError, SystemExit, argparse.ArgumentError) as error:
                self.fail(f'{page}: {" ".join(words)}: {error!r}')
            pages.add(page)
        # As they are found at all.
        self.assertLessEqual(
            {'README.rst', 'cli.rst', 'numbers.rst', 'tutorial.rst'}, pages
        )
