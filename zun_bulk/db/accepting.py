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

"""Accepting a bulk, or a change of its size, in one transaction."""

from oslo_utils import timeutils
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.consts import EventName
from zun_bulk.db import base
from zun_bulk.db import counts
from zun_bulk.db import history
from zun_bulk.db import quotas
from zun_bulk.db import transitions
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Member
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


def accept_bulk(bulk, members, containers, actions, check_usage=None):
    """Write a bulk with all its rows in one transaction.

    :param bulk: dict of Bulk columns.
    :param members: list of dicts of Member columns without bulk_id.
    :param containers: list of dicts of columns of Zun's container table, all
        with the same keys; an omitted column becomes NULL, even where
        Zun's own type would turn None into an empty list.
    :param actions: list of dicts of columns of Zun's container_actions;
        without them zun-compute leaves a container in Creating forever.
    :param check_usage: function that gets the usage of the project as
        ``quotas.usage`` returns it; an exception that it raises rolls the
        transaction back. Until the transaction ends, no other bulk of the
        project is accepted.
    :raises: DBDuplicateEntry if the project has a bulk with this
        client_token; nothing is written.
    """
    rows = (bulk, members, containers, actions)
    if not _accept_bulk(*rows, check_usage):
        quotas.add_project(bulk['project_id'])
        _accept_bulk(*rows, check_usage)


@base.retry
def _accept_bulk(bulk, members, containers, actions, check_usage):
    """Write a bulk with all its rows.

    :returns: False if the project has no row; nothing is written then.
    """
    now = timeutils.utcnow()
    with base.writer() as session:
        if check_usage and not quotas.lock_project(
            session, bulk['project_id'], now
        ):
            return False
        row = Bulk(created_at=now, **bulk)
        session.add(row)
        # Before the quota check: a repeated request must fail as a duplicate,
        # not because its first copy has used up the quota.
        session.flush()
        if check_usage:
            check_usage(quotas.usage_in(session, bulk['project_id']))
        _insert_members(session, row.id, now, members, containers, actions)
        history.record(
            session,
            row.id,
            EventName.ACCEPTED,
            history.number_of_members(bulk['count']),
        )
    return True


def _insert_members(session, bulk_id, now, members, containers, actions):
    # Core inserts: executemany, one statement for all rows.
    session.execute(sa.insert(zun_models.Container.__table__), containers)
    session.execute(sa.insert(zun_models.ContainerAction.__table__), actions)
    session.execute(
        sa.insert(Member.__table__),
        [dict(member, bulk_id=bulk_id, created_at=now) for member in members],
    )


def grow_bulk(
    bulk, last_index, members, containers, actions, check_usage=None
):
    """Add members to a bulk with all their rows in one transaction.

    A paused bulk stays paused. The failures so far no longer count towards
    pausing the bulk.

    :param bulk: the Bulk as it was read.
    :param last_index: the highest index of the new members.
    :param members: this and the following parameters are those of
        ``accept_bulk``.
    :returns: False if the bulk was scaled or ended after it was read; nothing
        is written then.
    """
    rows = (members, containers, actions)
    grown = _grow_bulk(bulk, last_index, *rows, check_usage)
    if grown is None:
        quotas.add_project(bulk.project_id)
        grown = _grow_bulk(bulk, last_index, *rows, check_usage)
    return bool(grown)


@base.retry
def _grow_bulk(bulk, last_index, members, containers, actions, check_usage):
    """Add members to a bulk with all their rows.

    :returns: None if the project has no row, False if the bulk was scaled or
        ended after it was read; nothing is written then.
    """
    now = timeutils.utcnow()
    with base.writer() as session:
        if check_usage and not quotas.lock_project(
            session, bulk.project_id, now
        ):
            return None
        if not _resize(session, bulk, len(members), last_index, now):
            # Undo the change of the project's row too.
            session.rollback()
            return False
        if check_usage:
            check_usage(quotas.usage_in(session, bulk.project_id))
        _insert_members(session, bulk.id, now, members, containers, actions)
        _reset_failure_allowance(session, bulk.id)
        _record_scaled(session, bulk, len(members))
        return True


@base.retry
def shrink_bulk(bulk, members):
    """Set members to deleting and uncount them, in one transaction.

    The rise of their epochs stops an agent that is about to start one. A
    paused bulk stays paused.

    :param bulk: the Bulk as it was read.
    :param members: Members, read after the bulk. Only scaling changes which
        members a bulk has, so they are right if the bulk is unchanged.
    :returns: False if the bulk was scaled or ended after it was read; nothing
        is changed then.
    """
    now = timeutils.utcnow()
    ids = sorted(member.id for member in members)
    with base.writer() as session:
        if not _resize(session, bulk, -len(ids), last_index_of(bulk), now):
            return False
        for part in base.parts(ids):
            session.execute(
                base.update(Member)
                .where(Member.id.in_(part))
                .values(
                    state=MemberState.DELETING,
                    host=transitions.host_to_delete_from(),
                    removed=True,
                    epoch=Member.epoch + 1,
                    updated_at=now,
                )
            )
        _reset_failure_allowance(session, bulk.id)
        _record_scaled(session, bulk, -len(ids))
        return True


def _record_scaled(session, bulk, difference):
    history.record(
        session,
        bulk.id,
        EventName.SCALED,
        'from %d to %s'
        % (bulk.count, history.number_of_members(bulk.count + difference)),
    )


def last_index_of(bulk):
    """Return the highest index that a member of a bulk has ever had."""
    return bulk.count if bulk.last_index is None else bulk.last_index


def _resize(session, bulk, difference, last_index, now):
    """Change a bulk's count and set it to building, unless it is paused.

    A pair of count and last index never recurs: only new members raise the
    count, and they raise the index too. So the pair shows whether another
    request has scaled the bulk.
    """
    return bool(
        session.execute(
            base.update(Bulk)
            .where(
                Bulk.id == bulk.id,
                Bulk.status.in_(BulkStatus.SCALABLE),
                Bulk.count == bulk.count,
                Bulk.last_index == bulk.last_index,
            )
            .values(
                count=bulk.count + difference,
                last_index=last_index,
                # MySQL sets one column after the other. A bulk is paused
                # after the change if it was before, so the order does not
                # matter.
                status=sa.case(
                    (Bulk.status == BulkStatus.PAUSED, BulkStatus.PAUSED),
                    else_=BulkStatus.BUILDING,
                ),
                status_reason=sa.case(
                    (Bulk.status == BulkStatus.PAUSED, Bulk.status_reason),
                    else_=None,
                ),
                finished_at=None,
                epoch=Bulk.epoch + 1,
                updated_at=now,
            )
        ).rowcount
    )


def _reset_failure_allowance(session, bulk_id):
    session.execute(
        base.update(Bulk)
        .where(Bulk.id == bulk_id)
        .values(
            tolerated=counts.failed_starts(bulk_id), updated_at=Bulk.updated_at
        )
    )
