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

"""The commands ``openstack appcontainer bulk ...``."""

import argparse
import contextlib
import math
import time
import types
import uuid

from osc_lib import exceptions
from osc_lib.command import command
from zunclient import api_versions
from zunclient.osc.v1 import containers as zun_commands
from zunclient.v1 import containers as zun_containers

from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import floating_ips
from zun_bulk.osc import members_file
from zun_bulk.osc import nets
from zun_bulk.osc import progress
from zun_bulk.osc import waiter


#: A template is the body of a container create of this microversion,
#: whichever one the client has agreed on with the container API.
TEMPLATE_VERSION = '1.40'

#: How hosts can be chosen.
PLACEMENTS = (
    'spread',
    'pack',
    'zone-spread',
    'affinity',
    'soft-affinity',
    'anti-affinity',
    'soft-anti-affinity',
)

#: A member in one of these needs nothing more.
FINAL_STATES = ('running', 'stopped', 'failed', 'cancelled')
#: Statuses in which somebody works on a bulk.
UNFINISHED = ('building', 'cancelling')


def _title(bulk):
    return f'Bulk {bulk["name"]} ({bulk["uuid"]})'


def _success(bulk):
    # A member that is not to be started is running once it is created.
    return (
        f'{bulk["members"]["running"]} of {bulk["count"]} containers '
        f'{"running" if bulk["run"] else "created"}'
    )


def _positive(number):
    def convert(text):
        value = number(text)
        if not 0 < value < math.inf:
            raise ValueError
        return value

    # argparse tells it in its message.
    convert.__name__ = f'positive {number.__name__}'
    return convert


positive_int = _positive(int)
_positive_float = _positive(float)


def add_bulk(parser):
    parser.add_argument(
        'bulk', metavar='<bulk>', help='UUID or name of the bulk'
    )


def add_wait_options(parser, what):
    parser.add_argument(
        '--wait',
        action='store_true',
        help=f'{what} Progress goes to standard error: a bar on a terminal, '
        'else plain lines.',
    )
    parser.add_argument(
        '--wait-timeout',
        metavar='<seconds>',
        type=_positive_float,
        help='With --wait: give up waiting after so many seconds and exit '
        'non-zero; the work itself goes on (default: no limit)',
    )


def check_wait_options(parsed_args):
    if parsed_args.wait_timeout is not None and not parsed_args.wait:
        raise exceptions.CommandError('--wait-timeout needs --wait.')


def bulk_client(cmd):
    return client.BulkClient(cmd.app.client_manager.container)


class _TemplateManager(zun_containers.ContainerManager):
    """Zun's manager of containers, but it keeps what create would send."""

    def __init__(self):
        super().__init__(
            types.SimpleNamespace(
                api_version=api_versions.APIVersion(TEMPLATE_VERSION)
            )
        )
        self.body = None

    def _create(self, url, body):
        self.body = body
        return self.resource_class(self, body)


def _template(parsed_args):
    """Make a container template of options as Zun's own command does.

    Zun's command does it all in one function that ends in a call of the API.
    So let it run, with a client that keeps the request.
    """
    manager = _TemplateManager()
    app = types.SimpleNamespace(
        client_manager=types.SimpleNamespace(
            container=types.SimpleNamespace(containers=manager)
        )
    )
    for_zun, ranges = nets.split(parsed_args.net)
    options = argparse.Namespace(
        **{**vars(parsed_args), 'wait': False, 'net': for_zun}
    )
    zun_commands.CreateContainer(app, None).take_action(options)
    for net, addresses in zip(
        manager.body.get('nets', []), ranges, strict=False
    ):
        if addresses is not None:
            net[nets.RANGE] = addresses
    return manager.body


