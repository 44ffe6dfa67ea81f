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

"""Bulks and their members in the database.

A change of state is an UPDATE that names the state and the epoch it saw and
looks at the number of rows it changed: whoever comes second changes nothing.
Nothing is read, changed in memory and written back.
"""

import collections

from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import utils as db_utils
from oslo_utils import timeutils
from oslo_utils import uuidutils
import sqlalchemy as sa
from zun.common import consts
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.db import base
from zun_bulk.db import history
from zun_bulk.db import leases
from zun_bulk.db import models
from zun_bulk.db import zun_rows
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import BulkStatus
from zun_bulk.db.models import Event
from zun_bulk.db.models import EventName
from zun_bulk.db.models import FloatingIpState
from zun_bulk.db.models import Member
from zun_bulk.db.models import MemberState
from zun_bulk.db.models import Project


# ---------------------------------------------------------------- accepting


def accept_bulk(bulk, members, containers, actions, check_usage=None):
    """Write a bulk with all its rows in one transaction.

    :param bulk: dict of Bulk columns.
    :param members: list of dicts of Member columns without bulk_id.
    :param containers: list of dicts of columns of Zun's container table, all
        with the same keys; a column that is left out becomes NULL, also
        where Zun's own type would make an empty list of None.
    :param actions: list of dicts of columns of Zun's container_actions;
        zun-compute leaves a container in Creating for ever without them.
    :param check_usage: function of what the project's containers use, as
        ``usage`` tells it; what it raises ends the transaction. No other
        bulk of the project is accepted meanwhile.
    :raises: DBDuplicateEntry if the project has a bulk with this
        client_token; nothing is written.
    """
    rows = (bulk, members, containers, actions)
    if not _accept_bulk(*rows, check_usage):
        _add_project(bulk['project_id'])
        _accept_bulk(*rows, check_usage)


def _members(number):
    return '%d member%s' % (number, '' if number == 1 else 's')


