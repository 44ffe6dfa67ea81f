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

A pacer is asked ``available`` before a start, told ``started`` and
``finished`` around it, and handed the time each time, so that a simulator
can drive it as well as a host's agent. All times are monotonic seconds.

What a host can take is found by looking at its rate, starts that ended well
a second, and not at their latency: Docker's grows with the starts in flight
and with the containers that a host has already, so that no base of it holds
still, while at a full window the two tell the same (Little's law: latency is
starts in flight over rate).
"""

import collections
import enum
import math


class Outcome(enum.Enum):
    """What the end of a start tells of its host's load."""

    #: It did what it was asked.
    DONE = 'done'
    #: It failed as things do now and then where much is going on.
    SOFT = 'soft'
    #: The host is overloaded, or did not answer.
    HARD = 'hard'
    #: Nothing, as with an image that is not there.
    NEUTRAL = 'neutral'


#: Starts that make a window, or twice the limit if that is more.
WINDOW = 12
#: Part of its limit that must have been in flight, on the average, for a
#: window to tell what a host can do.
BUSY = 0.7
#: Limits are as good as each other that differ by less in rate. The smallest
#: of them is the best: it keeps the engine's answers quick.
TOLERANCE = 0.03
#: Windows for which the limit holds still between two tries of a neighbour.
HOLD_WINDOWS = (4, 6)
#: Windows that a limit's rate is the average of.
AVERAGED = 8
#: Windows after which the rate of a limit is forgotten.
MEMORY_WINDOWS = 40
#: A window that takes this many times as long as it should is ended.
LATE = 3.0
#: Part of the limit that is left after a cut.
HARD_CUT = 0.5
SOFT_CUT = 0.9

#: Starts a second for each that ends well, at most: starts that fail at once
#: would be tried at any rate otherwise. 2 because a young limit doubles.
REFILL = 2.0
#: Starts a second that are all right, and too many, whatever the host does.
REFILL_MIN = 10.0
REFILL_MAX = 1000.0

#: Hard overloads in a row that open the breaker, or more than MANY of RECENT.
IN_A_ROW = 5
RECENT = 20
MANY = 10
#: Seconds for which it stays open, with full jitter.
OPEN_MIN = 5.0
OPEN_MAX = 60.0
#: Starts that must end well, one by one, to close it.
PROOFS = 3
#: Seconds after which a ping of the engine counts as not answered.
PING_MAX = 5.0

#: Seconds within which a start is looked into that has not ended.
DEADLINE_MIN = 30.0
DEADLINE_MAX = 120.0

#: Of how many starts the deadline, and what is shown of them, is made.
_SAMPLES = 200
#: Seconds over which the rate is taken that operators are shown.
SHOWN = 60.0


def _untold(text):
    """Tell nobody."""


class FixedLimit:
    """The same limit whatever happens."""

    last_cut = None

    def __init__(self, limit):
        """:param limit: the most starts in flight, at least 1."""
        self.limit = limit
        #: Nothing is learnt of the host's rate, so none is kept to.
        self.rate = math.inf

    def changes(self, now, in_flight):
        """See AdaptiveLimit."""

    def ended(self, now, since, outcome):
        """See AdaptiveLimit."""


