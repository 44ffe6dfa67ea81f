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

"""The limit of starts in flight, fixed or adapted to the host: pure.

All times are monotonic seconds.

The adaptive limit looks at the rate of a host, that is, starts that succeed
per second, and not at their latency. Docker's latency grows with the starts in
flight and with the containers that the host already has, so there is no stable
baseline for it. While the limit is used up, both show the same (Little's law:
latency is starts in flight over rate).
"""

import math

from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.tuning import TUNING


class FixedLimit:
    """A limit that never changes; the interface is that of AdaptiveLimit."""

    last_cut = None

    def __init__(self, limit):
        """Create it.

        :param limit: the most starts in flight, at least 1.
        """
        self.limit = limit
        #: The rate of the host is not measured, so it does not limit starts.
        self.rate = math.inf

    def before_change(self, now, in_flight):
        """Do nothing; see AdaptiveLimit."""

    def record_end(self, now, since, outcome):
        """Do nothing; see AdaptiveLimit."""


class Record:
    """What was learned about one limit.

    :ivar starts: number of starts that the rate is the average of.
    :ivar rate: successful starts per second.
    :ivar seen: number of the last window under this limit.
    """

    def __init__(self, starts, rate):
        self.starts = starts
        self.rate = rate
        self.seen = 0


class AdaptiveLimit:
    """Searches for the limit under which a host starts the most.

    A window is a number of starts under one limit, and measures a rate. Rates
    are noisy, because starts take different times; the noise is estimated from
    how far the rates of one limit differ. After each window, the limit that
    may be the best, given the uncertainty of its rate ("upper confidence
    bound"), is chosen for the next one: the best so far, one of its
    neighbours, or any other that was tried. So a limit that is clearly worse
    is left alone until its record is half forgotten, and one in doubt is tried
    again.

    At first, the neighbours are twice and half the limit, so the search begins
    with 2, 4, 8 and so on. They come nearer as soon as none of them can be
    better.

    An overload halves the limit at once, and so does a rate that has halved.
    All starts in flight at that time count once. From there the limit climbs
    step by step.

    The throughput guard follows the adaptive limits of Netflix'
    concurrency-limits and Uber's Cinnamon, the cut follows TCP.

    :ivar limit: the most starts in flight.
    :ivar last_cut: (when, why) of the last cut; None before the first.
    """

    def __init__(self, highest, notify=lambda text: None):
        """Create it with the initial limit.

        :param highest: the highest value of the limit, at least 1.
        :param notify: function of a text, called for every cut.
        """
        self.limit = min(TUNING.initial_limit, highest)
        self.last_cut = None
        self._highest = highest
        self._notify = notify
        self._cut_at = -math.inf
        #: The best limit so far.
        self._best = self.limit
        #: The distance of its neighbours, as a fraction of it.
        self._step = 1.0
        #: Whether the limit is climbing back to the best one after a cut.
        self._climbing = False
        #: {limit: Record}
        self._records = {}
        self._window_count = 0
        #: The limit that was the best before, to be measured once more.
        self._previous_best = None
        self._noise = TUNING.initial_noise
        self._noise_windows = TUNING.initial_noise_windows
        #: The limit of the last overload, until a window under it or a higher
        #: one is completed.
        self._overloaded_limit = math.inf
        #: The average duration of a start.
        self._mean_seconds = None
        self._changed_at = None
        self._open_window(None)

    @property
    def rate(self):
        """The last known starts per second of the host; None at first."""
        return max(
            (known.rate for known in self._records.values()), default=None
        )

    def before_change(self, now, in_flight):
        """Take note that a start begins or ends.

        :param in_flight: number of starts in flight until now.
        """
        if self._window_since is None:
            self._open_window(now)
        else:
            self._in_flight_seconds += min(in_flight, self.limit) * (
                now - self._changed_at
            )
        self._changed_at = now
        known = self._records.get(self.limit) or self._records.get(self._best)
        if (
            known
            and (now - self._window_since) * known.rate
            > TUNING.late_window_factor * self._window_size()
        ):
            self._close_window(now)

    def record_end(self, now, since, outcome):
        """Take note of a start that has ended.

        :param since: when it began.
        :param outcome: its Outcome.
        """
        if outcome is Outcome.DONE:
            mean = self._mean_seconds or now - since
            self._mean_seconds = (
                mean + (now - since - mean) / TUNING.window_starts
            )
            # A start that began before a cut does not show that the host can
            # handle the limit after it.
            if since > self._cut_at or not self._climbing:
                self._add_work(now, 1.0)
        elif outcome is Outcome.NEUTRAL:
            # It counts as the part of a start's work that its duration is of
            # an average start's duration.
            if self._mean_seconds:
                self._add_work(
                    now, min(1.0, (now - since) / self._mean_seconds)
                )
        elif since > self._cut_at:
            # That cut has already answered failures of earlier starts.
            self._record_failure(now, outcome is Outcome.HARD)

    def _add_work(self, now, work):
        self._done += work
        if self._done >= self._window_size() and now > self._window_since:
            self._close_window(now)

    def _record_failure(self, now, hard):
        if not self._climbing and self._done and self._is_under_load(now):
            self._learn(self._done, now - self._window_since)
        if hard:
            best = self._records.get(self._best)
            again = (
                self.limit >= self._overloaded_limit
                and self._done < self.limit
            )
            if best and again:
                # One overload may be chance, two in a row are not.
                worse = best.rate / 2
                self._learn(
                    TUNING.repeated_overload_starts,
                    TUNING.repeated_overload_starts / worse,
                    penalty=True,
                )
                for limit, known in self._records.items():
                    if limit > self.limit:
                        known.rate = min(known.rate, worse)
                self._best = min(self._best, self.limit)
                self._choose_best()
            self._overloaded_limit = self.limit
        self._cut(
            now,
            TUNING.hard_cut if hard else TUNING.soft_cut,
            'overload' if hard else 'a failure under load',
        )

    def _window_size(self):
        """Return the number of starts that make a window."""
        if self._climbing:
            # Short windows, as the limit is below the best one meanwhile.
            return max(1, TUNING.climb_fraction * self.limit)
        return max(
            TUNING.doubling_window_starts
            if self._step == 1
            else TUNING.window_starts,
            self.limit,
        )

    def _open_window(self, now):
        self._window_since = now
        self._done = 0.0
        self._in_flight_seconds = 0.0

    def _is_under_load(self, now):
        """Return whether the window used what the limit allows.

        Otherwise it does not show what the host can do.
        """
        return self._in_flight_seconds > TUNING.busy_fraction * self.limit * (
            now - self._window_since
        )

    def _close_window(self, now):
        done, seconds = self._done, now - self._window_since
        full = done >= self._window_size()
        busy = self._is_under_load(now)
        self._open_window(now)
        if not busy:
            return
        if self._climbing:
            if full:
                self.limit += 1
                self._climbing = self.limit < self._best
            return
        self._window_count += 1
        if full and self.limit >= self._overloaded_limit:
            self._overloaded_limit = math.inf
        if not self._adapt_to_change(now, done, seconds):
            self._learn(done, seconds)
        if not self._climbing:
            self._choose_next()

    def _adapt_to_change(self, now, done, seconds):
        """Adapt to a host that got faster or slower.

        :returns: whether the host has changed.
        """
        tried = self.limit not in (self._best, self._previous_best)
        best = self._records.get(self._best)
        if tried and best:
            change, deviation = self._change(best, done, seconds)
            if change < 1 and _is_change(change, deviation):
                # Either the limit is too high or the host has changed. A
                # lower limit is right for both; climbing back shows which.
                self._learn(done, seconds)
                self.limit = min(self.limit, self._best)
                self._cut_for_slower_host(now, best.rate, done / seconds)
                return True
        known = self._records.get(self.limit)
        if not known:
            return False
        change, deviation = self._change(known, done, seconds)
        # A window under another limit shows that limit, not the host.
        if tried or not _is_change(change, deviation):
            variance = deviation * deviation / self._noise
            self._noise_windows = min(
                self._noise_windows + 1, TUNING.noise_windows
            )
            self._noise += (
                min(TUNING.max_noise_sample, (change - 1) ** 2 / variance)
                - self._noise
            ) / self._noise_windows
            return False
        before = known.rate
        for other in self._records.values():
            other.starts *= TUNING.weight_after_change
            if other.seen <= known.seen:
                # The rates of earlier windows have changed alike.
                other.rate *= change
        known.seen = self._window_count
        known.starts = max(1.0, done)
        if change < 1:
            self._cut_for_slower_host(now, before, known.rate)
        return True

    def _change(self, known, done, seconds):
        """Compare a window with the known rate.

        :returns: (ratio of the rates, standard deviation of its logarithm).
        """
        expected = known.rate * seconds
        # At least one half, for a host that has done nothing.
        change = max(done, 0.5) / expected
        variance = 1 / max(done, expected) + 1 / known.starts
        return change, math.sqrt(self._noise * variance)

    def _cut_for_slower_host(self, now, before, rate):
        self._cut(
            now,
            TUNING.hard_cut,
            'the rate fell from %.2f to %.2f starts a second' % (before, rate),
        )

    def _learn(self, done, seconds, penalty=False):
        """Add a window to the record of the current limit.

        :param penalty: whether the window is a made-up one after an overload.
        """
        for limit, known in list(self._records.items()):
            known.starts *= max(0.0, 1 - done / TUNING.memory_starts)
            if known.starts < TUNING.min_record_starts and limit != self._best:
                del self._records[limit]
        known = self._records.setdefault(self.limit, Record(0.0, 1.0))
        before = known.rate
        known.rate = (known.starts + done) / (known.starts / before + seconds)
        steady = known.starts > 0.9 * TUNING.max_averaged_starts
        if steady and self.limit == self._best and not penalty:
            # The host gets slower or faster under all limits alike.
            for limit, other in self._records.items():
                if limit != self.limit:
                    other.rate *= known.rate / before
        known.starts = min(known.starts + done, TUNING.max_averaged_starts)
        known.seen = self._window_count

    def _estimate(self, limit):
        """Estimate the rate of a limit relative to that of the best one.

        :returns: (ratio, standard deviation).
        """
        best = self._records[self._best]
        if limit == self._best:
            return 1.0, math.sqrt(self._noise / best.starts)
        known = self._records.get(limit, Record(0.0, 0.0))
        distance = math.log(limit / self._best)
        # The prior estimate weighs as much as this many starts.
        prior_starts = self._noise / (TUNING.untried_deviation * distance) ** 2
        prior = 1 + TUNING.untried_loss * min(0.0, distance)
        starts = known.starts + prior_starts
        mean = known.starts * known.rate / best.rate + prior_starts * prior
        return mean / starts, math.sqrt(self._noise / starts)

    def _choose_best(self):
        """Set the best limit by what is known of all."""
        best, most = self._best, 0.0
        for limit in self._records:
            if limit != self._best:
                more = self._estimate(limit)[0] - 1
                more += (
                    TUNING.equal_rate_margin
                    if limit < self._best
                    else -TUNING.equal_rate_margin
                )
                if more > most:
                    best, most = limit, more
        self._best = best

    def _choose_next(self):
        """Choose the limit of the next window."""
        if self._best not in self._records:
            self._best = self.limit
        previous_best, best = self._previous_best, self._best
        self._choose_best()
        self._previous_best = None
        if self._best != best and self._step < 1 and previous_best is None:
            # Perhaps the host got faster: measure the previous best again.
            self.limit = self._previous_best = best
            return
        while not self._explore() and self._step > TUNING.min_step:
            self._step /= 2

    def _explore(self):
        """Set the limit that may be the best.

        :returns: whether another limit may be better than the best one.
        """
        best = self._best
        up = max(best + 1, round(best * (1 + self._step)))
        down = min(best - 1, round(best / (1 + self._step)))
        near = [min(up, self._highest), max(down, 1)]
        if self._step == 1 and near[0] not in self._records:
            # The rate with twice the limit is unknown.
            self.limit = near[0]
            return True
        limits = {*self._records, *near}
        limits.discard(best)
        self.limit = best
        starts = sum(known.starts for known in self._records.values())
        deviations = math.sqrt(TUNING.exploration * math.log(1 + starts))
        mean, deviation = self._estimate(best)
        highest_bound, highest_other = mean + deviations * deviation, 0.0
        for limit in limits:
            mean, deviation = self._estimate(limit)
            bound = mean + deviations * deviation
            highest_other = max(highest_other, bound)
            if bound > highest_bound:
                self.limit, highest_bound = limit, bound
        return highest_other > 1

    def _cut(self, now, factor, why):
        before = self.limit
        self._cut_at = now
        self.limit = max(1, int(self.limit * factor))
        self._climbing = self.limit < self._best
        self._open_window(now)
        self.last_cut = now, why
        self._notify('limit %d, was %d: %s' % (self.limit, before, why))


def _is_change(change, deviation):
    return abs(math.log(change)) >= max(
        math.log(TUNING.change_ratio), TUNING.change_deviations * deviation
    )
