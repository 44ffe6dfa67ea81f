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

"""Choose hosts for the members of a bulk, and claim resources there."""

import collections

from oslo_log import log as logging
from zun import objects

from zun_bulk import disclosure
from zun_bulk.conductor import leases
from zun_bulk.conf import CONF
from zun_bulk.consts import ReasonClass
from zun_bulk.db import counts as db_counts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.scheduler import hosts
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import planner
from zun_bulk.states import MemberState


LOG = logging.getLogger(__name__)

#: The reason in the history of a member that leaves its host.
HOST_DOWN = 'its host is down, and it moves to another one'
NO_ROOM = 'There are not enough hosts available: %s'
TOO_SLOW = 'other claims took the remaining room first'
#: How often a bulk is planned again after other claims took the room first.
PLAN_ATTEMPTS = 10
#: The epoch of a bulk that has had one conductor only.
FIRST_EPOCH = 1


class Claiming:
    """Gives members their hosts.

    Callers hold the lease of the bulk.
    """

    def __init__(self, services, clearing):
        """Set up without any call.

        :param services: the conductor's Services.
        :param clearing: the conductor's Clearing.
        """
        self._services = services
        self._clearing = clearing
        #: {bulk id: epoch under which all its claims are in the database}.
        self._noted = {}

    def retain_only(self, bulk_ids):
        """Forget all other bulks, which have no work left."""
        for bulk_id in set(self._noted) - set(bulk_ids):
            del self._noted[bulk_id]

    def claim(self, bulk, epoch, members):
        """Find hosts for members that have none, and claim there.

        For all of them or none, unless the bulk allows a part. Hosts are
        written to the database, and members placed, only once all members
        have a claim. Members that fit only on held hosts stay queued.
        """
        try:
            self._claim_or_fail(bulk, epoch, members)
        finally:
            self._clearing.release_unwanted(bulk, members)

    def _claim_or_fail(self, bulk, epoch, members):
        policy = bulk.placement['policy']
        claimed = []
        reason = TOO_SLOW
        for _attempt in range(PLAN_ATTEMPTS):
            members = self._clearing.fail_without_container(bulk, members)
            if not members:
                break
            survey = self.survey(bulk, members[0], claimed)
            plan = planner.plan(len(members), survey.rooms, policy)
            later = (
                planner.plan(len(members), survey.rooms_later, policy)
                if survey.held
                else plan
            )
            if later.missing:
                if self._release_unnoted(bulk, epoch, members):
                    continue
                reason = disclosure.mark(later.explain(), later.summary())
                if not bulk.placement.get('allow_partial'):
                    break
            waiting = plan.missing - later.missing
            if waiting:
                _log_waiting(bulk, survey.held)
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
        if (
            claimed
            and db_transitions.claim_members(bulk.id, epoch, claimed) is None
        ):
            raise leases.LostLease()
        if members:
            self._clearing.fail(
                bulk, members, NO_ROOM % reason, ReasonClass.CAPACITY
            )
        self._noted[bulk.id] = epoch

    def _claim_planned(self, bulk, members, names, found, claimed):
        """Claim in batches, each of them for all of its members or none.

        :param names: the host of each member.
        :param found: {host name: Host}.
        :param claimed: [(member, host name, limits)]; new claims are added.
        :returns: the members whose room other claims took first.
        """
        planned = list(zip(members, names, strict=True))
        for start in range(0, len(planned), CONF.zun_bulk.claim_batch):
            self._services.check_stopping()
            part = planned[start : start + CONF.zun_bulk.claim_batch]
            self._noted[bulk.id] = None
            try:
                self._services.placement().claim(
                    {
                        member.container_uuid: found[name].allocations
                        for member, name in part
                    },
                    bulk.project_id,
                    bulk.user_id,
                )
            except placement.Full as error:
                LOG.info(
                    'Bulk %(bulk)s: other claims took the room first; '
                    'planning it again: %(error)s',
                    {'bulk': bulk.uuid, 'error': error},
                )
                return members[start:]
            claimed += [
                (member, name, found[name].limits) for member, name in part
            ]
        return []

    def _release_unnoted(self, bulk, epoch, members):
        """Release claims for members that are not in the database.

        An earlier conductor made them, or an error came in between. They
        would take the room from the very members they were made for.

        :returns: whether there were any.
        """
        if self._noted.get(bulk.id, FIRST_EPOCH) == epoch:
            return False
        freed = self._clearing.release_claims(
            [m.container_uuid for m in members]
        )
        self._noted[bulk.id] = epoch
        return freed

    def survey(self, bulk, member, claimed=()):
        """Survey all hosts for a bulk.

        :param member: any member that still has its container.
        :param claimed: [(member, host name, limits)] not yet in the database.
        :returns: a hosts.Survey.
        """
        container = objects.Container.get_by_uuid(
            self._services.context, member.container_uuid
        )
        taken = collections.Counter(host for _member, host, _ in claimed)
        for host, states in db_counts.count_by_host(bulk.id).items():
            taken[host] += sum(
                number
                for state, number in states.items()
                if state not in (MemberState.CANCELLED, MemberState.DELETED)
            )
        return hosts.survey(
            self._services.context,
            container,
            bulk.spec,
            self._services.placement(),
            taken,
        )

    def requeue_from_down_hosts(self, bulk, epoch):
        """Queue members placed on hosts that are down, if others have room.

        The host can no longer start them, as that is a compare-and-set too.
        Members that it has begun to start stay, as they may be in its Docker,
        unless an operator has forced the host down.
        """
        for host, forced in self._services.hosts_down().items():
            members = db_members.list_members_by_state(
                MemberState.PLACED, bulk_id=bulk.id, host=host
            )
            if forced:
                members += db_members.list_members_by_state(
                    MemberState.STARTING, bulk_id=bulk.id, host=host
                )
            else:
                members = [
                    member
                    for member in members
                    if not member.attempt and not member.reason
                ]
            members = self._clearing.fail_without_container(bulk, members)
            if not members:
                continue
            survey = self.survey(bulk, members[0])
            room = sum(other.room for other in survey.hosts.values())
            if forced:
                self._clearing.detach_given(bulk, members[:room])
            taken = db_transitions.move_members(
                members[:room],
                MemberState.QUEUED,
                only_if=db_leases.lease_condition(bulk.id, epoch),
                event_values={'host': host, 'reason': HOST_DOWN},
                host=None,
            )
            uuids = [member.container_uuid for member in taken]
            zun_rows.reset_containers(uuids)
            zun_rows.delete_mounts(uuids)
            if taken:
                LOG.warning(
                    '%(host)s is down; moving %(number)d members of bulk '
                    '%(bulk)s to other hosts',
                    {'host': host, 'number': len(taken), 'bulk': bulk.uuid},
                )


def _log_waiting(bulk, held):
    LOG.info(
        'Members of bulk %(bulk)s fit only on held hosts and wait: %(hosts)s',
        {
            'bulk': bulk.uuid,
            'hosts': ', '.join(
                '%s (%s)' % pair for pair in sorted(held.items())
            ),
        },
    )