class WaitForBulk:
    """For a ShowOne that can wait for its bulk and show what came of it."""

    _problem = None

    def produce_output(self, parsed_args, column_names, data):
        # A script wants to know the bulk also, and even more, when some of
        # it has failed.
        super().produce_output(parsed_args, column_names, data)
        if self._problem:
            raise exceptions.CommandError(self._problem)
        return 0

    def _wait(self, bulks, bulk, timeout, wanted='ready'):
        """Wait for a bulk; leave what went wrong in self._problem.

        :param wanted: the status that it is to end in
        :returns: the bulk as it was last seen
        """
        reporter = progress.Reporter(self.app.stderr)
        tracker = progress.Progress(
            bulk['count'], FINAL_STATES, time.monotonic()
        )
        reporter.note(
            f'{_title(bulk)}: {bulk["count"]} containers, {bulk["status"]}.'
        )
        try:
            for bulk in waiter.poll(
                lambda: bulks.get(bulk['uuid']), tracker, reporter, timeout
            ):
                if bulk['status'] not in UNFINISHED:
                    break
        except KeyboardInterrupt:
            reporter.note(
                f'Stopped waiting. {_title(bulk)} goes on; see "openstack '
                f'appcontainer bulk show {bulk["uuid"]}".'
            )
            raise
        except client.ApiError as e:
            if e.status == 404:
                self._problem = f'{_title(bulk)} was deleted meanwhile.'
            else:
                self._problem = f'Stopped waiting for {_title(bulk)}: {e}'
        except waiter.WaitTimeout as e:
            self._problem = (
                f'Stopped waiting for {_title(bulk)}: {e}. It '
                f'is {bulk["status"]}: {tracker.line()}'
            )
        else:
            self._problem = self._verdict(bulk, wanted)
            if not self._problem:
                reporter.note(
                    f'{_success(bulk)} after {tracker.elapsed:.1f} s.'
                )
        finally:
            reporter.close()
        return bulk

    @staticmethod
    def _verdict(bulk, wanted):
        """Tell what is wrong with a bulk that nothing is done about now.

        :returns: None if it is as it was asked for
        """
        members = bulk['members']
        if bulk['status'] == 'deleting':
            return f'{_title(bulk)} is being deleted.'
        if bulk['status'] == wanted == 'cancelled':
            return None
        if bulk['status'] == wanted and not members['failed']:
            return None
        lines = [
            f'{_title(bulk)} is {bulk["status"]}: {_success(bulk)}, '
            f'{members["failed"]} failed.'
        ]
        failures = bulk['failures']
        if bulk['status_reason'] and (
            bulk['status'] == 'paused' or not failures
        ):
            lines.append(bulk['status_reason'])
        lines += columns.failure_lines(failures)
        lines += floating_ips.problems(bulk)
        rest = members['failed'] - sum(f['count'] for f in failures)
        if rest > 0:
            lines.append(
                f'{rest} × other reasons: see "openstack appcontainer bulk '
                f'member list --state failed {bulk["uuid"]}"'
            )
        if bulk['status'] == 'paused':
            lines.append(
                'Go on with "openstack appcontainer bulk resume", also try '
                'the failed ones again with "… retry", or end it with "… '
                'cancel" or "… delete".'
            )
        return '\n'.join(lines)


