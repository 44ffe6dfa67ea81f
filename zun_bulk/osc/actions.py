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

"""Commands that change the course of a bulk."""

from osc_lib.command import command

from zun_bulk.consts import BulkStatus
from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import options
from zun_bulk.osc import waiter


class _ActOnBulk(waiter.WaitForBulk, command.ShowOne):
    """Ask for an action and show the bulk.

    :cvar action: what the API calls it
    :cvar end: the status to wait for; None if there is nothing to wait for
    """

    action = None
    end = BulkStatus.READY

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_bulk(parser)
        if self.end:
            waiter.add_wait_options(
                parser, 'Wait until nothing more is done about it.'
            )
        return parser

    def take_action(self, parsed_args):
        if self.end:
            waiter.check_wait_options(parsed_args)
        bulks = client.for_command(self)
        bulk = bulks.act(
            parsed_args.bulk, self.action, self._body(parsed_args)
        )
        if self.end and parsed_args.wait:
            bulk = self._wait(bulks, bulk, parsed_args.wait_timeout, self.end)
        return columns.show(bulk)

    def _body(self, parsed_args):
        """What the action takes; nothing unless told otherwise."""
        return None


class PauseBulk(_ActOnBulk):
    """Start no more containers of a bulk until it is resumed"""

    action = 'pause'
    end = None


class ResumeBulk(_ActOnBulk):
    """Go on with a paused bulk"""

    action = 'resume'


class CancelBulk(_ActOnBulk):
    """Cancel what of a bulk is not started yet, and keep what runs"""

    action = 'cancel'
    end = BulkStatus.CANCELLED


class RetryBulk(_ActOnBulk):
    """Try the failed containers of a bulk again"""

    action = 'retry'


class ScaleBulk(_ActOnBulk):
    """Give a bulk more containers or fewer"""

    action = 'scale'

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        wanted = parser.add_mutually_exclusive_group(required=True)
        wanted.add_argument(
            '--count',
            metavar='<number>',
            type=options.positive_int,
            help='Containers that the bulk is to have. New ones are numbered '
            'on; of those there are, the ones with the highest numbers are '
            'deleted',
        )
        wanted.add_argument(
            '--remove',
            metavar='<index>',
            type=options.positive_int,
            action='append',
            help='Delete the container with this number (repeat option to '
            'delete several)',
        )
        return parser

    def _body(self, parsed_args):
        if parsed_args.count is not None:
            return {'count': parsed_args.count}
        # Said twice it is meant once.
        return {'indexes': sorted(set(parsed_args.remove))}