@base.retry
def _accept_bulk(bulk, members, containers, actions, check_usage):
    """:returns: False if the project has no row, and nothing is written."""
    now = timeutils.utcnow()
    with base.writer() as session:
        if check_usage and not _lock_project(session, bulk['project_id'], now):
            return False
        row = Bulk(created_at=now, **bulk)
        session.add(row)
        # Before the usage: who has been overtaken by its own repetition is to
        # learn that, and not that it left no room.
        session.flush()
        if check_usage:
            check_usage(_usage(session, bulk['project_id']))
        _insert_members(session, row.id, now, members, containers, actions)
        history.tell(
            session, row.id, EventName.ACCEPTED, _members(bulk['count'])
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


def _lock_project(session, project_id, now):
    """Keep other bulks of a project waiting until the transaction ends.

    By a write: Galera lets any number of SELECT ... FOR UPDATE through on
    different nodes, and SQLite has no such thing.

    :returns: False if the project has no row.
    """
    return bool(
        session.execute(
            base.update(Project)
            .where(Project.project_id == project_id)
            .values(accepted=Project.accepted + 1, updated_at=now)
        ).rowcount
    )


@base.retry
def _add_project(project_id):
    try:
        with base.writer() as session:
            session.add(
                Project(
                    project_id=project_id,
                    accepted=0,
                    created_at=timeutils.utcnow(),
                )
            )
    except db_exc.DBDuplicateEntry:
        return


def usage(project_id):
    """Count what Zun counts for its quotas.

    :returns: {quota: number}, memory in MB and disk in GB.
    """
    with base.reader() as session:
        return _usage(session, project_id)


def _usage(session, project_id):
    table = zun_models.Container.__table__
    row = session.execute(
        sa.select(
            sa.func.count().label('containers'),
            sa.func.sum(table.c.cpu).label('cpu'),
            # Zun keeps it as text, of which PostgreSQL makes no sum.
            sa.func.sum(sa.cast(table.c.memory, sa.BigInteger)).label(
                'memory'
            ),
            sa.func.sum(table.c.disk).label('disk'),
        ).where(
            table.c.project_id == project_id,
            table.c.container_type == consts.TYPE_CONTAINER,
        )
    ).one()
    # Sums come as int, float or Decimal, and as None of no rows.
    return {name: float(value or 0) for name, value in row._mapping.items()}


# ------------------------------------------------------------------ reading


def get_bulk(ident, project_id=None):
    """Find a bulk by uuid or name.

    :param project_id: look in this project only; None looks in all.
    :raises: ResourceNotFound (404), Conflict (409) when a name is not unique.
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
    """:returns: those of the uuids that are of bulks."""
    found = set()
    with base.reader() as session:
        for part in base.parts(sorted(uuids)):
            found.update(
                session.scalars(
                    sa.select(Bulk.uuid).where(Bulk.uuid.in_(part))
                )
            )
    return found


def get_bulk_of_token(project_id, client_token):
    """Find the bulk that was asked for with a token. None if there is none."""
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
    :param marker: uuid of the last bulk of the page before.
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


def count_members(bulk_ids):
    """Count members by state, without those that were scaled away.

    :returns: {bulk id: {state: number}} with states that have members only.
    """
    counts = collections.defaultdict(dict)
    query = (
        sa.select(Member.bulk_id, Member.state, sa.func.count())
        .where(Member.bulk_id.in_(bulk_ids), Member.removed.is_(False))
        .group_by(Member.bulk_id, Member.state)
    )
    with base.reader() as session:
        for bulk_id, state, number in session.execute(query):
            counts[bulk_id][state] = number
    return counts


def count_by_host(bulk_id, with_removed=False):
    """:returns: {host: {state: number}} of the members that have a host.

    :param with_removed: count those too that were scaled away.
    """
    counts = collections.defaultdict(dict)
    query = (
        sa.select(Member.host, Member.state, sa.func.count())
        .where(
            Member.bulk_id == bulk_id,
            Member.host.is_not(None),
            sa.true() if with_removed else Member.removed.is_(False),
        )
        .group_by(Member.host, Member.state)
    )
    with base.reader() as session:
        for host, state, number in session.execute(query):
            counts[host][state] = number
    return counts


def list_failures(bulk_id, limit):
    """:returns: [(reason class, reason, number)], the most common first."""
    number = sa.func.count().label('number')
    query = (
        sa.select(Member.reason_class, Member.reason, number)
        .where(Member.bulk_id == bulk_id, Member.state == MemberState.FAILED)
        .group_by(Member.reason_class, Member.reason)
        .order_by(number.desc(), Member.reason_class, Member.reason)
        .limit(limit)
    )
    with base.reader() as session:
        return [tuple(row) for row in session.execute(query)]


def count_outcomes(bulk_id):
    """:returns: {(state, reason class): number} of a bulk's members."""
    query = (
        sa.select(Member.state, Member.reason_class, sa.func.count())
        .where(Member.bulk_id == bulk_id)
        .group_by(Member.state, Member.reason_class)
    )
    with base.reader() as session:
        return {
            (state, kind): number
            for state, kind, number in session.execute(query)
        }


def count_by_time(bulk_id, ends, since=None):
    """Count members whose start has come to an end, by when it did.

    They are counted in the state in which they are now. The history would
    tell of all states that there were, but not of those long ago.

    :param ends: when each step ends and the next begins, in order; what comes
        after the last is of that too.
    :param since: leave out what came before; the first step has it otherwise.
    :returns: {(number of the step, from 0, state): number}.
    """
    # Comparisons, as each database has an arithmetic of times of its own; and
    # a subquery, as PostgreSQL takes the parameters of two equal expressions
    # for different ones.
    number_of = sa.case(
        *[
            (Member.finished_at < end, sa.literal_column(str(number)))
            for number, end in enumerate(ends)
        ],
        else_=sa.literal_column(str(len(ends) - 1)),
    )
    steps = (
        sa.select(number_of.label('step'), Member.state)
        .where(
            Member.bulk_id == bulk_id,
            Member.state.in_(MemberState.ENDED),
            Member.removed.is_(False),
            Member.finished_at.is_not(None)
            if since is None
            else Member.finished_at >= since,
        )
        .subquery()
    )
    query = sa.select(steps.c.step, steps.c.state, sa.func.count()).group_by(
        steps.c.step, steps.c.state
    )
    with base.reader() as session:
        return {
            (step, state): number
            for step, state, number in session.execute(query)
        }


def list_members(
    bulk_id,
    filters=None,
    limit=None,
    marker=None,
    sort_dir='asc',
    with_removed=False,
    name=None,
):
    """List a bulk's members by index.

    :param filters: dict of column name to value, compared for equality.
    :param name: a part that their names have, whatever the case.
    :param marker: index of the last member of the page before.
    :param with_removed: list those too that were scaled away.
    """
    query = sa.select(Member).where(Member.bulk_id == bulk_id)
    if not with_removed:
        query = query.where(Member.removed.is_(False))
    if name is not None:
        query = query.where(Member.name.icontains(name, autoescape=True))
    query = query.filter_by(**(filters or {}))
    return base.page(query, Member.member_index, limit, marker, sort_dir)


def existing_container_names(names, project_id=None):
    """Which of these names containers bear already, compared in lower case.

    :param project_id: look in this project only; None looks in all.
    """
    column = sa.func.lower(zun_models.Container.name)
    wanted = sorted({name.lower() for name in names})
    found = set()
    with base.reader() as session:
        for start in range(0, len(wanted), 1000):
            query = sa.select(column).where(
                column.in_(wanted[start : start + 1000])
            )
            if project_id is not None:
                query = query.where(
                    zun_models.Container.project_id == project_id
                )
            found.update(session.scalars(query))
    return found


# ------------------------------------------------------- changes of state


@base.retry
def set_bulk_status(
    bulk_id, epoch, before, after, reason=None, finished=False
):
    """Change a bulk's status as its conductor. Returns whether it did."""
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
            history.tell(session, bulk_id, after, reason)
        return bool(changed)


def review_bulk(bulk_id):
    """Bring the status of a finished bulk up to date with its members."""
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
            history.tell(session, bulk_id, after, reason)


@base.retry
def mark_bulk_deleting(bulk_id):
    """Turn a bulk and all its members to deleting, whatever they were.

    The rise of the bulk's epoch stops a conductor that is planning it; the
    rise of the members' stops an agent that is about to start one.
    Asked again it changes nothing.

    :returns: whether it has changed anything.
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
                    host=_host_of_deleted(),
                    epoch=Member.epoch + 1,
                    updated_at=now,
                )
            )
            history.tell(session, bulk_id, BulkStatus.DELETING)
        return bool(changed)


def _host_of_deleted():
    """None for members that are claimed only: no host has to delete them."""
    return sa.case((Member.placed_at.is_(None), None), else_=Member.host)


def pause_bulk(bulk_id, reason, epoch=None):
    """Start no more of a bulk that is being built. Returns whether it is.

    The rise of the epoch stops the conductor that is planning it; hosts look
    at the status as they turn a member to starting.

    :param epoch: of a conductor that wants it to pause; nothing happens if
        it has lost the bulk.
    """
    return _turn_bulk(
        bulk_id,
        [BulkStatus.BUILDING],
        BulkStatus.PAUSED,
        reason,
        epoch,
        status=BulkStatus.PAUSED,
        status_reason=reason,
    )


def resume_bulk(bulk_id):
    """Go on with a paused bulk. Returns whether it was paused.

    What has failed so far is borne from now on.
    """
    return _turn_bulk(
        bulk_id,
        [BulkStatus.PAUSED],
        EventName.RESUMED,
        status=BulkStatus.BUILDING,
        status_reason=None,
        tolerated=_failed_starts(bulk_id),
    )


def _failed_starts(bulk_id):
    """How many members of a bulk have failed by being started."""
    return (
        sa.select(sa.func.count())
        .select_from(Member)
        .where(
            Member.bulk_id == bulk_id,
            Member.state == MemberState.FAILED,
            Member.reason_class.in_(models.OF_STARTS),
        )
        .scalar_subquery()
    )


def cancel_bulk(bulk_id):
    """Have no more of a bulk started. Returns whether it was unfinished.

    What is being started comes to its end, and a conductor clears the rest.
    """
    return _turn_bulk(
        bulk_id,
        [BulkStatus.BUILDING, BulkStatus.PAUSED],
        BulkStatus.CANCELLING,
        status=BulkStatus.CANCELLING,
        status_reason=None,
    )


@base.retry
def retry_bulk(bulk_id):
    """Have the failed members of a bulk tried again, from their first attempt.

    Those that have a host stay there with their ports and claims; the others
    are planned anew. A container that was deleted outside its bulk cannot
    come back. Floating IPs that could not be bound are tried again too, also
    of members that run.

    :returns: how many there are.
    """
    now = timeutils.utcnow()
    failed = sa.and_(
        Member.bulk_id == bulk_id,
        Member.state == MemberState.FAILED,
        Member.container_uuid.in_(sa.select(zun_models.Container.uuid)),
    )
    with base.writer() as session:
        if not _turn_bulk_in(
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
        history.tell(session, bulk_id, EventName.RETRIED, _members(number))
        return number


@base.retry
def _turn_bulk(bulk_id, before, event, reason=None, seen=None, **values):
    with base.writer() as session:
        turned = _turn_bulk_in(session, bulk_id, before, seen, **values)
        if turned:
            history.tell(session, bulk_id, event, reason)
        return turned


def _turn_bulk_in(session, bulk_id, before, seen=None, **values):
    """Change a bulk as its user, so that its conductor has to look again.

    The lease stays with that one: what it has under way, at Neutron say, may
    still take effect, and others wait until it has shown no life for as long.

    :param seen: the epoch that it has to have, if any.
    """
    return bool(
        session.execute(
            base.update(Bulk)
            .where(
                Bulk.id == bulk_id,
                Bulk.status.in_(before),
                sa.true() if seen is None else Bulk.epoch == seen,
            )
            .values(
                epoch=Bulk.epoch + 1, updated_at=timeutils.utcnow(), **values
            )
        ).rowcount
    )


def grow_bulk(
    bulk, last_index, members, containers, actions, check_usage=None
):
    """Add members to a bulk with all their rows in one transaction.

    A paused one stays paused. What has failed so far is borne from now on.

    :param bulk: the Bulk as it was seen.
    :param last_index: the highest index of the new members.
    :param members: these and what follows are as for ``accept_bulk``.
    :returns: False if the bulk was scaled or ended meanwhile; then nothing is
        written.
    """
    rows = (members, containers, actions)
    grown = _grow_bulk(bulk, last_index, *rows, check_usage)
    if grown is None:
        _add_project(bulk.project_id)
        grown = _grow_bulk(bulk, last_index, *rows, check_usage)
    return bool(grown)


@base.retry
def _grow_bulk(bulk, last_index, members, containers, actions, check_usage):
    """:returns: None if the project has no row, and nothing is written."""
    now = timeutils.utcnow()
    with base.writer() as session:
        if check_usage and not _lock_project(session, bulk.project_id, now):
            return None
        if not _resize(session, bulk, len(members), last_index, now):
            # Neither has the project had its turn.
            session.rollback()
            return False
        if check_usage:
            check_usage(_usage(session, bulk.project_id))
        _insert_members(session, bulk.id, now, members, containers, actions)
        _bear_failures(session, bulk.id)
        _tell_scaled(session, bulk, len(members))
        return True


@base.retry
def shrink_bulk(bulk, members):
    """Turn members to deleting, and count them no more, in one transaction.

    The rise of their epochs stops an agent that is about to start one. A
    paused bulk stays paused.

    :param bulk: the Bulk as it was seen.
    :param members: Members, seen after the bulk. Only who scales the bulk
        changes which there are, so they are right as long as it is as seen.
    :returns: False if the bulk was scaled or ended meanwhile; then nothing
        has changed.
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
                    host=_host_of_deleted(),
                    removed=True,
                    epoch=Member.epoch + 1,
                    updated_at=now,
                )
            )
        _bear_failures(session, bulk.id)
        _tell_scaled(session, bulk, -len(ids))
        return True


