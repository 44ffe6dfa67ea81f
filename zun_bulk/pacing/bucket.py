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

"""A token bucket that smooths starts: pure, without a clock."""

import math


class TokenBucket:
    """Allows at most ``burst`` starts at once and ``rate`` per second."""

    def __init__(self):
        self._tokens = 0.0
        self._refilled_at = -math.inf

    def available(self, now, rate, burst):
        """Return how many may start now.

        :param now: monotonic seconds.
        :param rate: starts per second.
        :param burst: the most at once.
        """
        self._tokens = min(
            burst, self._tokens + (now - self._refilled_at) * rate
        )
        self._refilled_at = now
        # A token that is short by the rounding of floats counts as one.
        return int(self._tokens + 1e-6)

    def wait(self, rate):
        """Return the seconds from the last refill until there is a token."""
        return max(0.0, (1 - self._tokens) / rate)

    def take(self):
        """Take the token of one start."""
        self._tokens -= 1
