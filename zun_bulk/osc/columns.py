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

"""Human-readable formats of the fields of bulks."""

from cliff import columns as cliff_columns
from osc_lib.cli import format_columns

from zun_bulk.osc import progress


#: {field of a host in a dry run: its title}
PLAN_COLUMNS = {
    'host': 'Host',
    'zone': 'Zone',
    'members': 'Containers',
    'room': 'Room',
    'bound_by': 'Limited by',
}


class CountsColumn(cliff_columns.FormattableColumn):
    """Numbers by name; zeros are not shown to people."""

    def human_readable(self):
        return ', '.join(
            f'{name}={number}'
            for name, number in self._value.items()
            if number
        )


class FieldsColumn(cliff_columns.FormattableColumn):
    """Values by name; empty ones are not shown to people."""

    def human_readable(self):
        return ', '.join(
            f'{name}={value}' for name, value in self._value.items() if value
        )


class TemplateColumn(cliff_columns.FormattableColumn):
    """The fields of a template, one per line, without empty ones."""

    def human_readable(self):
        return '\n'.join(
            f'{name}={value}'
            for name, value in sorted(self._value.items())
            if value not in (None, '', [], {})
        )


class HostsColumn(cliff_columns.FormattableColumn):
    """Numbers by state for each host, one host per line."""

    def human_readable(self):
        return '\n'.join(
            f'{host}: {CountsColumn(counts).human_readable()}'
            for host, counts in sorted(self._value.items())
        )


class PlanColumn(cliff_columns.FormattableColumn):
    """The hosts of a dry run, one per line."""

    def human_readable(self):
        rows = [tuple(PLAN_COLUMNS.values())]
        rows += [
            tuple(
                '-' if host[name] is None else str(host[name])
                for name in PLAN_COLUMNS
            )
            for host in self._value
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return '\n'.join(
            '  '.join(map(str.ljust, row, widths)).rstrip() for row in rows
        )


class FailuresColumn(cliff_columns.FormattableColumn):
    """Reasons of failures, one per line, the most common first."""

    def human_readable(self):
        return '\n'.join(failure_lines(self._value))


class RatesColumn(cliff_columns.FormattableColumn):
    """When containers became running or failed, one line per time step."""

    def human_readable(self):
        return '\n'.join(
            f'{start:%Y-%m-%dT%H:%M:%SZ}  {sum(counts.values()) / seconds:.1f}'
            f'/s  {CountsColumn(counts).human_readable()}'
            for start, seconds, counts in progress.steps(self._value)
            if any(counts.values())
        )


_COLUMN_TYPES = {
    'addresses': format_columns.ListColumn,
    'failures': FailuresColumn,
    'floating_ips': FieldsColumn,
    'hosts': HostsColumn,
    'links': format_columns.ListDictColumn,
    'members': CountsColumn,
    'own_fields': format_columns.ListColumn,
    'placement': format_columns.DictColumn,
    'rates': RatesColumn,
    'template': TemplateColumn,
}


def title(bulk):
    """Name a bulk in a message."""
    return f'Bulk {bulk["name"]} ({bulk["uuid"]})'


def failure_lines(failures):
    """Describe failures in one line each."""
    lines = []
    for failure in failures:
        # A reason may be the whole output of the engine; make it one line.
        reason = ' '.join((failure['reason'] or 'no reason given').split())
        if failure['class']:
            reason = f'{failure["class"]}: {reason}'
        lines.append(f'{failure["count"]} × {reason}')
    return lines


def _value(view, name):
    value = view.get(name)
    if name in _COLUMN_TYPES and value is not None:
        return _COLUMN_TYPES[name](value)
    return value


def row(view, names):
    """Return the named fields of a bulk, member or event, for cliff."""
    return tuple(_value(view, name) for name in names)


def show_plan(plan):
    """Return names and values of a dry run, for a ShowOne."""
    names = tuple(plan)
    return names, tuple(
        PlanColumn(plan[name])
        if name == 'hosts' and plan[name] is not None
        else plan[name]
        for name in names
    )


def show(view):
    """Return names and values of all fields of a bulk, for a ShowOne."""
    names = tuple(view)
    return names, row(view, names)
