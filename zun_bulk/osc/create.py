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


"""The command ``openstack appcontainer bulk create``."""

import contextlib
import uuid

from osc_lib import exceptions
from zunclient.osc.v1 import containers as zun_commands

from zun_bulk.consts import OnFailure
from zun_bulk.consts import PlacementPolicy
from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import floating_ips
from zun_bulk.osc import members_file
from zun_bulk.osc import nets
from zun_bulk.osc import options
from zun_bulk.osc import progress
from zun_bulk.osc import template
from zun_bulk.osc import waiter


class CreateBulk(waiter.WaitForBulk, zun_commands.CreateContainer):
    """Create many containers with one request.

    All options of "appcontainer create" are accepted. As there, everything
    after the image is the command to run in the containers, so options must
    come before the image.
    """

    # Lets our --name, --net and --wait replace Zun's.
    conflict_handler = 'resolve'

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--count',
            metavar='<number>',
            type=options.positive_int,
            help='Number of containers; optional with --members-from',
        )
        parser.add_argument(
            '--members-from',
            metavar='<file>',
            help='CSV, JSON or YAML file with per-container values, one '
            'container per line or item: name, hostname, environment, '
            'labels, addresses, floating_ip, mounts. All other values come '
            'from the options',
        )
        parser.add_argument(
            '--bulk-name',
            metavar='<bulk-name>',
            help='Name of the bulk (default: from --name, or random)',
        )
        parser.add_argument(
            '--name',
            metavar='<name>',
            help='Name of the containers. {index} is replaced by the index of '
            'the container, from 1, also in --hostname and in values of '
            '--environment (default: <bulk-name>-{index})',
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
            type=options.positive_int,
            help='Attempts to start each container before it counts as failed',
        )
        parser.add_argument(
            '--on-failure',
            choices=OnFailure.ALL,
            help='pause: pause the bulk when its failures suggest that more '
            'will follow; continue: start the other containers whatever '
            'fails (default: pause)',
        )
        parser.add_argument(
            '--placement',
            choices=PlacementPolicy.ALL,
            help='Policy for choosing hosts (default: spread)',
        )
        parser.add_argument(
            '--allow-partial',
            action='store_true',
            help='If there is not room for all containers, create as many as '
            'there is room for (default: all or none)',
        )
        parser.add_argument(
            '--dry-run',
            action='store_true',
            help='Create nothing; show how many containers there is room for '
            'and, to administrators, on which hosts. Exit non-zero if there '
            'is not room for all',
        )
        parser.add_argument(
            '--client-token',
            metavar='<token>',
            help='Unique token of this request. Repeating the request with '
            'the same token returns the existing bulk instead of creating '
            'another (default: random)',
        )
        floating_ips.add_options(parser)
        waiter.add_wait_options(
            parser,
            'Wait until every container is running or has failed; exit '
            'non-zero if any has failed.',
        )
        return parser

    def take_action(self, parsed_args):
        waiter.check_wait_options(parsed_args)
        bulks = client.for_command(self)
        body = self._body(parsed_args)
        with self._add_members(body, parsed_args):
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
    def _add_members(body, parsed_args):
        """Add the members in the file of --members-from to a body, if given.

        :returns: a context manager in which API errors name lines of the file
        """
        path, count = parsed_args.members_from, parsed_args.count
        if path is None:
            if count is None:
                raise exceptions.CommandError(
                    'Either --count or --members-from is required.'
                )
            return contextlib.nullcontext()
        # Without --net, Zun attaches one network.
        nets = len(body['template'].get('nets') or ['any'])
        file = members_file.read(path, nets)
        body['members'] = file.members
        body['count'] = len(file.members)
        if count not in (None, body['count']):
            raise exceptions.CommandError(
                f'--count is {count}, but {path} contains {body["count"]} '
                'members.'
            )
        return file.lines_in_errors()

    def _note(self, text):
        progress.Reporter(self.app.stderr).note(text)

    def _create(self, bulks, body):
        try:
            return bulks.create(body, self._note)
        except client.ApiError as e:
            if not e.unanswered:
                raise
            raise exceptions.CommandError(
                f'{e}\nThe bulk may have been created anyway. Repeat the '
                f'command with --client-token {body["client_token"]}: it '
                'shows the bulk, or creates it if it does not exist.'
            ) from e

    @staticmethod
    def _body(parsed_args):
        body = {
            'count': parsed_args.count,
            'template': template.from_options(parsed_args),
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
