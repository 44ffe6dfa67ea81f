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

"""The agent of a host: starts and deletes the members placed on it.

It runs as a thread inside zun-compute, beside the driver. It reads members
from the database as fast as its pacer allows, and casts Zun's own
container_create to its own host, so that Zun does all the work around a create
as usual. It learns from the database and from Docker what became of a member,
so nothing is lost when this process dies.

In each cycle, one thread calls the parts that do the work: ``starting``,
``deleting``, ``changes`` (containers that have run), ``holds`` and ``status``.
"""

import contextlib
import threading
import time

from oslo_log import log as logging
from zun.common import exception

from zun_bulk import rpc
from zun_bulk.conf import CONF
from zun_bulk.consts import OPERATOR
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import tables
from zun_bulk.host import changes
from zun_bulk.host import debounce
from zun_bulk.host import deleting
from zun_bulk.host import events
from zun_bulk.host import holds
from zun_bulk.host import members
from zun_bulk.host import starting
from zun_bulk.host import status
from zun_bulk.pacing import throttle


LOG = logging.getLogger(__name__)

#: Seconds between two checks of the members in flight.
CHECK_INTERVAL = 1.0
#: Images that are pulled at the same time: Docker's own default for layers.
PULLS = 3
#: Seconds after which the host's row is read without an RPC hint.
ROW_INTERVAL = 60.0


