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


"""The command ``openstack appcontainer bulk event list``."""

from zun_bulk.osc import lister
from zun_bulk.osc import options


class ListBulkEvent(lister.Lister):
    """List the events of a bulk and its containers, the oldest first"""

    marker = 'ID'
    columns = ('created_at', 'index', 'event', 'host', 'attempt', 'reason')
    long_columns = ('id', 'container_uuid')

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_bulk(parser)
        parser.add_argument(
            '--index',
            metavar='<index>',
            type=options.positive_int,
            help='Only events of the container with this index',
        )
        parser.add_argument(
            '--event',
            metavar='<event>',
            help='Only events with this name (of a bulk: accepted, paused, '
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
