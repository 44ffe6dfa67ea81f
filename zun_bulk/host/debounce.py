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

"""When to do again what is not to be done often: pure, without a clock.

All times are monotonic seconds.
"""

import math


#: Seconds between two reports of a host, and between two wake-ups, at least.
MIN_INTERVAL = 1.0
#: Seconds between two reports of a host that is at work.
BUSY_INTERVAL = 5.0


class Debounce:
    """Does what is wished for at most so often; the last wish is not lost."""

    def __init__(self, interval=MIN_INTERVAL):
        self._interval = interval
        self._requested = False
        self._done = -math.inf

    def request(self):
        self._requested = True

    def wait(self, now):
        """Seconds until it is time; None if nothing is wished for."""
        if not self._requested:
            return None
        return max(0.0, self._done + self._interval - now)

    def take(self, now):
        """Whether to do it now. It then counts as done."""
        if self.wait(now) != 0.0:
            return False
        self._requested = False
        self._done = now
        return True


class Reports:
    """Whether a report tells anything new.

    One is due when its host's state is not that of the last one, and every
    BUSY_INTERVAL seconds while the host is at work.
    """

    def __init__(self):
        self._state = None
        self._debounce = Debounce()
        self._done = -math.inf

    def is_due(self, now, state, at_work):
        """See whether a report is due.

        :param state: anything to compare with that of the last report.
        """
        if state != self._state or (
            at_work and now - self._done >= BUSY_INTERVAL
        ):
            self._debounce.request()
        if not self._debounce.take(now):
            return False
        self._state = state
        self._done = now
        return True

    def wait(self, now):
        """Seconds until one is due that cannot be yet; None if none is."""
        return self._debounce.wait(now)
