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

"""A conductor's lease of a bulk."""

import sqlalchemy as sa

from zun_bulk.db import base
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Member
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


def list_bulks_with_work():
    """List bulks with work for a conductor, the oldest first.

    A paused bulk has some only if members were scaled away.
    """
    query = (
        sa.select(Bulk)
        .where(
            sa.or_(
                Bulk.status.in_(BulkStatus.WORK),
                sa.and_(
                    Bulk.status == BulkStatus.PAUSED,
                    sa.exists().where(
                        Member.bulk_id == Bulk.id,
                        Member.removed.is_(True),
                        # Redundant, but lets the database use the index.
                        Member.state.in_(
                            (MemberState.DELETING, MemberState.DELETED)
                        ),
                    ),
                ),
            )
        )
        .order_by(Bulk.id)
    )
    with base.reader() as session:
        return session.scalars(query).all()


def heartbeats(limit):
    """Return the heartbeats of the oldest bulks that need a conductor.

    :param limit: maximum number of bulks.
    :returns: {bulk id: heartbeat}.
    """
    query = (
        sa.select(Bulk.id, Bulk.heartbeat)
        .where(Bulk.status.in_(BulkStatus.WORK))
        .order_by(Bulk.id)
        .limit(limit)
    )
    with base.reader() as session:
        return {row.id: row.heartbeat for row in session.execute(query)}


@base.retry
def take_lease(bulk, owner):
    """Take the lease of a bulk.

    :param bulk: the Bulk as it was read; nothing changes if it has another
        epoch or heartbeat by now.
    :param owner: name of the conductor.
    :returns: the new epoch, or None if the lease was not taken.
    """
    with base.writer() as session:
        taken = session.execute(
            base.update(Bulk)
            .where(
                Bulk.id == bulk.id,
                Bulk.epoch == bulk.epoch,
                Bulk.heartbeat == bulk.heartbeat,
            )
            .values(
                lease_owner=owner,
                epoch=Bulk.epoch + 1,
                heartbeat=Bulk.heartbeat + 1,
                updated_at=Bulk.updated_at,
            )
        ).rowcount
    return bulk.epoch + 1 if taken else None


@base.retry
def renew_lease(bulk_id, epoch):
    """Renew a lease by a heartbeat.

    :returns: False if the conductor has lost the lease.
    """
    with base.writer() as session:
        return fence(session, bulk_id, epoch)


def release_lease(bulk_id, epoch):
    """Release the lease of one bulk, if it still has the epoch."""
    _release_leases(Bulk.id == bulk_id, Bulk.epoch == epoch)


def release_leases(owner):
    """Release all leases of a conductor that has no work in progress."""
    _release_leases(Bulk.lease_owner == owner)


@base.retry
def _release_leases(*which):
    with base.writer() as session:
        session.execute(
            base.update(Bulk)
            .where(*which)
            .values(
                lease_owner=None,
                heartbeat=Bulk.heartbeat + 1,
                updated_at=Bulk.updated_at,
            )
        )


def lease_condition(bulk_id, epoch):
    """Return the condition that a conductor still has the lease of a bulk.

    :returns: an SQL expression, for ``only_if`` of
        ``transitions.move_members``.
    """
    return Member.__table__.c.bulk_id.in_(
        sa.select(Bulk.id).where(Bulk.id == bulk_id, Bulk.epoch == epoch)
    )


def fence(session, bulk_id, epoch):
    """Lock a bulk's row for this transaction if it still has the epoch.

    :returns: False if the epoch has changed: the lease is lost.
    """
    return bool(
        session.execute(
            base.update(Bulk)
            .where(Bulk.id == bulk_id, Bulk.epoch == epoch)
            .values(heartbeat=Bulk.heartbeat + 1, updated_at=Bulk.updated_at)
        ).rowcount
    )
