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

from concurrent import futures
import threading
import time

from oslo_log import log as logging
from oslo_utils import timeutils
from oslo_utils import uuidutils
from zun import objects
from zun.api import servicegroup
from zun.common import context as zun_context

from zun_bulk import notifications
from zun_bulk import rpc
from zun_bulk.conductor import planner
from zun_bulk.conf import CONF
from zun_bulk.db import api as db
from zun_bulk.db.models import BulkStatus
from zun_bulk.db.models import MemberState
from zun_bulk.host import throttle
from zun_bulk.network import ports
from zun_bulk.scheduler import hosts
from zun_bulk.scheduler import placement


LOG = logging.getLogger(__name__)

CONTAINER_GONE = (
    'the container was deleted outside its bulk before it was placed'
)
#: What the history of a member says that leaves its host.
HOST_DOWN = 'its host is down, and it goes to another one'
NO_ROOM = (
    'There are not enough hosts available: no host that passes the '
    'enabled filters has room left in Placement for this container.'
)
#: How often capacity that others took first is looked up anew.
PLAN_ATTEMPTS = 3
#: For how many members of a bulk the first ports are made, so that its hosts
#: need not wait for a whole ``port_batch``. The next ones are twice as many.
FIRST_PORTS = 4
#: Seconds after which it is looked whether the hosts have run dry.
LOOK_AGAIN = 1.0
#: Seconds between two looks at which bulks have too long a history.
TRIM_INTERVAL = 60.0
#: Seconds between two looks at which hosts are down.
DOWN_INTERVAL = 10.0
#: States of members that will never want a host again.
UNWANTED = (MemberState.CANCELLED, MemberState.DELETING, MemberState.DELETED)
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
        self._owner = owner
        self._lease_time = lease_time
        self._held = {}
        self._seen = {}

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
        free = bulk.lease_owner in (None, self._owner)
        if not free and not self._stands_still(bulk, now):
            return None
        epoch = db.take_lease(bulk, self._owner)
        if epoch is not None:
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
            if not db.renew_lease(bulk_id, epoch):
                self._held.pop(bulk_id, None)

    def release(self):
        """Let others take all that this conductor holds, at once."""
        db.release_leases(self._owner)
        self._held.clear()

    def forget_but(self, bulk_ids):
        """Forget all other bulks: there is no work in them any more."""
        for table in (self._held, self._seen):
            for bulk_id in set(table) - set(bulk_ids):
                del table[bulk_id]


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
        self._port_calls = throttle.Throttle(
            'port calls',
            throttle.new_pacer(
                'port calls',
                'Neutron',
                throttle.Settings('fixed', CONF.zun_bulk.port_calls, 0.0),
            ),
            elsewhere=True,
        )
        self._placement = None
        self._ports = None
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
        self._server = rpc.serve(rpc.CONDUCTOR_TOPIC, self.wake)

    def stop(self, timeout):
        """Begin nothing more, and let others go on with what is left.

        A call that does not come to its end in time is left as it is: what
        it writes afterwards is refused once another has taken the bulk.

        :param timeout: seconds to wait for what is under way.
        :returns: whether it has ended.
        """
        self._stopping.set()
        self.wake()
        planning = self._planning
        if planning is not None:
            # The leases are renewed meanwhile.
            planning.join(timeout)
        self._stopped.set()
        ended = planning is None or not planning.is_alive()
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

    def _run(self):
        while not self._stopping.is_set():
            try:
                self.look_after_bulks()
            except Stopping:
                return
            except Exception:
                LOG.exception('The conductor could not look for work')
            self._woken.wait(CONF.zun_bulk.poll_interval)
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
            except Exception:
                LOG.exception('The conductor could not trim histories')

    def trim_events(self):
        """Forget the oldest events of bulks that have too many.

        Of any bulk, for one that is finished has a history still. Whoever
        else does the same finds nothing left to do.
        """
        newest = db.newest_events(self._trimmed)
        for bulk_id in newest:
            db.trim_events(bulk_id, CONF.zun_bulk.max_events)
        self._trimmed = max(newest.values(), default=self._trimmed)

    def _go_on(self):
        """:raises: Stopping"""
        if self._stopping.is_set():
            raise Stopping()

    def look_after_bulks(self):
        """Do for each bulk what can be done now.

        :raises: Stopping
        """
        bulks = db.list_bulks_with_work()
        self._leases.forget_but([bulk.id for bulk in bulks])
        for bulk in bulks:
            self._go_on()
            epoch = self._leases.epoch(bulk, time.monotonic())
            if epoch is None:
                continue
            try:
                self._look_after(bulk, epoch)
            except Stopping:
                raise
            except LostLease:
                LOG.info('Bulk %s has passed to another conductor', bulk.uuid)
            except Exception:
                # It stays as it is in the database and is tried again.
                LOG.exception('Could not go on with bulk %s', bulk.uuid)

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
        for start in range(0, len(queued), CONF.zun_bulk.claim_batch):
            self._go_on()
            self._place(
                bulk,
                epoch,
                queued[start : start + CONF.zun_bulk.claim_batch],
                first_ports=FIRST_PORTS if start == 0 else None,
            )

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
            passing = self._passing_hosts(bulk, members[0])
            room = sum(other.room for other in passing.values())
            taken = db.move_members(
                members[:room],
                MemberState.QUEUED,
                only_if=db.is_held(bulk.id, epoch),
                told={'host': host, 'reason': HOST_DOWN},
                host=None,
            )
            db.reset_containers([member.container_uuid for member in taken])
            if taken:
                LOG.warning(
                    '%(host)s is down: %(number)d members of bulk %(bulk)s '
                    'go to other hosts',
                    {'host': host, 'number': len(taken), 'bulk': bulk.uuid},
                )

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

    def _place(self, bulk, epoch, members, first_ports=None):
        """Choose hosts for queued members, claim, make ports, hand over.

        :param first_ports: for how many members the first ports are made, if
            not for ``port_batch``.
        """
        members = self._with_container(bulk, members)
        if not members:
            return
        try:
            self._place_some(bulk, epoch, members, first_ports)
        finally:
            self._release_unwanted(bulk, members)

    def _place_some(self, bulk, epoch, members, first_ports):
        chosen, left = self._claim(bulk, members)
        if left:
            self._fail(bulk, left, NO_ROOM, 'capacity')
        known = self._ports_api().find(
            [member.container_uuid for member, _host in chosen]
        )
        defaults = self._ports_api().defaults(bulk)
        parts = _parts(chosen, CONF.zun_bulk.port_batch, first_ports)
        with futures.ThreadPoolExecutor(CONF.zun_bulk.port_calls) as pool:
            calls = set()
            for part in parts:
                while len(calls) >= _port_calls(bulk):
                    calls = _some_ended(calls)
                calls.add(
                    pool.submit(
                        self._hand_over, bulk, epoch, part, known, defaults
                    )
                )
            while calls:
                calls = _some_ended(calls)

    def _release_unwanted(self, bulk, members):
        """Clear what was made for members that are on their way out.

        Who took the bulk meanwhile may have cleared them before it was made.
        """
        states = {
            member.container_uuid: member.state
            for member in db.list_members_of(
                [member.container_uuid for member in members]
            )
        }
        self._release(
            bulk,
            [
                member.container_uuid
                for member in members
                if states.get(member.container_uuid, MemberState.DELETED)
                in UNWANTED
            ],
        )

    def _with_container(self, bulk, members):
        """Fail the members whose container was deleted outside the bulk.

        :returns: the others.
        """
        rows = db.container_states([m.container_uuid for m in members])
        gone = [m for m in members if m.container_uuid not in rows]
        if gone:
            self._fail(bulk, gone, CONTAINER_GONE, 'deleted')
        return [m for m in members if m.container_uuid in rows]

    def _hand_over(self, bulk, epoch, chosen, known, defaults):
        """Make the ports of claimed members and give them to their hosts."""
        self._go_on()
        placements = [(member, host.name) for member, host in chosen]
        try:
            with self._port_calls.slot(placements[0][0].container_uuid):
                networks = self._ports_api().ensure(
                    bulk, placements, known, defaults
                )
        except ports.Refused as error:
            self._fail(
                bulk,
                [member for member, _host in chosen],
                str(error),
                'network',
            )
            return
        placed = db.place_members(
            bulk.id,
            epoch,
            [
                (member, host.name, networks[member.id], host.limits)
                for member, host in chosen
            ],
        )
        if placed is None:
            raise LostLease()
        self._wake_hosts({host.name for _member, host in chosen})

    def _claim(self, bulk, members):
        """Claim in Placement for as many members as there is room for.

        :returns: [(member, Host)], [members without room].
        """
        taken = {
            host: sum(states.values())
            for host, states in db.count_by_host(bulk.id).items()
        }
        for _attempt in range(PLAN_ATTEMPTS):
            found = self._passing_hosts(bulk, members[0])
            names = planner.spread(
                len(members),
                {name: host.room for name, host in found.items()},
                taken,
            )
            chosen = [
                (member, found[name])
                for member, name in zip(members, names, strict=False)
            ]
            if not chosen:
                break
            try:
                self._placement_api().claim(
                    {
                        member.container_uuid: host.allocations
                        for member, host in chosen
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
                continue
            return chosen, members[len(chosen) :]
        return [], members

    def _passing_hosts(self, bulk, member):
        container = objects.Container.get_by_uuid(
            self._context, member.container_uuid
        )
        return hosts.passing(
            self._context, container, bulk.spec, self._placement_api()
        )

    def _fail(self, bulk, members, reason, reason_class):
        failed = db.move_members(
            members,
            MemberState.FAILED,
            reason=reason,
            reason_class=reason_class,
            finished_at=timeutils.utcnow(),
        )
        gone = [member.container_uuid for member in failed]
        db.fail_containers(gone, reason)
        self._release(bulk, gone)

    def _finish(self, bulk, epoch):
        counts = db.count_members([bulk.id])[bulk.id]
        if (
            sum(counts.get(state, 0) for state in MemberState.FINAL)
            < bulk.count
        ):
            return
        failed = counts.get(MemberState.FAILED, 0)
        cancelled = counts.get(MemberState.CANCELLED, 0)
        status = BulkStatus.READY
        if cancelled or bulk.status == BulkStatus.CANCELLING:
            status = BulkStatus.CANCELLED
        elif failed:
            status = BulkStatus.ERROR
        reasons = [
            '%d of %d members %s' % (number, bulk.count, what)
            for number, what in (
                (failed, 'failed'),
                (cancelled, 'were cancelled'),
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
        db.release_lease(bulk.id, epoch)

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
            db.delete_containers(uuids)
        self._cancel_tried(bulk)

    def _cancel_tried(self, bulk):
        """Cancel what was tried before, once its host has cleared it."""
        for host in self._without_agent():
            members = db.list_members_in(
                MemberState.DELETING, bulk_id=bulk.id, host=host
            )
            if members:
                self._delete_rows(bulk, members)
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
                bulk.id, (state,), CONF.zun_bulk.claim_batch, host
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

    def _delete_rows(self, bulk, members):
        uuids = [member.container_uuid for member in members]
        self._release(bulk, uuids)
        db.delete_containers(uuids)
        db.move_members(members, MemberState.DELETED)

    def _delete(self, bulk, epoch):
        """Remove what no host has; once the hosts are done, the rest."""
        for host in self._without_agent():
            members = db.list_members_in(
                MemberState.DELETING, bulk_id=bulk.id, host=host
            )
            if members:
                self._delete_rows(bulk, members)
        waiting = db.count_by_host(bulk.id, with_removed=True)
        busy = {
            host
            for host, states in waiting.items()
            if states.get(MemberState.DELETING)
        }
        if busy:
            self._wake_hosts(busy)
            return
        self._release(
            bulk,
            [
                member.container_uuid
                for member in db.list_members(bulk.id, with_removed=True)
            ],
        )
        # Before the last transaction, which should not be a large one.
        db.trim_events(bulk.id, 0)
        if db.destroy_bulk(bulk.id, epoch):
            LOG.info('Bulk %s is deleted', bulk.uuid)
            notifications.send('deleted', bulk)

    def _release(self, bulk, uuids):
        """Delete the ports and claims that containers may have left."""
        if not uuids:
            return
        providers = [
            node.rp_uuid
            for node in objects.ComputeNode.list(self._context)
            if node.rp_uuid
        ]
        for start in range(0, len(uuids), CONF.zun_bulk.claim_batch):
            part = uuids[start : start + CONF.zun_bulk.claim_batch]
            swept = self._ports_api().sweep(bulk, part)
            if swept:
                LOG.info('Deleted %d ports that were left over', swept)
        freed = self._placement_api().release(uuids, providers)
        if freed:
            LOG.info('Released %d claims that were left over', freed)

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


def _some_ended(calls):
    """Wait until a call has ended, or for a second; return the others.

    :raises: what the calls that ended have raised.
    """
    ended, others = futures.wait(
        calls, LOOK_AGAIN, return_when=futures.FIRST_COMPLETED
    )
    for call in ended:
        call.result()
    return others


def _parts(items, size, first=None):
    """Cut a list into parts of ``size``, or from ``first`` on up to it."""
    part = min(first or size, size)
    parts = []
    while items:
        parts.append(items[:part])
        items = items[part:]
        part = min(2 * part, size)
    return parts