class CreateBulk(WaitForBulk, zun_commands.CreateContainer):
    """Create many containers in one go.

    Takes every option of "appcontainer create". As there, whatever follows
    the image is the command to run in the containers, so options must come
    before the image.
    """

    # So that our --name, --net and --wait take the place of Zun's.
    conflict_handler = 'resolve'

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--count',
            metavar='<number>',
            type=positive_int,
            help='Number of containers; with --members-from it need not be '
            'said',
        )
        parser.add_argument(
            '--members-from',
            metavar='<file>',
            help='CSV, JSON or YAML with what each container has of its own, '
            'one a line or item: name, hostname, environment, labels, '
            'addresses, floating_ip, mounts. The rest comes from the options',
        )
        parser.add_argument(
            '--bulk-name',
            metavar='<bulk-name>',
            help='Name of the bulk (default: made of --name, else random)',
        )
        parser.add_argument(
            '--name',
            metavar='<name>',
            help='Name of the containers. {index} stands for the number of '
            'the container, from 1; it may also stand in --hostname and '
            'in values of --environment (default: '
            '<bulk-name>-{index})',
        )
        nets.add_option(parser)
        parser.add_argument(
            '--no-run',
            action='store_true',
            help='Only create the containers, do not start them',
        )
        parser.add_argument(
            '--max-attempts',
            metavar='<number>',
            type=positive_int,
            help='Times to try each container until it counts as failed',
        )
        parser.add_argument(
            '--on-failure',
            choices=('pause', 'continue'),
            help='Pause when what fails shows that more will, or go on '
            'whatever fails (default: pause)',
        )
        parser.add_argument(
            '--placement',
            choices=PLACEMENTS,
            help='How to choose hosts (default: spread)',
        )
        parser.add_argument(
            '--allow-partial',
            action='store_true',
            help='Create what there is room for if there is not room for all '
            '(default: all or none)',
        )
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Create nothing; show how many there is room for and, to '
            'administrators, on which hosts. Exit non-zero if not for all',
        )
        parser.add_argument(
            '--client-token',
            metavar='<token>',
            help='Name of this request. Sent again with the same one, a '
            'request makes no second bulk but gets the first (default: '
            'random)',
        )
        floating_ips.add_options(parser)
        add_wait_options(
            parser,
            'Wait until every container runs or has failed; exit non-zero if '
            'any has failed.',
        )
        return parser

    def take_action(self, parsed_args):
        check_wait_options(parsed_args)
        bulks = bulk_client(self)
        body = self._body(parsed_args)
        with self._put_members(body, parsed_args):
            if parsed_args.dry_run:
                plan = bulks.create(body, self._note)
                if plan['missing']:
                    self._problem = plan['explanation']
                return columns.show_plan(plan)
            bulk = self._create(bulks, body)
        if parsed_args.wait:
            bulk = self._wait(bulks, bulk, parsed_args.wait_timeout)
        return columns.show(bulk)

    @staticmethod
    def _put_members(body, parsed_args):
        """Put the members of a file into a body, if there is one.

        :returns: a context in which errors name the lines of the file
        """
        path, count = parsed_args.members_from, parsed_args.count
        if path is None:
            if count is None:
                raise exceptions.CommandError(
                    '--count is needed, or --members-from.'
                )
            return contextlib.nullcontext()
        # Without --net Zun takes one.
        nets = len(body['template'].get('nets') or ['any'])
        file = members_file.read(path, nets)
        body['members'] = file.members
        body['count'] = len(file.members)
        if count not in (None, body['count']):
            raise exceptions.CommandError(
                f'--count is {count}, but {path} has {body["count"]} members.'
            )
        return file.lines_told()

    def _note(self, text):
        progress.Reporter(self.app.stderr).note(text)

    def _create(self, bulks, body):
        try:
            return bulks.create(body, self._note)
        except client.ApiError as e:
            if not e.unanswered:
                raise
            raise exceptions.CommandError(
                f'{e}\nThere may be a bulk nevertheless. The same command '
                f'with --client-token {body["client_token"]} shows it, or '
                'makes it if there is none.'
            ) from e

    @staticmethod
    def _body(parsed_args):
        body = {
            'count': parsed_args.count,
            'template': _template(parsed_args),
            'run': not parsed_args.no_run,
        }
        if parsed_args.client_token is not None:
            body['client_token'] = parsed_args.client_token
        elif not parsed_args.dry_run:
            body['client_token'] = str(uuid.uuid4())
        if parsed_args.dry_run:
            body['dry_run'] = True
        placement = {}
        if parsed_args.placement is not None:
            placement['policy'] = parsed_args.placement
        if parsed_args.allow_partial:
            placement['allow_partial'] = True
        if placement:
            body['placement'] = placement
        if parsed_args.bulk_name is not None:
            body['name'] = parsed_args.bulk_name
        if parsed_args.max_attempts is not None:
            body['max_attempts'] = parsed_args.max_attempts
        if parsed_args.on_failure is not None:
            body['on_failure'] = parsed_args.on_failure
        wanted = floating_ips.body(parsed_args)
        if wanted:
            body['floating_ips'] = wanted
        return body