def _tell_scaled(session, bulk, difference):
    history.tell(
        session,
        bulk.id,
        EventName.SCALED,
        'from %d to %s' % (bulk.count, _members(bulk.count + difference)),
    )


def last_index_of(bulk):
    """The highest index that a member of a bulk has ever had."""
    return bulk.count if bulk.last_index is None else bulk.last_index


def _resize(session, bulk, difference, last_index, now):
    """Change a bulk's count and have it built, unless it is paused.

    Count and last index together never come back once they have changed, for
    only new members raise the count, and they raise the index too. So they
    tell whether anybody else has scaled the bulk.
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
                # MySQL sets one column after the other. Whether it is paused
                # is the same before and after, so the order is no matter.
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


def _bear_failures(session, bulk_id):
    session.execute(
        base.update(Bulk)
        .where(Bulk.id == bulk_id)
        .values(tolerated=_failed_starts(bulk_id), updated_at=Bulk.updated_at)
    )


def list_last_members(bulk_id, number):
    """So many members with the highest indexes."""
    return list_members(bulk_id, limit=number, sort_dir='desc')


def list_members_at(bulk_id, indexes):
    """The members that bear these indexes and were not scaled away."""
    found = []
    with base.reader() as session:
        for part in base.parts(indexes):
            found += session.scalars(
                sa.select(Member).where(
                    Member.bulk_id == bulk_id,
                    Member.member_index.in_(part),
                    Member.removed.is_(False),
                )
            ).all()
    return found


def list_removed(
    bulk_id,
    states=(MemberState.DELETING, MemberState.DELETED),
    limit=None,
    host=None,
    with_floating_ip=True,
):
    """Members that were scaled away, the oldest first.

    :param host: only this host's; '' means those that have no host.
    :param with_floating_ip: list those too whose floating IP is not released.
    """
    query = sa.select(Member).where(
        Member.bulk_id == bulk_id,
        Member.state.in_(states),
        Member.removed.is_(True),
    )
    if not with_floating_ip:
        query = query.where(Member.floating_ip_state.is_(None))
    return oldest_members(query, host, limit)


@base.retry
def forget_members(bulk_id, epoch, members):
    """Remove members that were scaled away and are gone, as conductor.

    :returns: False if the conductor has lost the bulk.
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
    """Turn what waits to be started to cancelled, as conductor.

    What its host has tried before may have left something in Docker, which a
    cancelled member never has. So it is deleted first.

    :returns: False if the conductor has lost the bulk.
    """
    now = timeutils.utcnow()
    with base.writer() as session:
        if not leases.fence(session, bulk_id, epoch):
            return False
        # Locked, so that those that change are those that are told of.
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
            history.tell_of_members(session, part, now)
        return True


