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


"""Readers of CSV, JSON and YAML files of members."""

import collections
import csv
import io
import json
import re

import yaml

from zun_bulk.osc import members_file_entries as entries


#: Columns of KEY=VALUE;..., and prefixes of columns of one KEY each.
_MAPPINGS = {
    'environment': 'environment',
    'env': 'environment',
    'labels': 'labels',
    'label': 'labels',
}

_YAML_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
_YAML_NULL = 'tag:yaml.org,2002:null'
#: Maximum nesting: a list of members with lists of mounts with fields.
_YAML_DEPTH = 4


def _read_csv(text, problems):
    """Yield an Entry for each line."""
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
                    f'the row has {len(row)} cells, but there are '
                    f'{len(columns)} columns',
                )
                # The lines after it are still checked.
                yield entries.Entry(line, {})
            else:
                yield entries.Entry(line, _cells(line, columns, row, problems))
            line = rows.line_num + 1
    except csv.Error as e:
        problems.add(rows.line_num, None, str(e))


def _columns(line, titles, problems):
    """Parse the header.

    :returns: [(title, field, key)]; field is None in unknown columns
    """
    columns = []
    for title in map(str.strip, titles):
        head, dot, key = title.partition('.')
        if head in _MAPPINGS and (key or not dot):
            columns.append((title, _MAPPINGS[head], key))
        elif title in entries.FIELDS:
            columns.append((title, title, ''))
        else:
            problems.add(line, title, 'unknown column' + entries.hint(title))
            columns.append((title, None, ''))
    duplicates = collections.Counter(
        column[1:] for column in columns if column[1]
    )
    for title, *what in columns:
        if duplicates[tuple(what)] > 1:
            problems.add(line, title, 'duplicate column')
    return columns


def _cells(line, columns, row, problems):
    """Return the fields of a row."""
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
                problems.add(line, title, f'{name} is given more than once')
            values[name] = value
    return fields


def _read_json(text, problems):
    """Yield an Entry for each object."""
    duplicates = []

    def unique(pairs):
        times = collections.Counter(key for key, _value in pairs)
        duplicates.extend(key for key in times if times[key] > 1)
        return dict(pairs)

    # Numbers are kept as text, as in the other formats.
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
            problems.add(1, None, 'the file must contain a list of objects')
            return
        line, counted, number = 1, 0, 0
        position = skip(position + 1)
        more = not text.startswith(']', position)
        while more:
            line += text.count('\n', counted, position)
            counted = position
            value, position = decoder.raw_decode(text, position)
            for key in duplicates:
                problems.add(line, f'[{number}].{key}', 'duplicate key')
            duplicates.clear()
            yield entries.Entry(line, value, item=f'[{number}]')
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
        problems.add(line, None, 'nested too deeply')


def _read_yaml(text, problems):
    """Yield an Entry for each mapping."""
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
        problems.add(1, None, 'the file must contain a list of mappings')
        return
    for node in root.value:
        lines = {}
        if isinstance(node, yaml.MappingNode):
            lines = {
                key.value: key.start_mark.line + 1
                for key, _value in node.value
                if isinstance(key, yaml.ScalarNode)
            }
        yield entries.Entry(
            node.start_mark.line + 1, _plain(node, problems), lines
        )


def _plain(node, problems, depth=1):
    """Convert a YAML node to plain values, with all scalars as text.

    So 8080, 010 and yes are taken literally.
    """
    line = node.start_mark.line + 1
    if depth > _YAML_DEPTH:
        problems.add(line, None, 'nested too deeply')
        return None
    if isinstance(node, yaml.ScalarNode):
        return None if node.tag == _YAML_NULL else node.value
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, problems, depth + 1) for item in node.value]
    values = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            problems.add(line, None, 'keys must be strings')
            continue
        if key.value in values:
            problems.add(key.start_mark.line + 1, key.value, 'duplicate key')
        values[key.value] = _plain(value, problems, depth + 1)
    return values


#: {suffix of a file: function of its text and a Problems, yields entries}
READERS = {
    '.csv': _read_csv,
    '.json': _read_json,
    '.yaml': _read_yaml,
    '.yml': _read_yaml,
}
