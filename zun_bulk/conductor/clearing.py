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

"""Remove members, and what was made for them.

This covers ports, claims, volumes and rows of members that fail or are
cancelled, scaled away or deleted. Containers are deleted by their hosts'
agents.
"""

import contextlib

from oslo_log import log as logging
from oslo_utils import timeutils
from zun import objects

from zun_bulk import notifications
from zun_bulk.conductor import leases
from zun_bulk.conf import CONF
from zun_bulk.consts import ReasonClass
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db import history as db_history
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.states import MemberState
from zun_bulk.volume import mounts
from zun_bulk.volume import trusts
from zun_bulk.volume import volumes


LOG = logging.getLogger(__name__)

CONTAINER_GONE = (
    'the container was deleted outside its bulk before it was placed'
)


class Clearing:
    """Fails, cancels, removes and deletes members.

    Callers hold the lease of the bulk.
    """

    def __init__(self, services):
        """Set up without any call.

        :param services: the conductor's Services.
        """
        self._services = services

    # ----------------------------------------------------------- failing

    def fail_without_container(self, bulk, members):
        """Fail the members whose container was deleted outside the bulk.

        :returns: the other members.
        """
        rows = zun_rows.container_states([m.container_uuid for m in members])
        gone = [m for m in members if m.container_uuid not in rows]
        if gone:
            self.fail(bulk, gone, CONTAINER_GONE, ReasonClass.DELETED)
        return [m for m in members if m.container_uuid in rows]

    def fail(self, bulk, members, reason, reason_class):
        """Fail members for one reason, and release what they had."""
        self.fail_each(bulk, {reason: members}, reason_class)

    def fail_each(self, bulk, failures, reason_class):
        """Fail members for various reasons, and release what they had.

        :param failures: {reason: [Member]}.
        """
        gone = []
        for reason, members in failures.items():
            failed = db_transitions.move_members(
                members,
                MemberState.FAILED,
                reason=reason,
                reason_class=reason_class,
                # Its claim is released, so a retry has to find a host again.
                host=None,
                finished_at=timeutils.utcnow(),
            )
            uuids = [member.container_uuid for member in failed]
            zun_rows.fail_containers(uuids, reason)
            gone += uuids
        with contextlib.suppress(volumes.Busy):
            self.release(bulk, gone)

    # --------------------------------------------------------- releasing

    def release_unwanted(self, bulk, members):
        """Release what was made for members that have become unwanted.

        Another conductor that took the lease may have cleared them before it
        was made. Volumes that cannot be deleted yet are deleted with the bulk.
        """
        states = {
            member.container_uuid: member.state
            for member in db_members.list_members_by_container(
                [member.container_uuid for member in members]
            )
        }
        with contextlib.suppress(volumes.Busy):
            self.release(
                bulk,
                [
                    member.container_uuid
                    for member in members
                    if states.get(member.container_uuid, MemberState.DELETED)
                    in MemberState.UNWANTED
                ],
            )

    def release(self, bulk, uuids):
        """Delete the ports, claims and volumes left of containers.

        :raises: volumes.Busy if volumes have to be tried again.
        """
        if not uuids:
            return
        self._release_room(bulk, uuids)
        self._sweep_volumes(bulk, set(uuids))

    def _release_room(self, bulk, uuids):
        """Delete the ports and claims left of containers."""
        for start in range(0, len(uuids), CONF.zun_bulk.claim_batch):
            part = uuids[start : start + CONF.zun_bulk.claim_batch]
            swept = self._services.ports().sweep(bulk, part)
            if swept:
                LOG.info('Deleted %d leftover ports', swept)
        self.release_claims(uuids)

    def release_claims(self, uuids):
        """Release the claims of containers.

        :returns: whether there were any.
        """
        freed = self._services.placement().release(
            uuids,
            [
                node.rp_uuid
                for node in objects.ComputeNode.list(self._services.context)
                if node.rp_uuid
            ],
        )
        if freed:
            LOG.info('Released %d leftover claims', freed)
        return bool(freed)

    def _sweep_volumes(self, bulk, uuids):
        if mounts.made_for_any(bulk):
            swept = self._services.volumes().sweep(bulk, uuids)
            if swept:
                LOG.info('Deleted %d leftover volumes', swept)

    def detach_given(self, bulk, members):
        """Detach the users' own volumes from members of lost hosts."""
        members = [member for member in members if member.host]
        if any(mounts.given(bulk, member) for member in members):
            self._services.volumes().detach(bulk, members)

    # -------------------------------------------------------- cancelling

    def cancel(self, bulk, epoch):
        """Cancel members that have not started, and release what they had."""
        if not db_transitions.cancel_members(bulk.id, epoch):
            raise leases.LostLease()
        while True:
            self._services.check_stopping()
            members = db_members.list_cancelled_with_container(
                bulk.id, CONF.zun_bulk.claim_batch
            )
            if not members:
                break
            uuids = [member.container_uuid for member in members]
            self.release(bulk, uuids)
            # They never reached a host, so no agent has to act.
            db_transitions.move_members(
                members, MemberState.CANCELLED, host=None, networks=None
            )
            # Last: another conductor finds what is left to do by these rows.
            zun_rows.delete_containers(uuids)
        self._cancel_tried(bulk)

    def _cancel_tried(self, bulk):
        """Cancel members that were tried, once their hosts deleted them."""
        self._delete_without_agent(bulk)
        cleared = [
            member
            for member in db_members.list_members_by_state(
                MemberState.DELETED, bulk_id=bulk.id
            )
            if not member.removed
        ]
        self.release(bulk, [member.container_uuid for member in cleared])
        db_transitions.move_members(
            cleared, MemberState.CANCELLED, host=None, networks=None
        )
        self._services.wake_hosts(
            {
                member.host
                for member in db_members.list_members_by_state(
                    MemberState.DELETING, bulk_id=bulk.id
                )
            }
        )

    # ------------------------------------------------------ scaling down

    def remove(self, bulk, epoch):
        """Delete the rows of members scaled away, once hosts deleted them.

        :returns: whether none of them is left.
        """
        if not db_members.list_removed(bulk.id, limit=1):
            return True
        for host in self._without_agent():
            for members in self._removed(bulk, MemberState.DELETING, host):
                self._delete_rows(bulk, members)
        # Members that still have a floating IP follow later.
        for members in self._removed(bulk, MemberState.DELETED):
            self.release(bulk, [member.container_uuid for member in members])
            if not db_transitions.remove_members(bulk.id, epoch, members):
                raise leases.LostLease()
        return not db_members.list_removed(bulk.id, limit=1)

    def _removed(self, bulk, state, host=None):
        """Yield batches of members scaled away, until none is left."""
        while True:
            self._services.check_stopping()
            members = db_members.list_removed(
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
        """List the hosts whose members no agent deletes.

        These are hosts that an operator has forced down, as nothing is left
        on them, and '' for members without a host.
        """
        return '', *[
            host
            for host, forced in self._services.hosts_down().items()
            if forced
        ]

    def _delete_without_agent(self, bulk):
        """Delete the members of a bulk that no agent deletes."""
        for host in self._without_agent():
            members = db_members.list_members_by_state(
                MemberState.DELETING, bulk_id=bulk.id, host=host
            )
            if members:
                self._delete_rows(bulk, members)

    def _delete_rows(self, bulk, members):
        uuids = [member.container_uuid for member in members]
        self.detach_given(bulk, members)
        self.release(bulk, uuids)
        zun_rows.delete_containers(uuids)
        db_transitions.move_members(members, MemberState.DELETED)

    def delete(self, bulk, epoch):
        """Delete members without a host; after the agents, delete the bulk."""
        self._delete_without_agent(bulk)
        waiting = db_counts.count_by_host(bulk.id, with_removed=True)
        busy = {
            host
            for host, states in waiting.items()
            if states.get(MemberState.DELETING)
        }
        if busy:
            self._services.wake_hosts(busy)
            return
        if db_floating_ips.count_floating_ips(bulk.id, with_removed=True):
            return
        self._release_room(
            bulk,
            [
                member.container_uuid
                for member in db_members.list_members(
                    bulk.id, with_removed=True
                )
            ],
        )
        # Including those of members whose rows are gone.
        self._sweep_volumes(bulk, None)
        if bulk.spec.trust_id:
            trusts.delete(bulk.spec.trust_id)
        # Before the last transaction, to keep that one small.
        db_history.trim_events(bulk.id, 0)
        if db_bulks.destroy_bulk(bulk.id, epoch):
            LOG.info('Bulk %s is deleted', bulk.uuid)
            notifications.send('deleted', bulk)
