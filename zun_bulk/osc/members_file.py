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

import collections
import contextlib
import csv
import difflib
import io
import ipaddress
import json
import os
import re

from osc_lib import exceptions
import yaml
from zunclient import exceptions as zun_exceptions
from zunclient.common import utils as zun_utils

from zun_bulk.osc import client


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
#: What columns of KEY=VALUE;... and of one KEY each begin with.
_MAPPINGS = {
    'environment': 'environment',
    'env': 'environment',
    'labels': 'labels',
    'label': 'labels',
}

INDEX = '{index}'
#: As the API has them.
NAME = '[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}'
HOSTNAME = '[a-zA-Z0-9-._]{1,255}'
LABEL_PREFIX = 'org.openstack.zun_bulk.'
_RESERVED = f'labels that begin with {LABEL_PREFIX} are reserved'

_YAML_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_YAML_NULL = 'tag:yaml.org,2002:null'
#: A list of members that have lists of mounts that have fields.
_YAML_DEPTH = 4


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
    problems = Problems(name)
    checker = _Checker(problems, nets, files)
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
    if suffix not in _READERS:
        raise exceptions.CommandError(
            f'--members-from: {name} has to end in .csv, .json, .yaml or .yml.'
        )
    return _READERS[suffix]


# ---------------------------------------------------------------- formats


def _read_csv(text, problems):
    """Yield an Entry a line."""
    rows = csv.reader(io.StringIO(text, newline=''), strict=True)
    columns = None
    line = 1
    try:
        for row in rows:
            if not any(map(str.strip, row)):
                pass
            elif columns is None:
                columns = _columns(line, row, problems)
            elif len(row) != len(columns):
                problems.add(
                    line,
                    None,
                    f'it has {len(row)} cells under {len(columns)} columns',
                )
                # What comes after it is looked at nevertheless.
                yield Entry(line, {})
            else:
                yield Entry(line, _cells(line, columns, row, problems))
            line = rows.line_num + 1
    except csv.Error as e:
        problems.add(rows.line_num, None, str(e))


def _columns(line, titles, problems):
    """:returns: [(title, field, key)], with field None of those unknown."""
    columns = []
    for title in map(str.strip, titles):
        head, dot, key = title.partition('.')
        if head in _MAPPINGS and (key or not dot):
            columns.append((title, _MAPPINGS[head], key))
        elif title in FIELDS:
            columns.append((title, title, ''))
        else:
            problems.add(line, title, 'unknown column' + _hint(title))
            columns.append((title, None, ''))
    doubles = collections.Counter(
        column[1:] for column in columns if column[1]
    )
    for title, *what in columns:
        if doubles[tuple(what)] > 1:
            problems.add(line, title, 'this column is there more than once')
    return columns


def _hint(word):
    found = difflib.get_close_matches(word.lower(), FIELDS, 1, 0.4)
    if found:
        return f'; do you mean {found[0]}?'
    return f'; there are {", ".join(FIELDS)}'


def _cells(line, columns, row, problems):
    fields = {}
    for (title, field, key), cell in zip(columns, row, strict=True):
        cell = cell.strip()
        if not cell or field is None:
            continue
        if field not in ('environment', 'labels'):
            fields[field] = cell
            continue
        pairs = [(key, cell)]
        if not key:
            pairs = []
            for part in filter(None, map(str.strip, cell.split(';'))):
                name, equals, value = part.partition('=')
                if name and equals:
                    pairs.append((name, value))
                else:
                    problems.add(line, title, f'{part!r} is not KEY=VALUE')
        values = fields.setdefault(field, {})
        for name, value in pairs:
            if name in values:
                problems.add(line, title, f'{name} has two values')
            values[name] = value
    return fields


