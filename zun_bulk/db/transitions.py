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

"""Changes of members' states.

A change of state is an UPDATE that requires the state and the epoch that were
read, and checks the number of changed rows: of two writers, the second changes
nothing. No row is changed in memory and written back.
"""

import collections

from oslo_utils import timeutils
import sqlalchemy as sa

from zun_bulk.db import base
from zun_bulk.db import history
from zun_bulk.db import leases
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Member
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


def host_to_delete_from():
    """Return the host of deleted members, as an SQL expression.

    None for members that are only claimed: no host has to delete them.
    """
    return sa.case((Member.placed_at.is_(None), None), else_=Member.host)


@base.retry
def remove_members(bulk_id, epoch, members):
    """Remove deleted members that were scaled away, as conductor.

    :returns: False if the conductor has lost the lease.
    """
    with base.writer() as session:
        if not leases.fence(session, bulk_id, epoch):
            return False
        session.execute(
            sa.delete(Member).where(
                Member.id.in_([member.id for member in members]),
                Member.state == MemberState.DELETED,
                Member.removed.is_(True),
                Member.floating_ip_state.is_(None),
            )
        )
        return True


@base.retry
def cancel_members(bulk_id, epoch):
    """Cancel the members that wait for their start, as conductor.

    An earlier attempt may have left a container in Docker, which a cancelled
    member must not have. So such members are deleted first.

    :returns: False if the conductor has lost the lease.
    """
    now = timeutils.utcnow()
    with base.writer() as session:
        if not leases.fence(session, bulk_id, epoch):
            return False
        # Locked, so that exactly the members that change are recorded.
        waiting = session.scalars(
            sa.select(Member.id)
            .where(
                Member.bulk_id == bulk_id,
                Member.state.in_(MemberState.WAITING),
            )
            .order_by(Member.id)
            .with_for_update()
        ).all()
        for part in base.parts(waiting):
            session.execute(
                base.update(Member)
                .where(Member.id.in_(part))
                .values(
                    state=sa.case(
                        (
                            sa.or_(
                                Member.host.is_(None),
                                sa.and_(
                                    Member.attempt == 0,
                                    Member.reason.is_(None),
                                ),
                            ),
                            MemberState.CANCELLED,
                        ),
                        else_=MemberState.DELETING,
                    ),
                    epoch=Member.epoch + 1,
                    finished_at=now,
                    updated_at=now,
                )
            )
            history.record_members(session, part, now)
        return True


def claim_members(bulk_id, epoch, claims):
    """Record on which hosts queued members have claims, as conductor.

    :param claims: [(Member, host, limits)].
    :returns: as ``place_members``.
    """
    return _set_members(
        bulk_id,
        epoch,
        MemberState.QUEUED,
        [
            (member, {'host': host, 'limits': limits})
            for member, host, limits in claims
        ],
        placed_at=None,
    )


def record_volumes(bulk_id, epoch, volumes):
    """Record the volumes of queued members, as conductor.

    :param volumes: [(Member, its ``volumes``)]; the Members that change are
        updated in place.
    :returns: as ``place_members``.
    """
    recorded = _set_members(
        bulk_id,
        epoch,
        MemberState.QUEUED,
        [(member, {'volumes': value}) for member, value in volumes],
    )
    for member, value in volumes:
        if recorded and member.id in recorded:
            member.volumes = value
            member.epoch += 1
    return recorded


def place_members(bulk_id, epoch, placements):
    """Set claimed members to placed, as conductor.

    :param placements: [(Member, networks)].
    :returns: ids of the members that changed: those that still had the state
        and epoch of the Member. None if the conductor has lost the lease;
        nothing is changed then.
    """
    return _set_members(
        bulk_id,
        epoch,
        MemberState.PLACED,
        [(member, {'networks': networks}) for member, networks in placements],
        placed_at=timeutils.utcnow(),
    )


