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

"""A pacer that threads wait for: the thin shell around a Pacer.

Whoever has work for the engine of his own waits in ``slot``. The agent, which
has a bulk's, asks how much room is left beside those who wait: somebody's
single container is not to wait for a bulk of a thousand.
"""

import collections
import contextlib
import random
import threading
import time

from oslo_concurrency import processutils
from oslo_log import log as logging

from zun_bulk.conf import CONF
from zun_bulk.pacing import failures
from zun_bulk.pacing import pacer


LOG = logging.getLogger(__name__)

#: Seconds after which a wait is looked at again without any news.
LOOK_AGAIN = 1.0
#: Seconds after which a wait is told of.
LONG = 60.0
#: In flight where a fixed number of them is asked for but not said.
FIXED_LIMIT = 2


class Settings(
    collections.namedtuple('Settings', 'mode max_in_flight start_interval')
):
    """A pace, by the options of ``[zun_bulk_pacing]`` that set it."""

    @classmethod
    def configured(cls):
        conf = CONF.zun_bulk_pacing
        return cls(conf.mode, conf.max_in_flight, conf.start_interval)

    def overridden(self, **values):
        """The same but for what an operator has set: None is not set."""
        return self._replace(
            **{
                name: value
                for name, value in values.items()
                if value is not None
            }
        )


def _teller(kind, host):
    def tell(text):
        LOG.warning(
            'Pace of %(kind)s on %(host)s: %(text)s',
            {'kind': kind, 'host': host, 'text': text},
        )

    return tell


def new_limit(kind, host, settings):
    """A limit as the Settings want it, which logs its cuts.

    :param kind: what is paced, for people.
    :param host: on which host, for people.
    """
    if settings.mode == 'fixed':
        return pacer.FixedLimit(settings.max_in_flight or FIXED_LIMIT)
    cores = processutils.get_worker_count()
    return pacer.AdaptiveLimit(
        settings.max_in_flight or min(32, 4 * cores), _teller(kind, host)
    )


def new_pacer(kind, host, settings, interval=0.0):
    """A Pacer as the Settings want it, which logs its changes.

    :param interval: seconds between two at least.
    """
    return pacer.Pacer(
        new_limit(kind, host, settings), random, interval, _teller(kind, host)
    )


class Throttle:
    def __init__(self, name, paced, freed=lambda: None, elsewhere=False):
        """:param name: what is throttled, for people.

        :param paced: a Pacer.
        :param freed: function to call when there is room again.
        :param elsewhere: the work is Neutron's or a registry's, so that it is
            overloaded when such a one says so.
        """
        self._name = name
        self._pacer = paced
        self._freed = freed
        self._elsewhere = elsewhere
        self._condition = threading.Condition()
        self._waiting = collections.deque()

    def room(self, now):
        """How many may start beside those who wait already."""
        with self._condition:
            return max(0, self._pacer.available(now) - len(self._waiting))

    def wait(self, now):
        """See Pacer."""
        with self._condition:
            return self._pacer.wait(now)

    def deadline(self):
        """See Pacer."""
        return self._pacer.deadline()

    def started(self, key, now):
        """See Pacer."""
        with self._condition:
            self._pacer.started(key, now)

    def finished(self, key, now, outcome):
        """See Pacer."""
        with self._condition:
            self._pacer.finished(key, now, outcome)
            self._condition.notify_all()

    def hold(self, holds):
        """Let nothing start as long as there is a reason.

        :param holds: {who: why}; empty to let go.
        """
        with self._condition:
            self._pacer.holds = dict(holds)
            self._condition.notify_all()

    def adjust(self, limit=None, interval=None):
        """Go by another limit or interval, or both; None leaves it."""
        with self._condition:
            if limit is not None:
                self._pacer.replace_limit(limit)
            if interval is not None:
                self._pacer.interval = interval
            self._condition.notify_all()

    def show(self, now):
        """See Pacer; ``waiting`` is how many wait in ``slot``."""
        with self._condition:
            return dict(self._pacer.show(now), waiting=len(self._waiting))

    def pinged(self, now, seconds):
        """See Pacer."""
        with self._condition:
            self._pacer.pinged(now, seconds)

    @contextlib.contextmanager
    def slot(self, key):
        """Wait for one's turn, and hold a place until it is done.

        What is raised within is told to the pacer by what it says.
        """
        self._acquire(key)
        outcome = pacer.Outcome.DONE
        try:
            yield
        except Exception as error:
            outcome = self._outcome(failures.classify(str(error)))
            raise
        finally:
            self.finished(key, time.monotonic(), outcome)
            self._freed()

    def _outcome(self, failure):
        if self._elsewhere and failure is failures.FailureClass.DEPENDENCY:
            return pacer.Outcome.HARD
        return failure.outcome

    def _acquire(self, key):
        began = told = time.monotonic()
        with self._condition:
            self._waiting.append(key)
            try:
                while True:
                    now = time.monotonic()
                    wait = None
                    if self._waiting[0] == key:
                        if self._pacer.available(now):
                            self._pacer.started(key, now)
                            return
                        wait = self._pacer.wait(now)
                    if now - told > LONG:
                        told = now
                        LOG.info(
                            '%(key)s has waited for %(seconds)d s among the '
                            '%(name)s',
                            {
                                'key': key,
                                'seconds': now - began,
                                'name': self._name,
                            },
                        )
                    # Never for 0 s, which lets no other greenthread run: who
                    # is not the first is told by the one before.
                    self._condition.wait(
                        LOOK_AGAIN if wait is None else min(wait, LOOK_AGAIN)
                    )
            finally:
                self._waiting.remove(key)
                self._condition.notify_all()


def for_api_calls(kind, where, number):
    """A Throttle of calls to who says himself when he is overloaded.

    :param kind: what is called, for people.
    :param where: who is called, Neutron say, or where the calls come from.
    :param number: how many calls may be under way.
    """
    settings = Settings('fixed', number, 0.0)
    return Throttle(kind, new_pacer(kind, where, settings), elsewhere=True)
