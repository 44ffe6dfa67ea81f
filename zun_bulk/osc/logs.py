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


"""The command ``openstack appcontainer bulk logs``."""

from multiprocessing import pool as pools
import time

from osc_lib import exceptions
from osc_lib.command import command

from zun_bulk.osc import client
from zun_bulk.osc import log_lines
from zun_bulk.osc import log_merger
from zun_bulk.osc import options
from zun_bulk.osc import waiter


#: Default and maximum number of logs to read at a time. The client's session
#: keeps up to MAX_PARALLEL connections.
PARALLEL = 8
MAX_PARALLEL = 10

#: Seconds between two reads of the logs.
POLL_INTERVAL = 2

#: Maximum number of members to name in one message.
MAX_NAMES = 10


class ShowBulkLogs(command.Command):
    """Show the logs of the containers of a bulk, merged by time"""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_bulk(parser)
        parser.add_argument(
            '--index',
            metavar='<indexes>',
            type=options.index_ranges,
            action='extend',
            help='Only containers with these indexes, such as 3 or 1,5-7 '
            '(repeat option for more)',
        )
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            '--state',
            metavar='<state>',
            choices=log_merger.READABLE,
            help='Only members in this state '
            f'({", ".join(log_merger.READABLE)}); not with --follow',
        )
        which.add_argument(
            '--follow',
            action='store_true',
            help='Keep showing new lines, also of containers that are added, '
            'until all containers have ended or Ctrl-C is pressed',
        )
        parser.add_argument(
            '--tail',
            metavar='<number>',
            type=options.bounded_int(0),
            help='Only this many of the last lines of each container '
            '(default: all)',
        )
        parser.add_argument(
            '--since',
            metavar='<time>',
            type=log_lines.since_time,
            help='Only lines since this time: a time '
            '(2026-01-02T03:04:05Z), Unix seconds, or a duration before now '
            '(10m, 1h30m)',
        )
        parser.add_argument(
            '--timestamps',
            action='store_true',
            help='Show the time of each line',
        )
        parser.add_argument(
            '--no-prefix',
            action='store_true',
            help='Do not show the name of the container before each line',
        )
        parser.add_argument(
            '--stdout',
            action='store_true',
            help='Only standard output of the containers',
        )
        parser.add_argument(
            '--stderr',
            action='store_true',
            help='Only standard error of the containers',
        )
        parser.add_argument(
            '--parallel',
            metavar='<number>',
            type=options.bounded_int(1, MAX_PARALLEL),
            default=PARALLEL,
            help='Number of logs to read at the same time '
            f'(1 to {MAX_PARALLEL}, default: {PARALLEL})',
        )
        return parser

    def take_action(self, parsed_args):
        self._args = parsed_args
        self._bulks = client.for_command(self)
        # The name may be used by another bulk before the end.
        self._uuid = self._bulks.get(parsed_args.bulk)['uuid']
        self._no_answer_since = None
        self._reported = set()
        both = parsed_args.stdout == parsed_args.stderr
        merger = log_merger.Merger(
            client.ContainerClient(self.app.client_manager.container),
            {
                'stdout': both or parsed_args.stdout,
                'stderr': both or parsed_args.stderr,
            },
            parsed_args.since,
            parsed_args.tail,
            self._render,
        )
        try:
            members = self._show(merger)
        except KeyboardInterrupt:
            merger.flush(self._write)
            raise
        failed = sum(merger.error(member) is not None for member in members)
        if failed:
            raise exceptions.CommandError(
                f'Failed to read the logs of {failed} of {len(members)} '
                'containers.'
            )

    def _show(self, merger):
        """Show the logs.

        :returns: the members, as they were in the end
        """
        follow = self._args.follow
        members = self._members()
        self._check(members)
        with pools.ThreadPool(self._args.parallel) as pool:
            first = True
            while True:
                spool, places = merger.read(members, pool)
                self._report(merger, members, first)
                last = not follow or all(
                    member['state'] in log_merger.ENDED
                    and merger.is_done(member)
                    for member in members
                )
                merger.write(spool, places, self._write, last)
                self.app.stdout.flush()
                if last:
                    return members
                # Lines that the first read held back are written at once.
                if not first:
                    time.sleep(POLL_INTERVAL)
                first = False
                members = self._refresh(members)

    def _members(self):
        found = self._bulks.list_members(self._uuid, state=self._args.state)
        if self._args.index is None:
            return list(found)
        return [
            member
            for member in found
            if any(
                first <= member['index'] <= last
                for first, last in self._args.index
            )
        ]

    def _refresh(self, members):
        """Get the current members; tolerate an API that does not respond."""
        try:
            members = self._members()
        except client.ApiError as e:
            if e.status == 404:
                self._note('The bulk was deleted.')
                return []
            now = time.monotonic()
            if not e.transient or (
                self._no_answer_since is not None
                and now - self._no_answer_since >= waiter.PATIENCE
            ):
                raise
            if self._no_answer_since is None:
                self._no_answer_since = now
                self._note(f'{e}; retrying')
        else:
            self._no_answer_since = None
        return members

    def _check(self, members):
        """Report indexes without a member; raise if there are no members."""
        for first, last in self._args.index or ():
            if not any(first <= member['index'] <= last for member in members):
                which = first if first == last else f'{first}-{last}'
                self._note(f'No container matches index {which}.')
        if not members:
            raise exceptions.CommandError('No containers match.')

    def _report(self, merger, members, first):
        """Report on standard error which logs are missing, and why."""
        without = [
            f'{member["name"]} ({member["state"]})'
            for member in members
            if not merger.has_log(member)
        ]
        if first and without:
            names = ', '.join(without[:MAX_NAMES])
            if len(without) > MAX_NAMES:
                names += f' and {len(without) - MAX_NAMES} more'
            self._note(f'No log exists for {names}.')
        for member in members:
            error = merger.error(member)
            if error is None:
                self._reported.discard(member['index'])
            # Once, however often the read fails.
            elif member['index'] not in self._reported:
                self._reported.add(member['index'])
                self._note(f'{member["name"]}: {error}')

    def _render(self, line, text, name, width):
        shown = line if self._args.timestamps else text
        if self._args.no_prefix:
            return shown
        return f'{name:<{width}} | {shown}'

    def _write(self, text):
        self.app.stdout.write(text + '\n')

    def _note(self, text):
        self.app.stderr.write(text + '\n')
