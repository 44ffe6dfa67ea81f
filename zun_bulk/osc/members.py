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


"""The command ``openstack appcontainer bulk member list``."""

from zun_bulk.osc import lister
from zun_bulk.osc import options
from zun_bulk.states import MemberState


class ListBulkMember(lister.Lister):
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
        options.add_bulk(parser)
        parser.add_argument(
            '--state',
            metavar='<state>',
            help=f'Only members in this state ({", ".join(MemberState.ALL)})',
        )
        parser.add_argument(
            '--host', metavar='<host>', help='Only members on this host'
        )
        parser.add_argument(
            '--name',
            metavar='<text>',
            help='Only members with this text in their names, ignoring case',
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
