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

"""The loop that plans bulks: hosts, claims and ports for their members.

Any number of conductors may run. One works on a bulk at a time: the one that
holds its lease, which is the epoch that the lease gave it. Each write names
that epoch, so that one who lost the lease without noticing changes nothing.
"""

import collections
from concurrent import futures
import contextlib
import threading
import time

from oslo_log import log as logging
from oslo_utils import timeutils
from oslo_utils import uuidutils
from zun import objects
from zun.api import servicegroup
from zun.common import context as zun_context

from zun_bulk import disclosure
from zun_bulk import notifications
from zun_bulk import pausing
from zun_bulk import rpc
from zun_bulk.conductor import floating_ips
from zun_bulk.conf import CONF
from zun_bulk.db import api as db
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db import history as db_history
from zun_bulk.db import leases as db_leases
from zun_bulk.db import tables
from zun_bulk.db import zun_rows
from zun_bulk.db.models import BulkStatus
from zun_bulk.db.models import MemberState
from zun_bulk.host import throttle
from zun_bulk.network import batch
from zun_bulk.network import maker
from zun_bulk.network import ports
from zun_bulk.scheduler import hosts
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import planner
from zun_bulk.volume import mounts
from zun_bulk.volume import trusts
from zun_bulk.volume import volumes


LOG = logging.getLogger(__name__)

CONTAINER_GONE = (
    'the container was deleted outside its bulk before it was placed'
)
#: What the history of a member says that leaves its host.
HOST_DOWN = 'its host is down, and it goes to another one'
NO_ROOM = 'There are not enough hosts available: %s'
TOO_SLOW = 'whatever room there was, others have claimed it first'
#: How often capacity that others took first is looked up anew.
PLAN_ATTEMPTS = 10
#: The epoch of a bulk that nobody but its first conductor has worked on.
FIRST_EPOCH = 1
#: For how many members of a bulk the first ports are made, so that its hosts
#: need not wait for a whole ``port_batch``. The next ones are twice as many.
FIRST_PORTS = 4
#: Seconds for which a Neutron is left alone that is busy.
BUSY_WAIT = 1.0
#: Seconds after which it is looked whether the hosts have run dry.
LOOK_AGAIN = 1.0
#: Seconds between two looks at which bulks have too long a history.
TRIM_INTERVAL = 60.0
#: Seconds between two looks at which hosts are down.
DOWN_INTERVAL = 10.0
#: Seconds for which the end of the message server is waited for.
SERVER_PATIENCE = 5


class LostLease(Exception):
    """Another conductor has the bulk now, or it is being deleted."""


class Stopping(Exception):
    """This conductor is to end, and another goes on."""


class Leases:
    """The bulks that this conductor holds, and what it saw of the others'.

    Pure but for the database: the time is handed in.
    """

    def __init__(self, owner, lease_time):
        """:param lease_time: seconds without a sign of life."""
        self.owner = owner
        self._lease_time = lease_time
        self._held = {}
        self._seen = {}
        #: {bulk id: uuid} of what is held.
        self._uuids = {}

    def epoch(self, bulk, now):
        """The epoch under which to work on a bulk; None if it is another's.

        :param bulk: the Bulk as just read.
        :param now: monotonic seconds.
        """
        held = self._held.get(bulk.id)
        if held == bulk.epoch:
            return held
        self._held.pop(bulk.id, None)
        # Its own it takes anew when the bulk's user has changed the bulk.
        free = bulk.lease_owner in (None, self.owner)
        if not free and not self._stands_still(bulk, now):
            return None
        epoch = db_leases.take_lease(bulk, self.owner)
        if epoch is not None:
            self._uuids[bulk.id] = bulk.uuid
            self._held[bulk.id] = epoch
        return epoch

    def _stands_still(self, bulk, now):
        sign = (bulk.epoch, bulk.heartbeat)
        seen, since = self._seen.get(bulk.id, (None, now))
        if seen != sign:
            self._seen[bulk.id] = (sign, now)
            return False
        return now - since > self._lease_time

    def renew(self):
        for bulk_id, epoch in list(self._held.items()):
            # It may have taken the bulk anew meanwhile.
            if (
                not db_leases.renew_lease(bulk_id, epoch)
                and self._held.get(bulk_id) == epoch
            ):
                self._held.pop(bulk_id, None)

    def held(self):
        """:returns: {bulk id: epoch} of what this conductor works on."""
        return dict(self._held)

    def report(self):
        """:returns: the same for people, by the bulks' uuids."""
        uuids = dict(self._uuids)
        return {
            uuids[bulk_id]: epoch
            for bulk_id, epoch in self.held().items()
            if bulk_id in uuids
        }

    def release(self):
        """Let others take all that this conductor holds, at once."""
        db_leases.release_leases(self.owner)
        self._held.clear()

    def forget_but(self, bulk_ids):
        """Forget all other bulks: there is no work in them any more."""
        for table in (self._held, self._seen, self._uuids):
            for bulk_id in set(table) - set(bulk_ids):
                table.pop(bulk_id, None)


