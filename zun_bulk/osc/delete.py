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


"""The command ``openstack appcontainer bulk delete``."""

import time

from osc_lib import exceptions
from osc_lib.command import command

from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import floating_ips
from zun_bulk.osc import progress
from zun_bulk.osc import waiter
from zun_bulk.states import MemberState


class DeleteBulk(command.Command):
    """Delete bulks and all of their containers"""

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
            help='Delete only the bulks, which must be finished, and keep '
            'their containers as ordinary containers of Zun',
        )
        waiter.add_wait_options(parser, 'Wait until the bulks are deleted.')
        return parser

    def take_action(self, parsed_args):
        waiter.check_wait_options(parsed_args)
        bulks = client.for_command(self)
        idents = parsed_args.bulk
        keep = parsed_args.keep_containers
        deleting = []
        failed = 0
        for ident in idents:
            try:
                # The name may be used by another bulk before the wait is over.
                bulk = bulks.get(ident)
                kept = [] if keep else floating_ips.kept(bulks, bulk)
                bulks.delete(bulk['uuid'], keep)
                deleting.append(bulk)
                if kept:
                    self._note(
                        f'Floating IPs of {columns.title(bulk)} that are '
                        f'disassociated and kept: {", ".join(kept)}'
                    )
            except client.ApiError as e:
                failed += 1
                self.log.error("Failed to delete bulk '%s': %s", ident, e)
        if parsed_args.wait:
            failed += self._wait(bulks, deleting, parsed_args.wait_timeout)
        if failed:
            raise exceptions.CommandError(
                f'Failed to delete {failed} of {len(idents)} bulks.'
            )

    def _note(self, text):
        progress.Reporter(self.app.stderr).note(text)

    def _wait(self, bulks, deleting, timeout):
        """Wait until bulks are gone.

        :param timeout: seconds for all of them together
        :returns: the number of bulks that are not gone
        """
        reporter = progress.Reporter(self.app.stderr)
        started = time.monotonic()
        failed = 0
        for bulk in deleting:
            title = columns.title(bulk)
            now = time.monotonic()
            left = None if timeout is None else max(0, started + timeout - now)
            tracker = progress.Progress(
                bulk['count'], (MemberState.DELETED,), now
            )
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
                    'Stopped waiting. The deletion continues; see '
                    '"openstack appcontainer bulk list".'
                )
                raise
            except client.ApiError as e:
                if e.status == 404:
                    reporter.note(f'{title} deleted.')
                else:
                    failed += 1
                    reporter.note(f'Stopped waiting for {title}: {e}')
            except waiter.WaitTimeout:
                failed += 1
                reporter.note(
                    f'Stopped waiting for {title} after '
                    f'{timeout:g} s: {tracker.line()}'
                )
        return failed