def claim_members(bulk_id, epoch, claims):
    """Note where queued members have a claim, as conductor, all at once.

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


def note_volumes(bulk_id, epoch, wanted):
    """Note what volumes queued members have, as conductor.

    :param wanted: [(Member, its ``wanted`` with them)].
    :returns: as ``place_members``; the Members are brought up to date.
    """
    noted = _set_members(
        bulk_id,
        epoch,
        MemberState.QUEUED,
        [(member, {'wanted': value}) for member, value in wanted],
    )
    for member, value in wanted:
        if noted and member.id in noted:
            member.wanted = value
            member.epoch += 1
    return noted


def place_members(bulk_id, epoch, placements):
    """Turn members with a claim to placed, all or none, as conductor.

    :param placements: [(Member, networks)].
    :returns: the ids of those that were still as the Member says; None if
        the conductor has lost the bulk, and then none is changed.
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
    """Change each member in its own way.

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
        # The number does not tell which: once more, one by one.
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


def move_members(members, state, only_if=None, told=None, **values):
    """Turn members to another state, each if it is still as it was seen.

    It goes into the history of each whose state changes.

    :param members: Members as they were read; those that change are brought
        up to date.
    :param only_if: what has to hold besides.
    :param told: what is told of it, where it is not what the members say:
        {column: value} of their events.
    :param values: further columns to set, the same for all.
    :returns: the members that changed.
    """
    now = timeutils.utcnow()
    changed = set()
    # In one order, so that two who move the same ones do not deadlock.
    for part in base.parts(sorted(members, key=lambda member: member.id)):
        changed |= _move_part(part, state, now, only_if, told or {}, **values)
    moved = [member for member in members if member.id in changed]
    for member in moved:
        member.state = state
        member.epoch += 1
    return moved


def start_members(members):
    """Turn placed members to starting, and count the attempt.

    None is started of a bulk that has been paused or cancelled meanwhile.

    :returns: the members that changed, brought up to date.
    """
    moved = move_members(
        members,
        MemberState.STARTING,
        only_if=Member.__table__.c.bulk_id.in_(
            sa.select(Bulk.id).where(Bulk.status == BulkStatus.BUILDING)
        ),
        # The attempt before has told why it failed.
        told={'reason': None},
        attempt=Member.attempt + 1,
        started_at=timeutils.utcnow(),
    )
    for member in moved:
        member.attempt += 1
    return moved


@base.retry
def _move_part(members, state, now, only_if, told, **values):
    # No savepoint: MariaDB forgets it in a deadlock, and its complaint of
    # that would hide the deadlock from base.retry.
    with base.writer() as session:
        moved = members
        if _move(session, members, state, now, only_if, **values) != len(
            members
        ):
            # The number does not tell which: once more, one by one.
            session.rollback()
            moved = [
                member
                for member in members
                if _move(session, [member], state, now, only_if, **values)
            ]
        if state != MemberState.DELETED:
            history.tell_of_members(
                session,
                [member.id for member in moved if member.state != state],
                now,
                told,
            )
        return {member.id for member in moved}


def _move(session, members, state, now, only_if=None, **values):
    """Move those that are still as they were seen. Returns their number."""
    table = Member.__table__
    seen = collections.defaultdict(list)
    for member in members:
        seen[member.state, member.epoch].append(member.id)
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
                    for (before, epoch), ids in seen.items()
                ]
            ),
            sa.true() if only_if is None else only_if,
        )
        .values(state=state, epoch=table.c.epoch + 1, updated_at=now, **values)
    ).rowcount


def list_members_in(state, bulk_id=None, host=None):
    """Members in a state, for those who work on them.

    :param host: only this host's; '' means those that have no host.
    """
    query = sa.select(Member).where(Member.state == state)
    if bulk_id is not None:
        query = query.where(Member.bulk_id == bulk_id)
    return oldest_members(query, host)


def list_members_in_turn(state, host, limit, building=False):
    """Members of a host in a state, in the order in which it is their turn.

    Projects take turns, and in each the bulks of the project, so that nobody
    waits until a bulk of a thousand is through.

    :param building: only those of bulks that are being built.
    """
    query = (
        sa.select(
            Member.id,
            Member.bulk_id,
            Bulk.project_id,
            sa.func.row_number()
            .over(partition_by=Member.bulk_id, order_by=Member.id)
            .label('turn'),
        )
        .join(Bulk, Bulk.id == Member.bulk_id)
        .where(Member.state == state, Member.host == host)
    )
    if building:
        query = query.where(Bulk.status == BulkStatus.BUILDING)
    of_bulk = query.subquery()
    of_project = sa.select(
        of_bulk.c.id,
        sa.func.row_number()
        .over(
            partition_by=of_bulk.c.project_id,
            order_by=(of_bulk.c.turn, of_bulk.c.bulk_id),
        )
        .label('turn'),
    ).subquery()
    with base.reader() as session:
        return session.scalars(
            sa.select(Member)
            .join(of_project, of_project.c.id == Member.id)
            .order_by(of_project.c.turn, Member.id)
            .limit(limit)
        ).all()


def oldest_members(query, host=None, limit=None):
    if host is not None:
        query = query.where(
            Member.host.is_(None) if host == '' else Member.host == host
        )
    with base.reader() as session:
        return session.scalars(query.order_by(Member.id).limit(limit)).all()


def list_members_of(container_uuids):
    """The members that these containers are."""
    query = sa.select(Member).order_by(Member.id)
    with base.reader() as session:
        return [
            member
            for part in base.parts(container_uuids)
            for member in session.scalars(
                query.where(Member.container_uuid.in_(part))
            )
        ]


def list_cancelled_with_container(bulk_id, limit):
    """Cancelled members that still have a row of Zun's."""
    query = (
        sa.select(Member)
        .join(
            zun_models.Container,
            zun_models.Container.uuid == Member.container_uuid,
        )
        .where(
            Member.bulk_id == bulk_id, Member.state == MemberState.CANCELLED
        )
        .order_by(Member.id)
        .limit(limit)
    )
    with base.reader() as session:
        return session.scalars(query).all()


def get_bulks_by_id(ids):
    """:returns: {id: Bulk}."""
    with base.reader() as session:
        return {
            bulk.id: bulk
            for bulk in session.scalars(
                sa.select(Bulk).where(Bulk.id.in_(ids))
            )
        }


# ---------------------------------------------------------------- removing


@base.retry
def destroy_bulk(bulk_id, epoch):
    """Remove a bulk whose members are all gone. Returns whether it did."""
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
    """Remove a bulk at which nothing is under way, and keep its containers.

    :returns: whether it is gone.
    """
    under_way = sa.exists().where(
        Member.bulk_id == bulk_id, Member.state.not_in(MemberState.FINAL)
    )
    with base.writer() as session:
        # A lock on the bulk's row first: who starts it anew waits for it.
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
