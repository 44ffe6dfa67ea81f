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


"""Checks of the members in a file."""

import ipaddress
import re

from zunclient import exceptions as zun_exceptions
from zunclient.common import utils as zun_utils

from zun_bulk import consts
from zun_bulk.osc import members_file_entries as entries


#: The patterns of the API.
NAME = '[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}'
HOSTNAME = '[a-zA-Z0-9-._]{1,255}'
_RESERVED = f'labels that begin with {consts.LABEL_PREFIX} are reserved'


class _InvalidField(ValueError):
    """A field, or a part of it, is invalid."""

    def __init__(self, text, part=''):
        super().__init__(text)
        self.part = part


class Checker:
    """Checks entries one after the other, and converts them to members."""

    def __init__(self, problems, nets, files):
        self._problems = problems
        self._nets = nets
        self._files = files
        #: {(field, value): line and item where it was first used}
        self._used = {}
        #: {mount as written in the file: mount in the form of the API}
        self._parsed_mounts = {}

    def convert(self, entry, index):
        """Convert an entry; add its problems.

        :returns: the valid fields in the form of the API
        """
        if not isinstance(entry.fields, dict):
            self._problems.add(
                entry.line,
                entry.item or None,
                'a member must be a mapping of field names to values',
            )
            return {}
        member = {}
        for field, value in entry.fields.items():
            line = entry.lines.get(field, entry.line)
            column = f'{entry.item}.{field}' if entry.item else field
            if field not in entries.FIELDS:
                self._problems.add(
                    line, column, 'unknown key' + entries.hint(field)
                )
            elif value is not None:
                try:
                    check = getattr(self, '_' + field)
                    member[field] = check(value, index, entry)
                except _InvalidField as e:
                    self._problems.add(line, column + e.part, str(e))
        return member

    def _check_unique(self, field, value, entry):
        place = f'line {entry.line} {entry.item}'.rstrip()
        if self._used.setdefault((field, value), place) is not place:
            raise _InvalidField(
                f'{value} is already used in {self._used[field, value]}'
            )

    def _name(self, value, index, entry):
        name = _matching(value, index, NAME)
        self._check_unique('name', name.lower(), entry)
        return value

    def _hostname(self, value, index, entry):
        _matching(value, index, HOSTNAME)
        return value

    def _environment(self, value, index, entry):
        if not isinstance(value, dict):
            raise _InvalidField('must be a mapping of names to values')
        for name, text in value.items():
            if not isinstance(text, str):
                raise _InvalidField(f'{text!r} is not a string', f'.{name}')
        return value

    def _labels(self, value, index, entry):
        self._environment(value, index, entry)
        for name in value:
            if name.startswith(consts.LABEL_PREFIX):
                raise _InvalidField(_RESERVED, f'.{name}')
        return value

    def _addresses(self, value, index, entry):
        if isinstance(value, str):
            value = value.split(';') if ';' in value else value.split()
        if not isinstance(value, list):
            raise _InvalidField('must be a list of addresses')
        if len(value) > self._nets:
            raise _InvalidField(
                f'{len(value)} addresses are given, but a container has '
                f'{self._nets} networks (--net)'
            )
        addresses = []
        for number, text in enumerate(value):
            text = text.strip() if isinstance(text, str) else text
            if text in (None, '', '-'):
                addresses.append(None)
                continue
            address = _address(text, ipaddress.ip_address)
            self._check_unique(f'address {number}', address, entry)
            addresses.append(address)
        return addresses

    def _floating_ip(self, value, index, entry):
        address = _address(value, ipaddress.IPv4Address)
        self._check_unique('floating_ip', address, entry)
        return address

    def _mounts(self, value, index, entry):
        if isinstance(value, str):
            value = [part for part in map(str.strip, value.split(';')) if part]
        if not isinstance(value, list):
            raise _InvalidField('must be a list of mounts')
        return [self._mount(mount) for mount in value]

    def _mount(self, mount):
        """Convert a mount, in the notation of --mount or as a mapping."""
        text = mount
        if isinstance(mount, dict):
            text = ','.join(f'{key}={mount[key]}' for key in mount)
        if not isinstance(text, str):
            raise _InvalidField(f'{mount!r} is not a mount')
        if text not in self._parsed_mounts:
            if not self._files and not _is_volume(text):
                raise _InvalidField(
                    f'{text!r}: only the openstack command can mount files'
                )
            try:
                (parsed,) = zun_utils.parse_mounts([text])
            except OSError as e:
                raise _InvalidField(str(e)) from e
            except (KeyError, zun_exceptions.CommandError) as e:
                raise _InvalidField(
                    f'{text!r} is not a valid --mount value: '
                    'type=bind,source=<file>,destination=<path>, or '
                    'source=<volume> or size=<GB> with destination=<path>'
                ) from e
            if parsed.get('type') == 'bind':
                parsed['source'] = zun_utils.encode_file_data(parsed['source'])
            self._parsed_mounts[text] = parsed
        return self._parsed_mounts[text]


def _is_volume(mount):
    """Return whether zunclient surely reads no file for a mount."""
    for part in mount.split(','):
        key, _sign, value = part.partition('=')
        if key.strip() == 'type' and value.strip() != 'volume':
            return False
    return True


def _matching(value, index, pattern):
    """Return the value with the index filled in, if it matches."""
    if not isinstance(value, str):
        raise _InvalidField(f'{value!r} is not a string')
    text = value.replace(consts.INDEX, str(index))
    if not re.fullmatch(pattern, text):
        raise _InvalidField(f'{text[:80]!r} does not match {pattern}')
    return text


def _address(value, kind):
    """Return an address in its canonical form."""
    try:
        address = kind(value if isinstance(value, str) else repr(value))
    except ValueError as e:
        raise _InvalidField(str(e)) from e
    return str(address)