class ShowBulk(command.ShowOne):
    """Show a bulk"""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        add_bulk(parser)
        parser.add_argument(
            '--rate-window',
            metavar='<seconds>',
            type=positive_int,
            help='Show also how many containers came to run or failed, and '
            'when, over so many seconds until it was finished, or now',
        )
        return parser

    def take_action(self, parsed_args):
        return columns.show(
            bulk_client(self).get(parsed_args.bulk, parsed_args.rate_window)
        )


class _Lister(command.Lister):
    """List what the API tells in pages.

    ``_list`` of a subclass asks for it: a function of the client, the parsed
    arguments and, as keywords, the parameters of the page.

    :cvar marker: what of an entry --marker takes
    :cvar columns: names of what is shown
    :cvar long_columns: names of what is shown besides with --long
    """

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--long', action='store_true', help='Show more columns'
        )
        parser.add_argument(
            '--marker',
            metavar='<marker>',
            help=f'{self.marker} of the last entry of the previous page; list '
            'what comes after it',
        )
        parser.add_argument(
            '--limit',
            metavar='<number>',
            type=positive_int,
            help='List no more than these (default: all)',
        )
        parser.add_argument(
            '--sort-dir', choices=('asc', 'desc'), help='Direction to sort'
        )
        return parser

    def take_action(self, parsed_args):
        names = self.columns
        if parsed_args.long:
            names += self.long_columns
        entries = self._list(
            bulk_client(self),
            parsed_args,
            limit=parsed_args.limit,
            marker=parsed_args.marker,
            sort_dir=parsed_args.sort_dir,
        )
        return names, [columns.row(entry, names) for entry in entries]


class ListBulk(_Lister):
    """List bulks"""

    marker = 'UUID'
    columns = (
        'uuid',
        'name',
        'status',
        'count',
        'running',
        'failed',
        'created_at',
    )
    long_columns = (
        'status_reason',
        'members',
        'project_id',
        'user_id',
        'updated_at',
        'finished_at',
    )

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--sort-key', metavar='<field>', help='Field to sort by'
        )
        parser.add_argument(
            '--status',
            metavar='<status>',
            help='Only bulks of this status (building, paused, ready, error, '
            'cancelling, cancelled, deleting)',
        )
        parser.add_argument(
            '--name', metavar='<name>', help='Only bulks of this name'
        )
        parser.add_argument(
            '--all-projects',
            action='store_true',
            help='List the bulks of all projects (admin only by default)',
        )
        return parser

    def _list(self, bulks, parsed_args, **page):
        for bulk in bulks.list(
            sort_key=parsed_args.sort_key,
            status=parsed_args.status,
            name=parsed_args.name,
            all_projects=1 if parsed_args.all_projects else None,
            **page,
        ):
            yield {
                **bulk,
                'running': bulk['members']['running'],
                'failed': bulk['members']['failed'],
            }


class ListBulkMember(_Lister):
    """List the containers of a bulk"""

    marker = 'Index'
    columns = (
        'index',
        'name',
        'container_uuid',
        'state',
        'host',
        'floating_ip',
        'attempt',
        'reason',
    )
    long_columns = (
        'reason_class',
        'addresses',
        'floating_ip_state',
        'floating_ip_reason',
        'created_at',
        'updated_at',
        'started_at',
        'finished_at',
    )

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        add_bulk(parser)
        parser.add_argument(
            '--state',
            metavar='<state>',
            help='Only members in this state (queued, placed, starting, '
            'running, stopped, failed, cancelled, deleting, deleted)',
        )
        parser.add_argument(
            '--host', metavar='<host>', help='Only members on this host'
        )
        parser.add_argument(
            '--name',
            metavar='<text>',
            help='Only members with this in their names, whatever the case',
        )
        return parser

    def _list(self, bulks, parsed_args, **page):
        return bulks.list_members(
            parsed_args.bulk,
            state=parsed_args.state,
            host=parsed_args.host,
            name=parsed_args.name,
            **page,
        )


