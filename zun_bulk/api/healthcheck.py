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

Clients are not authenticated. Each backend therefore has one thread for its
checks and keeps results for FRESH seconds, so that many requests cost the
database no more than one. The causes of failures are in the log.
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

#: Seconds to wait for the database.
TIMEOUT = 2.0
#: Seconds for which a result is used.
FRESH = 1.0
#: Number of bulks whose heartbeats are read.
BULKS = 100


class Cached:
    """A function called by one thread at a time, with its result cached."""

    def __init__(self, function):
        self._function = function
        self._lock = threading.Lock()
        self._answer = None
        self._since = 0.0

    def result(self):
        """Call the function, unless there is a result of FRESH seconds.

        :returns: what the function returns.
        :raises: what it raises; TimeoutError after TIMEOUT seconds.
        """
        with self._lock:
            now = time.monotonic()
            if self._answer is None or (
                self._answer.done() and now - self._since >= FRESH
            ):
                self._since = now
                self._answer = futures.Future()
                threading.Thread(
                    target=self._run,
                    args=(self._answer,),
                    daemon=True,
                    name='zun-bulk-healthcheck',
                ).start()
            answer = self._answer
        return answer.result(TIMEOUT)

    def _run(self, answer):
        try:
            answer.set_result(self._function())
        except Exception as error:
            answer.set_exception(error)


class _Healthcheck(pluginbase.HealthcheckBaseExtension):
    def __init__(self, *args):
        super().__init__(*args)
        base.configure()
        self._check = Cached(self._read)

    def healthcheck(self, server_port):
        try:
            return self._judge(self._check.result())
        except Exception as error:
            LOG.warning(
                'Health check failed to query the database: %s',
                str(error) or 'no answer within %d s' % TIMEOUT,
            )
            return _unhealthy(
                'ZUN_BULK DATABASE DOWN', 'See the log of zun-api.'
            )


class Tables(_Healthcheck):
    """Whether zun-api can accept bulks: the database has current tables."""

    def _read(self):
        return migration.version()

    def _judge(self, version):
        # Newer tables are fine: they occur during an upgrade.
        if version is None or _outdated() & set(version.split(', ')):
            return _unhealthy(
                'ZUN_BULK TABLES OUTDATED',
                'The tables are at revision %s. Run zun-bulk-db-manage '
                'upgrade.' % version,
            )
        return _healthy('The tables are at revision %s.' % version)


class Conductor(_Healthcheck):
    """Whether a conductor works on bulks with pending work.

    Without such bulks no conductor is visible, and the check is healthy.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self._heartbeats = HeartbeatMonitor()

    def _read(self):
        return self._heartbeats.silence(
            leases.heartbeats(BULKS), time.monotonic()
        )

    def _judge(self, seconds):
        conf = CONF.zun_bulk
        # Time for another conductor to take over an expired lease.
        if seconds > 2 * conf.lease_time + conf.poll_interval:
            return _unhealthy(
                'NO BULK CONDUCTOR', 'No heartbeat for %d s.' % seconds
            )
        return _healthy('A heartbeat, or no pending work, %d s ago.' % seconds)


class HeartbeatMonitor:
    """Tracks for how long no conductor has worked on any bulk."""

    def __init__(self):
        self._heartbeats = {}
        self._seen = 0.0

    def silence(self, heartbeats, now):
        """Measure the time since the last heartbeat.

        :param heartbeats: {bulk id: heartbeat} as just read.
        :param now: monotonic seconds.
        :returns: seconds since a heartbeat changed, or since no bulk had
            pending work.
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
    """List the revisions that lack tables or columns of this release."""
    return frozenset(migration.revisions(migration.EXPAND)[1:])


def _healthy(details):
    return pluginbase.HealthcheckResult(True, 'OK', details)


def _unhealthy(reason, details):
    return pluginbase.HealthcheckResult(False, reason, details)
