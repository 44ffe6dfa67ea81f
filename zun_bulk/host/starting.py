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
"""Starting the members placed on a host, until they are seen to stay up."""

import collections
import random
import time

from oslo_concurrency import lockutils
from oslo_log import log as logging
from oslo_utils import timeutils
from zun.common import consts

from zun_bulk import disclosure
from zun_bulk import zun_compat
from zun_bulk.conf import CONF
from zun_bulk.consts import MemberState
from zun_bulk.consts import ReasonClass
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.host import engine
from zun_bulk.host import in_flight
from zun_bulk.host import locks
from zun_bulk.host import verification
from zun_bulk.host import volumes
from zun_bulk.pacing import failures
from zun_bulk.pacing import pacer
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.volume import mappings


LOG = logging.getLogger(__name__)

#: How many members are read ahead, so that a start costs no SELECT of its own.
READ_AHEAD = 20
#: Seconds after which Zun is done with a claim that zun-compute refused.
CLAIM_GOES = 5.0
RETRY_BASE = 2.0
RETRY_MAX = 60.0
#: Seconds until volumes that could not be detached are tried again.
VOLUMES_RETRY_DELAY = 10.0
#: Seconds until a container is looked at again of which the engine said
#: nothing.
LOOK_AGAIN = 1.0
#: Of how many members the time to settle is shown.
SETTLED_KNOWN = 200


class Settling(collections.namedtuple('Settling', 'member since due')):
    """A member started at ``since`` that has to be up at ``due``."""