class Conductor:
    def __init__(self):
        self._context = zun_context.get_admin_context(all_projects=True)
        self._leases = Leases(
            '%s:%s' % (CONF.host, uuidutils.generate_uuid()),
            CONF.zun_bulk.lease_time,
        )
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._planning = None
        self._server = None
        self._port_calls = throttle.of_calls(
            'port calls', 'Neutron', CONF.zun_bulk.port_calls
        )
        self._port_batch = batch.BatchSize(CONF.zun_bulk.port_batch)
        self._floating_ips = floating_ips.FloatingIps(
            self._leases, self._woken.set
        )
        self._placement = None
        self._ports = None
        self._volumes = None
        #: (the Bulk that is just looked after, since when), or None.
        self._at = None
        #: Whether something is waited for that nobody tells of.
        self._soon = False
        #: {bulk id: the epoch under which each claim for it is noted}.
        self._noted = {}
        #: Up to which event histories have been looked at.
        self._trimmed = 0
        self._down_hosts = {}
        self._down_seen = float('-inf')

    def start(self):
        self._planning = threading.Thread(
            target=self._run, daemon=True, name='zun-bulk-conductor'
        )
        self._planning.start()
        # Apart, because a call to Neutron may take longer than the lease.
        threading.Thread(
            target=self._renew, daemon=True, name='zun-bulk-leases'
        ).start()
        # Apart, because planning a large bulk takes longer than a minute.
        threading.Thread(
            target=self._trim, daemon=True, name='zun-bulk-trim'
        ).start()
        # Apart, because starts are not to wait for floating IPs.
        self._floating_ips.start()
        self._server = rpc.serve(rpc.CONDUCTOR_TOPIC, self.wake)

    def stop(self, timeout):
        """Begin nothing more, and let others go on with what is left.

        A call that does not come to its end in time is left as it is: what
        it writes afterwards is refused once another has taken the bulk.

        :param timeout: seconds to wait for what is under way.
        :returns: whether it has ended.
        """
        deadline = time.monotonic() + timeout
        self._stopping.set()
        self._woken.set()
        # It begins nothing more while the other one ends.
        self._floating_ips.stop(0)
        planning = self._planning
        if planning is not None:
            # The leases are renewed meanwhile.
            planning.join(timeout)
        ended = self._floating_ips.stop(deadline - time.monotonic()) and (
            planning is None or not planning.is_alive()
        )
        self._stopped.set()
        if ended:
            # Else others wait until the leases are over, as what is under way
            # may still take effect.
            self._release_leases()
        if self._server is not None:
            # In a thread: without a broker it may take for ever.
            stop = threading.Thread(target=self._server.stop, daemon=True)
            stop.start()
            stop.join(SERVER_PATIENCE)
        return ended

    def _release_leases(self):
        try:
            self._leases.release()
        except Exception:
            LOG.exception('Others have to wait until the leases are over')

    def wake(self):
        self._woken.set()
        self._floating_ips.wake()

    def report(self):
        """What it has in hand, as a dict, for who looks for a fault."""
        now = time.monotonic()
        at = self._at
        return {
            'owner': self._leases.owner,
            'leases': self._leases.report(),
            'at': at
            and {
                'bulk': at[0].uuid,
                'status': at[0].status,
                'seconds': now - at[1],
            },
            'stopping': self._stopping.is_set(),
            'hosts_down': sorted(self._down_hosts),
            'port_calls': self._port_calls.show(now),
            'floating_ip_calls': self._floating_ips.show(now),
        }

    def _run(self):
        while not self._stopping.is_set():
            try:
                self.look_after_bulks()
            except Stopping:
                return
            except Exception as error:
                if not tables.explains(error):
                    LOG.exception('The conductor could not look for work')
            patience = CONF.zun_bulk.poll_interval
            self._woken.wait(
                min(patience, LOOK_AGAIN) if self._soon else patience
            )
            self._woken.clear()

    def _renew(self):
        while not self._stopped.wait(CONF.zun_bulk.lease_time / 3):
            try:
                self._leases.renew()
            except Exception:
                LOG.exception('The conductor could not renew its leases')

    def _trim(self):
        while not self._stopped.wait(TRIM_INTERVAL):
            try:
                self.trim_events()
            except Exception as error:
                if not tables.explains(error):
                    LOG.exception('The conductor could not trim histories')

    def trim_events(self):
        """Forget the oldest events of bulks that have too many.

        Of any bulk, for one that is finished has a history still. Whoever
        else does the same finds nothing left to do.
        """
        newest = db_history.newest_events(self._trimmed)
        for bulk_id in newest:
            db_history.trim_events(bulk_id, CONF.zun_bulk.max_events)
        self._trimmed = max(newest.values(), default=self._trimmed)

    def _go_on(self):
        """:raises: Stopping"""
        if self._stopping.is_set():
            raise Stopping()

    def look_after_bulks(self):
        """Do for each bulk what can be done now.

        :raises: Stopping
        """
        self._soon = False
        bulks = db_leases.list_bulks_with_work()
        self._leases.forget_but([bulk.id for bulk in bulks])
        self._noted = {
            bulk.id: self._noted[bulk.id]
            for bulk in bulks
            if bulk.id in self._noted
        }
        for bulk in bulks:
            self._go_on()
            epoch = self._leases.epoch(bulk, time.monotonic())
            if epoch is None:
                continue
            self._at = bulk, time.monotonic()
            try:
                self._look_after(bulk, epoch)
            except Stopping:
                raise
            except LostLease:
                LOG.info('Bulk %s has passed to another conductor', bulk.uuid)
            except volumes.Busy as error:
                self._soon = True
                LOG.info(
                    'Bulk %(bulk)s has to wait until Cinder deletes '
                    'volumes: %(error)s',
                    {'bulk': bulk.uuid, 'error': error},
                )
            except Exception:
                # It stays as it is in the database and is tried again.
                LOG.exception('Could not go on with bulk %s', bulk.uuid)
            finally:
                self._at = None

    def _look_after(self, bulk, epoch):
        if bulk.status == BulkStatus.DELETING:
            self._delete(bulk, epoch)
            return
        # First, as it makes room for what is to come.
        removed = self._remove(bulk, epoch)
        if bulk.status == BulkStatus.PAUSED:
            return
        if bulk.status == BulkStatus.CANCELLING:
            self._cancel(bulk, epoch)
        else:
            self._build(bulk, epoch)
        if removed:
            self._finish(bulk, epoch)

    # ---------------------------------------------------------- building

    def _build(self, bulk, epoch):
        self._take_back(bulk, epoch)
        queued = db.list_members_in(MemberState.QUEUED, bulk_id=bulk.id)
        homeless = [member for member in queued if member.host is None]
        if homeless:
            self._claim(bulk, epoch, homeless)
            queued = db.list_members_in(MemberState.QUEUED, bulk_id=bulk.id)
        claimed = [member for member in queued if member.host]
        claimed, missing = self._with_volumes(bulk, epoch, claimed)
        if claimed:
            self._place_all(bulk, epoch, claimed)
        self._make_volumes(bulk, missing)

    def _place_all(self, bulk, epoch, claimed):
        """Place members, or as many as there are addresses for."""
        making = maker.Maker(
            self._ports_api(), bulk, claimed, zun_rows.hostnames
        )
        self._port_batch.begin(FIRST_PORTS)
        for start in range(0, len(claimed), CONF.zun_bulk.claim_batch):
            self._go_on()
            self._place(
                bulk,
                epoch,
                claimed[start : start + CONF.zun_bulk.claim_batch],
                making,
            )
        why = making.why_short()
        if why:
            pausing.pause(bulk, why, epoch)

    def _with_volumes(self, bulk, epoch, members):
        """See which members have their own volumes, if they are to have any.

        :returns: (those that have, what is to be made for others); all that
            are not among the first come again at the next look.
        """
        if not mounts.made_for_any(bulk) or not members:
            return members, []
        members = self._with_container(bulk, members)
        found = self._volumes_api().look(bulk, members)
        self._fail_each(bulk, found.failed, 'volume')
        if found.ready and (
            db.note_volumes(bulk.id, epoch, found.ready) is None
        ):
            raise LostLease()
        self._soon = self._soon or bool(found.waiting)
        return [member for member, _wanted in found.ready], found.missing

    def _make_volumes(self, bulk, missing):
        """Make volumes, not so many that others have to wait for long."""
        missing = missing[: CONF.zun_bulk.claim_batch]
        if not missing:
            return
        self._go_on()
        try:
            self._fail_each(
                bulk, self._volumes_api().make(bulk, missing), 'volume'
            )
        finally:
            self._release_unwanted(bulk, [member for member, *_ in missing])

    def _take_back(self, bulk, epoch):
        """Queue what waits at hosts that are down, if others have room.

        What was taken back cannot be begun by its host any more: that is a
        compare-and-set too. What was begun may be in its Docker, unless an
        operator says that nothing is there: he forces the host down.
        """
        for host, forced in self._down().items():
            members = db.list_members_in(
                MemberState.PLACED, bulk_id=bulk.id, host=host
            )
            if forced:
                members += db.list_members_in(
                    MemberState.STARTING, bulk_id=bulk.id, host=host
                )
            else:
                members = [
                    member
                    for member in members
                    if not member.attempt and not member.reason
                ]
            members = self._with_container(bulk, members)
            if not members:
                continue
            survey = self._survey(bulk, members[0])
            room = sum(other.room for other in survey.hosts.values())
            if forced:
                self._detach_given(bulk, members[:room])
            taken = db.move_members(
                members[:room],
                MemberState.QUEUED,
                only_if=db_leases.is_held(bulk.id, epoch),
                told={'host': host, 'reason': HOST_DOWN},
                host=None,
            )
            uuids = [member.container_uuid for member in taken]
            zun_rows.reset_containers(uuids)
            zun_rows.delete_mounts(uuids)
            if taken:
                LOG.warning(
                    '%(host)s is down: %(number)d members of bulk %(bulk)s '
                    'go to other hosts',
                    {'host': host, 'number': len(taken), 'bulk': bulk.uuid},
                )

    def _detach_given(self, bulk, members):
        members = [member for member in members if member.host]
        if any(mounts.given(bulk, member) for member in members):
            self._volumes_api().detach(bulk, members)

    def _down(self):
        """Hosts whose zun-compute is down, as Zun's scheduler sees it.

        :returns: {host: whether an operator has forced it down}.
        """
        now = time.monotonic()
        if now - self._down_seen >= DOWN_INTERVAL:
            self._down_seen = now
            is_up = servicegroup.ServiceGroup().service_is_up
            self._down_hosts = {
                service.host: bool(service.forced_down)
                for service in objects.ZunService.list_by_binary(
                    self._context, 'zun-compute'
                )
                if not is_up(service)
            }
        return self._down_hosts

    def _place(self, bulk, epoch, members, making):
        """Make ports for claimed members, and hand them to their hosts."""
        members = self._with_container(bulk, members)
        if not members:
            return
        try:
            self._make_ports(bulk, epoch, members, making)
        finally:
            self._release_unwanted(bulk, members)

    def _make_ports(self, bulk, epoch, members, making):
        making.prepare(members)
        waiting = collections.deque(members)
        with futures.ThreadPoolExecutor(CONF.zun_bulk.port_calls) as pool:
            calls = {}
            while waiting or calls:
                while waiting and len(calls) < _port_calls(bulk):
                    part = [
                        waiting.popleft()
                        for _ in range(min(self._port_batch.now, len(waiting)))
                    ]
                    call = pool.submit(
                        self._hand_over, bulk, epoch, part, making
                    )
                    calls[call] = part, time.monotonic()
                for call in _ended(calls):
                    waiting.extendleft(
                        reversed(self._again(call, *calls.pop(call), making))
                    )

    def _again(self, call, part, began, making):
        """Adapt the next calls to what became of one.

        :param began: when it was made, in monotonic seconds.
        :returns: the members that it has to be done again for.
        :raises: what the call has raised, unless a smaller one may do.
        """
        try:
            call.result()
        except ports.Busy as error:
            self._port_batch.overloaded(len(part))
            if len(part) == 1:
                raise
            LOG.warning(
                'Ports are made for %(number)d members at a time from here '
                'on: %(error)s',
                {'number': self._port_batch.now, 'error': error},
            )
            # It may make them without saying so, and may need as long again
            # as a proxy has waited for it.
            self._stopping.wait(max(BUSY_WAIT, time.monotonic() - began))
            self._go_on()
            making.look(part)
            return part
        self._port_batch.succeeded(len(part))
        return []

    def _release_unwanted(self, bulk, members):
        """Clear what was made for members that are on their way out.

        Who took the bulk meanwhile may have cleared them before it was made.
        What cannot go yet goes with the bulk.
        """
        states = {
            member.container_uuid: member.state
            for member in db.list_members_of(
                [member.container_uuid for member in members]
            )
        }
        with contextlib.suppress(volumes.Busy):
            self._release(
                bulk,
                [
                    member.container_uuid
                    for member in members
                    if states.get(member.container_uuid, MemberState.DELETED)
                    in MemberState.UNWANTED
                ],
            )

    def _with_container(self, bulk, members):
        """Fail the members whose container was deleted outside the bulk.

        :returns: the others.
        """
        rows = zun_rows.container_states([m.container_uuid for m in members])
        gone = [m for m in members if m.container_uuid not in rows]
        if gone:
            self._fail(bulk, gone, CONTAINER_GONE, 'deleted')
        return [m for m in members if m.container_uuid in rows]

    def _hand_over(self, bulk, epoch, members, making):
        """Make the ports of claimed members and give them to their hosts."""
        self._go_on()
        with self._port_calls.slot(members[0].container_uuid):
            networks, refused = making.make(members)
        self._fail_each(bulk, refused, 'network')
        with_ports = [member for member in members if member.id in networks]
        if not with_ports:
            return
        placed = db.place_members(
            bulk.id,
            epoch,
            [(member, networks[member.id]) for member in with_ports],
        )
        if placed is None:
            raise LostLease()
        self._wake_hosts({member.host for member in with_ports})

    # ---------------------------------------------------------- claiming

    def _claim(self, bulk, epoch, members):
        """Find hosts for members that have none, and claim there.

        For all of them or for none, unless the bulk may be had in part. Only
        once all have a claim it is noted where, and only then they are handed
        over. Members that nobody but a held host has room for wait.
        """
        try:
            self._claim_or_fail(bulk, epoch, members)
        finally:
            self._release_unwanted(bulk, members)

    def _claim_or_fail(self, bulk, epoch, members):
        policy = bulk.placement['policy']
        claimed = []
        reason = TOO_SLOW
        for _attempt in range(PLAN_ATTEMPTS):
            members = self._with_container(bulk, members)
            if not members:
                break
            survey = self._survey(bulk, members[0], claimed)
            plan = planner.plan(len(members), survey.rooms, policy)
            later = (
                planner.plan(len(members), survey.rooms_later, policy)
                if survey.held
                else plan
            )
            if later.missing:
                if self._release_unnoted(bulk, epoch, members):
                    continue
                reason = disclosure.of_hosts(later.explain(), later.summary())
                if not bulk.placement.get('allow_partial'):
                    break
            waiting = plan.missing - later.missing
            if waiting:
                _tell_of_waiting(bulk, survey.held)
                if policy == 'affinity':
                    return
            number = len(plan.hosts)
            rest = self._claim_planned(
                bulk, members[:number], plan.hosts, survey.hosts, claimed
            )
            members = rest + members[number:]
            if not rest:
                members = members[waiting:]
                break
        if members and not bulk.placement.get('allow_partial'):
            members += [member for member, *_where in claimed]
            claimed = []
        if claimed and db.claim_members(bulk.id, epoch, claimed) is None:
            raise LostLease()
        if members:
            self._fail(bulk, members, NO_ROOM % reason, 'capacity')
        self._noted[bulk.id] = epoch

    def _claim_planned(self, bulk, members, names, found, claimed):
        """Claim in batches, each all or none.

        :param names: a host's name for each member.
        :param found: {host name: Host}.
        :param claimed: [(member, host name, limits)], to be added to.
        :returns: the members that others were faster than.
        """
        planned = list(zip(members, names, strict=True))
        for start in range(0, len(planned), CONF.zun_bulk.claim_batch):
            self._go_on()
            part = planned[start : start + CONF.zun_bulk.claim_batch]
            self._noted[bulk.id] = None
            try:
                self._placement_api().claim(
                    {
                        member.container_uuid: found[name].allocations
                        for member, name in part
                    },
                    bulk.project_id,
                    bulk.user_id,
                )
            except placement.Full as error:
                LOG.info(
                    'Bulk %(bulk)s: the room was taken by others '
                    'first: %(error)s',
                    {'bulk': bulk.uuid, 'error': error},
                )
                return members[start:]
            claimed += [
                (member, name, found[name].limits) for member, name in part
            ]
        return []

    def _release_unnoted(self, bulk, epoch, members):
        """Release what was claimed for members and not noted.

        By an earlier owner of the bulk, or before something went wrong. It
        would take the room from the very members that it is for.

        :returns: whether there was any.
        """
        if self._noted.get(bulk.id, FIRST_EPOCH) == epoch:
            return False
        freed = self._release_claims([m.container_uuid for m in members])
        self._noted[bulk.id] = epoch
        return freed

    def _survey(self, bulk, member, claimed=()):
        """Look at all hosts for a bulk.

        :param claimed: what has a claim that is not noted yet.
        """
        container = objects.Container.get_by_uuid(
            self._context, member.container_uuid
        )
        taken = collections.Counter(host for _member, host, _ in claimed)
        for host, states in db.count_by_host(bulk.id).items():
            taken[host] += sum(
                number
                for state, number in states.items()
                if state not in (MemberState.CANCELLED, MemberState.DELETED)
            )
        return hosts.survey(
            self._context, container, bulk.spec, self._placement_api(), taken
        )

    def _fail(self, bulk, members, reason, reason_class):
        self._fail_each(bulk, {reason: members}, reason_class)

    def _fail_each(self, bulk, failures, reason_class):
        """:param failures: {reason: [Member]}."""
        gone = []
        for reason, members in failures.items():
            failed = db.move_members(
                members,
                MemberState.FAILED,
                reason=reason,
                reason_class=reason_class,
                # Its claim goes, so that a retry looks for a host again.
                host=None,
                finished_at=timeutils.utcnow(),
            )
            uuids = [member.container_uuid for member in failed]
            zun_rows.fail_containers(uuids, reason)
            gone += uuids
        with contextlib.suppress(volumes.Busy):
            self._release(bulk, gone)

    def _finish(self, bulk, epoch):
        counts = db.count_members([bulk.id])[bulk.id]
        if (
            sum(counts.get(state, 0) for state in MemberState.FINAL)
            < bulk.count
        ):
            return
        unbound = self._floating_ips.settle(bulk, epoch)
        if unbound is None:
            return
        failed = counts.get(MemberState.FAILED, 0)
        cancelled = counts.get(MemberState.CANCELLED, 0)
        status = BulkStatus.READY
        if cancelled or bulk.status == BulkStatus.CANCELLING:
            status = BulkStatus.CANCELLED
        elif failed or unbound:
            status = BulkStatus.ERROR
        reasons = [
            '%d of %d members %s' % (number, bulk.count, what)
            for number, what in (
                (failed, 'failed'),
                (cancelled, 'were cancelled'),
                (unbound, 'have no floating IP'),
            )
            if number
        ]
        reason = ', '.join(reasons) or None
        if db.set_bulk_status(
            bulk.id, epoch, bulk.status, status, reason=reason, finished=True
        ):
            LOG.info(
                'Bulk %(bulk)s is finished: %(counts)s',
                {'bulk': bulk.uuid, 'counts': dict(counts)},
            )
            notifications.send(
                'end',
                bulk,
                status=status,
                status_reason=reason,
                members={
                    state: counts.get(state, 0) for state in MemberState.ALL
                },
            )
        db_leases.release_lease(bulk.id, epoch)

    # -------------------------------------------------------- cancelling

    def _cancel(self, bulk, epoch):
        """Cancel what waits, now and after a failed start, and clear it."""
        if not db.cancel_members(bulk.id, epoch):
            raise LostLease()
        while True:
            self._go_on()
            members = db.list_cancelled_with_container(
                bulk.id, CONF.zun_bulk.claim_batch
            )
            if not members:
                break
            uuids = [member.container_uuid for member in members]
            self._release(bulk, uuids)
            # No host has anything of them, so none is to be asked.
            db.move_members(
                members, MemberState.CANCELLED, host=None, networks=None
            )
            # Last, as who comes after looks for what has a row.
            zun_rows.delete_containers(uuids)
        self._cancel_tried(bulk)

    def _cancel_tried(self, bulk):
        """Cancel what was tried before, once its host has cleared it."""
        self._delete_without_agent(bulk)
        cleared = [
            member
            for member in db.list_members_in(
                MemberState.DELETED, bulk_id=bulk.id
            )
            if not member.removed
        ]
        self._release(bulk, [member.container_uuid for member in cleared])
        db.move_members(
            cleared, MemberState.CANCELLED, host=None, networks=None
        )
        self._wake_hosts(
            {
                member.host
                for member in db.list_members_in(
                    MemberState.DELETING, bulk_id=bulk.id
                )
            }
        )

    # ----------------------------------------------------- scaling down

    def _remove(self, bulk, epoch):
        """Forget what was scaled away, once hosts are done with it.

        :returns: whether there is nothing left of it.
        """
        if not db.list_removed(bulk.id, limit=1):
            return True
        for host in self._without_agent():
            for members in self._removed(bulk, MemberState.DELETING, host):
                self._delete_rows(bulk, members)
        # Those that have a floating IP still come later.
        for members in self._removed(bulk, MemberState.DELETED):
            self._release(bulk, [member.container_uuid for member in members])
            if not db.forget_members(bulk.id, epoch, members):
                raise LostLease()
        return not db.list_removed(bulk.id, limit=1)

    def _removed(self, bulk, state, host=None):
        """Yield what was scaled away, some at a time, until none is left."""
        while True:
            self._go_on()
            members = db.list_removed(
                bulk.id,
                (state,),
                CONF.zun_bulk.claim_batch,
                host,
                with_floating_ip=state != MemberState.DELETED,
            )
            if not members:
                return
            yield members

    # ---------------------------------------------------------- deleting

    def _without_agent(self):
        """Hosts whose members nobody else deletes; '' is that of no host.

        One that an operator has forced down has nothing any more.
        """
        return '', *[host for host, forced in self._down().items() if forced]

    def _delete_without_agent(self, bulk):
        """Delete the members of a bulk that no host deletes."""
        for host in self._without_agent():
            members = db.list_members_in(
                MemberState.DELETING, bulk_id=bulk.id, host=host
            )
            if members:
                self._delete_rows(bulk, members)

    def _delete_rows(self, bulk, members):
        uuids = [member.container_uuid for member in members]
        self._detach_given(bulk, members)
        self._release(bulk, uuids)
        zun_rows.delete_containers(uuids)
        db.move_members(members, MemberState.DELETED)

    def _delete(self, bulk, epoch):
        """Remove what no host has; once the hosts are done, the rest."""
        self._delete_without_agent(bulk)
        waiting = db.count_by_host(bulk.id, with_removed=True)
        busy = {
            host
            for host, states in waiting.items()
            if states.get(MemberState.DELETING)
        }
        if busy:
            self._wake_hosts(busy)
            return
        if db_floating_ips.count_floating_ips(bulk.id, with_removed=True):
            return
        self._release_room(
            bulk,
            [
                member.container_uuid
                for member in db.list_members(bulk.id, with_removed=True)
            ],
        )
        # Also of members that are forgotten: nobody looks for them any more.
        self._sweep_volumes(bulk, None)
        if bulk.spec.get('trust_id'):
            trusts.delete(bulk.spec['trust_id'])
        # Before the last transaction, which should not be a large one.
        db_history.trim_events(bulk.id, 0)
        if db.destroy_bulk(bulk.id, epoch):
            LOG.info('Bulk %s is deleted', bulk.uuid)
            notifications.send('deleted', bulk)

    def _release(self, bulk, uuids):
        """Delete what ports, claims and volumes containers may have left.

        :raises: volumes.Busy if volumes have to be tried again.
        """
        if not uuids:
            return
        self._release_room(bulk, uuids)
        self._sweep_volumes(bulk, set(uuids))

    def _release_room(self, bulk, uuids):
        """Delete what ports and claims containers may have left."""
        for start in range(0, len(uuids), CONF.zun_bulk.claim_batch):
            part = uuids[start : start + CONF.zun_bulk.claim_batch]
            swept = self._ports_api().sweep(bulk, part)
            if swept:
                LOG.info('Deleted %d ports that were left over', swept)
        self._release_claims(uuids)

    def _sweep_volumes(self, bulk, uuids):
        if mounts.made_for_any(bulk):
            swept = self._volumes_api().sweep(bulk, uuids)
            if swept:
                LOG.info('Deleted %d volumes that were left over', swept)

    def _release_claims(self, uuids):
        """:returns: whether there were any."""
        freed = self._placement_api().release(
            uuids,
            [
                node.rp_uuid
                for node in objects.ComputeNode.list(self._context)
                if node.rp_uuid
            ],
        )
        if freed:
            LOG.info('Released %d claims that were left over', freed)
        return bool(freed)

    # ------------------------------------------------------- connections

    def _wake_hosts(self, names):
        for name in names:
            try:
                rpc.wake_host(self._context, name)
            except Exception as error:
                LOG.warning(
                    'Could not wake host %(host)s, which will look '
                    'by itself: %(error)s',
                    {'host': name, 'error': error},
                )

    # Made at first use: Keystone need not answer when zun-compute starts.

    def _placement_api(self):
        if self._placement is None:
            self._placement = placement.Placement()
        return self._placement

    def _ports_api(self):
        if self._ports is None:
            self._ports = ports.Ports()
        return self._ports

    def _volumes_api(self):
        if self._volumes is None:
            self._volumes = volumes.Volumes()
        return self._volumes


def _tell_of_waiting(bulk, held):
    LOG.info(
        'Members of bulk %(bulk)s wait for %(hosts)s',
        {
            'bulk': bulk.uuid,
            'hosts': ', '.join(
                '%s (%s)' % pair for pair in sorted(held.items())
            ),
        },
    )


def _port_calls(bulk):
    """How many calls may make ports at a time.

    One costs Neutron the least, and leaves the machine to those who start
    what has its ports already. More are of use while hosts run dry.
    """
    most = CONF.zun_bulk.port_calls
    if most > 1:
        waiting = db.count_members([bulk.id])[bulk.id]
        if waiting.get(MemberState.PLACED, 0) >= CONF.zun_bulk.port_batch:
            return 1
    return most


def _ended(calls):
    """Wait until a call has ended, or for a second; return what has."""
    ended, _others = futures.wait(
        calls, LOOK_AGAIN, return_when=futures.FIRST_COMPLETED
    )
    return ended