class ListBulkEvent(_Lister):
    """List what happened to a bulk and its containers, the oldest first"""

    marker = 'ID'
    columns = ('created_at', 'index', 'event', 'host', 'attempt', 'reason')
    long_columns = ('id', 'container_uuid')

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        add_bulk(parser)
        parser.add_argument(
            '--index',
            metavar='<index>',
            type=positive_int,
            help='Only events of the container with this number',
        )
        parser.add_argument(
            '--event',
            metavar='<event>',
            help='Only events of this name (of a bulk: accepted, paused, '
            'resumed, cancelling, retried, scaled, deleting, ready, error, '
            'cancelled; of a container: starting, running, placed, queued, '
            'stopped, failed, deleting, cancelled)',
        )
        return parser

    def _list(self, bulks, parsed_args, **page):
        return bulks.list_events(
            parsed_args.bulk,
            index=parsed_args.index,
            event=parsed_args.event,
            **page,
        )


class DeleteBulk(command.Command):
    """Delete bulks with all of their containers"""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'bulk',
            metavar='<bulk>',
            nargs='+',
            help='UUID or name of the bulk(s) to delete',
        )
        parser.add_argument(
            '--keep-containers',
            action='store_true',
            help='Delete only the bulks, which have to be finished; their '
            'containers stay as if they had been created one by one',
        )
        add_wait_options(parser, 'Wait until nothing is left of them.')
        return parser

    def take_action(self, parsed_args):
        check_wait_options(parsed_args)
        bulks = bulk_client(self)
        idents = parsed_args.bulk
        keep = parsed_args.keep_containers
        doomed = []
        failed = 0
        for ident in idents:
            try:
                # A name may be in use again before the wait is over.
                bulk = bulks.get(ident)
                kept = [] if keep else floating_ips.kept(bulks, bulk)
                bulks.delete(bulk['uuid'], keep)
                doomed.append(bulk)
                if kept:
                    self._note(
                        f'Floating IPs of {_title(bulk)} that stay, unbound: '
                        f'{", ".join(kept)}'
                    )
            except client.ApiError as e:
                failed += 1
                self.log.error("Failed to delete bulk '%s': %s", ident, e)
        if parsed_args.wait:
            failed += self._wait(bulks, doomed, parsed_args.wait_timeout)
        if failed:
            raise exceptions.CommandError(
                f'{failed} of {len(idents)} bulks failed to delete.'
            )

    def _note(self, text):
        progress.Reporter(self.app.stderr).note(text)

    def _wait(self, bulks, doomed, timeout):
        """Wait until bulks are gone.

        :param timeout: seconds for all of them together
        :returns: the number of those that are not gone
        """
        reporter = progress.Reporter(self.app.stderr)
        started = time.monotonic()
        failed = 0
        for bulk in doomed:
            now = time.monotonic()
            left = None if timeout is None else max(0, started + timeout - now)
            tracker = progress.Progress(bulk['count'], ('deleted',), now)
            try:
                for _seen in waiter.poll(
                    lambda uuid=bulk['uuid']: bulks.get(uuid),
                    tracker,
                    reporter,
                    left,
                ):
                    pass
            except KeyboardInterrupt:
                reporter.note(
                    'Stopped waiting. The deletion goes on; see '
                    '"openstack appcontainer bulk list".'
                )
                raise
            except client.ApiError as e:
                if e.status == 404:
                    reporter.note(f'{_title(bulk)} deleted.')
                else:
                    failed += 1
                    reporter.note(f'Stopped waiting for {_title(bulk)}: {e}')
            except waiter.WaitTimeout:
                failed += 1
                reporter.note(
                    f'Stopped waiting for {_title(bulk)} after '
                    f'{timeout:g} s: {tracker.line()}'
                )
        return failed
