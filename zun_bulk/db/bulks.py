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

"""Reading, changing and removing bulks in the database."""

from oslo_db.sqlalchemy import utils as db_utils
from oslo_utils import timeutils
from oslo_utils import uuidutils
import sqlalchemy as sa
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.consts import EventName
from zun_bulk.db import base
from zun_bulk.db import counts
from zun_bulk.db import history
from zun_bulk.db import leases
from zun_bulk.db import transitions
from zun_bulk.db import zun_rows
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Event
from zun_bulk.db.models import Member
from zun_bulk.states import BulkStatus
from zun_bulk.states import FloatingIpState
from zun_bulk.states import MemberState


def get_bulk(ident, project_id=None):
    """Find a bulk by uuid or name.

    :param project_id: look in this project only; None looks in all.
    :raises: ResourceNotFound (404); Conflict (409) if the name is not unique.
    """
    column = Bulk.uuid if uuidutils.is_uuid_like(ident) else Bulk.name
    query = sa.select(Bulk).where(column == ident).limit(2)
    if project_id is not None:
        query = query.where(Bulk.project_id == project_id)
    with base.reader() as session:
        found = session.scalars(query).all()
    if not found:
        raise exception.ResourceNotFound(name='bulk', id=ident)
    if len(found) > 1:
        raise exception.Conflict(
            'Multiple bulks exist with the name %s. Please use the uuid '
            'instead.' % ident
        )
    return found[0]


def existing_bulks(uuids):
    """Return those of the uuids that belong to bulks."""
    found = set()
    with base.reader() as session:
        for part in base.parts(sorted(uuids)):
            found.update(
                session.scalars(
                    sa.select(Bulk.uuid).where(Bulk.uuid.in_(part))
                )
            )
    return found


def get_bulk_by_client_token(project_id, client_token):
    """Return the bulk that was created with a client token, or None."""
    with base.reader() as session:
        return session.scalars(
            sa.select(Bulk).where(
                Bulk.project_id == project_id,
                Bulk.client_token == client_token,
            )
        ).first()


def list_bulks(
    project_id=None,
    filters=None,
    limit=None,
    marker=None,
    sort_key='id',
    sort_dir='desc',
):
    """List bulks, the newest first.

    :param project_id: only this project's; None lists all.
    :param filters: dict of column name to value, compared for equality.
    :param marker: uuid of the last bulk of the previous page.
    """
    query = sa.select(Bulk)
    if project_id is not None:
        query = query.where(Bulk.project_id == project_id)
    query = query.filter_by(**(filters or {}))
    marker = get_bulk(marker, project_id) if marker else None
    query = db_utils.paginate_query(
        query, Bulk, limit, [sort_key, 'id'], marker=marker, sort_dir=sort_dir
    )
    with base.reader() as session:
        return session.scalars(query).all()


@base.retry
def set_bulk_status(
    bulk_id, epoch, before, after, reason=None, finished=False
):
    """Change a bulk's status as its conductor.

    :param epoch: of the conductor's lease.
    :param finished: whether the bulk is finished now.
    :returns: whether the status changed.
    """
    BulkStatus.check(before, after)
    with base.writer() as session:
        changed = session.execute(
            base.update(Bulk)
            .where(
                Bulk.id == bulk_id, Bulk.epoch == epoch, Bulk.status == before
            )
            .values(
                status=after,
                status_reason=reason,
                updated_at=timeutils.utcnow(),
                finished_at=timeutils.utcnow() if finished else None,
            )
        ).rowcount
        if changed:
            history.record(session, bulk_id, after, reason)
        return bool(changed)


def review_bulk(bulk_id):
    """Update the status of a finished bulk from the states of its members."""
    failed = (
        sa.select(sa.func.count())
        .select_from(Member)
        .where(
            Member.bulk_id == bulk_id,
            sa.or_(
                Member.state == MemberState.FAILED,
                sa.and_(
                    Member.state.in_(MemberState.WITH_PORTS),
                    Member.floating_ip_state == FloatingIpState.FAILED,
                ),
            ),
        )
        .scalar_subquery()
    )
    for before, after, reason, changed in (
        (
            BulkStatus.READY,
            BulkStatus.ERROR,
            'Members failed after they had run.',
            failed > 0,
        ),
        (BulkStatus.ERROR, BulkStatus.READY, None, failed == 0),
    ):
        _review(bulk_id, before, after, reason, changed)


