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

``floating_ip_state`` is None if Neutron has no floating IP for the member. It
changes independently of the member's state and leaves the epoch alone, because
hosts change states at the same time.
"""

from oslo_utils import timeutils
import sqlalchemy as sa

from zun_bulk.db import base
from zun_bulk.db import leases
from zun_bulk.db import members as db_members
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Member
from zun_bulk.states import BulkStatus
from zun_bulk.states import FloatingIpState
from zun_bulk.states import MemberState


def count_floating_ips(bulk_id, with_removed=False, states=MemberState.ALL):
    """Count members by the state of their floating IPs.

    :param with_removed: also count members that were scaled away.
    :param states: states of the members to count.
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
    """Return the floating IPs that the user gave to a bulk's members.

    :returns: {address}.
    """
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
    """Return those of the bulks that have members with a floating IP.

    :returns: [Bulk], ordered by id.
    """
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
    """Match members that are being deleted or never ran.

    A member that has run may run again, and keeps its floating IP and port.
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
    """List members that have ports and wait for a floating IP, by id."""
    query = sa.select(Member).where(_waits_for_floating_ip(bulk_id))
    return db_members.oldest_members(query, limit=limit)


def list_floating_ips_to_release(bulk_id, limit):
    """List members whose floating IPs are to be released, by id."""
    query = sa.select(Member).where(_has_floating_ip_to_release(bulk_id))
    return db_members.oldest_members(query, limit=limit)


def has_pending_floating_ips(bulk_id):
    """Return whether a bulk has floating IPs to bind or release."""
    query = sa.select(Member.id).where(
        sa.or_(
            _waits_for_floating_ip(bulk_id),
            _has_floating_ip_to_release(bulk_id),
        )
    )
    with base.reader() as session:
        return session.scalar(query.limit(1)) is not None


def wants_floating_ip(member, epoch):
    """Return whether a conductor must still bind a member's floating IP.

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
    """Return whether a member has no floating IP state any more."""
    query = sa.select(Member.id).where(
        Member.id == member.id, Member.floating_ip_state.is_not(None)
    )
    with base.reader() as session:
        return session.scalar(query) is None


@base.retry
def set_floating_ip(member, epoch, state, address=None, reason=None):
    """Write the result of binding a member's floating IP, as conductor.

    It is also written if the member is being deleted by then, so that the
    floating IP is released.

    :param epoch: of the conductor's lease.
    :param state: a FloatingIpState.
    :returns: whether it was written.
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
    """Set failed members' floating IPs to wanted, for a later retry.

    This comes before the release, so that a member that is retried during the
    release is handled again. The addresses stay until they are released.

    :param epoch: of the conductor's lease.
    :param members: Members, a few hundred at most.
    :returns: the members that are still failed.
    """
    with base.writer() as session:
        if not leases.fence(session, bulk_id, epoch):
            return []
        failed = sa.and_(
            Member.id.in_([member.id for member in members]),
            Member.state == MemberState.FAILED,
        )
        # The update locks the rows, so that the changed ones are read.
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
    """Clear members' released floating IPs, as conductor.

    :param members: Members, a few hundred at most.
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
    """Set the floating IPs that members wait for to failed, as conductor.

    :param reason: why they failed.
    :param states: states of the members.
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
