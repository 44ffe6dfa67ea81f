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

"""Commands that pause, resume, cancel, retry or scale a bulk."""

from osc_lib.command import command

from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import options
from zun_bulk.osc import waiter
from zun_bulk.states import BulkStatus


class _ActOnBulk(waiter.WaitForBulk, command.ShowOne):
    """Request an action on a bulk and show the bulk.

    :cvar action: its name in the API
    :cvar end: the status to wait for; None if there is nothing to wait for
    """

    action = None
    end = BulkStatus.READY

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_bulk(parser)
        if self.end:
            waiter.add_wait_options(
                parser,
                'Wait until the bulk is ready, cancelled, paused or in '
                'error; exit non-zero if it did not succeed.',
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
        """Return the body of the request, None if the action takes none."""
        return None


class PauseBulk(_ActOnBulk):
    """Pause a bulk: start no more containers until it is resumed"""

    action = 'pause'
    end = None


class ResumeBulk(_ActOnBulk):
    """Resume a paused bulk"""

    action = 'resume'


class CancelBulk(_ActOnBulk):
    """Cancel the containers of a bulk that are not started yet"""

    action = 'cancel'
    end = BulkStatus.CANCELLED


class RetryBulk(_ActOnBulk):
    """Retry the failed containers of a bulk"""

    action = 'retry'


class ScaleBulk(_ActOnBulk):
    """Add containers to a bulk or remove some"""

    action = 'scale'

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        wanted = parser.add_mutually_exclusive_group(required=True)
        wanted.add_argument(
            '--count',
            metavar='<number>',
            type=options.positive_int,
            help='New number of containers. To scale up, containers with the '
            'next indexes are added; to scale down, those with the highest '
            'indexes are deleted',
        )
        wanted.add_argument(
            '--remove',
            metavar='<index>',
            type=options.positive_int,
            action='append',
            help='Delete the container with this index (repeat option to '
            'delete several)',
        )
        return parser

    def _body(self, parsed_args):
        if parsed_args.count is not None:
            return {'count': parsed_args.count}
        # The API refuses an index that is given twice.
        return {'indexes': sorted(set(parsed_args.remove))}