class AdaptiveLimit:
    """The limit under which a host starts the most.

    It doubles from 1 as long as the rate grows with it. Then it stays, tries
    its neighbours now and then, one window of starts each, and moves to the
    smallest limit whose rate is within TOLERANCE of the best. A limit holds
    still for a window, so that a rate is the rate of one limit.

    Overload halves it at once, and a rate that has halved with it, once for
    all that was under way; from there it climbs by steps.

    The throughput guard is after the adaptive limits of Netflix'
    concurrency-limits and Uber's Cinnamon, the cut after TCP's.
    """

    def __init__(self, highest, rng, tell=_untold):
        """:param highest: the limit's own limit, at least 1.

        :param rng: random.Random or alike.
        :param tell: function of a text, called for every cut.
        """
        self.limit = 1
        #: (when, why) of the last cut, None before the first.
        self.last_cut = None
        self._highest = highest
        self._rng = rng
        self._tell = tell
        self._cut_at = -math.inf
        self._doubling = True
        #: Up to where it climbs after a cut, whatever the rate.
        self._goal = 0
        self._home = 1
        self._direction = 1
        self._patience = 0
        #: limit: (rate, windows it is the average of, last window)
        self._rates = {}
        self._window = 0
        self._at = None
        self._open(None)

    @property
    def rate(self):
        """Starts a second that the host was last seen to do; None at first."""
        return max((known[0] for known in self._rates.values()), default=None)

    def changes(self, now, in_flight):
        """Told before a start or an end changes the number in flight."""
        if self._since is None:
            self._open(now)
        else:
            self._area += min(in_flight, self.limit) * (now - self._at)
        self._at = now
        known = self._rates.get(self.limit)
        if known and (now - self._since) * known[0] > LATE * self._size():
            self._close(now)

    def ended(self, now, since, outcome):
        """A start has ended.

        :param since: when it began.
        """
        if outcome is Outcome.DONE:
            self._done += 1
            if self._done >= self._size() and now > self._since:
                self._close(now)
        elif outcome is not Outcome.NEUTRAL and since > self._cut_at:
            # What began before the last cut is answered by it already.
            hard = outcome is Outcome.HARD
            goal = max(self._goal, self._home)
            tried = hard and not self._doubling and self.limit > self._home
            self._cut(
                now,
                HARD_CUT if hard else SOFT_CUT,
                'overload' if hard else 'a failure under load',
            )
            self._goal = goal
            if tried:
                # It bears no more than what it had: leave it at that longer.
                self._patience = 5 * self._rng.randint(*HOLD_WINDOWS)

    def _size(self):
        """How many starts make a window."""
        if self._doubling or self._goal:
            # Short, as the host is not at its best meanwhile.
            return max(2, self.limit)
        return max(WINDOW, 2 * self.limit)

    def _open(self, now):
        self._since = now
        self._done = 0
        self._area = 0.0

    def _close(self, now):
        seconds = now - self._since
        rate = self._done / seconds
        full = self._done >= self._size()
        busy = self._area / (seconds * self.limit)
        self._open(now)
        if busy < BUSY:
            # Who was not asked for more has not shown what he can do.
            return
        if full and self.limit < self._goal:
            self.limit = self._home = self.limit + 1
            return
        self._goal = 0
        self._window += 1
        before = self._note(rate)
        if before and rate < before / 2:
            self._rates.clear()
            self._cut(
                now,
                HARD_CUT,
                'the rate fell from %.2f to %.2f starts a second'
                % (before, rate),
            )
        elif before and rate > before * 2:
            self._rates = {self.limit: (rate, 1, self._window)}
            self._move(climb=True)
        else:
            self._move()

    def _note(self, rate):
        """Remember the rate of the limit. Returns what it was before."""
        before, windows, _last = self._rates.get(self.limit, (rate, 0, 0))
        windows = min(windows + 1, AVERAGED)
        average = before + (rate - before) / windows
        self._rates = {
            limit: known
            for limit, known in self._rates.items()
            if self._window - known[2] <= MEMORY_WINDOWS
        }
        self._rates[self.limit] = average, windows, self._window
        return before if windows > 1 else None

    def _move(self, climb=False):
        """Choose the limit of the next window."""
        enough = (1 - TOLERANCE) * self.rate
        best = min(
            limit for limit, known in self._rates.items() if known[0] >= enough
        )
        if self._doubling:
            if best == self.limit < self._highest:
                self._home = self.limit
                self.limit = min(2 * self.limit, self._highest)
                return
            self._doubling = False
        if best != self._home:
            # On in the direction that was right, at once.
            self._direction = 1 if best > self._home else -1
            self._home = best
            self._patience = 0
        elif self.limit != self._home:
            self._direction = -self._direction
            self._patience = self._rng.randint(*HOLD_WINDOWS)
        if climb:
            self._direction = 1
            self._patience = 0
        if self._patience > 0:
            self._patience -= 1
            self.limit = self._home
        else:
            self._try_neighbour()

    def _try_neighbour(self):
        step = max(1, self._home // 8)
        if not 1 <= self._home + self._direction * step <= self._highest:
            self._direction = -self._direction
        self.limit = max(
            1, min(self._highest, self._home + self._direction * step)
        )
        self._patience = self._rng.randint(*HOLD_WINDOWS)

    def _cut(self, now, factor, why):
        before = self.limit
        self._cut_at = now
        self.limit = self._home = max(1, int(self.limit * factor))
        self._doubling = False
        self._goal = 0
        self._direction = 1
        self._patience = 0
        self._open(now)
        self.last_cut = now, why
        self._tell('limit %d, was %d: %s' % (self.limit, before, why))


class TokenBucket:
    """Smooths starts: at most ``burst`` at once and ``rate`` a second."""

    def __init__(self):
        self._tokens = 0.0
        self._at = -math.inf

    def available(self, now, rate, burst):
        """How many may start now.

        :param rate: starts a second.
        :param burst: the most at once.
        """
        self._tokens = min(burst, self._tokens + (now - self._at) * rate)
        self._at = now
        # What is a token but for the rounding of floats is one.
        return int(self._tokens + 1e-6)

    def wait(self, rate):
        """Seconds until there will be a token, as of the last look."""
        return max(0.0, (1 - self._tokens) / rate)

    def take(self):
        self._tokens -= 1


class Breaker:
    """Stops starts at a host that fails them all, and tries again later."""

    def __init__(self, rng, tell=_untold):
        self._rng = rng
        self._tell = tell
        self._recent = collections.deque(maxlen=RECENT)
        self._in_a_row = 0
        #: The longest that it may be open the next time.
        self._span = OPEN_MIN
        self._opened_at = -math.inf
        self._proofs = PROOFS
        #: Until when it is open.
        self.until = -math.inf

    def state(self, now):
        """``closed``, ``open`` or ``half-open``."""
        if now < self.until:
            return 'open'
        return 'closed' if self._proofs >= PROOFS else 'half-open'

    def allowed(self, now):
        """How many may be in flight."""
        return {'open': 0, 'half-open': 1, 'closed': math.inf}[self.state(now)]

    def ended(self, now, since, outcome):
        if since < self._opened_at:
            return
        if outcome is Outcome.DONE:
            self._in_a_row = 0
            self._recent.append(False)
            if self._proofs < PROOFS:
                self._proofs += 1
                if self._proofs == PROOFS:
                    self._span = OPEN_MIN
                    self._tell('breaker closed')
        elif outcome is Outcome.HARD:
            self._in_a_row += 1
            self._recent.append(True)
            if self._in_a_row >= IN_A_ROW or sum(self._recent) > MANY:
                self.open(
                    now,
                    '%d starts in a row failed' % self._in_a_row
                    if self._in_a_row >= IN_A_ROW
                    else '%d of the last %d starts failed'
                    % (sum(self._recent), len(self._recent)),
                )
            elif self._proofs < PROOFS:
                self.open(now, 'it still fails')

    def open(self, now, why):
        """Let nothing start for a while."""
        if now < self.until:
            return
        self.until = now + self._rng.uniform(OPEN_MIN, self._span)
        self._span = min(OPEN_MAX, 2 * self._span)
        self._opened_at = now
        self._proofs = 0
        self._in_a_row = 0
        self._recent.clear()
        self._tell(
            'breaker open for %d s: %s' % (round(self.until - now), why)
        )


class Pacer:
    """How many starts a host may have in flight, and how fast they may come.

    One for each kind of work: the limit of one tells nothing of another.
    """

    def __init__(self, limit, rng, interval=0.0, tell=_untold):
        """:param limit: FixedLimit or AdaptiveLimit.

        :param rng: random.Random or alike.
        :param interval: seconds between two starts at least; 0 for none.
        :param tell: function of a text, called for every change of the
            breaker.
        """
        self._limit = limit
        #: Seconds between two starts at least; 0 for none.
        self.interval = interval
        self._bucket = TokenBucket()
        self._breaker = Breaker(rng, tell)
        self._in_flight = {}
        #: Who holds the host: why.
        self.holds = {}
        self._durations = collections.deque(maxlen=_SAMPLES)
        #: When those ended well that did so within SHOWN.
        self._ends = collections.deque()
        self._outcomes = dict.fromkeys(Outcome, 0)
        self._seconds = 0.0

    def replace_limit(self, limit):
        """Go by another limit from now on; what is in flight stays so."""
        self._limit = limit

    @property
    def limit(self):
        return self._limit.limit

    @property
    def in_flight(self):
        return len(self._in_flight)

    def _pace(self):
        """Starts a second, and at once, as the bucket takes them."""
        if self.interval:
            return 1 / self.interval, 1
        rate = max(REFILL * (self._limit.rate or 0.0), REFILL_MIN)
        return min(rate, REFILL_MAX), self.limit

    def available(self, now):
        """How many more may start."""
        room = min(self.limit, self._breaker.allowed(now)) - self.in_flight
        if self.holds or room <= 0:
            return 0
        return min(room, self._bucket.available(now, *self._pace()))

    def wait(self, now):
        """Seconds until more may start without another having ended.

        None if nothing but an end, or a release, will allow for one.
        """
        if self.holds:
            return None
        if now < self._breaker.until:
            return self._breaker.until - now
        if min(self.limit, self._breaker.allowed(now)) <= self.in_flight:
            return None
        rate, burst = self._pace()
        if self._bucket.available(now, rate, burst):
            return 0.0
        return self._bucket.wait(rate)

    def started(self, key, now):
        self._limit.changes(now, self.in_flight)
        self._bucket.take()
        self._in_flight[key] = now

    def finished(self, key, now, outcome):
        """A start has ended. One that is not in flight changes nothing.

        :param outcome: an Outcome.
        """
        if key not in self._in_flight:
            return
        self._limit.changes(now, self.in_flight)
        since = self._in_flight.pop(key)
        self._limit.ended(now, since, outcome)
        self._breaker.ended(now, since, outcome)
        self._outcomes[outcome] += 1
        if outcome is Outcome.DONE:
            self._durations.append(now - since)
            self._seconds += now - since
            self._ends.append(now)
            self._forget(now)

    def _forget(self, now):
        while self._ends and now - self._ends[0] > SHOWN:
            self._ends.popleft()

    def pinged(self, now, seconds):
        """The engine was pinged.

        :param seconds: how long its answer took; None if there was none.
        """
        if seconds is None or seconds > PING_MAX:
            self._breaker.open(now, 'the engine does not answer')

    def deadline(self):
        """Seconds after which a start that has not ended is looked into."""
        if not self._durations:
            return DEADLINE_MAX
        late = 4 * quantile(self._durations, 0.95)
        return min(DEADLINE_MAX, max(DEADLINE_MIN, late))

    def show(self, now):
        """What an operator wants to know, as a dict.

        ``per_second`` is over the last SHOWN seconds, ``median`` and ``p95``
        are seconds of the last starts that ended well, ``seconds`` is the sum
        of all of those. ``ended`` counts by outcome.
        """
        self._forget(now)
        cut = self._limit.last_cut
        return {
            'limit': self.limit,
            'in_flight': self.in_flight,
            'interval': self.interval,
            'per_second': len(self._ends) / SHOWN,
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
    """The smallest value that ``part`` of all do not exceed; None if none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]
