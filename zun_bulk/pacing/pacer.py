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


#: The limit at first. There is hardly a host that does better with one, and
#: where starts take seconds a limit of one costs the most.
FIRST = 2
#: Starts that make a window, or the limit if that is more. Fewer tell little
#: (see NOISE), more take long to answer.
WINDOW = 12
#: The same while the limit doubles: a limit that is far too low costs more
#: than a wrong step does.
FIRST_WINDOW = 3
#: Part of its limit that must have been in flight, on the average, for a
#: window to tell what a host can do.
BUSY = 0.7
#: Limits are as good as each other that differ by less in rate. The smallest
#: of them is the best: it keeps the engine's answers quick.
TOLERANCE = 0.03
#: How far starts differ in what they take, as the variance of one over the
#: square of the mean: what is taken for it until windows have told, and for
#: how many windows that counts.
NOISE = 0.3
NOISE_WINDOWS = 8
#: The most that a window can tell of it: a host that has changed is no noise.
NOISE_MOST = 2.0
#: Windows that the measured one is the average of.
NOISE_MEMORY = 40
#: A limit is tried that may be the best if its rate is by so many standard
#: deviations better than it looks. This is the square of that over the
#: logarithm of the starts remembered: about 1 after 30 starts, 1.3 after 300.
HOPE = 0.3
#: How far a limit's rate is taken to differ from that of another before it was
#: tried, as parts of the logarithm of their ratio: 0 is not at all and 1 in
#: proportion to the limits. That of a smaller limit is taken to be less by the
#: first, and that of any to be off by the second as a standard deviation.
LESS = 0.5
OFF = 0.5
#: The last step, as a part of the limit: less than an eighth is not seen.
STEP_MIN = 0.125
#: Starts that a rate is the average of, at most: it has to follow its host.
AVERAGED = 100
#: Starts after which what was learnt of a limit is gone but for a third.
MEMORY = 1000
#: What is known of a limit by fewer starts than that is forgotten.
FORGOTTEN = 0.5
#: Part of what was learnt that counts on after the host has changed.
KEPT = 0.5
#: A host has changed whose rate is so many times more or less, and off by so
#: many standard deviations.
CHANGE = 2.0
CHANGE_DEVIATIONS = 5.0
#: A window that takes this many times as long as it should is ended.
LATE = 2.25
#: Part of the limit that is left after a cut.
HARD_CUT = 0.5
SOFT_CUT = 0.9
#: Starts, as part of the limit, that must end well for each step back up.
CLIMB = 0.5
#: Starts at half the rate that a second overload in a row counts as.
PENALTY = 12

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


class Known:
    """What was learnt of a limit.

    :ivar starts: how many its rate is the average of.
    :ivar rate: starts a second that ended well.
    :ivar seen: when that was last seen, in windows.
    """

    def __init__(self, starts, rate):
        self.starts = starts
        self.rate = rate
        self.seen = 0


