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

from zun_bulk.osc import client
from zun_bulk.osc import columns
from zun_bulk.osc import floating_ips
from zun_bulk.osc import options
from zun_bulk.osc import progress
from zun_bulk.states import BulkStatus
from zun_bulk.states import FloatingIpState
from zun_bulk.states import MemberState


#: Seconds without a response after which to stop waiting. Longer than the
#: restart of an API takes.
PATIENCE = 600

#: Statuses in which a conductor works on a bulk, apart from its deletion.
UNFINISHED = (BulkStatus.BUILDING, BulkStatus.CANCELLING)


class WaitTimeout(exceptions.CommandError):
    """The bulk did not finish in time."""


def poll(fetch, tracker, reporter, timeout=None):
    """Yield a bulk repeatedly, and report its progress.

    Transient failures, such as a lost connection or a 5xx, are retried for
    PATIENCE seconds.

    :param fetch: returns the bulk as it is now
    :param tracker: a progress.Progress
    :param reporter: a progress.Reporter
    :param timeout: seconds until WaitTimeout, None for no limit
    :raises: WaitTimeout, client.ApiError
    """
    now = time.monotonic()
    deadline = None if timeout is None else now + timeout
    no_answer_since = None
    while True:
        try:
            bulk = fetch()
        except client.ApiError as e:
            if not e.transient:
                raise
            now = time.monotonic()
            if no_answer_since is None:
                no_answer_since = now
                reporter.note(f'{e}; retrying')
            elif now - no_answer_since >= PATIENCE:
                raise
        else:
            now = time.monotonic()
            no_answer_since = None
            pending = (bulk.get('floating_ips') or {}).get(
                FloatingIpState.WANTED, 0
            )
            tracker.update(bulk['members'], now, pending)
            reporter.show(tracker, now)
            yield bulk
        interval = tracker.poll_interval
        if deadline is not None:
            if now >= deadline:
                raise WaitTimeout(f'not finished after {timeout:g} s')
            interval = min(interval, deadline - now)
        time.sleep(interval)


def add_wait_options(parser, what):
    """Add --wait and --wait-timeout.

    :param what: help text of what --wait waits for
    """
    parser.add_argument(
        '--wait',
        action='store_true',
        help=f'{what} Progress is written to standard error, as a bar on a '
        'terminal, otherwise as plain lines.',
    )
    parser.add_argument(
        '--wait-timeout',
        metavar='<seconds>',
        type=options.positive_float,
        help='With --wait: stop waiting after this many seconds and exit '
        'non-zero; the work itself continues (default: no limit)',
    )


def check_wait_options(parsed_args):
    """Refuse --wait-timeout without --wait."""
    if parsed_args.wait_timeout is not None and not parsed_args.wait:
        raise exceptions.CommandError('--wait-timeout requires --wait.')


def _count_text(bulk):
    """Describe how many containers were started or created."""
    # A member that is created only, not started, becomes running too.
    running = bulk['members'][MemberState.RUNNING]
    return (
        f'{running} of {bulk["count"]} containers '
        f'{"running" if bulk["run"] else "created"}'
    )


class WaitForBulk:
    """Mix-in for a ShowOne that can wait for its bulk and show the outcome."""

    _problem = None

    def produce_output(self, parsed_args, column_names, data):
        # Scripts need the bulk also, and even more, when some of its
        # containers have failed.
        super().produce_output(parsed_args, column_names, data)
        if self._problem:
            raise exceptions.CommandError(self._problem)
        return 0

    def _wait(self, bulks, bulk, timeout, wanted=BulkStatus.READY):
        """Wait for a bulk; store what went wrong in self._problem.

        :param wanted: the status of a success
        :returns: the bulk in its last known status
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
                f'Stopped waiting. Work on {title} continues; see "openstack '
                f'appcontainer bulk show {bulk["uuid"]}".'
            )
            raise
        except client.ApiError as e:
            if e.status == 404:
                self._problem = f'{title} was deleted during the wait.'
            else:
                self._problem = f'Stopped waiting for {title}: {e}'
        except WaitTimeout as e:
            self._problem = (
                f'Stopped waiting for {title}: {e}. It '
                f'is {bulk["status"]}: {tracker.line()}'
            )
        else:
            self._problem = self._describe_failure(bulk, wanted)
            if not self._problem:
                reporter.note(
                    f'{_count_text(bulk)} after {tracker.elapsed:.1f} s.'
                )
        finally:
            reporter.close()
        return bulk

    @staticmethod
    def _describe_failure(bulk, wanted):
        """Describe what went wrong with a bulk that is finished or paused.

        :returns: a message, None if nothing went wrong
        """
        members = bulk['members']
        if bulk['status'] == BulkStatus.DELETING:
            return f'{columns.title(bulk)} is being deleted.'
        if bulk['status'] == wanted == BulkStatus.CANCELLED:
            return None
        if bulk['status'] == wanted and not members[MemberState.FAILED]:
            return None
        lines = [
            f'{columns.title(bulk)} is {bulk["status"]}: {_count_text(bulk)}, '
            f'{members[MemberState.FAILED]} failed.'
        ]
        failures = bulk['failures']
        if bulk['status_reason'] and (
            bulk['status'] == BulkStatus.PAUSED or not failures
        ):
            lines.append(bulk['status_reason'])
        lines += columns.failure_lines(failures)
        lines += floating_ips.problems(bulk)
        rest = members[MemberState.FAILED] - sum(f['count'] for f in failures)
        if rest > 0:
            lines.append(
                f'{rest} × other reasons: see "openstack appcontainer bulk '
                f'member list --state failed {bulk["uuid"]}"'
            )
        if bulk['status'] == BulkStatus.PAUSED:
            lines.append(
                'Continue with "openstack appcontainer bulk resume", or with '
                '"… retry" to also retry the failed containers, or end the '
                'bulk with "… cancel" or "… delete".'
            )
        return '\n'.join(lines)
