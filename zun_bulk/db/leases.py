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

from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.db import base
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Member


def list_bulks_with_work():
    """Bulks that a conductor has to look after, the oldest first.

    Of a paused one only what was scaled away.
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
                        # Said once more, for the index.
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
    """:returns: {bulk id: heartbeat} of the oldest that want a conductor."""
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
    """Become the one conductor of a bulk.

    :param bulk: the Bulk as it was seen; nothing happens if it has changed
        hands or shown life since.
    :returns: the new epoch, or None.
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
    """Show that the owner lives. Returns False if it is the owner no more."""
    with base.writer() as session:
        return fence(session, bulk_id, epoch)


def release_lease(bulk_id, epoch):
    _release_leases(Bulk.id == bulk_id, Bulk.epoch == epoch)


def release_leases(owner):
    """Give up all that a conductor has, which has nothing under way."""
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
    """What has to hold of a member for its bulk's conductor to move it.

    :returns: the ``only_if`` of api.move_members.
    """
    return Member.__table__.c.bulk_id.in_(
        sa.select(Bulk.id).where(Bulk.id == bulk_id, Bulk.epoch == epoch)
    )


def fence(session, bulk_id, epoch):
    """Lock the bulk's row for this transaction if the epoch still holds."""
    return bool(
        session.execute(
            base.update(Bulk)
            .where(Bulk.id == bulk_id, Bulk.epoch == epoch)
            .values(heartbeat=Bulk.heartbeat + 1, updated_at=Bulk.updated_at)
        ).rowcount
    )