def _read_json(text, problems):
    """Yield an Entry an object."""
    doubles = []

    def unique(pairs):
        times = collections.Counter(key for key, _value in pairs)
        doubles.extend(key for key in times if times[key] > 1)
        return dict(pairs)

    # A number means what stands there, as in the other formats.
    decoder = json.JSONDecoder(
        parse_int=str,
        parse_float=str,
        parse_constant=str,
        object_pairs_hook=unique,
    )

    def skip(position):
        return re.compile(r'\s*').match(text, position).end()

    try:
        position = skip(0)
        if not text.startswith('[', position):
            problems.add(1, None, 'it has to be a list of objects')
            return
        line, counted, number = 1, 0, 0
        position = skip(position + 1)
        more = not text.startswith(']', position)
        while more:
            line += text.count('\n', counted, position)
            counted = position
            value, position = decoder.raw_decode(text, position)
            for key in doubles:
                problems.add(
                    line, f'[{number}].{key}', 'this key is there twice'
                )
            doubles.clear()
            yield Entry(line, value, item=f'[{number}]')
            number += 1
            position = skip(position)
            more = text.startswith(',', position)
            if more:
                position = skip(position + 1)
            elif not text.startswith(']', position):
                raise json.JSONDecodeError(
                    "Expecting ',' delimiter", text, position
                )
        position = skip(position + 1)
        if position < len(text):
            raise json.JSONDecodeError('Extra data', text, position)
    except json.JSONDecodeError as e:
        problems.add(e.lineno, None, f'{e.msg} in column {e.colno}')
    except RecursionError:
        problems.add(line, None, 'it is nested too deeply')


def _read_yaml(text, problems):
    """Yield an Entry a mapping."""
    try:
        root = yaml.compose(text, Loader=_YAML_LOADER)
    except yaml.MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else 1
        problems.add(line, None, e.problem or str(e))
        return
    except yaml.YAMLError as e:
        problems.add(1, None, ' '.join(str(e).split()))
        return
    if not isinstance(root, yaml.SequenceNode):
        problems.add(1, None, 'it has to be a list of mappings')
        return
    for node in root.value:
        lines = {}
        if isinstance(node, yaml.MappingNode):
            lines = {
                key.value: key.start_mark.line + 1
                for key, _value in node.value
                if isinstance(key, yaml.ScalarNode)
            }
        yield Entry(node.start_mark.line + 1, _plain(node, problems), lines)


def _plain(node, problems, depth=1):
    """What a node of YAML stands for; all scalars are text as it stands there.

    So 8080, 010 and yes mean what they look like.
    """
    line = node.start_mark.line + 1
    if depth > _YAML_DEPTH:
        problems.add(line, None, 'it is nested too deeply')
        return None
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == _YAML_NULL else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, problems, depth + 1) for item in node.value]
    values = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            problems.add(line, None, 'its keys have to be strings')
            continue
        if key.value in values:
            problems.add(
                key.start_mark.line + 1, key.value, 'this key is there twice'
            )
        values[key.value] = _plain(value, problems, depth + 1)
    return values


_READERS = {
    '.csv': _read_csv,
    '.json': _read_json,
    '.yaml': _read_yaml,
    '.yml': _read_yaml,
}


# ----------------------------------------------------------------- checks


class _Wrong(ValueError):
    """What is wrong with a field, or with a part of it."""

    def __init__(self, text, part=''):
        super().__init__(text)
        self.part = part


