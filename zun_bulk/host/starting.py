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
"""Starts the members placed on a host and verifies that they stay up."""

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
from zun_bulk.states import MemberState
from zun_bulk.volume import mappings


LOG = logging.getLogger(__name__)

#: How many members are read ahead, so that no start costs its own SELECT.
READ_AHEAD = 20
#: Seconds after which Zun has removed a claim that zun-compute refused.
CLAIM_REMOVAL = 5.0
#: Seconds until another attempt, at most: they double with each attempt, from
#: the first value up to the second.
RETRY_BASE = 2.0
RETRY_MAX = 60.0
#: Seconds until volumes that could not be detached are tried again.
VOLUMES_RETRY_DELAY = 10.0
#: Seconds until a container is inspected again if the engine did not answer.
INSPECT_INTERVAL = 1.0
#: Number of members whose settle times make the quantiles that are shown.
SETTLE_SAMPLES = 200


class Settling(collections.namedtuple('Settling', 'member since due')):
    """A member started at ``since`` that is verified at ``due``."""


class Starting:
    """Casts starts as fast as the throttle allows, and follows them.

    A member is read ahead, cast, settles, is verified, and is running then.
    Otherwise it gets another attempt after a delay, or fails.

    :ivar in_flight: {container uuid: InFlight} of members being started.
    :ivar more: whether the database may have more members to start.
    """

    def __init__(self, docker, members, holds, throttle, wake):
        """Create it.

        :param docker: the host's Engine.
        :param members: the host's Members.
        :param holds: the host's Holds.
        :param throttle: the Throttle of starts.
        :param wake: function that starts the agent's next cycle.
        """
        self._engine = docker
        self._members = members
        self._holds = holds
        self._throttle = throttle
        self._volumes = volumes.Volumes(docker, members)
        self._wake = wake
        self._ready = collections.deque()
        #: [(when to start, Member)]
        self._delayed = []
        self.in_flight = {}
        # Filled by the driver from other threads.
        self._started = collections.deque()
        self._settling = []
        #: Seconds from start to running, of the last members.
        self._settle_times = collections.deque(maxlen=SETTLE_SAMPLES)
        self.more = True

    # ------------------------------------------------ called by the driver

    def is_new(self, container_uuid):
        """Return whether Docker cannot have a container yet.

        That is so in the first attempt.
        """
        entry = self.in_flight.get(container_uuid)
        return (
            entry is not None
            and entry.member.attempt == 1
            # After a retry by its user, a member keeps its last reason.
            and not entry.member.reason
        )

    def created(self, container_uuid):
        """Record that a container was created."""
        entry = self.in_flight.get(container_uuid)
        if entry is not None and not self._members.bulk_of(entry.member).run:
            self.started(container_uuid)

    def started(self, container_uuid):
        """Record that a container was started."""
        if container_uuid in self.in_flight:
            self._started.append(container_uuid)
            self._wake()

    # ------------------------------------------------------------ the cycle

    def is_busy(self):
        """Return whether any member is being started or waits to be."""
        return bool(
            self.in_flight or self._settling or self._ready or self._delayed
        )

    def has(self, container_uuid):
        """Return whether a member is being started, or settles."""
        return container_uuid in self.in_flight or any(
            item.member.container_uuid == container_uuid
            for item in self._settling
        )

    def waits(self, now):
        """Return a list of the seconds until there is something to do."""
        waits = [item.due - now for item in self._settling]
        waits.extend(when - now for when, _member in self._delayed)
        if self._ready or self.more:
            waits.append(self._throttle.wait(now))
        return waits

    def report(self):
        """Return counts of members in progress, for troubleshooting."""
        return {
            'settling': len(self._settling),
            'read_ahead': len(self._ready),
            'tried_again_later': len(self._delayed),
        }

    def settle_times(self):
        """Return quantiles of the last members' settle times, in seconds."""
        # The agent's thread may append meanwhile.
        times = list(self._settle_times)
        return {
            'median': pacer.quantile(times, 0.5),
            'p95': pacer.quantile(times, 0.95),
        }

    def recover(self, now):
        """Resume members in starting that this process does not know of.

        An earlier process, or a cycle that failed, has left them.
        """
        known = {entry.member.id for entry in self.in_flight.values()}
        known.update(item.member.id for item in self._settling)
        for member in db_members.list_members_by_state(
            MemberState.STARTING, host=self._members.host
        ):
            if member.id in known:
                continue
            if self._engine.is_running(member.container_uuid):
                self._begin_settling(member, now)
            else:
                self._members.try_again(member, 'its start was interrupted')

    def start_due(self, now):
        """Start the members that the throttle allows now."""
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
        """Read the members to be started here next."""
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
        # Zun's rows may still contain the failure of the last attempt.
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
                    'the container was deleted outside its bulk before it '
                    'started',
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
        """Let the containers settle that the driver has started."""
        while self._started:
            uuid = self._started.popleft()
            entry = self.in_flight.pop(uuid, None)
            if entry is not None:
                self._throttle.finished(uuid, now, Outcome.DONE)
                self._begin_settling(entry.member, now)

    def settle_now(self, uuids, now):
        """End the settle time of some containers now.

        :param uuids: of any containers.
        :returns: the uuids of those that were settling.
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
        """Verify the members whose settle time is over."""
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
                # The engine did not answer; the container may be fine.
                LOG.warning(
                    'Failed to inspect container %(uuid)s; retrying: '
                    '%(error)s',
                    {'uuid': item.member.container_uuid, 'error': error},
                )
                self._settling.append(
                    item._replace(due=now + INSPECT_INTERVAL)
                )
                continue
            if self._verify(item.member, found):
                verified.append(item.member)
                self._settle_times.append(now - item.since)
        if verified:
            db_transitions.move_members(
                verified,
                MemberState.RUNNING,
                reason=None,
                reason_class=None,
                finished_at=timeutils.utcnow(),
            )
            self._members.note_end()

    def _verify(self, member, found):
        """Check whether a container is as requested; retry or fail it if not.

        :param found: Docker's inspect of it; None if Docker has none.
        :returns: whether it is as requested.
        """
        bulk = self._members.bulk_of(member)
        problem = verification.problem(found, bulk.run)
        if not problem:
            return True
        if member.attempt < bulk.max_attempts and self._engine.took_down(
            found
        ):
            self._members.try_again(member, engine.RESTARTED)
            self.more = True
        else:
            self._members.fail(
                member,
                disclosure.mark_host(self._members.host, problem),
                ReasonClass.APPLICATION,
            )
        return False

    # ------------------------------------------------------------ failures

    def check(self, now):
        """Find the starts that have failed, were lost, or take long."""
        if not self.in_flight:
            return
        rows = zun_rows.container_states(list(self.in_flight))
        for uuid, entry in list(self.in_flight.items()):
            row = rows.get(uuid)
            if row is None:
                self._ended(uuid, now)
                self._members.fail(
                    entry.member,
                    'the container was deleted outside its bulk while it '
                    'started',
                    ReasonClass.DELETED,
                )
                continue
            status, reason, task_state, _host = row
            if status == consts.ERROR and task_state is None:
                failure = failures.classify(reason)
                if failure is failures.FailureClass.CLAIM:
                    # Zun removes the claim only after it has saved the error.
                    # It must not remove the next claim instead.
                    entry.refused_at = entry.refused_at or now
                    if now - entry.refused_at < CLAIM_REMOVAL:
                        continue
                self._ended(uuid, now, failure.outcome)
                self._retry_or_fail(entry.member, reason, now)
            elif now - entry.checked_at > min(
                self._throttle.deadline(),
                in_flight.LOST,
                CONF.zun_bulk.create_timeout,
            ):
                entry.checked_at = now
                self._check_slow(uuid, entry, status, task_state, now)

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
        # Without a claim it no longer belongs to this host.
        values = {'host': None} if refused else {}
        if not row.failure.retried:
            self._members.fail(member, reason, ReasonClass.PERMANENT)
        elif member.attempt >= self._members.bulk_of(member).max_attempts:
            self._members.fail(member, reason, ReasonClass.TRANSIENT, **values)
        elif refused:
            self._members.try_again(
                member, reason, MemberState.QUEUED, **values
            )
            self._members.wake_conductor()
        else:
            delay = min(RETRY_MAX, RETRY_BASE * 2 ** (member.attempt - 1))
            LOG.info(
                'Attempt %(attempt)d to start container %(uuid)s on %(host)s '
                'failed; retrying within %(delay)d s: %(reason)s',
                {
                    'host': self._members.host,
                    'uuid': member.container_uuid,
                    'delay': delay,
                    'attempt': member.attempt,
                    'reason': disclosure.render(reason),
                },
            )
            if row.failure is failures.FailureClass.BUSY:
                self._engine.remove_leftover(member.container_uuid)
            if self._members.try_again(member, reason):
                self._delayed.append((now + random.uniform(0, delay), member))

    def _check_slow(self, uuid, entry, status, task_state, now):
        """Find out why a start takes long, and repeat it if it was lost."""
        if self._engine.is_running(uuid):
            self.started(uuid)
        elif self._is_lost(uuid, entry, now):
            # The message never arrived, or Zun's thread has died of an error
            # that it could not save. If the start goes on after all, Zun runs
            # both one after the other, and the driver finds the container.
            LOG.warning(
                'Start of container %(uuid)s on %(host)s appears lost (task '
                '%(task)s); retrying',
                {
                    'uuid': uuid,
                    'host': self._members.host,
                    'task': task_state or status,
                },
            )
            self._ended(uuid, now)
            self._members.try_again(entry.member, 'its start was lost')
            self.more = True
        else:
            LOG.warning(
                'Start of container %(uuid)s on %(host)s takes long: it has '
                'been in task %(task)s for %(seconds)d s',
                {
                    'uuid': uuid,
                    'task': task_state or status,
                    'host': self._members.host,
                    'seconds': now - entry.since,
                },
            )

    @staticmethod
    def _is_lost(uuid, entry, now):
        """Return whether neither Zun nor the driver works on a start."""
        if not entry.is_idle(
            now, min(in_flight.LOST, CONF.zun_bulk.create_timeout)
        ):
            return False
        try:
            with locks.zun_idle(uuid):
                return True
        except lockutils.AcquireLockFailedException:
            # For example, Zun pulls the image, or waits for another pull of
            # it.
            return False