class HostAgent:
    """Created by the driver, which reports to it what it does.

    :ivar host: the name of the host.
    :ivar settings: its throttle.Settings.
    :ivar starts: the Throttle of creates and starts.
    :ivar deletes: the Throttle of stops and deletes.
    :ivar pulls: the Throttle of image pulls.
    """

    def __init__(self, host, engine):
        """Create it; ``start`` starts its threads.

        :param host: the name of this host.
        :param engine: its Engine.
        """
        self.host = host
        self._engine = engine
        self._woken = threading.Event()
        self.settings = throttle.Settings.configured()
        self.starts = self._new_throttle(
            'starts', self.settings.start_interval
        )
        self.deletes = self._new_throttle('deletes')
        self.pulls = throttle.for_api_calls('pulls', host, PULLS)
        self._members = members.Members(host)
        self._holds = holds.Holds(host, engine, self.starts)
        self._starting = starting.Starting(
            engine, self._members, self._holds, self.starts, self._woken.set
        )
        self._deleting = deleting.Deleting(engine, self._members, self.deletes)
        self._changes = changes.Changes(
            engine, self._members, self._starting, self._woken.set
        )
        self._status = status.Status(
            self, self._members, self._holds, self._starting, self._deleting
        )
        self._checked_at = self._polled_at = 0.0
        # Whether the host's row has to be read, and when it was.
        self._row_wanted = True
        self._row_read_at = float('-inf')

    def _new_throttle(self, kind, interval=0.0):
        return throttle.Throttle(
            kind,
            throttle.new_pacer(kind, self.host, self.settings, interval),
            self._woken.set,
        )

    def start(self):
        """Start the threads of the agent."""
        threading.Thread(
            target=self._run, daemon=True, name='zun-bulk-agent'
        ).start()
        if self._engine.watch:
            threading.Thread(
                target=events.follow,
                args=(
                    self._engine.watch,
                    self._changes.add,
                    self._changes.subscribed,
                    self._changes.unsubscribed,
                ),
                daemon=True,
                name='zun-bulk-events',
            ).start()
        rpc.serve_host(self.wake, self.show)
        if CONF.zun_bulk.metrics_port:
            # Without metrics, their library need not be installed.
            from zun_bulk.host import metrics

            metrics.serve(
                CONF.zun_bulk.metrics_address,
                CONF.zun_bulk.metrics_port,
                self.show,
                OPERATOR,
            )

    def wake(self):
        """Read the database now."""
        self._starting.more = self._deleting.more = True
        self._row_wanted = True
        self._woken.set()

    def show(self):
        """Return the state for operators; see Status."""
        return self._status.show()

    def report(self):
        """Return all members in progress; see Status."""
        return self._status.report()

    # ------------------------------------------------- called by the driver

    # The container may be of a bulk or not.

    def is_starting(self, container_uuid):
        """Return whether a container is a member that is being started."""
        return container_uuid in self._starting.in_flight

    def is_deleting(self, container_uuid):
        """Return whether a container is a member that is being deleted."""
        return container_uuid in self._deleting.in_flight

    def is_new(self, container_uuid):
        """Return whether Docker cannot have a container yet."""
        return self._starting.is_new(container_uuid)

    def created(self, container_uuid):
        """Record that a container was created."""
        self._starting.created(container_uuid)

    def started(self, container_uuid):
        """Record that a container was started."""
        self._starting.started(container_uuid)

    def working(self, container_uuid):
        """Return a context in which the driver works on a member."""
        entry = self._starting.in_flight.get(
            container_uuid
        ) or self._deleting.in_flight.get(container_uuid)
        # None if the agent's thread has seen its end just now.
        return entry.working() if entry else contextlib.nullcontext()

    # ------------------------------------------------------------ the loop

    def _run(self):
        recovered = False
        while True:
            try:
                if not recovered:
                    self._recover(time.monotonic())
                    recovered = True
                self._cycle(time.monotonic())
                wait = self._seconds_to_wait(time.monotonic())
            except Exception as error:
                # Only the database knows what that cycle was working on.
                recovered = False
                wait = CHECK_INTERVAL
                if not tables.report_missing(error):
                    LOG.exception(
                        'The cycle of the agent of %s failed; retrying',
                        self.host,
                    )
            self._woken.wait(wait)
            self._woken.clear()

    def _seconds_to_wait(self, now):
        """Return the seconds until the next cycle if nothing wakes it."""
        waits = [
            CONF.zun_bulk.poll_interval,
            *self._starting.waits(now),
            self._deleting.wait(now),
            self._changes.wait(now),
            self._holds.wait(now),
            self._status.wait(now),
            self._members.wait(now),
        ]
        if self._starting.in_flight or self._deleting.in_flight:
            waits.append(CHECK_INTERVAL)
        if self._status.is_busy():
            waits.append(debounce.BUSY_INTERVAL)
        return max(0.01, min(wait for wait in waits if wait is not None))

    def _recover(self, now):
        """Resume after the end of an earlier process, or a failed cycle."""
        # The failed cycle may not have finished these, either.
        self._row_wanted = True
        self._status.reset()
        self._starting.recover(now)

    def _cycle(self, now):
        if now - self._polled_at >= CONF.zun_bulk.poll_interval:
            self._polled_at = now
            self._starting.more = self._deleting.more = True
        if self._row_wanted or now - self._row_read_at >= ROW_INTERVAL:
            self._read_row(now)
        self._starting.take_started(now)
        self._changes.check_due(now)
        self._starting.settle(now)
        if now - self._checked_at >= CHECK_INTERVAL:
            self._checked_at = now
            self._starting.check(now)
            self._deleting.check(now)
        self._starting.start_due(now)
        self._deleting.delete_due(now)
        busy = self._status.is_busy()
        if not busy:
            self._members.forget_bulks()
        self._members.report_ends(now, busy)
        self._status.write_if_changed(now)

    # ------------------------------------------- what the operator has set

    def _read_row(self, now):
        """Apply the pace and the hold that an operator has set.

        They are kept in the host's row, so that they outlive this process.
        """
        # Before the row is read, so that no change meanwhile is missed.
        self._row_wanted = False
        try:
            row = db_hosts.get_host(self.host)
        except exception.ResourceNotFound:
            db_hosts.add_host(self.host)
            row = db_hosts.get_host(self.host)
        self._row_read_at = now
        self._adjust(
            throttle.Settings.configured().overridden(
                mode=row.mode,
                max_in_flight=row.max_in_flight,
                start_interval=row.start_interval,
            )
        )
        self._holds.set_operator_hold(
            (row.held_reason or 'no reason given') if row.held else None
        )

    def _adjust(self, settings):
        """Change the pace; starts in flight are kept."""
        if settings == self.settings:
            return
        before, self.settings = self.settings, settings
        LOG.warning(
            'Pace of %(host)s set to %(settings)s',
            {'host': self.host, 'settings': settings._asdict()},
        )
        # A new limit has to learn again, so keep the old one if possible.
        if settings[:2] != before[:2]:
            for kind in ('starts', 'deletes'):
                getattr(self, kind).adjust(
                    limit=throttle.new_limit(kind, self.host, settings)
                )
        self.starts.adjust(interval=settings.start_interval)
