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

"""The floating IPs of members.

``floating_ip_state`` is None of a member that Neutron has no floating IP for.
It changes apart from the member's state, whose epoch is not touched: hosts
move members all the while.
"""

from oslo_utils import timeutils
import sqlalchemy as sa

from zun_bulk.consts import BulkStatus
from zun_bulk.consts import FloatingIpState
from zun_bulk.consts import MemberState
from zun_bulk.db import base
from zun_bulk.db import leases
from zun_bulk.db import members as db_members
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Member


def count_floating_ips(bulk_id, with_removed=False, states=MemberState.ALL):
    """Count members by the state of their floating IPs.

    :param with_removed: count those too that were scaled away.
    :param states: of the members to count.
    :returns: {FloatingIpState: number} of states that have members.
    """
    query = (
        sa.select(Member.floating_ip_state, sa.func.count())
        .where(
            Member.bulk_id == bulk_id,
            Member.floating_ip_state.is_not(None),
            Member.state.in_(states),
            sa.true() if with_removed else Member.removed.is_(False),
        )
        .group_by(Member.floating_ip_state)
    )
    with base.reader() as session:
        return {state: number for state, number in session.execute(query)}


def list_given_floating_ips(bulk_id):
    """:returns: {address} of floating IPs that users gave to its members."""
    query = sa.select(Member.wanted).where(
        Member.bulk_id == bulk_id,
        Member.wanted.is_not(None),
        Member.floating_ip_state.is_not(None),
    )
    with base.reader() as session:
        return {
            wanted.floating_ip
            for wanted in session.scalars(query)
            if wanted.floating_ip
        }


def bulks_with_floating_ips(bulk_ids):
    """:returns: [Bulk] of those that have members with a floating IP."""
    query = (
        sa.select(Bulk)
        .where(
            Bulk.id.in_(bulk_ids),
            sa.exists().where(
                Member.bulk_id == Bulk.id,
                Member.floating_ip_state.is_not(None),
            ),
        )
        .order_by(Bulk.id)
    )
    with base.reader() as session:
        return session.scalars(query).all()


def _waits_for_floating_ip(bulk_id, states=MemberState.WITH_PORTS):
    return sa.and_(
        Member.bulk_id == bulk_id,
        Member.floating_ip_state == FloatingIpState.WANTED,
        Member.state.in_(states),
    )


def _has_floating_ip_to_release(bulk_id):
    """What is on its way out, or has never come to run.

    What has run may run again, and keeps its floating IP as it does its port.
    """
    return sa.and_(
        Member.bulk_id == bulk_id,
        sa.or_(
            sa.and_(
                Member.state.in_(MemberState.UNWANTED),
                Member.floating_ip_state.is_not(None),
            ),
            sa.and_(
                Member.state == MemberState.FAILED,
                sa.func.coalesce(Member.reason_class, '') != 'application',
                Member.floating_ip.is_not(None),
            ),
        ),
    )


def list_floating_ips_to_bind(bulk_id, limit):
    """Members that have ports, and a floating IP to come, the oldest first."""
    query = sa.select(Member).where(_waits_for_floating_ip(bulk_id))
    return db_members.oldest_members(query, limit=limit)


def list_floating_ips_to_release(bulk_id, limit):
    """Members that are not to have their floating IPs any more."""
    query = sa.select(Member).where(_has_floating_ip_to_release(bulk_id))
    return db_members.oldest_members(query, limit=limit)


def has_pending_floating_ips(bulk_id):
    """Whether a bulk is not finished for the sake of floating IPs."""
    query = sa.select(Member.id).where(
        sa.or_(
            _waits_for_floating_ip(bulk_id),
            _has_floating_ip_to_release(bulk_id),
        )
    )
    with base.reader() as session:
        return session.scalar(query.limit(1)) is not None


def wants_floating_ip(member, epoch):
    """Whether a conductor is still to bind a floating IP to a member.

    :param epoch: of the conductor's lease.
    """
    query = sa.select(Member.id).where(
        Member.id == member.id,
        _waits_for_floating_ip(member.bulk_id),
        sa.exists().where(
            Bulk.id == member.bulk_id,
            Bulk.epoch == epoch,
            Bulk.status == BulkStatus.BUILDING,
        ),
    )
    with base.reader() as session:
        return session.scalar(query) is not None


def is_floating_ip_cleared(member):
    """Whether nobody will look for a floating IP of a member any more."""
    query = sa.select(Member.id).where(
        Member.id == member.id, Member.floating_ip_state.is_not(None)
    )
    with base.reader() as session:
        return session.scalar(query) is None


@base.retry
def set_floating_ip(member, epoch, state, address=None, reason=None):
    """Write what came of the floating IP that a member wanted, as conductor.

    Also of one that is on its way out meanwhile, so that it is released.

    :returns: whether it did.
    """
    with base.writer() as session:
        return leases.fence(session, member.bulk_id, epoch) and bool(
            session.execute(
                base.update(Member)
                .where(
                    Member.id == member.id,
                    Member.floating_ip_state == FloatingIpState.WANTED,
                )
                .values(
                    floating_ip_state=state,
                    floating_ip=address,
                    floating_ip_reason=reason,
                    updated_at=timeutils.utcnow(),
                )
            ).rowcount
        )


@base.retry
def mark_floating_ips_wanted(bulk_id, epoch, members):
    """Have failed members want floating IPs once they are retried.

    It comes before the release, so that one that is retried meanwhile is
    looked at anew. Their addresses stay until they are released.

    :param members: Members, some hundred at most.
    :returns: the members that are failed still.
    """
    with base.writer() as session:
        if not leases.fence(session, bulk_id, epoch):
            return []
        failed = sa.and_(
            Member.id.in_([member.id for member in members]),
            Member.state == MemberState.FAILED,
        )
        # It locks them, so that what is read is what was changed.
        session.execute(
            base.update(Member)
            .where(failed)
            .values(
                floating_ip_state=FloatingIpState.WANTED,
                updated_at=timeutils.utcnow(),
            )
        )
        still = set(session.scalars(sa.select(Member.id).where(failed)))
        return [member for member in members if member.id in still]


@base.retry
def clear_floating_ips(bulk_id, epoch, members):
    """Note that members have no floating IPs any more, as conductor.

    :param members: Members, some hundred at most.
    """
    with base.writer() as session:
        if not leases.fence(session, bulk_id, epoch):
            return
        session.execute(
            base.update(Member)
            .where(
                Member.id.in_([member.id for member in members]),
                Member.state.in_((*MemberState.UNWANTED, MemberState.FAILED)),
            )
            .values(
                floating_ip_state=sa.case(
                    (
                        Member.state == MemberState.FAILED,
                        FloatingIpState.WANTED,
                    ),
                    else_=None,
                ),
                floating_ip=None,
                floating_ip_reason=None,
                updated_at=timeutils.utcnow(),
            )
        )


@base.retry
def fail_floating_ips(bulk_id, epoch, reason, states=MemberState.WITH_PORTS):
    """Fail the floating IPs that members have not got, as conductor.

    :param states: of the members.
    """
    with base.writer() as session:
        if leases.fence(session, bulk_id, epoch):
            session.execute(
                base.update(Member)
                .where(_waits_for_floating_ip(bulk_id, states))
                .values(
                    floating_ip_state=FloatingIpState.FAILED,
                    floating_ip_reason=reason,
                    updated_at=timeutils.utcnow(),
                )
            )