class _Checker:
    """Makes members of entries, one after the other."""

    def __init__(self, problems, nets, files):
        self._problems = problems
        self._nets = nets
        self._files = files
        #: {(what, value): line}
        self._seen = {}
        #: {mount as it is written: as the API takes it}
        self._known_mounts = {}

    def member(self, entry, index):
        """:returns: what the API takes, of what is right of an entry."""
        if not isinstance(entry.fields, dict):
            self._problems.add(
                entry.line,
                entry.item or None,
                'a member has to have fields with names',
            )
            return {}
        member = {}
        for field, value in entry.fields.items():
            line = entry.lines.get(field, entry.line)
            column = f'{entry.item}.{field}' if entry.item else field
            if field not in FIELDS:
                self._problems.add(line, column, 'unknown key' + _hint(field))
            elif value is not None:
                try:
                    check = getattr(self, '_' + field)
                    member[field] = check(value, index, entry)
                except _Wrong as e:
                    self._problems.add(line, column + e.part, str(e))
        return member

    def _once(self, what, value, entry):
        place = f'line {entry.line} {entry.item}'.rstrip()
        if self._seen.setdefault((what, value), place) is not place:
            raise _Wrong(f'{value} is also that of {self._seen[what, value]}')

    def _name(self, value, index, entry):
        name = _matching(value, index, NAME)
        self._once('name', name.lower(), entry)
        return value

    def _hostname(self, value, index, entry):
        _matching(value, index, HOSTNAME)
        return value

    def _environment(self, value, index, entry):
        if not isinstance(value, dict):
            raise _Wrong('it has to be a mapping of names to values')
        for name, text in value.items():
            if not isinstance(text, str):
                raise _Wrong(f'{text!r} is not a string', f'.{name}')
        return value

    def _labels(self, value, index, entry):
        self._environment(value, index, entry)
        for name in value:
            if name.startswith(LABEL_PREFIX):
                raise _Wrong(_RESERVED, f'.{name}')
        return value

    def _addresses(self, value, index, entry):
        if isinstance(value, str):
            value = value.split(';') if ';' in value else value.split()
        if not isinstance(value, list):
            raise _Wrong('it has to be a list of addresses')
        if len(value) > self._nets:
            raise _Wrong(
                f'there are {len(value)}, but a container has '
                f'{self._nets} networks (--net)'
            )
        addresses = []
        for number, text in enumerate(value):
            text = text.strip() if isinstance(text, str) else text
            if text in (None, '', '-'):
                addresses.append(None)
                continue
            address = _address(text, ipaddress.ip_address)
            self._once(f'address {number}', address, entry)
            addresses.append(address)
        return addresses

    def _floating_ip(self, value, index, entry):
        address = _address(value, ipaddress.IPv4Address)
        self._once('floating_ip', address, entry)
        return address

    def _mounts(self, value, index, entry):
        if isinstance(value, str):
            value = [part for part in map(str.strip, value.split(';')) if part]
        if not isinstance(value, list):
            raise _Wrong('it has to be a list of mounts')
        return [self._mount(mount) for mount in value]

    def _mount(self, mount):
        """A mount in the notation of --mount, or its parts by name."""
        text = mount
        if isinstance(mount, dict):
            text = ','.join(f'{key}={mount[key]}' for key in mount)
        if not isinstance(text, str):
            raise _Wrong(f'{mount!r} is not a mount')
        if text not in self._known_mounts:
            if not self._files and not _is_volume(text):
                raise _Wrong(
                    f'{text!r}: files can be mounted with the openstack '
                    'command only'
                )
            try:
                (parsed,) = zun_utils.parse_mounts([text])
            except OSError as e:
                raise _Wrong(str(e)) from e
            except (KeyError, zun_exceptions.CommandError) as e:
                raise _Wrong(
                    f'{text!r} is not what --mount takes: '
                    'type=bind,source=<file>,destination=<path>, or '
                    'source=<volume> or size=<GB> with destination=<path>'
                ) from e
            if parsed.get('type') == 'bind':
                parsed['source'] = zun_utils.encode_file_data(parsed['source'])
            self._known_mounts[text] = parsed
        return self._known_mounts[text]


def _is_volume(mount):
    """Tell whether zunclient reads no file for a mount, however written."""
    for part in mount.split(','):
        key, _sign, value = part.partition('=')
        if key.strip() == 'type' and value.strip() != 'volume':
            return False
    return True


def _matching(value, index, pattern):
    """:returns: a string with the index in its place"""
    if not isinstance(value, str):
        raise _Wrong(f'{value!r} is not a string')
    text = value.replace(INDEX, str(index))
    if not re.fullmatch(pattern, text):
        raise _Wrong(f'{text[:80]!r} does not match {pattern}')
    return text


def _address(value, kind):
    """:returns: an address as it is always written"""
    try:
        address = kind(value if isinstance(value, str) else repr(value))
    except ValueError as e:
        raise _Wrong(str(e)) from e
    return str(address)
