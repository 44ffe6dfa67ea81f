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

"""Limits how often something is done: pure, without a clock.

All times are monotonic seconds.
"""

import math


#: Minimum seconds between two reports of a host, and between two wakes.
MIN_INTERVAL = 1.0
#: Seconds between two reports of a busy host.
BUSY_INTERVAL = 5.0


class Debounce:
    """Grants requests at a limited rate; the last request is never lost."""

    def __init__(self, interval=MIN_INTERVAL):
        """Create it.

        :param interval: minimum seconds between two grants.
        """
        self._interval = interval
        self._requested = False
        self._granted_at = -math.inf

    def request(self):
        """Ask for it to be done once more."""
        self._requested = True

    def wait(self, now):
        """Return the seconds until the next grant; None without a request."""
        if not self._requested:
            return None
        return max(0.0, self._granted_at + self._interval - now)

    def take(self, now):
        """Return whether to do it now; it then counts as done."""
        if self.wait(now) != 0.0:
            return False
        self._requested = False
        self._granted_at = now
        return True


class Reports:
    """Decides when a report of a host is due.

    It is due when the state of the host differs from that in the last report,
    and every BUSY_INTERVAL seconds while the host is busy.
    """

    def __init__(self):
        self._state = None
        self._debounce = Debounce()
        self._reported_at = -math.inf

    def is_due(self, now, state, busy):
        """Return whether to report now; the report then counts as done.

        :param state: the state of the host, compared with ``==``.
        :param busy: whether the host is busy.
        """
        if state != self._state or (
            busy and now - self._reported_at >= BUSY_INTERVAL
        ):
            self._debounce.request()
        if not self._debounce.take(now):
            return False
        self._state = state
        self._reported_at = now
        return True

    def wait(self, now):
        """Return the seconds until the next report; None if none is due."""
        return self._debounce.wait(now)
