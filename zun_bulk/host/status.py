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

"""What operators see of a host: its pace, its holds and its counts."""

import time

from zun_bulk.db import hosts as db_hosts
from zun_bulk.host import debounce
from zun_bulk.states import MemberState


class Status:
    """Shows the state of a host's agent, and writes it into the host's row.

    Any thread may call ``show`` and ``report``; the other methods are for the
    agent's own thread.
    """

    def __init__(self, agent, members, holds, starting, deleting):
        """Create it.

        :param agent: the HostAgent, for its throttles and its settings.
        :param members: the host's Members.
        :param holds: the host's Holds.
        :param starting: the host's Starting.
        :param deleting: the host's Deleting.
        """
        self._agent = agent
        self._members = members
        self._holds = holds
        self._starting = starting
        self._deleting = deleting
        # How many members wait at a held host, and when they were counted.
        self._queued = 0
        self._counted_at = float('-inf')
        self.reset()

    def reset(self):
        """Have the next state written, as the last one may be lost."""
        self._reports = debounce.Reports()

    def is_busy(self):
        """Return whether any member is being started or deleted."""
        return self._starting.is_busy() or bool(self._deleting.in_flight)

    def show(self):
        """Return the state for operators and Prometheus, as a dict."""
        return self._with_counts(self._show(time.monotonic()))

    def report(self):
        """Return all members in progress, for the Guru Meditation Report.

        It does not read the database, which may be the cause of the problem.
        """
        now = time.monotonic()
        return dict(
            self._show(now),
            pulls=self._agent.pulls.show(now),
            starting=self._report_in_flight(self._starting.in_flight, now),
            being_deleted=self._report_in_flight(
                self._deleting.in_flight, now
            ),
            **self._starting.report(),
        )

    def _report_in_flight(self, in_flight, now):
        return {
            uuid: {
                'name': entry.member.name,
                'bulk': getattr(
                    self._members.bulk_of(entry.member), 'uuid', None
                ),
                'attempt': entry.member.attempt,
                'seconds': round(now - entry.since, 1),
                'driver_is_at_it': entry.driver_active,
            }
            for uuid, entry in list(in_flight.items())
        }

    def _show(self, now):
        return {
            'starts': self._agent.starts.show(now),
            'deletes': self._agent.deletes.show(now),
            'held_by': self._holds.reasons(),
            'settings': self._agent.settings._asdict(),
            'settle': self._starting.settle_times(),
        }

    def _with_counts(self, shown):
        counts = db_hosts.count_members_on(self._agent.host)
        return dict(
            shown,
            queued=counts.get(MemberState.PLACED, 0),
            deleting=counts.get(MemberState.DELETING, 0),
        )

    def wait(self, now):
        """Return the seconds until the state is to be written; None if not."""
        return self._reports.wait(now)

    def write_if_changed(self, now):
        """Write the state into the host's row if it is news."""
        shown = self._show(now)
        paced = shown['starts'], shown['deletes']
        busy = self.is_busy() or any(
            kind['in_flight'] or kind['waiting'] for kind in paced
        )
        state = (
            busy,
            self._agent.settings,
            sorted(shown['held_by']),
            [kind['breaker'] for kind in paced],
            # The rate falls to zero a minute after the last start.
            [kind['per_second'] > 0 for kind in paced],
            self._count_queued(shown, now),
        )
        if self._reports.is_due(now, state, busy):
            db_hosts.report_host(self._agent.host, self._with_counts(shown))

    def _count_queued(self, shown, now):
        """Count the members that wait at a host that starts none.

        Such a host reads no members, so nothing else shows that they wait.

        :returns: 0 for a host that does start members.
        """
        if not shown['held_by'] and shown['starts']['breaker'] != 'open':
            self._queued = 0
        elif now - self._counted_at >= debounce.MIN_INTERVAL:
            self._counted_at = now
            self._queued = db_hosts.count_members_on(self._agent.host).get(
                MemberState.PLACED, 0
            )
        return self._queued
