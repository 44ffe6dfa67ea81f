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


"""The members as they stand in a file, and what is wrong with them."""

import collections
import difflib

from osc_lib import exceptions


#: How many problems are told.
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
    """A member as it stands in a file, of which nothing is checked yet.

    :ivar lines: {field: its line} where that is known
    :ivar item: what to call it where a line may have several
    """


class Problems:
    """What is wrong with a file."""

    def __init__(self, path):
        self._path = path
        self._told = []
        self._number = 0

    def __bool__(self):
        return bool(self._number)

    def add(self, line, column, text):
        """:param column: what of a line, None if it is all of it."""
        self._number += 1
        if self._number <= MAX_PROBLEMS:
            where = f'{self._path}:{line}: '
            if column is not None:
                where += f'{column}: '
            self._told.append(where + text)

    def refuse(self):
        """:raises: CommandError if there are any."""
        if not self._number:
            return
        told = self._told
        if self._number > MAX_PROBLEMS:
            told = [*told, f'and {self._number - MAX_PROBLEMS} more']
        raise exceptions.CommandError(
            '\n'.join([*told, 'Nothing was created.'])
        )


def hint(word):
    found = difflib.get_close_matches(word.lower(), FIELDS, 1, 0.4)
    if found:
        return f'; do you mean {found[0]}?'
    return f'; there are {", ".join(FIELDS)}'
