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


"""Base class of the commands that list."""

from osc_lib.command import command

from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import options


class Lister(command.Lister):
    """List what the API returns in pages.

    A subclass has a method ``_list`` that requests the entries: it takes the
    client, the parsed arguments and, as keywords, the parameters of the page.

    :cvar marker: title of the field that --marker takes
    :cvar columns: names of the columns
    :cvar long_columns: names of the columns that --long adds
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
            'the entries after it',
        )
        parser.add_argument(
            '--limit',
            metavar='<number>',
            type=options.positive_int,
            help='Maximum number of entries to list (default: all)',
        )
        parser.add_argument(
            '--sort-dir', choices=('asc', 'desc'), help='Sort direction'
        )
        return parser

    def take_action(self, parsed_args):
        names = self.columns
        if parsed_args.long:
            names += self.long_columns
        entries = self._list(
            client.for_command(self),
            parsed_args,
            limit=parsed_args.limit,
            marker=parsed_args.marker,
            sort_dir=parsed_args.sort_dir,
        )
        return names, [columns.row(entry, names) for entry in entries]
