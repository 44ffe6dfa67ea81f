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


"""Unchecked entries of a members file, and the problems found in them."""

import collections
import difflib

from osc_lib import exceptions


#: Maximum number of problems that are reported.
MAX_PROBLEMS = 100

FIELDS = (
    'name',
    'hostname',
    'environment',
    'labels',
    'addresses',
    'floating_ip',
    'mounts',
)


class Entry(
    collections.namedtuple(
        'Entry', 'line fields lines item', defaults=({}, '')
    )
):
    """A member as read from a file, not checked yet.

    :ivar line: the line in which it begins
    :ivar fields: {field: value}
    :ivar lines: {field: its line}, where the format has them
    :ivar item: its name in messages, where a line may have several entries
    """


class Problems:
    """The problems of a file."""

    def __init__(self, path):
        self._path = path
        self._messages = []
        self._number = 0

    def __bool__(self):
        return bool(self._number)

    def add(self, line, column, text):
        """Add a problem.

        :param column: the part of the line, None for the whole line
        """
        self._number += 1
        if self._number <= MAX_PROBLEMS:
            where = f'{self._path}:{line}: '
            if column is not None:
                where += f'{column}: '
            self._messages.append(where + text)

    def raise_if_any(self):
        """Raise a CommandError with all problems, if there are any."""
        if not self._number:
            return
        messages = self._messages
        if self._number > MAX_PROBLEMS:
            messages = [
                *messages,
                f'and {self._number - MAX_PROBLEMS} more problems',
            ]
        raise exceptions.CommandError(
            '\n'.join([*messages, 'Nothing was created.'])
        )


def hint(word):
    """Suggest a valid field in place of an unknown one."""
    found = difflib.get_close_matches(word.lower(), FIELDS, 1, 0.4)
    if found:
        return f'; did you mean {found[0]}?'
    return f'; valid names are {", ".join(FIELDS)}'
