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

"""Backends of oslo.middleware's healthcheck, for api-paste.ini.

Whoever asks is not authenticated: a check has its thread, of which there is
one at a time, and an answer is good for FRESH seconds, so that many questions
cost the database no more than one. What went wrong is in the log.
"""

from concurrent import futures
import functools
import threading
import time

from oslo_log import log as logging
from oslo_middleware.healthcheck import pluginbase

from zun_bulk.conf import CONF
from zun_bulk.db import base
from zun_bulk.db import leases
from zun_bulk.db import migration


LOG = logging.getLogger(__name__)

#: Seconds for which an answer of the database is waited for.
TIMEOUT = 2.0
#: Seconds for which it is not asked again.
FRESH = 1.0
#: How many bulks are looked at for a sign of life.
BULKS = 100


class Asked:
    """A function that is called by one thread at a time, and not too often."""

    def __init__(self, function):
        self._function = function
        self._lock = threading.Lock()
        self._answer = None
        self._since = 0.0

    def result(self):
        """:returns: what the function does, FRESH seconds ago at most.

        :raises: what it does, and TimeoutError if that takes longer.
        """
        with self._lock:
            now = time.monotonic()
            if self._answer is None or (
                self._answer.done() and now - self._since >= FRESH
            ):
                self._since = now
                self._answer = futures.Future()
                threading.Thread(
                    target=self._ask,
                    args=(self._answer,),
                    daemon=True,
                    name='zun-bulk-healthcheck',
                ).start()
            answer = self._answer
        return answer.result(TIMEOUT)

    def _ask(self, answer):
        try:
            answer.set_result(self._function())
        except Exception as error:
            answer.set_exception(error)


class _Healthcheck(pluginbase.HealthcheckBaseExtension):
    def __init__(self, *args):
        super().__init__(*args)
        base.configure()
        self._asked = Asked(self._ask)

    def healthcheck(self, server_port):
        try:
            return self._judge(self._asked.result())
        except Exception as error:
            LOG.warning(
                'The health check has no answer from the database: %s',
                str(error) or 'not after %d s' % TIMEOUT,
            )
            return _unhealthy(
                'ZUN_BULK DATABASE DOWN', 'The log of zun-api tells more.'
            )


class Tables(_Healthcheck):
    """Whether bulks can be accepted: the database answers, and has tables."""

    def _ask(self):
        return migration.version()

    def _judge(self, version):
        # Tables that are newer are those of an upgrade that is under way.
        if version is None or _outdated() & set(version.split(', ')):
            return _unhealthy(
                'ZUN_BULK TABLES OUTDATED',
                'They are at %s: run zun-bulk-db-manage upgrade.' % version,
            )
        return _healthy('The tables are at %s.' % version)


class Conductor(_Healthcheck):
    """Whether somebody looks after bulks that want it.

    Where no bulk does, nobody can be seen, and all is well.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self._signs = SignsOfLife()

    def _ask(self):
        return self._signs.silence(leases.heartbeats(BULKS), time.monotonic())

    def _judge(self, seconds):
        conf = CONF.zun_bulk
        # Another takes over once a lease is over and it has looked.
        if seconds > 2 * conf.lease_time + conf.poll_interval:
            return _unhealthy(
                'NO BULK CONDUCTOR', 'No sign of life for %d s.' % seconds
            )
        return _healthy('A sign of life, or no work, %d s ago.' % seconds)


class SignsOfLife:
    """Tells for how long no bulk was looked after. The time is handed in."""

    def __init__(self):
        self._heartbeats = {}
        self._seen = 0.0

    def silence(self, heartbeats, now):
        """:param heartbeats: {bulk id: heartbeat} as just read.

        :returns: seconds since one had changed, or there was none to change.
        """
        before, self._heartbeats = self._heartbeats, heartbeats
        same = before.keys() & heartbeats.keys()
        if not same or any(
            heartbeats[bulk_id] != before[bulk_id] for bulk_id in same
        ):
            self._seen = now
        return now - self._seen


@functools.cache
def _outdated():
    """:returns: what revisions that lack what this release adds."""
    return frozenset(migration.revisions(migration.EXPAND)[1:])


def _healthy(details):
    return pluginbase.HealthcheckResult(True, 'OK', details)


def _unhealthy(reason, details):
    return pluginbase.HealthcheckResult(False, reason, details)
