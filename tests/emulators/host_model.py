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

"""An emulated Docker host, as fast as a pacer's benchmark wants it.

Starts in flight share what the host can do in equal parts. A model tells how
much that is, by the starts in flight, the containers that it has, and the
time. The clock is the host's own, so that a million starts take seconds.
"""

import heapq
import math

from zun_bulk.pacing.outcome import Outcome


def plateau(one, knee):
    """More with each start in flight up to ``knee``, no more beyond.

    :param one: starts a second with one in flight.
    """
    return lambda flying, containers: one * min(flying, knee)


#: Starts a second by starts in flight, of Docker 20.10 on two cores.
MEASURED = {1: 5.6, 2: 7.7, 4: 9.9, 8: 7.6, 16: 6.0, 32: 4.5}


def measured(flying, containers):
    """MEASURED, and what is between by straight lines."""
    if flying in MEASURED:
        return MEASURED[flying]
    low = max(point for point in MEASURED if point < flying)
    high = min((p for p in MEASURED if p > flying), default=None)
    if high is None:
        return MEASURED[low]
    part = (flying - low) / (high - low)
    return MEASURED[low] + part * (MEASURED[high] - MEASURED[low])


def degrading(flying, containers):
    return measured(flying, containers) / (1 + containers / 300)


class HostModel:
    """What a host can do and how it fails.

    :ivar power: function of starts in flight and containers that returns
        starts a second.
    :ivar phases: [(seconds, part of its power)], over and over.
    :ivar flaky: part of the starts that fail, to be tried again.
    :ivar bears: starts in flight beyond which seven in ten fail.
    :ivar outcome: the Outcome of those.
    :ivar spread: how much the work of one start differs from another's: the
        standard deviation of its logarithm.
    """

    def __init__(
        self,
        power,
        phases=((math.inf, 1.0),),
        flaky=0.0,
        outcome=Outcome.SOFT,
        spread=0.4,
        bears=math.inf,
    ):
        self.power = power
        self.phases = phases
        self.flaky = flaky
        self.outcome = outcome
        self.spread = spread
        self.bears = bears


MODELS = {
    'fast': HostModel(plateau(2.5, 8)),
    'many cores': HostModel(plateau(0.5, 24)),
    'slow': HostModel(plateau(0.05, 2)),
    'knee': HostModel(measured),
    'one at a time': HostModel(lambda flying, _: 2.0 / flying**0.3),
    'degrading': HostModel(degrading),
    'uneven': HostModel(measured, spread=1.0),
    'flaky': HostModel(measured, flaky=0.05),
    'overloaded at times': HostModel(
        measured, flaky=0.02, outcome=Outcome.HARD
    ),
    'overloaded beyond 6': HostModel(
        plateau(1.5, 12), outcome=Outcome.HARD, bears=6
    ),
    'stalls': HostModel(measured, phases=((40.0, 1.0), (10.0, 0.02))),
    'recovers': HostModel(measured, phases=((30.0, 1.0), (60.0, 0.25))),
    'permanent errors': HostModel(
        measured, flaky=0.3, outcome=Outcome.NEUTRAL
    ),
}


class EmulatedHost:
    """Runs starts at a pacer's pace. Nothing in it waits."""

    def __init__(self, model, paced, rng):
        """Begin with no start in flight.

        :param model: HostModel.
        :param paced: Pacer.
        :param rng: random.Random.
        """
        self._model = model
        self._pacer = paced
        self._rng = rng
        self.now = 0.0
        #: Starts tried, and those that began above the limit.
        self.tried = self.violations = 0
        self._phase = 0
        self._phase_end = model.phases[0][0]
        # Work done by each of the starts in flight since the beginning.
        self._done = 0.0
        self._flying = []

    def run(self, count, until=math.inf):
        """Start ``count`` containers, or as many as there is time for.

        :param until: when to stop, in seconds since the first run.
        :returns: when it ended.
        """
        ended = 0
        waiting = count
        model = self._model
        permanent = model.outcome is Outcome.NEUTRAL
        while ended < count and self.now < until:
            while waiting:
                room = self._pacer.available(self.now)
                if not room:
                    break
                for _ in range(min(room, waiting)):
                    self._start()
                    waiting -= 1
            if not self._advance(waiting):
                continue
            _work, key = heapq.heappop(self._flying)
            outcome = Outcome.DONE
            # The one that has ended was in flight too.
            flaky = model.flaky
            if len(self._flying) >= model.bears:
                flaky = max(flaky, 0.7)
            if flaky and self._rng.random() < flaky:
                outcome = model.outcome
            self._pacer.finished(key, self.now, outcome)
            if outcome is Outcome.DONE or permanent:
                ended += 1
            else:
                waiting += 1
        return self.now

    def _start(self):
        if len(self._flying) >= self._pacer.limit:
            self.violations += 1
        spread = self._model.spread
        work = self._rng.lognormvariate(-spread * spread / 2, spread)
        self.tried += 1
        heapq.heappush(self._flying, (self._done + work, self.tried))
        self._pacer.started(self.tried, self.now)

    def _advance(self, waiting):
        """Go to what comes next. Returns whether it is the end of a start."""
        until = self._phase_end
        wait = self._pacer.wait(self.now) if waiting else None
        if wait is not None:
            until = min(until, self.now + max(wait, 1e-6))
        if self._flying:
            flying = len(self._flying)
            containers = self.tried - flying
            each = (
                self._model.power(flying, containers)
                * self._model.phases[self._phase][1]
                / flying
            )
            end = self.now + max(0.0, self._flying[0][0] - self._done) / each
            if end <= until:
                self._done = self._flying[0][0]
                self.now = end
                return True
            self._done += (until - self.now) * each
        self.now = until
        if until == self._phase_end:
            self._phase = (self._phase + 1) % len(self._model.phases)
            self._phase_end += self._model.phases[self._phase][0]
        return False
