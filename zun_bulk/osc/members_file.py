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


"""The file of --members-from, with per-container values of a bulk.

The file is CSV, JSON or YAML. It is checked as a whole before any request is
sent, and each problem is reported with its line.
"""

import contextlib
import os
import re

from osc_lib import exceptions

from zun_bulk.osc import client
from zun_bulk.osc import members_file_checks as checks
from zun_bulk.osc import members_file_entries as entries
from zun_bulk.osc import members_file_readers as readers


class MembersFile:
    """A file without problems.

    :ivar members: [dict], in the form of the API
    """

    def __init__(self, path, members, places):
        """Keep the members and where they are.

        :param places: [(line, item)] of the members
        """
        self.members = members
        self.name = path
        self._places = places

    @contextlib.contextmanager
    def lines_in_errors(self):
        """Replace members[i] in errors of the API with lines of the file."""
        try:
            yield
        except client.ApiError as e:
            e.args = (
                re.sub(r'\bmembers\[(\d+)\](\.|: )?', self._place, str(e)),
            )
            raise

    def _place(self, match):
        position = int(match[1])
        if position >= len(self._places):
            return match[0]
        line, item = self._places[position]
        text = f'{self.name}:{line}'
        if not match[2]:
            return f'{text} {item}'.rstrip()
        return f'{text}: {item}{match[2]}' if item else f'{text}: '


def read(path, nets):
    """Read and check a file.

    :param nets: number of networks of each container
    :returns: a MembersFile
    :raises: CommandError with all problems
    """
    _reader(path)
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except OSError as e:
        raise exceptions.CommandError(f'--members-from: {e}') from e
    return parse(path, content, nets, files=True)


def parse(name, content, nets, files=False):
    """Check the content of a file.

    :param name: name of the file in messages; its suffix is the format
    :param content: bytes
    :param nets: number of networks of each container
    :param files: whether members may mount files of this machine; a process
        that serves others must not read its own files for them
    :returns: a MembersFile
    :raises: CommandError with all problems
    """
    reader = _reader(name)
    try:
        # Spreadsheet programs write a byte order mark before UTF-8.
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as e:
        raise exceptions.CommandError(
            f'--members-from: {name} is not UTF-8: {e}'
        ) from e
    problems = entries.Problems(name)
    checker = checks.Checker(problems, nets, files)
    members, places = [], []
    for entry in reader(text, problems):
        places.append((entry.line, entry.item))
        members.append(checker.convert(entry, len(places)))
    if not problems and not members:
        problems.add(1, None, 'the file contains no members')
    problems.raise_if_any()
    return MembersFile(name, members, places)


def _reader(name):
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in readers.READERS:
        raise exceptions.CommandError(
            f'--members-from: {name} must end in .csv, .json, .yaml or .yml.'
        )
    return readers.READERS[suffix]
