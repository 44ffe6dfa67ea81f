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

It runs as a thread inside zun-compute, beside the driver. It takes members
from the database as its pacer grants and casts Zun's own container_create to
this very host, so that all that Zun does around a create stays Zun's. How a
member goes on is seen in the database and in Docker, never assumed: nothing
that this process remembers is needed after its death.

What it does is done by its parts, in turns of one thread: ``starting``,
``deleting``, ``changes`` (of what has run) and ``holds``.
"""

import contextlib
import threading
import time

from oslo_log import log as logging
from zun.common import exception

from zun_bulk import rpc
from zun_bulk.conf import CONF
from zun_bulk.consts import OPERATOR
from zun_bulk.consts import MemberState
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import tables
from zun_bulk.host import changes
from zun_bulk.host import debounce
from zun_bulk.host import deleting
from zun_bulk.host import events
from zun_bulk.host import holds
from zun_bulk.host import members
from zun_bulk.host import starting
from zun_bulk.pacing import throttle


LOG = logging.getLogger(__name__)

#: Seconds between two looks at the rows of what is under way.
CHECK_INTERVAL = 1.0
#: Images that are pulled at the same time: as many as Docker downloads layers
#: at a time, unless told otherwise.
PULLS = 3
#: Seconds between two looks at the host's own row without a message.
ROW_INTERVAL = 60.0


class HostAgent:
    """Made by the driver, which tells it what it does.

    :ivar starts: the Throttle of what creates and starts.
    :ivar deletes: the Throttle of what stops and deletes.
    :ivar pulls: the Throttle of what pulls images.
    """

    def __init__(self, host, engine):
        """:param host: this host's name.

        :param engine: its Engine.
        """
        self._host = host
        self._engine = engine
        self._woken = threading.Event()
        self._settings = throttle.Settings.configured()
        self.starts = self._new_throttle(
            'starts', self._settings.start_interval
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
        self._checked = self._looked = 0.0
        # Whether the host's row has to be read, and when it was.
        self._row_wanted = True
        self._row_read = float('-inf')
        self._reports = debounce.Reports()
        # How many wait at a host that starts none, and when it was counted.
        self._queued = 0
        self._counted = float('-inf')

    def _new_throttle(self, kind, interval=0.0):
        return throttle.Throttle(
            kind,
            throttle.new_pacer(kind, self._host, self._settings, interval),
            self._woken.set,
        )

    def start(self):
        threading.Thread(
            target=self._run, daemon=True, name='zun-bulk-agent'
        ).start()
        if self._engine.watch:
            threading.Thread(
                target=events.follow,
                args=(
                    self._engine.watch,
                    self._changes.changed,
                    self._changes.missed,
                    self._changes.lost,
                ),
                daemon=True,
                name='zun-bulk-events',
            ).start()
        rpc.serve_host(self.wake, self.show)
        if CONF.zun_bulk.metrics_port:
            # What it wants need not be there where nobody asks for it.
            from zun_bulk.host import metrics

            metrics.serve(
                CONF.zun_bulk.metrics_address,
                CONF.zun_bulk.metrics_port,
                self.show,
                OPERATOR,
            )

    def wake(self):
        """Look into the database now."""
        self._starting.more = self._deleting.more = True
        self._row_wanted = True
        self._woken.set()

    # ------------------------------------------------- called by the driver

    # Each may be told of any container, of a bulk or not.

    def is_starting(self, container_uuid):
        return container_uuid in self._starting.in_flight

    def is_deleting(self, container_uuid):
        return container_uuid in self._deleting.in_flight

    def is_new(self, container_uuid):
        """Whether Docker cannot have a container: this is its first try."""
        return self._starting.is_new(container_uuid)

    def created(self, container_uuid):
        self._starting.created(container_uuid)

    def started(self, container_uuid):
        self._starting.started(container_uuid)

    def working(self, container_uuid):
        """Within it the driver creates, starts or deletes a member."""
        cast = self._starting.in_flight.get(
            container_uuid
        ) or self._deleting.in_flight.get(container_uuid)
        # None if another thread has seen its end just now.
        return cast.working() if cast else contextlib.nullcontext()

    # ---------------------------------------------------------- the loop

    def _run(self):
        recovered = False
        while True:
            try:
                if not recovered:
                    self._recover(time.monotonic())
                    recovered = True
                self._cycle(time.monotonic())
                patience = self._patience(time.monotonic())
            except Exception as error:
                # What that turn had in hand is known to the database only.
                recovered = False
                patience = CHECK_INTERVAL
                if not tables.explains(error):
                    LOG.exception(
                        'The agent of %s could not go on; it tries again',
                        self._host,
                    )
            self._woken.wait(patience)
            self._woken.clear()

    def _patience(self, now):
        """Seconds until there is something to do without being woken."""
        waits = [
            CONF.zun_bulk.poll_interval,
            *self._starting.waits(now),
            self._deleting.wait(now),
            self._changes.wait(now),
            self._holds.wait(now),
            self._reports.wait(now),
            self._members.wait(now),
        ]
        if self._starting.in_flight or self._deleting.in_flight:
            waits.append(CHECK_INTERVAL)
        if self._is_busy():
            waits.append(debounce.BUSY_INTERVAL)
        return max(0.01, min(wait for wait in waits if wait is not None))

    def _recover(self, now):
        """Begin anew: an earlier life, or a turn, was cut short."""
        # That turn may have had these in hand, too.
        self._row_wanted = True
        self._reports = debounce.Reports()
        self._starting.recover(now)

    def _cycle(self, now):
        if now - self._looked >= CONF.zun_bulk.poll_interval:
            self._looked = now
            self._starting.more = self._deleting.more = True
        if self._row_wanted or now - self._row_read >= ROW_INTERVAL:
            self._read_row(now)
        self._starting.take_started(now)
        self._changes.follow(now)
        self._starting.settle(now)
        if now - self._checked >= CHECK_INTERVAL:
            self._checked = now
            self._starting.check(now)
            self._deleting.check(now)
        self._starting.start_due(now)
        self._deleting.delete_due(now)
        busy = self._is_busy()
        if not busy:
            self._members.forget_bulks()
        self._members.tell_of_ends(now, busy)
        self._report(now)

    def _is_busy(self):
        return self._starting.is_busy() or bool(self._deleting.in_flight)

    # ------------------------------------------- what the operator wishes

    def _read_row(self, now):
        """Do as the operator wishes, who has written it into the host's row.

        It is what is remembered of his wishes: this process is told nothing
        that it would have to keep.
        """
        # Before the look, so that what comes meanwhile is not missed.
        self._row_wanted = False
        try:
            row = db_hosts.get_host(self._host)
        except exception.ResourceNotFound:
            db_hosts.add_host(self._host)
            row = db_hosts.get_host(self._host)
        self._row_read = now
        self._adjust(
            throttle.Settings.configured().overridden(
                mode=row.mode,
                max_in_flight=row.max_in_flight,
                start_interval=row.start_interval,
            )
        )
        self._holds.wish(
            (row.held_reason or 'no reason given') if row.held else None
        )

    def _adjust(self, settings):
        """Go on at another pace, with what is in flight."""
        if settings == self._settings:
            return
        before, self._settings = self._settings, settings
        LOG.warning(
            'Pace of %(host)s is set to %(settings)s',
            {'host': self._host, 'settings': settings._asdict()},
        )
        # A limit begins anew, so only where it has to.
        if settings[:2] != before[:2]:
            for kind in ('starts', 'deletes'):
                getattr(self, kind).adjust(
                    limit=throttle.new_limit(kind, self._host, settings)
                )
        self.starts.adjust(interval=settings.start_interval)

    # --------------------------------------------- what the operator sees

    def show(self):
        """What an operator wants to know, as a dict. Asked by any thread."""
        return self._with_counts(self._show(time.monotonic()))

    def report(self):
        """What it has in hand, as a dict, for who looks for a fault.

        Without the database, which may be the fault. Asked by any thread.
        """
        now = time.monotonic()
        return dict(
            self._show(now),
            pulls=self.pulls.show(now),
            starting=self._report_in_flight(self._starting.in_flight, now),
            being_deleted=self._report_in_flight(
                self._deleting.in_flight, now
            ),
            **self._starting.report(),
        )

    def _report_in_flight(self, starts, now):
        return {
            uuid: {
                'name': cast.member.name,
                'bulk': getattr(
                    self._members.bulk_of(cast.member), 'uuid', None
                ),
                'attempt': cast.member.attempt,
                'seconds': round(now - cast.since, 1),
                'driver_is_at_it': cast.at_work,
            }
            for uuid, cast in list(starts.items())
        }

    def _show(self, now):
        return {
            'starts': self.starts.show(now),
            'deletes': self.deletes.show(now),
            'held_by': self._holds.who(),
            'settings': self._settings._asdict(),
            'settle': self._starting.settle_times(),
        }

    def _with_counts(self, shown):
        counts = db_hosts.count_members_on(self._host)
        return dict(
            shown,
            queued=counts.get(MemberState.PLACED, 0),
            deleting=counts.get(MemberState.DELETING, 0),
        )

    def _report(self, now):
        """Write down how the host does, if that tells anything new."""
        shown = self._show(now)
        paced = shown['starts'], shown['deletes']
        at_work = self._is_busy() or any(
            one['in_flight'] or one['waiting'] for one in paced
        )
        state = (
            at_work,
            self._settings,
            sorted(shown['held_by']),
            [one['breaker'] for one in paced],
            # Down to none a minute after the last.
            [one['per_second'] > 0 for one in paced],
            self._count_queued(shown, now),
        )
        if self._reports.look(now, state, at_work):
            db_hosts.report_host(self._host, self._with_counts(shown))

    def _count_queued(self, shown, now):
        """How many wait at a host that starts none, 0 at any other.

        Such a host reads no members, so that nothing else tells of them.
        """
        if not shown['held_by'] and shown['starts']['breaker'] != 'open':
            self._queued = 0
        elif now - self._counted >= debounce.MIN_INTERVAL:
            self._counted = now
            self._queued = db_hosts.count_members_on(self._host).get(
                MemberState.PLACED, 0
            )
        return self._queued
