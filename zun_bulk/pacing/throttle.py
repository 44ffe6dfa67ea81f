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

"""A thin layer around a Pacer that lets threads wait for a slot.

Threads with work of their own, such as the start of a single container, wait
in ``slot``. The agent, which works on bulks, asks for the room that is left
beside the waiting threads, so that a single container does not wait for a bulk
of a thousand.
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
from zun_bulk.pacing.adaptive import AdaptiveLimit
from zun_bulk.pacing.adaptive import FixedLimit
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.pacer import Pacer


LOG = logging.getLogger(__name__)

#: Seconds after which a waiting thread checks for a slot without being woken.
CHECK_INTERVAL = 1.0
#: Seconds after which a wait is logged.
LONG_WAIT = 60.0
#: The limit in fixed mode if ``max_in_flight`` is not set.
FIXED_LIMIT = 2


class Settings(
    collections.namedtuple('Settings', 'mode max_in_flight start_interval')
):
    """How a host is paced: options of ``[zun_bulk_pacing]``."""

    @classmethod
    def configured(cls):
        """Return the settings of the configuration file."""
        conf = CONF.zun_bulk_pacing
        return cls(conf.mode, conf.max_in_flight, conf.start_interval)

    def overridden(self, **values):
        """Return a copy with the values that an operator has set.

        :param values: new values; None keeps the old one.
        """
        return self._replace(
            **{
                name: value
                for name, value in values.items()
                if value is not None
            }
        )


def _pace_logger(kind, host):
    def log(text):
        LOG.warning(
            'Pace of %(kind)s on %(host)s: %(text)s',
            {'kind': kind, 'host': host, 'text': text},
        )

    return log


def new_limit(kind, host, settings):
    """Create a limit that logs its cuts.

    :param kind: what is paced, for the log.
    :param host: where, for the log.
    :param settings: Settings.
    """
    if settings.mode == 'fixed':
        return FixedLimit(settings.max_in_flight or FIXED_LIMIT)
    cores = processutils.get_worker_count()
    return AdaptiveLimit(
        settings.max_in_flight or min(32, 4 * cores), _pace_logger(kind, host)
    )


def new_pacer(kind, host, settings, interval=0.0):
    """Create a Pacer that logs its cuts and its breaker.

    :param kind: what is paced, for the log.
    :param host: where, for the log.
    :param settings: Settings.
    :param interval: minimum seconds between two starts.
    """
    return Pacer(
        new_limit(kind, host, settings),
        random,
        interval,
        _pace_logger(kind, host),
    )


class Throttle:
    """Gives slots of a Pacer to threads, in the order in which they ask."""

    def __init__(self, name, pacer, on_freed=lambda: None, remote=False):
        """Create it.

        :param name: what is throttled, for the log.
        :param pacer: the Pacer.
        :param on_freed: function to call when a slot is free again.
        :param remote: whether the work is done by another service, such as
            Neutron or a registry, so that an overload of that service is one
            for the pacer.
        """
        self._name = name
        self._pacer = pacer
        self._on_freed = on_freed
        self._remote = remote
        self._condition = threading.Condition()
        self._waiting = collections.deque()

    def room(self, now):
        """Return how many more may start beside the waiting threads."""
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
        """Let nothing start while anything holds the host.

        :param holds: {what holds it: why}; empty to release it.
        """
        with self._condition:
            self._pacer.holds = dict(holds)
            self._condition.notify_all()

    def adjust(self, limit=None, interval=None):
        """Change the limit, the interval or both; None keeps the old one."""
        with self._condition:
            if limit is not None:
                self._pacer.replace_limit(limit)
            if interval is not None:
                self._pacer.interval = interval
            self._condition.notify_all()

    def show(self, now):
        """See Pacer; ``waiting`` is the number of threads in ``slot``."""
        with self._condition:
            return dict(self._pacer.show(now), waiting=len(self._waiting))

    def pinged(self, now, seconds):
        """See Pacer."""
        with self._condition:
            self._pacer.pinged(now, seconds)

    @contextlib.contextmanager
    def slot(self, key):
        """Wait for a slot, and occupy it until the block ends.

        An error in the block is reported to the pacer by its text.

        :param key: identifies the work, also for the log; hashable.
        """
        self._acquire(key)
        outcome = Outcome.DONE
        try:
            yield
        except Exception as error:
            outcome = self._outcome(failures.classify(str(error)))
            raise
        finally:
            self.finished(key, time.monotonic(), outcome)
            self._on_freed()

    def _outcome(self, failure):
        if self._remote and failure is failures.FailureClass.DEPENDENCY:
            return Outcome.HARD
        return failure.outcome

    def _acquire(self, key):
        began = logged = time.monotonic()
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
                    if now - logged > LONG_WAIT:
                        logged = now
                        LOG.info(
                            '%(key)s has been waiting for a slot of the '
                            '%(name)s for %(seconds)d s',
                            {
                                'key': key,
                                'name': self._name,
                                'seconds': now - began,
                            },
                        )
                    # Never wait for 0 s, which lets no other greenthread run.
                    # A thread that is not the first is woken by the one
                    # before it.
                    self._condition.wait(
                        CHECK_INTERVAL
                        if wait is None
                        else min(wait, CHECK_INTERVAL)
                    )
            finally:
                self._waiting.remove(key)
                self._condition.notify_all()


def for_api_calls(kind, where, number):
    """Create a Throttle of calls to a service that reports its own overload.

    :param kind: what is called, for the log.
    :param where: the service, such as Neutron, or the host of the caller, for
        the log.
    :param number: the most calls at the same time.
    """
    settings = Settings('fixed', number, 0.0)
    return Throttle(kind, new_pacer(kind, where, settings), remote=True)