@base.retry
def _review(bulk_id, before, after, reason, changed):
    BulkStatus.check(before, after)
    with base.writer() as session:
        if session.execute(
            base.update(Bulk)
            .where(Bulk.id == bulk_id, Bulk.status == before, changed)
            .values(
                status=after,
                status_reason=reason,
                updated_at=timeutils.utcnow(),
            )
        ).rowcount:
            history.record(session, bulk_id, after, reason)


@base.retry
def mark_bulk_deleting(bulk_id):
    """Set a bulk and all its members to deleting, from any state.

    The rise of the bulk's epoch stops a conductor that is planning it; the
    rise of the members' epochs stops an agent that is about to start one.
    Idempotent.

    :returns: whether the bulk was not deleting before.
    """
    now = timeutils.utcnow()
    with base.writer() as session:
        changed = session.execute(
            base.update(Bulk)
            .where(Bulk.id == bulk_id, Bulk.status != BulkStatus.DELETING)
            .values(
                status=BulkStatus.DELETING,
                status_reason=None,
                epoch=Bulk.epoch + 1,
                updated_at=now,
            )
        ).rowcount
        if changed:
            session.execute(
                base.update(Member)
                .where(
                    Member.bulk_id == bulk_id,
                    Member.state.not_in(
                        (MemberState.DELETING, MemberState.DELETED)
                    ),
                )
                .values(
                    state=MemberState.DELETING,
                    host=transitions.host_to_delete_from(),
                    epoch=Member.epoch + 1,
                    updated_at=now,
                )
            )
            history.record(session, bulk_id, BulkStatus.DELETING)
        return bool(changed)


def pause_bulk(bulk_id, reason, epoch=None):
    """Start no more members of a bulk that is being built.

    The rise of the epoch stops the conductor that is planning it; hosts check
    the status in the statement that sets a member to starting.

    :param epoch: of the conductor that pauses the bulk; nothing changes if
        it has lost the lease. None pauses the bulk in any case.
    :returns: whether the bulk was being built.
    """
    return _change_bulk(
        bulk_id,
        BulkStatus.before(BulkStatus.PAUSED),
        BulkStatus.PAUSED,
        reason,
        epoch,
        status=BulkStatus.PAUSED,
        status_reason=reason,
    )


def resume_bulk(bulk_id):
    """Resume a paused bulk.

    The failures so far no longer count towards pausing the bulk.

    :returns: whether the bulk was paused.
    """
    return _change_bulk(
        bulk_id,
        [BulkStatus.PAUSED],
        EventName.RESUMED,
        status=BulkStatus.BUILDING,
        status_reason=None,
        tolerated=counts.failed_starts(bulk_id),
    )


def cancel_bulk(bulk_id):
    """Start no more members of a bulk and cancel those that wait.

    Starts in progress end as they would have; a conductor cancels the other
    members.

    :returns: whether the bulk was building or paused.
    """
    return _change_bulk(
        bulk_id,
        BulkStatus.before(BulkStatus.CANCELLING),
        BulkStatus.CANCELLING,
        status=BulkStatus.CANCELLING,
        status_reason=None,
    )


