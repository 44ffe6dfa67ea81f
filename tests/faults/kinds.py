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

"""The kinds of faults.

A fault gets what the seed of the run chose. It begins before the run, and
``look`` is called several times per second until the run ends.
"""

import signal
import time


class Fault:
    """No fault; the base of the others.

    :ivar text: description for people.
    :ivar happened: whether it has happened.
    :ivar away: names of processes that are not to be started again yet.
    """

    #: Whether only the real lab has it.
    REAL = False
    text = 'nothing'
    happened = False
    away = ()

    def __init__(self, harness, rng, points):
        """Choose nothing yet.

        :param harness: the Harness of the run.
        :param rng: random.Random that makes all choices.
        :param points: {point: how often a run without a fault reaches it}.
        """
        self.harness = harness
        self.rng = rng
        self.points = points

    def begin(self):
        pass

    def look(self):
        """Go on with it. Called some times a second."""

    def end(self):
        """Nothing may be left of it."""


class _AtPoint(Fault):
    """A fault at one of the effects of a process."""

    def _order(self):
        """Return what happens there; see points.Trigger."""
        raise NotImplementedError()

    def begin(self):
        point = self.rng.choice(sorted(self.points))
        # Each process counts for itself.
        most = max(1, self.points[point] // self.harness.lab.PROCESSES)
        hit = self.rng.randint(1, most)
        order = self._order()
        self.text = '%s #%d: %s' % (
            point,
            hit,
            ' '.join('%s %s' % pair for pair in order.items()),
        )
        self.harness.arm(point=point, hit=hit, **order)

    def end(self):
        self.happened = self.harness.disarm()


class Crash(_AtPoint):
    """It dies there, and is started again."""

    def _order(self):
        return {'signal': 'SIGKILL'}


class Freeze(_AtPoint):
    """It stands still there, perhaps for longer than a lease, and goes on."""

    def _order(self):
        self._seconds = self.rng.uniform(1, 30)
        self._since = None
        return {'signal': 'SIGSTOP'}

    def look(self):
        frozen = self.harness.lab.frozen()
        if not frozen:
            return
        if self._since is None:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > self._seconds:
            self._thaw(frozen)

    def _thaw(self, frozen):
        self._since = None
        self.harness.lab.signal(frozen, signal.SIGCONT)
        self.harness.is_back()

    def end(self):
        super().end()
        self._thaw(self.harness.lab.frozen())


class Clock(_AtPoint):
    """Its clock goes wrong there, and is put right after a while."""

    def _order(self):
        return {
            'clock': self.rng.choice((-86400, -600, -20, 20, 600, 86400)),
            'seconds': round(self.rng.uniform(1, 40)),
        }


class Messages(Fault):
    """Messages are lost: all of zun_bulk's, and some of Zun's."""

    PART = 0.3
    text = 'messages are lost'
    happened = True

    def begin(self):
        self.harness.arm(drop=self.PART, seed=self.rng.getrandbits(32))

    def end(self):
        self.harness.disarm()


class Docker(Fault):
    """Answers of the Docker Engines are late, spoiled or no answers."""

    REAL = True
    PART = 0.03

    def begin(self):
        for proxy in self.harness.lab.dockers:
            proxy.rng, proxy.part = self.rng, self.PART
            proxy.counts = dict.fromkeys(proxy.counts, 0)

    def end(self):
        counts = {}
        for proxy in self.harness.lab.dockers:
            proxy.rng = None
            for name, number in proxy.counts.items():
                counts[name] = counts.get(name, 0) + number
        self.happened = any(counts.values())
        self.text = 'answers of Docker: %s' % ', '.join(
            '%d %s' % (number, name) for name, number in counts.items()
        )


class _AtTime(Fault):
    """Something is away for a while, from any time in the run."""

    REAL = True
    #: Until when it begins, in seconds a container.
    SPREAD = 0.5

    def begin(self):
        self._what = self._choose()
        self._from = time.monotonic() + self.rng.uniform(
            0, 2 + self.SPREAD * self.harness.count
        )
        self._until = self._from + self._for()
        self._state = 'before'

    def _for(self):
        """Return the duration of the fault in seconds."""
        return self.rng.uniform(1, 20)

    def look(self):
        now = time.monotonic()
        if self._state == 'before' and now >= self._from:
            self._state = 'during'
            self.happened = True
            self._break()
        elif self._state == 'during' and now >= self._until:
            self._mend()

    def _mend(self):
        self._state = 'after'
        self._repair()
        self.harness.is_back()

    def end(self):
        if self._state == 'during':
            self._mend()


class Partition(_AtTime):
    """A host's zun-compute does not reach the broker."""

    def _choose(self):
        self._broker = self.rng.choice(self.harness.lab.brokers)
        number = 1 + self.harness.lab.brokers.index(self._broker)
        self.text = 'the broker is out of reach of host %d' % number

    def _for(self):
        return self.rng.uniform(5, 90)

    def _break(self):
        self._broker.part()

    def _repair(self):
        self._broker.heal()


class Daemon(_AtTime):
    """Something that Zun needs is stopped, killed or ended for a while."""

    WAYS = ('SIGKILL', 'SIGTERM', 'SIGSTOP')

    def _choose(self):
        self._name = self.rng.choice(self.harness.lab.daemons())
        self._way = self.rng.choice(self.WAYS)
        self.text = '%s gets %s' % (self._name, self._way)

    def _break(self):
        self.away = (self._name,)
        self.harness.lab.signal([self._name], signal.Signals[self._way])

    def _repair(self):
        self.away = ()
        if self._way == 'SIGSTOP':
            self.harness.lab.signal([self._name], signal.SIGCONT)


KINDS = {
    'crash': Crash,
    'freeze': Freeze,
    'clock': Clock,
    'messages': Messages,
    'docker': Docker,
    'partition': Partition,
    'daemon': Daemon,
}
