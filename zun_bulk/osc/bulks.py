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


"""The commands ``openstack appcontainer bulk list`` and ``show``."""

from osc_lib.command import command

from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import lister
from zun_bulk.osc import options
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


class ListBulk(lister.Lister):
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
            help=f'Only bulks with this status ({", ".join(BulkStatus.ALL)})',
        )
        parser.add_argument(
            '--name', metavar='<name>', help='Only bulks with this name'
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
                'running': bulk['members'][MemberState.RUNNING],
                'failed': bulk['members'][MemberState.FAILED],
            }


class ShowBulk(command.ShowOne):
    """Show a bulk"""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_bulk(parser)
        parser.add_argument(
            '--rate-window',
            metavar='<seconds>',
            type=options.positive_int,
            help='Also show how many containers became running or failed, '
            'and when, during this many seconds before the bulk finished, or '
            'before now',
        )
        return parser

    def take_action(self, parsed_args):
        return columns.show(
            client.for_command(self).get(
                parsed_args.bulk, parsed_args.rate_window
            )
        )
