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

"""How many containers a host may start now: pure, without I/O or clock.

The caller asks the pacer with ``available`` before a start, reports each start
with ``started`` and ``finished``, and passes the time each time, so that a
simulator can drive it as well as a host's agent. All times are monotonic
seconds.
"""

import collections
import math

from zun_bulk.pacing.breaker import Breaker
from zun_bulk.pacing.bucket import TokenBucket
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.tuning import TUNING


class Pacer:
    """Limits how many starts are in flight, and how fast they follow.

    Each kind of work has its own pacer, because the limit of one kind does not
    apply to another.

    :ivar interval: minimum seconds between two starts; 0 for none.
    :ivar holds: {what holds the host: why}; nothing starts unless it is empty.
    """

    def __init__(self, limit, rng, interval=0.0, notify=lambda text: None):
        """Create it.

        :param limit: FixedLimit or AdaptiveLimit.
        :param rng: random.Random or alike.
        :param interval: minimum seconds between two starts; 0 for none.
        :param notify: function of a text, called when the breaker opens or
            closes.
        """
        self._limit = limit
        self.interval = interval
        self._bucket = TokenBucket()
        self._breaker = Breaker(rng, notify)
        self._in_flight = {}
        self.holds = {}
        self._durations = collections.deque(maxlen=TUNING.sampled_durations)
        #: When starts succeeded, within the last shown_rate_seconds.
        self._success_times = collections.deque()
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._seconds = 0.0

    def replace_limit(self, limit):
        """Use another limit from now on; starts in flight are kept."""
        self._limit = limit

    @property
    def limit(self):
        """The most starts in flight."""
        return self._limit.limit

    @property
    def in_flight(self):
        """The number of starts in flight."""
        return len(self._in_flight)

    def _rate_and_burst(self):
        """Return starts per second, and at once, for the token bucket."""
        if self.interval:
            return 1 / self.interval, 1
        rate = max(
            TUNING.tokens_per_success * (self._limit.rate or 0.0),
            TUNING.min_start_rate,
        )
        return min(rate, TUNING.max_start_rate), self.limit

    def available(self, now):
        """Return how many more may start."""
        room = min(self.limit, self._breaker.allowed(now)) - self.in_flight
        if self.holds or room <= 0:
            return 0
        return min(room, self._bucket.available(now, *self._rate_and_burst()))

    def wait(self, now):
        """Return the seconds until more may start.

        :returns: None if first a start has to end, or a hold.
        """
        if self.holds:
            return None
        if now < self._breaker.until:
            return self._breaker.until - now
        if min(self.limit, self._breaker.allowed(now)) <= self.in_flight:
            return None
        rate, burst = self._rate_and_burst()
        if self._bucket.available(now, rate, burst):
            return 0.0
        return self._bucket.wait(rate)

    def started(self, key, now):
        """Record that a start has begun.

        :param key: identifies the start; hashable.
        """
        self._limit.before_change(now, self.in_flight)
        self._bucket.take()
        self._in_flight[key] = now

    def finished(self, key, now, outcome):
        """Record that a start has ended; ignore one that is not in flight.

        :param outcome: its Outcome.
        """
        if key not in self._in_flight:
            return
        self._limit.before_change(now, self.in_flight)
        since = self._in_flight.pop(key)
        self._limit.record_end(now, since, outcome)
        self._breaker.record_end(now, since, outcome)
        self._outcomes[outcome] += 1
        if outcome is Outcome.DONE:
            self._durations.append(now - since)
            self._seconds += now - since
            self._success_times.append(now)
            self._drop_old_success_times(now)

    def _drop_old_success_times(self, now):
        times = self._success_times
        while times and now - times[0] > TUNING.shown_rate_seconds:
            times.popleft()

    def pinged(self, now, seconds):
        """Record a ping of the engine.

        :param seconds: how long the answer took; None if there was none.
        """
        if seconds is None or seconds > TUNING.ping_max:
            self._breaker.open(now, 'the engine does not answer')

    def deadline(self):
        """Return the seconds after which an unfinished start is checked."""
        if not self._durations:
            return TUNING.deadline_max
        late = 4 * quantile(self._durations, 0.95)
        return min(TUNING.deadline_max, max(TUNING.deadline_min, late))

    def show(self, now):
        """Return the state for operators, as a dict.

        ``per_second`` is the rate over the last ``shown_rate_seconds``,
        ``median`` and ``p95`` are the durations of the last successful starts,
        in seconds, ``seconds`` is the sum of all of them. ``ended`` counts
        starts by outcome.
        """
        self._drop_old_success_times(now)
        cut = self._limit.last_cut
        return {
            'limit': self.limit,
            'in_flight': self.in_flight,
            'interval': self.interval,
            'per_second': (
                len(self._success_times) / TUNING.shown_rate_seconds
            ),
            'median': quantile(self._durations, 0.5),
            'p95': quantile(self._durations, 0.95),
            'seconds': self._seconds,
            'ended': {
                outcome.value: number
                for outcome, number in self._outcomes.items()
            },
            'breaker': self._breaker.state(now),
            'last_cut': cut and {'ago': now - cut[0], 'why': cut[1]},
        }


def quantile(values, part):
    """Return the smallest value that a fraction of all does not exceed.

    :param part: the fraction, 0 to 1.
    :returns: None if there are no values.
    """
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
