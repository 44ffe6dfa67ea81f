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


"""Waiting for a bulk: the options, the polling and the outcome."""

import time

from osc_lib import exceptions

from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import floating_ips
from zun_bulk.osc import options
from zun_bulk.osc import progress


#: Seconds without any answer after which waiting is given up. Longer than
#: the restart of an API takes.
PATIENCE = 600

#: In these statuses a conductor works on a bulk that is not deleted.
UNFINISHED = (BulkStatus.BUILDING, BulkStatus.CANCELLING)


class WaitTimeout(exceptions.CommandError):
    """What was waited for has not come in time."""


def poll(fetch, tracker, reporter, timeout=None):
    """Yield a bulk again and again, and report its progress.

    Failures that may pass, a lost connection or a 5xx, are borne for
    PATIENCE.

    :param fetch: returns the bulk as it is now
    :param tracker: a progress.Progress
    :param reporter: a progress.Reporter
    :param timeout: seconds until WaitTimeout, None for no limit
    :raises: WaitTimeout, client.ApiError
    """
    now = time.monotonic()
    deadline = None if timeout is None else now + timeout
    silent_since = None
    while True:
        try:
            bulk = fetch()
        except client.ApiError as e:
            if not e.transient:
                raise
            now = time.monotonic()
            if silent_since is None:
                silent_since = now
                reporter.note(f'{e}; trying again')
            elif now - silent_since >= PATIENCE:
                raise
        else:
            now = time.monotonic()
            silent_since = None
            wanted = (bulk.get('floating_ips') or {}).get('wanted', 0)
            tracker.update(bulk['members'], now, wanted)
            reporter.show(tracker, now)
            yield bulk
        interval = tracker.poll_interval
        if deadline is not None:
            if now >= deadline:
                raise WaitTimeout(f'no end after {timeout:g} s')
            interval = min(interval, deadline - now)
        time.sleep(interval)


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
        type=options.positive_float,
        help='With --wait: give up waiting after so many seconds and exit '
        'non-zero; the work itself goes on (default: no limit)',
    )


def check_wait_options(parsed_args):
    if parsed_args.wait_timeout is not None and not parsed_args.wait:
        raise exceptions.CommandError('--wait-timeout needs --wait.')


def _success(bulk):
    # A member that is not to be started is running once it is created.
    return (
        f'{bulk["members"]["running"]} of {bulk["count"]} containers '
        f'{"running" if bulk["run"] else "created"}'
    )


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

    def _wait(self, bulks, bulk, timeout, wanted=BulkStatus.READY):
        """Wait for a bulk; leave what went wrong in self._problem.

        :param wanted: the status that it is to end in
        :returns: the bulk as it was last seen
        """
        title = columns.title(bulk)
        reporter = progress.Reporter(self.app.stderr)
        tracker = progress.Progress(
            bulk['count'], MemberState.FINAL, time.monotonic()
        )
        reporter.note(
            f'{title}: {bulk["count"]} containers, {bulk["status"]}.'
        )
        try:
            for bulk in poll(
                lambda: bulks.get(bulk['uuid']), tracker, reporter, timeout
            ):
                if bulk['status'] not in UNFINISHED:
                    break
        except KeyboardInterrupt:
            reporter.note(
                f'Stopped waiting. {title} goes on; see "openstack '
                f'appcontainer bulk show {bulk["uuid"]}".'
            )
            raise
        except client.ApiError as e:
            if e.status == 404:
                self._problem = f'{title} was deleted meanwhile.'
            else:
                self._problem = f'Stopped waiting for {title}: {e}'
        except WaitTimeout as e:
            self._problem = (
                f'Stopped waiting for {title}: {e}. It '
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
        if bulk['status'] == BulkStatus.DELETING:
            return f'{columns.title(bulk)} is being deleted.'
        if bulk['status'] == wanted == BulkStatus.CANCELLED:
            return None
        if bulk['status'] == wanted and not members['failed']:
            return None
        lines = [
            f'{columns.title(bulk)} is {bulk["status"]}: {_success(bulk)}, '
            f'{members["failed"]} failed.'
        ]
        failures = bulk['failures']
        if bulk['status_reason'] and (
            bulk['status'] == BulkStatus.PAUSED or not failures
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
        if bulk['status'] == BulkStatus.PAUSED:
            lines.append(
                'Go on with "openstack appcontainer bulk resume", also try '
                'the failed ones again with "… retry", or end it with "… '
                'cancel" or "… delete".'
            )
        return '\n'.join(lines)