@base.retry
def _set_members(bulk_id, epoch, state, changes, **values):
    """Set columns of members, with separate values for each member.

    :param changes: [(Member, {column: value})], the same columns for all.
    :param values: further columns, the same for all.
    """
    now = timeutils.utcnow()
    with base.writer() as session:
        if not leases.fence(session, bulk_id, epoch):
            return None
        if sum(
            _set(session, state, part, now, values)
            for part in base.parts(changes)
        ) == len(changes):
            return [member.id for member, _columns in changes]
        # The count does not show which rows: repeat one by one.
        session.rollback()
        if not leases.fence(session, bulk_id, epoch):
            return None
        return [
            change[0].id
            for change in changes
            if _set(session, state, [change], now, values)
        ]


def _set(session, state, changes, now, values):
    table = Member.__table__.c
    return _move(
        session,
        [member for member, _columns in changes],
        state,
        now,
        **values,
        **{
            name: sa.case(
                {
                    member.id: sa.literal(columns[name], table[name].type)
                    for member, columns in changes
                },
                value=table.id,
            )
            for name in changes[0][1]
        },
    )


def move_members(members, state, only_if=None, event_values=None, **values):
    """Set members to another state, each if it is unchanged since it was read.

    Changes of state are recorded in the history.

    :param members: Members as they were read; those that change are updated
        in place.
    :param only_if: a further condition, as an SQL expression.
    :param event_values: {column: value} of the recorded events, in place of
        the members' own values.
    :param values: further columns to set, the same for all.
    :returns: the members that changed.
    """
    now = timeutils.utcnow()
    changed = set()
    # Always in the order of ids: two writers must not deadlock.
    for part in base.parts(sorted(members, key=lambda member: member.id)):
        changed |= _move_part(
            part, state, now, only_if, event_values or {}, **values
        )
    moved = [member for member in members if member.id in changed]
    for member in moved:
        member.state = state
        member.epoch += 1
    return moved


def start_members(members):
    """Set placed members to starting, and count the attempt.

    Members of a bulk that is no longer building are left alone.

    :returns: the members that changed, updated in place.
    """
    moved = move_members(
        members,
        MemberState.STARTING,
        only_if=Member.__table__.c.bulk_id.in_(
            sa.select(Bulk.id).where(Bulk.status == BulkStatus.BUILDING)
        ),
        # The event of the failed attempt already has its reason.
        event_values={'reason': None},
        attempt=Member.attempt + 1,
        started_at=timeutils.utcnow(),
    )
    for member in moved:
        member.attempt += 1
    return moved


@base.retry
def _move_part(members, state, now, only_if, event_values, **values):
    # No savepoint: MariaDB drops it in a deadlock, and the error about the
    # missing savepoint would hide the deadlock from base.retry.
    with base.writer() as session:
        moved = members
        if _move(session, members, state, now, only_if, **values) != len(
            members
        ):
            # The count does not show which rows: repeat one by one.
            session.rollback()
            moved = [
                member
                for member in members
                if _move(session, [member], state, now, only_if, **values)
            ]
        if state != MemberState.DELETED:
            history.record_members(
                session,
                [member.id for member in moved if member.state != state],
                now,
                event_values,
            )
        return {member.id for member in moved}


def _move(session, members, state, now, only_if=None, **values):
    """Move the members that are unchanged since they were read.

    :returns: their number.
    """
    table = Member.__table__
    expected = collections.defaultdict(list)
    for member in members:
        MemberState.check(member.state, state)
        expected[member.state, member.epoch].append(member.id)
    return session.execute(
        sa.update(table)
        .where(
            sa.or_(
                *[
                    sa.and_(
                        table.c.id.in_(ids),
                        table.c.state == before,
                        table.c.epoch == epoch,
                    )
                    for (before, epoch), ids in expected.items()
                ]
            ),
            sa.true() if only_if is None else only_if,
        )
        .values(state=state, epoch=table.c.epoch + 1, updated_at=now, **values)
    ).rowcount
