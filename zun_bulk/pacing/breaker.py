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

"""A circuit breaker for a host on which every start fails: pure."""

import collections
import math

from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.tuning import TUNING


class Breaker:
    """Stops starts at a host that fails them all, and tries again later.

    :ivar until: when it stops being open, in monotonic seconds.
    """

    def __init__(self, rng, notify=lambda text: None):
        """Create a closed breaker.

        :param rng: random.Random or alike.
        :param notify: function of a text, called when it opens or closes.
        """
        self._rng = rng
        self._notify = notify
        self._recent_overloads = collections.deque(
            maxlen=TUNING.breaker_recent_starts
        )
        self._overloads_in_row = 0
        #: The longest that it may be open the next time.
        self._open_seconds_max = TUNING.breaker_open_min
        self._opened_at = -math.inf
        self._successful_trials = TUNING.breaker_trial_starts
        self.until = -math.inf

    def _is_on_trial(self):
        return self._successful_trials < TUNING.breaker_trial_starts

    def state(self, now):
        """Return ``closed``, ``open`` or ``half-open``."""
        if now < self.until:
            return 'open'
        return 'half-open' if self._is_on_trial() else 'closed'

    def allowed(self, now):
        """Return how many starts may be in flight."""
        return {'open': 0, 'half-open': 1, 'closed': math.inf}[self.state(now)]

    def record_end(self, now, since, outcome):
        """Take note of a start that has ended.

        :param since: when it began.
        :param outcome: its Outcome.
        """
        if since < self._opened_at:
            return
        if outcome is Outcome.DONE:
            self._overloads_in_row = 0
            self._recent_overloads.append(False)
            if self._is_on_trial():
                self._successful_trials += 1
                if not self._is_on_trial():
                    self._open_seconds_max = TUNING.breaker_open_min
                    self._notify('breaker closed')
        elif outcome is Outcome.HARD:
            self._overloads_in_row += 1
            self._recent_overloads.append(True)
            recent = sum(self._recent_overloads)
            if self._overloads_in_row >= TUNING.breaker_overloads_in_row:
                self.open(
                    now, '%d starts in a row failed' % self._overloads_in_row
                )
            elif recent > TUNING.breaker_recent_overloads:
                self.open(
                    now,
                    '%d of the last %d starts failed'
                    % (recent, len(self._recent_overloads)),
                )
            elif self._is_on_trial():
                self.open(now, 'a trial start failed')

    def open(self, now, why):
        """Stop all starts for a while, unless it is open already."""
        if now < self.until:
            return
        self.until = now + self._rng.uniform(
            TUNING.breaker_open_min, self._open_seconds_max
        )
        self._open_seconds_max = min(
            TUNING.breaker_open_max, 2 * self._open_seconds_max
        )
        self._opened_at = now
        self._successful_trials = 0
        self._overloads_in_row = 0
        self._recent_overloads.clear()
        self._notify(
            'breaker open for %d s: %s' % (round(self.until - now), why)
        )
