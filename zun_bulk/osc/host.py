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

"""The commands ``openstack appcontainer bulk host ...``."""

from urllib import parse

from cliff import columns as cliff_columns
from osc_lib import exceptions
from osc_lib.command import command

from zun_bulk.osc import client
from zun_bulk.osc import options


COLLECTION = '/v1/bulk_hosts'

#: Settings of a host that override its configuration.
SETTINGS = ('max_in_flight', 'mode', 'start_interval')


class HostClient(client.BulkClient):
    """Client of the API of hosts."""

    def list_hosts(self):
        """Yield hosts by name, page after page."""
        return self._pages(COLLECTION, 'hosts', None, {})

    def get_host(self, name):
        """Get a host by its name."""
        return self._get(self._host_path(name))

    def update_host(self, name, body):
        """Hold a host or change its settings; return the host."""
        return self._call(
            self._http.json_request, 'PATCH', self._host_path(name), body=body
        )[1]

    @staticmethod
    def _host_path(name):
        return f'{COLLECTION}/{parse.quote(name, safe="")}'


class SecondsColumn(cliff_columns.FormattableColumn):
    """Seconds, or a rate per second, shown to people in tenths."""

    def human_readable(self):
        return '' if self._value is None else f'{self._value:.1f}'


class CutColumn(cliff_columns.FormattableColumn):
    """When and why a limit was last cut."""

    def human_readable(self):
        if not self._value:
            return ''
        return f'{_format_age(self._value["ago"])} ago: {self._value["why"]}'


class HoldsColumn(cliff_columns.FormattableColumn):
    """What holds a host and why, one holder per line."""

    def human_readable(self):
        return '\n'.join(
            f'{holder}: {reason or "no reason given"}'
            for holder, reason in sorted(self._value.items())
        )


def _format_age(seconds):
    """Format a duration with one unit."""
    for length, unit in ((86400, 'd'), (3600, 'h'), (60, 'min')):
        if seconds >= length:
            return f'{seconds / length:.0f} {unit}'
    return f'{seconds:.0f} s'


def _brief(host):
    """Return the row of a host in a list."""
    pace = host['pace'] or {}
    starts = pace.get('starts', {})
    return (
        host['host'],
        host['state'],
        starts.get('limit'),
        starts.get('in_flight'),
        pace.get('queued'),
        SecondsColumn(starts.get('per_second')),
        SecondsColumn(starts.get('median')),
        SecondsColumn(starts.get('p95')),
        CutColumn(starts.get('last_cut')),
    )


def _show(host):
    """Return names and values of all fields of a host, for a ShowOne."""
    pace = host['pace'] or {}
    columns = {
        name: host[name]
        for name in (
            'host',
            'state',
            'held',
            'hold_reason',
            *SETTINGS,
            'updated_at',
            'source',
        )
    }
    columns['age'] = SecondsColumn(host['age'])
    columns['held_by'] = HoldsColumn(pace.get('held_by') or {})
    columns['queued'] = pace.get('queued')
    columns['deleting'] = pace.get('deleting')
    for kind in ('starts', 'deletes'):
        paced = pace.get(kind, {})
        for name in ('limit', 'in_flight', 'waiting', 'breaker'):
            columns[f'{kind}_{name}'] = paced.get(name)
        for name in ('per_second', 'median', 'p95'):
            columns[f'{kind}_{name}'] = SecondsColumn(paced.get(name))
        columns[f'{kind}_last_cut'] = CutColumn(paced.get('last_cut'))
    settle = pace.get('settle', {})
    for name in ('median', 'p95'):
        columns[f'settle_{name}'] = SecondsColumn(settle.get(name))
    return tuple(columns), tuple(columns.values())


def _host_client(cmd):
    return HostClient(cmd.app.client_manager.container)


def _add_host(parser):
    parser.add_argument('host', metavar='<host>', help='Name of the host')


class ListBulkHost(command.Lister):
    """List hosts with the pace at which they start containers

    Shows what each host reported last.
    """

    columns = (
        'host',
        'state',
        'limit',
        'in_flight',
        'queued',
        'starts_per_second',
        'median',
        'p95',
        'last_cut',
    )

    def take_action(self, parsed_args):
        return self.columns, [
            _brief(host) for host in _host_client(self).list_hosts()
        ]


class ShowBulkHost(command.ShowOne):
    """Show the pace at which a host starts and deletes containers

    The data come from the host itself or, if it does not answer, from its
    last report.
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        _add_host(parser)
        return parser

    def take_action(self, parsed_args):
        return _show(_host_client(self).get_host(parsed_args.host))


class SetBulkHost(command.ShowOne):
    """Hold a host, release it or set its pace"""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        _add_host(parser)
        hold = parser.add_mutually_exclusive_group()
        hold.add_argument(
            '--hold',
            metavar='<reason>',
            help='Hold the host: it starts no containers for any project '
            'until it is released. Running containers and deletions are not '
            'affected.',
        )
        hold.add_argument(
            '--release',
            action='store_true',
            help='Release the host, so that it starts containers again',
        )
        parser.add_argument(
            '--max-in-flight',
            metavar='<number>',
            type=options.not_negative(int),
            help='Maximum number of containers to start, and to delete, at '
            'the same time; 0 derives it from the number of CPUs',
        )
        parser.add_argument(
            '--mode',
            choices=('adaptive', 'fixed'),
            help='adaptive: find how many starts at a time the host can '
            'handle, up to the maximum; fixed: always use the maximum',
        )
        parser.add_argument(
            '--start-interval',
            metavar='<seconds>',
            type=options.not_negative(float),
            help='Minimum number of seconds between two starts',
        )
        parser.add_argument(
            '--reset',
            action='store_true',
            help='Reset the settings that this command does not set to the '
            "configuration of the host's zun-compute; a hold remains",
        )
        return parser

    def take_action(self, parsed_args):
        body = self._body(parsed_args)
        if not body:
            raise exceptions.CommandError(
                'Nothing to set: give --hold, --release, --max-in-flight, '
                '--mode, --start-interval or --reset.'
            )
        return _show(_host_client(self).update_host(parsed_args.host, body))

    @staticmethod
    def _body(parsed_args):
        body = dict.fromkeys(SETTINGS) if parsed_args.reset else {}
        for name in SETTINGS:
            value = getattr(parsed_args, name)
            if value is not None:
                body[name] = value
        if parsed_args.hold is not None:
            body.update(held=True, hold_reason=parsed_args.hold)
        if parsed_args.release:
            body['held'] = False
        return body