@base.retry
def retry_bulk(bulk_id):
    """Retry the failed members of a bulk, from their first attempt.

    Those that have a host stay there with their ports and claims; the others
    are planned again. A container that was deleted outside its bulk cannot
    come back. Floating IPs that could not be bound are retried too, also
    those of running members.

    :returns: the number of members that are retried.
    """
    now = timeutils.utcnow()
    failed = sa.and_(
        Member.bulk_id == bulk_id,
        Member.state == MemberState.FAILED,
        Member.container_uuid.in_(sa.select(zun_models.Container.uuid)),
    )
    with base.writer() as session:
        if not _change_bulk_in(
            session,
            bulk_id,
            BulkStatus.RETRIABLE,
            status=BulkStatus.BUILDING,
            status_reason=None,
            tolerated=0,
            finished_at=None,
        ):
            return 0
        uuids = session.scalars(
            sa.select(Member.container_uuid).where(failed)
        ).all()
        unbound = session.scalars(
            sa.select(Member.container_uuid).where(
                Member.bulk_id == bulk_id,
                Member.floating_ip_state == FloatingIpState.FAILED,
                Member.state.not_in(MemberState.UNWANTED),
            )
        ).all()
        if not uuids and not unbound:
            session.rollback()
            return 0
        for part in base.parts(unbound):
            session.execute(
                base.update(Member)
                .where(
                    Member.container_uuid.in_(part),
                    Member.floating_ip_state == FloatingIpState.FAILED,
                )
                .values(
                    floating_ip_state=FloatingIpState.WANTED,
                    floating_ip_reason=None,
                    updated_at=now,
                )
            )
        for part in base.parts(uuids):
            session.execute(zun_rows.reset(part))
        session.execute(
            base.update(Member)
            .where(failed)
            .values(
                state=sa.case(
                    (Member.host.is_(None), MemberState.QUEUED),
                    else_=MemberState.PLACED,
                ),
                epoch=Member.epoch + 1,
                attempt=0,
                finished_at=None,
                updated_at=now,
            )
        )
        number = len({*uuids, *unbound})
        history.record(
            session,
            bulk_id,
            EventName.RETRIED,
            history.number_of_members(number),
        )
        return number


@base.retry
def _change_bulk(
    bulk_id, before, event, reason=None, expected_epoch=None, **values
):
    with base.writer() as session:
        changed = _change_bulk_in(
            session, bulk_id, before, expected_epoch, **values
        )
        if changed:
            history.record(session, bulk_id, event, reason)
        return changed


def _change_bulk_in(session, bulk_id, before, expected_epoch=None, **values):
    """Change a bulk as its user, so that its conductor must read it again.

    The conductor keeps the lease: its calls in progress, for example to
    Neutron, may still take effect, and other conductors wait until its
    heartbeat has stood still for long enough.

    :param expected_epoch: the epoch that the bulk must have, if any.
    """
    for status in before:
        BulkStatus.check(status, values['status'])
    return bool(
        session.execute(
            base.update(Bulk)
            .where(
                Bulk.id == bulk_id,
                Bulk.status.in_(before),
                sa.true()
                if expected_epoch is None
                else Bulk.epoch == expected_epoch,
            )
            .values(
                epoch=Bulk.epoch + 1, updated_at=timeutils.utcnow(), **values
            )
        ).rowcount
    )


def get_bulks_by_id(ids):
    """Return bulks by id.

    :returns: {id: Bulk}.
    """
    with base.reader() as session:
        return {
            bulk.id: bulk
            for bulk in session.scalars(
                sa.select(Bulk).where(Bulk.id.in_(ids))
            )
        }


@base.retry
def destroy_bulk(bulk_id, epoch):
    """Remove a bulk whose members are all deleted, as its conductor.

    :param epoch: of the conductor's lease.
    :returns: whether the bulk was removed.
    """
    with base.writer() as session:
        if not leases.fence(session, bulk_id, epoch):
            return False
        left = session.scalar(
            sa.select(sa.func.count())
            .select_from(Member)
            .where(
                Member.bulk_id == bulk_id,
                sa.or_(
                    Member.state != MemberState.DELETED,
                    Member.floating_ip_state.is_not(None),
                ),
            )
        )
        if left:
            return False
        _delete_bulk(session, bulk_id)
        return True


@base.retry
def dissolve_bulk(bulk_id):
    """Remove a finished bulk and keep its containers.

    :returns: whether the bulk was removed; False if it is not finished or
        a member is not final.
    """
    under_way = sa.exists().where(
        Member.bulk_id == bulk_id, Member.state.not_in(MemberState.FINAL)
    )
    with base.writer() as session:
        # A lock on the bulk's row first: a retry or scale waits for it.
        if not session.execute(
            base.update(Bulk)
            .where(
                Bulk.id == bulk_id,
                Bulk.status.in_(BulkStatus.FINISHED),
                sa.not_(under_way),
            )
            .values(epoch=Bulk.epoch + 1, updated_at=Bulk.updated_at)
        ).rowcount:
            return False
        _delete_bulk(session, bulk_id)
        return True


def _delete_bulk(session, bulk_id):
    session.execute(sa.delete(Event).where(Event.bulk_id == bulk_id))
    session.execute(sa.delete(Member).where(Member.bulk_id == bulk_id))
    session.execute(sa.delete(Bulk).where(Bulk.id == bulk_id))