class Starting:
    """Casts starts as the throttle grants, and sees what became of them.

    A member is read ahead, cast, settles, and is running; or it is tried
    again after a while, or failed.

    :ivar in_flight: {container uuid: InFlight} of what is being started.
    :ivar more: whether the database may hold more than was read.
    """

    def __init__(self, docker, members, holds, throttle, wake):
        """:param docker: the host's Engine.

        :param members: the host's Members.
        :param holds: the host's Holds.
        :param throttle: the Throttle of starts.
        :param wake: function that has the turn taken soon.
        """
        self._engine = docker
        self._members = members
        self._holds = holds
        self._throttle = throttle
        self._volumes = volumes.Volumes(docker, members)
        self._wake = wake
        self._ready = collections.deque()
        #: [(when to try again, Member)]
        self._delayed = []
        self.in_flight = {}
        # Told by the driver from other threads.
        self._started = collections.deque()
        self._settling = []
        #: Seconds from the start to the running of the last members.
        self._settled = collections.deque(maxlen=SETTLED_KNOWN)
        self.more = True

    # ------------------------------------------------ called by the driver

    def is_new(self, container_uuid):
        """Whether Docker cannot have a container: this is its first try."""
        entry = self.in_flight.get(container_uuid)
        return (
            entry is not None
            and entry.member.attempt == 1
            # One that its user has tried again keeps what it failed of.
            and not entry.member.reason
        )

    def created(self, container_uuid):
        entry = self.in_flight.get(container_uuid)
        if entry is not None and not self._members.bulk_of(entry.member).run:
            self.started(container_uuid)

    def started(self, container_uuid):
        if container_uuid in self.in_flight:
            self._started.append(container_uuid)
            self._wake()

    # ------------------------------------------------------------ the turn

    def is_busy(self):
        return bool(
            self.in_flight or self._settling or self._ready or self._delayed
        )

    def has(self, container_uuid):
        """Whether a member is being started, or settles."""
        return container_uuid in self.in_flight or any(
            item.member.container_uuid == container_uuid
            for item in self._settling
        )

    def waits(self, now):
        """:returns: seconds until there is something to do, in a list."""
        waits = [item.due - now for item in self._settling]
        waits.extend(when - now for when, _member in self._delayed)
        if self._ready or self.more:
            waits.append(self._throttle.wait(now))
        return waits

    def report(self):
        """What is in hand, as a dict, for who looks for a fault."""
        return {
            'settling': len(self._settling),
            'read_ahead': len(self._ready),
            'tried_again_later': len(self._delayed),
        }

    def settle_times(self):
        """How long the last members took to settle, in seconds."""
        # Others may append while it is looked at.
        settled = list(self._settled)
        return {
            'median': pacer.quantile(settled, 0.5),
            'p95': pacer.quantile(settled, 0.95),
        }

    def recover(self, now):
        """Take up members in starting that this process does not know of.

        An earlier life of it left them, or a turn that was cut short.
        """
        known = {entry.member.id for entry in self.in_flight.values()}
        known.update(item.member.id for item in self._settling)
        for member in db_members.list_members_by_state(
            MemberState.STARTING, host=self._members.host
        ):
            if member.id in known:
                continue
            if self._engine.runs(member.container_uuid):
                self._begin_settling(member, now)
            else:
                self._members.again(member, 'its start was cut short')

    def start_due(self, now):
        """Start what may be started now."""
        due = [member for when, member in self._delayed if when <= now]
        self._delayed = [item for item in self._delayed if item[0] > now]
        self._ready.extend(due)
        room = self._throttle.room(now)
        if len(self._ready) < room and self.more:
            self.read_ahead()
        if self._ready or self._holds.gates:
            self._holds.probe(now)
            room = self._throttle.room(now)
        batch = [
            self._ready.popleft() for _ in range(min(room, len(self._ready)))
        ]
        if batch:
            self._start(batch, now)

    def read_ahead(self):
        """Read members that are to be started here next."""
        known = {member.id for member in self._ready}
        known.update(member.id for _when, member in self._delayed)
        limit = READ_AHEAD + len(known)
        members = db_members.list_members_in_fair_order(
            MemberState.PLACED, self._members.host, limit, building=True
        )
        self.more = len(members) == limit
        self._ready.extend(
            member for member in members if member.id not in known
        )

    def _start(self, batch, now):
        began = time.monotonic()
        self._members.know_bulks(batch)
        prepared = self._volumes.prepare(batch)
        self._delayed.extend(
            (now + VOLUMES_RETRY_DELAY, member)
            for member in prepared.postponed
        )
        running = {member.container_uuid for member in prepared.running}
        started = db_transitions.start_members(
            prepared.ready + prepared.running
        )
        # Volumes may take long, and an old start would count as lost.
        now += time.monotonic() - began
        members = []
        for member in started:
            if member.container_uuid in running:
                self._begin_settling(member, now)
            else:
                members.append(member)
        # Zun's rows may still say how the last attempt ended.
        again = [
            member.container_uuid for member in members if member.attempt > 1
        ]
        if again:
            zun_rows.reset_containers(again)
        containers = self._members.containers(members)
        for member in members:
            container = containers.get(member.container_uuid)
            if container is None:
                self._members.fail(
                    member,
                    'the container was deleted outside its '
                    'bulk before it started',
                    ReasonClass.DELETED,
                )
                continue
            self.in_flight[member.container_uuid] = in_flight.InFlight(
                member, now
            )
            self._throttle.started(member.container_uuid, now)
            self._cast(member, container)

    def _cast(self, member, container):
        bulk = self._members.bulk_of(member)
        api = self._members.compute_for(member)
        context = zun_compat.get_rpc_context(api)
        api.container_create(
            context,
            self._members.host,
            container,
            member.limits or {},
            [dict(network) for network in member.networks],
            {container.uuid: mappings.make(context, bulk, member)},
            bulk.run,
            None,
        )

    # ----------------------------------------------------------- verifying

    def _begin_settling(self, member, now):
        self._settling.append(
            Settling(member, now, now + CONF.zun_bulk.settle_time)
        )

    def take_started(self, now):
        """Have those settle that the driver has started."""
        while self._started:
            uuid = self._started.popleft()
            entry = self.in_flight.pop(uuid, None)
            if entry is not None:
                self._throttle.finished(uuid, now, Outcome.DONE)
                self._begin_settling(entry.member, now)

    def settle_now(self, uuids, now):
        """Decide at once on those of some containers that settle.

        :returns: the uuids of those.
        """
        found = {
            item.member.container_uuid
            for item in self._settling
            if item.member.container_uuid in uuids
        }
        self._settling = [
            item._replace(due=now)
            if item.member.container_uuid in found
            else item
            for item in self._settling
        ]
        return found

    def settle(self, now):
        """Decide on members that have been up for long enough."""
        due = [item for item in self._settling if item.due <= now]
        if not due:
            return
        self._members.know_bulks([item.member for item in due])
        self._settling = [item for item in self._settling if item.due > now]
        verified = []
        for item in due:
            try:
                found = self._engine.inspect(item.member.container_uuid)
            except Exception as error:
                # The engine does not answer, which says nothing of the
                # container.
                LOG.warning(
                    'Could not look at container %(uuid)s: %(error)s',
                    {'uuid': item.member.container_uuid, 'error': error},
                )
                self._settling.append(item._replace(due=now + LOOK_AGAIN))
                continue
            if self._is_up(item.member, found):
                verified.append(item.member)
                self._settled.append(now - item.since)
        if verified:
            db_transitions.move_members(
                verified,
                MemberState.RUNNING,
                reason=None,
                reason_class=None,
                finished_at=timeutils.utcnow(),
            )
            self._members.has_ended()

    def _is_up(self, member, found):
        """Whether a container is as it was asked for; what it is, if not."""
        bulk = self._members.bulk_of(member)
        problem = verification.problem(found, bulk.run)
        if not problem:
            return True
        if member.attempt < bulk.max_attempts and self._engine.has_taken(
            found
        ):
            self._members.again(member, engine.RESTARTED)
            self.more = True
        else:
            self._members.fail(
                member,
                disclosure.mark_host(self._members.host, problem),
                ReasonClass.APPLICATION,
            )
        return False

    # --------------------------------------------------------- what failed

    def check(self, now):
        """Find starts that ended without the driver having started them."""
        if not self.in_flight:
            return
        rows = zun_rows.container_states(list(self.in_flight))
        for uuid, entry in list(self.in_flight.items()):
            row = rows.get(uuid)
            if row is None:
                self._ended(uuid, now)
                self._members.fail(
                    entry.member,
                    'the container was deleted outside '
                    'its bulk while it started',
                    ReasonClass.DELETED,
                )
                continue
            status, reason, task_state, _host = row
            if status == consts.ERROR and task_state is None:
                failure = failures.classify(reason)
                if failure is failures.FailureClass.CLAIM:
                    # Zun takes its claim away once it has written that down,
                    # and it must not be the next one.
                    entry.refused = entry.refused or now
                    if now - entry.refused < CLAIM_GOES:
                        continue
                self._ended(uuid, now, failure.outcome)
                self._retry_or_fail(entry.member, reason, now)
            elif now - entry.looked > min(
                self._throttle.deadline(),
                in_flight.LOST,
                CONF.zun_bulk.create_timeout,
            ):
                entry.looked = now
                self._look_into(uuid, entry, status, task_state, now)

    def _ended(self, uuid, now, outcome=Outcome.NEUTRAL):
        self.in_flight.pop(uuid, None)
        self._throttle.finished(uuid, now, outcome)

    def _retry_or_fail(self, member, reason, now):
        row = failures.find(reason)
        reason = disclosure.mark_host(
            self._members.host,
            failures.strip_wrapping(reason or 'no reason given'),
        )
        if row.hint:
            reason = '%s (%s)' % (reason, row.hint)
        refused = row.failure is failures.FailureClass.CLAIM
        # Without a claim it is no longer this host's.
        values = {'host': None} if refused else {}
        if not row.failure.retried:
            self._members.fail(member, reason, ReasonClass.PERMANENT)
        elif member.attempt >= self._members.bulk_of(member).max_attempts:
            self._members.fail(member, reason, ReasonClass.TRANSIENT, **values)
        elif refused:
            self._members.again(member, reason, MemberState.QUEUED, **values)
            self._members.wake_conductor()
        else:
            delay = min(RETRY_MAX, RETRY_BASE * 2 ** (member.attempt - 1))
            LOG.info(
                '%(host)s starts container %(uuid)s again in at most '
                '%(delay)d s, after attempt %(attempt)d: %(reason)s',
                {
                    'host': self._members.host,
                    'uuid': member.container_uuid,
                    'delay': delay,
                    'attempt': member.attempt,
                    'reason': disclosure.render(reason),
                },
            )
            if row.failure is failures.FailureClass.BUSY:
                self._engine.clear(member.container_uuid)
            if self._members.again(member, reason):
                self._delayed.append((now + random.uniform(0, delay), member))

    def _look_into(self, uuid, entry, status, task_state, now):
        """A start takes long: see what became of it, start none twice."""
        if self._engine.runs(uuid):
            self.started(uuid)
        elif self._is_lost(uuid, entry, now):
            # The message never arrived, or Zun's thread has ended of an error
            # that it could not write down. Should it come after all, Zun does
            # one after the other, and the driver finds what is there.
            LOG.warning(
                'Nothing is done about container %(uuid)s, in %(task)s on '
                '%(host)s; it is started again',
                {
                    'uuid': uuid,
                    'task': task_state or status,
                    'host': self._members.host,
                },
            )
            self._ended(uuid, now)
            self._members.again(entry.member, 'its start was lost')
            self.more = True
        else:
            LOG.warning(
                'Container %(uuid)s has been in %(task)s on %(host)s '
                'for %(seconds)d s',
                {
                    'uuid': uuid,
                    'task': task_state or status,
                    'host': self._members.host,
                    'seconds': now - entry.since,
                },
            )

    @staticmethod
    def _is_lost(uuid, entry, now):
        """Whether nobody does anything about a start any more."""
        if not entry.is_quiet(
            now, min(in_flight.LOST, CONF.zun_bulk.create_timeout)
        ):
            return False
        try:
            with locks.zun_idle(uuid):
                return True
        except lockutils.AcquireLockFailedException:
            # It pulls the image, for one, or waits for who does.
            return False