class AdaptiveLimit:
    """The limit under which a host starts the most.

    A window is some starts under one limit, and gives a rate. As starts differ
    in what they take, rates are off; how much is known from how far those of
    one limit differ. After each window that limit is chosen for the next which
    may be the best, given by how much its rate may be off ("upper confidence
    bound"): the best so far, its neighbours, and whatever was tried before. So
    what is clearly worse is left alone until it is half forgotten, and what
    is not clear is tried again.

    The neighbours are far at first, twice the limit and half of it, which is
    how it begins: 2, 4, 8 and so on. They come nearer as soon as none of them
    can be better.

    Overload halves the limit at once, and a rate that has halved with it, once
    for all that was under way; from there it climbs by steps.

    The throughput guard is after the adaptive limits of Netflix'
    concurrency-limits and Uber's Cinnamon, the cut after TCP's.
    """

    def __init__(self, highest, tell=_untold):
        """:param highest: the limit's own limit, at least 1.

        :param tell: function of a text, called for every cut.
        """
        self.limit = min(FIRST, highest)
        #: (when, why) of the last cut, None before the first.
        self.last_cut = None
        self._highest = highest
        self._tell = tell
        self._cut_at = -math.inf
        #: The best so far.
        self._home = self.limit
        #: How far from it its neighbours are, as a part of it.
        self._step = 1.0
        #: It is on its way back to the best, after a cut.
        self._climbing = False
        #: limit: Known
        self._known = {}
        self._windows = 0
        #: The one that was the best before, to be seen once more.
        self._former = None
        self._noise = NOISE
        self._noise_windows = NOISE_WINDOWS
        #: The limit of the last overload, if none was borne since.
        self._unborne = math.inf
        #: Seconds that a start takes, on the average.
        self._takes = None
        self._at = None
        self._open(None)

    @property
    def rate(self):
        """Starts a second that the host was last seen to do; None at first."""
        return max(
            (known.rate for known in self._known.values()), default=None
        )

    def changes(self, now, in_flight):
        """Told before a start or an end changes the number in flight."""
        if self._since is None:
            self._open(now)
        else:
            self._area += min(in_flight, self.limit) * (now - self._at)
        self._at = now
        known = self._known.get(self.limit) or self._known.get(self._home)
        if known and (now - self._since) * known.rate > LATE * self._size():
            self._close(now)

    def ended(self, now, since, outcome):
        """A start has ended.

        :param since: when it began.
        """
        if outcome is Outcome.DONE:
            takes = self._takes or now - since
            self._takes = takes + (now - since - takes) / WINDOW
            # What began before a cut does not show that fewer are borne.
            if since > self._cut_at or not self._climbing:
                self._did(now, 1.0)
        elif outcome is Outcome.NEUTRAL:
            # It was as much work for the engine as it took of a start's time.
            if self._takes:
                self._did(now, min(1.0, (now - since) / self._takes))
        elif since > self._cut_at:
            # What began before the last cut is answered by it already.
            self._failed(now, outcome is Outcome.HARD)

    def _did(self, now, work):
        self._done += work
        if self._done >= self._size() and now > self._since:
            self._close(now)

    def _failed(self, now, hard):
        if not self._climbing and self._done and self._is_busy(now):
            self._note(self._done, now - self._since)
        if hard:
            home = self._known.get(self._home)
            again = self.limit >= self._unborne and self._done < self.limit
            if home and again:
                # One may be chance, two in a row are not.
                worse = home.rate / 2
                self._note(PENALTY, PENALTY / worse, penalty=True)
                for limit, known in self._known.items():
                    if limit > self.limit:
                        known.rate = min(known.rate, worse)
                self._home = min(self._home, self.limit)
                self._choose()
            self._unborne = self.limit
        self._cut(
            now,
            HARD_CUT if hard else SOFT_CUT,
            'overload' if hard else 'a failure under load',
        )

    def _size(self):
        """How many starts make a window."""
        if self._climbing:
            # Short, as the host is not at its best meanwhile.
            return max(1, CLIMB * self.limit)
        return max(FIRST_WINDOW if self._step == 1 else WINDOW, self.limit)

    def _open(self, now):
        self._since = now
        self._done = 0.0
        self._area = 0.0

    def _is_busy(self, now):
        """Whether it was asked for as much as the limit allows.

        Who was not asked for more has not shown what he can do.
        """
        return self._area > BUSY * self.limit * (now - self._since)

    def _close(self, now):
        done, seconds = self._done, now - self._since
        full = done >= self._size()
        busy = self._is_busy(now)
        self._open(now)
        if not busy:
            return
        if self._climbing:
            if full:
                self.limit += 1
                self._climbing = self.limit < self._home
            return
        self._windows += 1
        if full and self.limit >= self._unborne:
            self._unborne = math.inf
        if not self._has_changed(now, done, seconds):
            self._note(done, seconds)
        if not self._climbing:
            self._move()

    def _has_changed(self, now, done, seconds):
        """Look whether the host is another one; if so, adapt to that."""
        tried = self.limit not in (self._home, self._former)
        home = self._known.get(self._home)
        if tried and home:
            change, deviation = self._change(home, done, seconds)
            if change < 1 and _is_change(change, deviation):
                # The limit is too high, or its host is another one: fewer
                # are right for both, and the way back up will tell.
                self._note(done, seconds)
                self.limit = min(self.limit, self._home)
                self._slower(now, home.rate, done / seconds)
                return True
        known = self._known.get(self.limit)
        if not known:
            return False
        change, deviation = self._change(known, done, seconds)
        # One window of another limit tells of that limit, not of the host.
        if tried or not _is_change(change, deviation):
            variance = deviation * deviation / self._noise
            self._noise_windows = min(self._noise_windows + 1, NOISE_MEMORY)
            self._noise += (
                min(NOISE_MOST, (change - 1) ** 2 / variance) - self._noise
            ) / self._noise_windows
            return False
        before = known.rate
        for other in self._known.values():
            other.starts *= KEPT
            if other.seen <= known.seen:
                # What was seen before changed alike.
                other.rate *= change
        known.seen = self._windows
        known.starts = max(1.0, done)
        if change < 1:
            self._slower(now, before, known.rate)
        return True

    def _change(self, known, done, seconds):
        """How many times the known rate this is, and by how much it is off.

        :returns: (ratio, standard deviation of its logarithm).
        """
        due = known.rate * seconds
        # At least one half, for a host that has done nothing.
        change = max(done, 0.5) / due
        variance = 1 / max(done, due) + 1 / known.starts
        return change, math.sqrt(self._noise * variance)

    def _slower(self, now, before, rate):
        self._cut(
            now,
            HARD_CUT,
            'the rate fell from %.2f to %.2f starts a second' % (before, rate),
        )

    def _note(self, done, seconds, penalty=False):
        """Remember what was done under the limit, or is taken to be."""
        for limit, known in list(self._known.items()):
            known.starts *= max(0.0, 1 - done / MEMORY)
            if known.starts < FORGOTTEN and limit != self._home:
                del self._known[limit]
        known = self._known.setdefault(self.limit, Known(0.0, 1.0))
        before = known.rate
        known.rate = (known.starts + done) / (known.starts / before + seconds)
        steady = known.starts > 0.9 * AVERAGED
        if steady and self.limit == self._home and not penalty:
            # The host gets slower, or faster: under any limit.
            for limit, other in self._known.items():
                if limit != self.limit:
                    other.rate *= known.rate / before
        known.starts = min(known.starts + done, AVERAGED)
        known.seen = self._windows

    def _guess(self, limit):
        """A limit's rate over the best one's, and its standard deviation."""
        home = self._known[self._home]
        if limit == self._home:
            return 1.0, math.sqrt(self._noise / home.starts)
        known = self._known.get(limit, Known(0.0, 0.0))
        distance = math.log(limit / self._home)
        # What is guessed counts as much as so many starts.
        guessed = self._noise / (OFF * distance) ** 2
        guess = 1 + LESS * min(0.0, distance)
        starts = known.starts + guessed
        mean = known.starts * known.rate / home.rate + guessed * guess
        return mean / starts, math.sqrt(self._noise / starts)

    def _choose(self):
        """Choose the best limit."""
        best, most = self._home, 0.0
        for limit in self._known:
            if limit != self._home:
                more = self._guess(limit)[0] - 1
                more += TOLERANCE if limit < self._home else -TOLERANCE
                if more > most:
                    best, most = limit, more
        self._home = best

    def _move(self):
        """Choose the limit of the next window."""
        if self._home not in self._known:
            self._home = self.limit
        former, home = self._former, self._home
        self._choose()
        self._former = None
        if self._home != home and self._step < 1 and former is None:
            # Perhaps it is the host that got better.
            self.limit = self._former = home
            return
        while not self._try() and self._step > STEP_MIN:
            self._step /= 2

    def _try(self):
        """Returns whether another limit may be better than the best."""
        home = self._home
        up = max(home + 1, round(home * (1 + self._step)))
        down = min(home - 1, round(home / (1 + self._step)))
        near = [min(up, self._highest), max(down, 1)]
        if self._step == 1 and near[0] not in self._known:
            # Nobody knows what twice as many would do.
            self.limit = near[0]
            return True
        limits = {*self._known, *near}
        limits.discard(home)
        self.limit = home
        known = sum(known.starts for known in self._known.values())
        hope = math.sqrt(HOPE * math.log(1 + known))
        mean, deviation = self._guess(home)
        most, others = mean + hope * deviation, 0.0
        for limit in limits:
            mean, deviation = self._guess(limit)
            hoped = mean + hope * deviation
            others = max(others, hoped)
            if hoped > most:
                self.limit, most = limit, hoped
        return others > 1

    def _cut(self, now, factor, why):
        before = self.limit
        self._cut_at = now
        self.limit = max(1, int(self.limit * factor))
        self._climbing = self.limit < self._home
        self._open(now)
        self.last_cut = now, why
        self._tell('limit %d, was %d: %s' % (self.limit, before, why))


def _is_change(change, deviation):
    return abs(math.log(change)) >= max(
        math.log(CHANGE), CHANGE_DEVIATIONS * deviation
    )


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
