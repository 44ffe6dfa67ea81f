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


"""The file of --members-from: what each container of a bulk has of its own.

CSV, JSON or YAML. All of it is checked before anything is sent, and all that
is wrong is told with its line.
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
    """A file that is right.

    :ivar members: [dict], as the API takes them
    """

    def __init__(self, path, members, places):
        """:param places: [(line, item)] of the members"""
        self.members = members
        self.name = path
        self._places = places

    @contextlib.contextmanager
    def lines_told(self):
        """Let what the API says of members[i] name lines of the file."""
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

    :param nets: how many networks each container has
    :returns: a MembersFile
    :raises: CommandError that tells all that is wrong
    """
    _reader(path)
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except OSError as e:
        raise exceptions.CommandError(f'--members-from: {e}') from e
    return parse(path, content, nets, files=True)


def parse(name, content, nets, files=False):
    """Check what is in a file.

    :param name: what to call the file; its suffix tells the format
    :param content: bytes
    :param nets: how many networks each container has
    :param files: whether members may mount files of this machine: only who
        runs on his own may be asked to read them
    :returns: a MembersFile
    :raises: CommandError that tells all that is wrong
    """
    reader = _reader(name)
    try:
        # Programs that write tables begin their UTF-8 with a mark.
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
        members.append(checker.member(entry, len(places)))
    if not problems and not members:
        problems.add(1, None, 'there are no members')
    problems.refuse()
    return MembersFile(name, members, places)


def _reader(name):
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in readers.READERS:
        raise exceptions.CommandError(
            f'--members-from: {name} has to end in .csv, .json, .yaml or .yml.'
        )
    return readers.READERS[suffix]
