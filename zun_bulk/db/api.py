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

"""Every statement that zun_bulk sends to the database.

A change of state is an UPDATE that names the state and the epoch it saw and
looks at the number of rows it changed: whoever comes second changes nothing.
Nothing is read, changed in memory and written back.
"""

import collections

from oslo_db import api as oslo_db_api
from oslo_db import exception as db_exc
from oslo_db.sqlalchemy import enginefacade
from oslo_db.sqlalchemy import utils as db_utils
from oslo_utils import timeutils
from oslo_utils import uuidutils
import sqlalchemy as sa
from zun.common import consts
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.conf import CONF
from zun_bulk.db import models
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import BulkStatus
from zun_bulk.db.models import Event
from zun_bulk.db.models import EventName
from zun_bulk.db.models import FloatingIpState
from zun_bulk.db.models import Host
from zun_bulk.db.models import Member
from zun_bulk.db.models import MemberState
from zun_bulk.db.models import Project


#: How many events one statement forgets.
TRIM_BATCH = 1000

#: Our own, because Zun's is private to it and differs between releases.
CONTEXT_MANAGER = enginefacade.transaction_context()


class _Session:
    """What enginefacade wants to hang its session on."""


enginefacade.transaction_context_provider(_Session)

retry = oslo_db_api.wrap_db_retry(
    max_retries=8,
    retry_on_deadlock=True,
    retry_interval=0.1,
    inc_retry_interval=True,
    max_retry_interval=2,
    jitter=True,
)


def configure():
    """Use Zun's ``[database]`` section. Called again, it changes nothing."""
    if CONTEXT_MANAGER.is_started:
        return
    options = {
        key: value
        for key, value in dict(CONF.database).items()
        if key
        in (
            'connection',
            'slave_connection',
            'max_pool_size',
            'max_overflow',
            'pool_timeout',
            'max_retries',
            'retry_interval',
            'connection_recycle_time',
            'mysql_sql_mode',
            'sqlite_synchronous',
        )
    }
    CONTEXT_MANAGER.configure(**options)


def reader():
    return CONTEXT_MANAGER.reader.using(_Session())


def writer():
    return CONTEXT_MANAGER.writer.using(_Session())


def get_engine():
    return CONTEXT_MANAGER.writer.get_engine()


def _update(model):
    # No session has objects that it would have to bring up to date.
    return sa.update(model).execution_options(synchronize_session=False)


def _parts(items):
    """Cut a list into as many as one statement should name.

    Of more, MariaDB reads the whole table instead of an index, and a write
    then locks all of it.
    """
    return [items[start : start + 500] for start in range(0, len(items), 500)]


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


@retry
def _accept_bulk(bulk, members, containers, actions, check_usage):
    """:returns: False if the project has no row, and nothing is written."""
    now = timeutils.utcnow()
    with writer() as session:
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
        _tell(session, row.id, EventName.ACCEPTED, _members(bulk['count']))
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
            _update(Project)
            .where(Project.project_id == project_id)
            .values(accepted=Project.accepted + 1, updated_at=now)
        ).rowcount
    )


@retry
def _add_project(project_id):
    try:
        with writer() as session:
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
    with reader() as session:
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
    with reader() as session:
        found = session.scalars(query).all()
    if not found:
        raise exception.ResourceNotFound(name='bulk', id=ident)
    if len(found) > 1:
        raise exception.Conflict(
            'Multiple bulks exist with the name %s. Please use the uuid '
            'instead.' % ident
        )
    return found[0]


def get_bulk_of_token(project_id, client_token):
    """Find the bulk that was asked for with a token. None if there is none."""
    with reader() as session:
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
    with reader() as session:
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
    with reader() as session:
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
    with reader() as session:
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
    with reader() as session:
        return [tuple(row) for row in session.execute(query)]


def count_outcomes(bulk_id):
    """:returns: {(state, reason class): number} of a bulk's members."""
    query = (
        sa.select(Member.state, Member.reason_class, sa.func.count())
        .where(Member.bulk_id == bulk_id)
        .group_by(Member.state, Member.reason_class)
    )
    with reader() as session:
        return {
            (state, kind): number
            for state, kind, number in session.execute(query)
        }


def list_members(
    bulk_id,
    filters=None,
    limit=None,
    marker=None,
    sort_dir='asc',
    with_removed=False,
):
    """List a bulk's members by index.

    :param filters: dict of column name to value, compared for equality.
    :param marker: index of the last member of the page before.
    :param with_removed: list those too that were scaled away.
    """
    query = sa.select(Member).where(Member.bulk_id == bulk_id)
    if not with_removed:
        query = query.where(Member.removed.is_(False))
    query = query.filter_by(**(filters or {}))
    return _page(query, Member.member_index, limit, marker, sort_dir)


def list_events(
    bulk_id, filters=None, limit=None, marker=None, sort_dir='asc'
):
    """List what happened to a bulk and its members, the oldest first.

    :param filters: dict of column name to value, compared for equality.
    :param marker: id of the last event of the page before.
    """
    query = sa.select(Event).where(Event.bulk_id == bulk_id)
    query = query.filter_by(**(filters or {}))
    return _page(query, Event.id, limit, marker, sort_dir)


def _page(query, key, limit, marker, sort_dir='asc'):
    """So many rows of a query in the order of a key that each has alone.

    :param marker: the key of the last row of the page before.
    """
    ascending = sort_dir == 'asc'
    if marker is not None:
        query = query.where(key > marker if ascending else key < marker)
    query = query.order_by(key.asc() if ascending else key.desc())
    with reader() as session:
        return session.scalars(query.limit(limit)).all()


def existing_container_names(names, project_id=None):
    """Which of these names containers bear already, compared in lower case.

    :param project_id: look in this project only; None looks in all.
    """
    column = sa.func.lower(zun_models.Container.name)
    wanted = sorted({name.lower() for name in names})
    found = set()
    with reader() as session:
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


# ------------------------------------------------------------------ history

# Each is told in the transaction that makes it true. Of members all at once:
# one by one they would cost more than what they tell of.


def _tell(session, bulk_id, event, reason=None):
    session.execute(
        sa.insert(Event.__table__).values(
            bulk_id=bulk_id,
            event=event,
            reason=reason,
            created_at=timeutils.utcnow(),
        )
    )


def _tell_of_members(session, ids, now, told=None):
    """Tell how members, which have been changed just now, are.

    :param told: {column: value} of what is told otherwise.
    """
    if not ids:
        return
    member, event = Member.__table__.c, Event.__table__.c
    columns = {
        'bulk_id': member.bulk_id,
        'member_index': member.member_index,
        'container_uuid': member.container_uuid,
        'event': member.state,
        'host': member.host,
        'attempt': member.attempt,
        'reason': member.reason,
    }
    for name, value in dict(told or {}, created_at=now).items():
        columns[name] = sa.literal(value, event[name].type)
    session.execute(
        sa.insert(Event.__table__).from_select(
            list(columns),
            sa.select(*columns.values())
            .where(member.id.in_(ids))
            .order_by(member.id),
        )
    )


def _members(number):
    return '%d member%s' % (number, '' if number == 1 else 's')


def newest_events(since):
    """Bulks that have events after the one with the id ``since``.

    :returns: {bulk id: id of its newest event}.
    """
    query = (
        sa.select(Event.bulk_id, sa.func.max(Event.id))
        .where(Event.id > since)
        .group_by(Event.bulk_id)
    )
    with reader() as session:
        return {bulk_id: newest for bulk_id, newest in session.execute(query)}


def trim_events(bulk_id, keep):
    """Forget the oldest events of a bulk, some at a time.

    :param keep: how many it may have.
    """
    ids = sa.select(Event.id).where(Event.bulk_id == bulk_id).limit(1)
    with reader() as session:
        last = session.scalar(ids.order_by(Event.id.desc()).offset(keep))
    upto = 0
    while last is not None and upto < last:
        with reader() as session:
            upto = session.scalar(
                ids.where(Event.id < last)
                .order_by(Event.id)
                .offset(TRIM_BATCH)
            )
        upto = upto or last
        _delete_events(bulk_id, upto)


@retry
def _delete_events(bulk_id, upto):
    with writer() as session:
        session.execute(
            sa.delete(Event)
            .where(Event.bulk_id == bulk_id, Event.id <= upto)
            .execution_options(synchronize_session=False)
        )


# ------------------------------------------------------ a conductor's lease


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
    with reader() as session:
        return session.scalars(query).all()


@retry
def take_lease(bulk, owner):
    """Become the one conductor of a bulk.

    :param bulk: the Bulk as it was seen; nothing happens if it has changed
        hands or shown life since.
    :returns: the new epoch, or None.
    """
    with writer() as session:
        taken = session.execute(
            _update(Bulk)
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


@retry
def renew_lease(bulk_id, epoch):
    """Show that the owner lives. Returns False if it is the owner no more."""
    with writer() as session:
        return _fence(session, bulk_id, epoch)


def release_lease(bulk_id, epoch):
    _release_leases(Bulk.id == bulk_id, Bulk.epoch == epoch)


def release_leases(owner):
    """Give up all that a conductor has, which has nothing under way."""
    _release_leases(Bulk.lease_owner == owner)


@retry
def _release_leases(*which):
    with writer() as session:
        session.execute(
            _update(Bulk)
            .where(*which)
            .values(
                lease_owner=None,
                heartbeat=Bulk.heartbeat + 1,
                updated_at=Bulk.updated_at,
            )
        )


def is_held(bulk_id, epoch):
    """What has to hold of a member for its bulk's conductor to move it.

    :returns: the ``only_if`` of move_members.
    """
    return Member.__table__.c.bulk_id.in_(
        sa.select(Bulk.id).where(Bulk.id == bulk_id, Bulk.epoch == epoch)
    )


def _fence(session, bulk_id, epoch):
    """Lock the bulk's row for this transaction if the epoch still holds."""
    return bool(
        session.execute(
            _update(Bulk)
            .where(Bulk.id == bulk_id, Bulk.epoch == epoch)
            .values(heartbeat=Bulk.heartbeat + 1, updated_at=Bulk.updated_at)
        ).rowcount
    )


# ------------------------------------------------------- changes of state


@retry
def set_bulk_status(
    bulk_id, epoch, before, after, reason=None, finished=False
):
    """Change a bulk's status as its conductor. Returns whether it did."""
    with writer() as session:
        changed = session.execute(
            _update(Bulk)
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
            _tell(session, bulk_id, after, reason)
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


@retry
def _review(bulk_id, before, after, reason, changed):
    with writer() as session:
        if session.execute(
            _update(Bulk)
            .where(Bulk.id == bulk_id, Bulk.status == before, changed)
            .values(
                status=after,
                status_reason=reason,
                updated_at=timeutils.utcnow(),
            )
        ).rowcount:
            _tell(session, bulk_id, after, reason)


@retry
def mark_bulk_deleting(bulk_id):
    """Turn a bulk and all its members to deleting, whatever they were.

    The rise of the bulk's epoch stops a conductor that is planning it; the
    rise of the members' stops an agent that is about to start one.
    Asked again it changes nothing.

    :returns: whether it has changed anything.
    """
    now = timeutils.utcnow()
    with writer() as session:
        changed = session.execute(
            _update(Bulk)
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
                _update(Member)
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
            _tell(session, bulk_id, BulkStatus.DELETING)
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


@retry
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
    with writer() as session:
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
        for part in _parts(unbound):
            session.execute(
                _update(Member)
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
        for part in _parts(uuids):
            session.execute(_reset(part))
        session.execute(
            _update(Member)
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
        _tell(session, bulk_id, EventName.RETRIED, _members(number))
        return number


@retry
def _turn_bulk(bulk_id, before, event, reason=None, seen=None, **values):
    with writer() as session:
        turned = _turn_bulk_in(session, bulk_id, before, seen, **values)
        if turned:
            _tell(session, bulk_id, event, reason)
        return turned


def _turn_bulk_in(session, bulk_id, before, seen=None, **values):
    """Change a bulk as its user, so that its conductor has to look again.

    The lease stays with that one: what it has under way, at Neutron say, may
    still take effect, and others wait until it has shown no life for as long.

    :param seen: the epoch that it has to have, if any.
    """
    return bool(
        session.execute(
            _update(Bulk)
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


@retry
def _grow_bulk(bulk, last_index, members, containers, actions, check_usage):
    """:returns: None if the project has no row, and nothing is written."""
    now = timeutils.utcnow()
    with writer() as session:
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


@retry
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
    with writer() as session:
        if not _resize(session, bulk, -len(ids), last_index_of(bulk), now):
            return False
        for part in _parts(ids):
            session.execute(
                _update(Member)
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
    _tell(
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
            _update(Bulk)
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
        _update(Bulk)
        .where(Bulk.id == bulk_id)
        .values(tolerated=_failed_starts(bulk_id), updated_at=Bulk.updated_at)
    )


def list_last_members(bulk_id, number):
    """So many members with the highest indexes."""
    return list_members(bulk_id, limit=number, sort_dir='desc')


def list_members_at(bulk_id, indexes):
    """The members that bear these indexes and were not scaled away."""
    found = []
    with reader() as session:
        for part in _parts(indexes):
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
    return _oldest_members(query, host, limit)


@retry
def forget_members(bulk_id, epoch, members):
    """Remove members that were scaled away and are gone, as conductor.

    :returns: False if the conductor has lost the bulk.
    """
    with writer() as session:
        if not _fence(session, bulk_id, epoch):
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


@retry
def cancel_members(bulk_id, epoch):
    """Turn what waits to be started to cancelled, as conductor.

    What its host has tried before may have left something in Docker, which a
    cancelled member never has. So it is deleted first.

    :returns: False if the conductor has lost the bulk.
    """
    now = timeutils.utcnow()
    with writer() as session:
        if not _fence(session, bulk_id, epoch):
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
        for part in _parts(waiting):
            session.execute(
                _update(Member)
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
            _tell_of_members(session, part, now)
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


@retry
def _set_members(bulk_id, epoch, state, changes, **values):
    """Change each member in its own way.

    :param changes: [(Member, {column: value})], the same columns for all.
    :param values: further columns, the same for all.
    """
    now = timeutils.utcnow()
    with writer() as session:
        if not _fence(session, bulk_id, epoch):
            return None
        if sum(
            _set(session, state, part, now, values) for part in _parts(changes)
        ) == len(changes):
            return [member.id for member, _columns in changes]
        # The number does not tell which: once more, one by one.
        session.rollback()
        if not _fence(session, bulk_id, epoch):
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
    for part in _parts(sorted(members, key=lambda member: member.id)):
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


@retry
def _move_part(members, state, now, only_if, told, **values):
    # No savepoint: MariaDB forgets it in a deadlock, and its complaint of
    # that would hide the deadlock from retry.
    with writer() as session:
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
            _tell_of_members(
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


def list_members_in(
    state, bulk_id=None, host=None, limit=None, building=False
):
    """Members in a state, for those who work on them.

    :param host: only this host's; '' means those that have no host.
    :param building: only those of bulks that are being built.
    """
    query = sa.select(Member).where(Member.state == state)
    if building:
        query = query.join(Bulk, Bulk.id == Member.bulk_id).where(
            Bulk.status == BulkStatus.BUILDING
        )
    if bulk_id is not None:
        query = query.where(Member.bulk_id == bulk_id)
    return _oldest_members(query, host, limit)


def _oldest_members(query, host, limit):
    if host is not None:
        query = query.where(
            Member.host.is_(None) if host == '' else Member.host == host
        )
    with reader() as session:
        return session.scalars(query.order_by(Member.id).limit(limit)).all()


def list_members_of(container_uuids):
    """The members that these containers are."""
    query = sa.select(Member).order_by(Member.id)
    with reader() as session:
        return [
            member
            for part in _parts(container_uuids)
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
    with reader() as session:
        return session.scalars(query).all()


def get_bulks_by_id(ids):
    """:returns: {id: Bulk}."""
    with reader() as session:
        return {
            bulk.id: bulk
            for bulk in session.scalars(
                sa.select(Bulk).where(Bulk.id.in_(ids))
            )
        }


# ------------------------------------------------------------- floating IPs

# floating_ip_state is None of a member that Neutron has no floating IP for.
# It changes apart from the member's state, whose epoch is not touched: hosts
# move members all the while.


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
    with reader() as session:
        return {state: number for state, number in session.execute(query)}


def list_given(bulk_id):
    """:returns: {address} of floating IPs that users gave to its members."""
    query = sa.select(Member.wanted).where(
        Member.bulk_id == bulk_id,
        Member.wanted.is_not(None),
        Member.floating_ip_state.is_not(None),
    )
    with reader() as session:
        return {
            wanted['floating_ip']
            for wanted in session.scalars(query)
            if wanted.get('floating_ip')
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
    with reader() as session:
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
    return _oldest_members(query, None, limit)


def list_floating_ips_to_release(bulk_id, limit):
    """Members that are not to have their floating IPs any more."""
    query = sa.select(Member).where(_has_floating_ip_to_release(bulk_id))
    return _oldest_members(query, None, limit)


def has_floating_ips_to_come_or_go(bulk_id):
    """Whether a bulk is not finished for the sake of floating IPs."""
    query = sa.select(Member.id).where(
        sa.or_(
            _waits_for_floating_ip(bulk_id),
            _has_floating_ip_to_release(bulk_id),
        )
    )
    with reader() as session:
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
    with reader() as session:
        return session.scalar(query) is not None


def is_rid_of_floating_ip(member):
    """Whether nobody will look for a floating IP of a member any more."""
    query = sa.select(Member.id).where(
        Member.id == member.id, Member.floating_ip_state.is_not(None)
    )
    with reader() as session:
        return session.scalar(query) is None


@retry
def set_floating_ip(member, epoch, state, address=None, reason=None):
    """Write what came of the floating IP that a member wanted, as conductor.

    Also of one that is on its way out meanwhile, so that it is released.

    :returns: whether it did.
    """
    with writer() as session:
        return _fence(session, member.bulk_id, epoch) and bool(
            session.execute(
                _update(Member)
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


@retry
def want_floating_ips_again(bulk_id, epoch, members):
    """Have failed members want floating IPs once they are retried.

    It comes before the release, so that one that is retried meanwhile is
    looked at anew. Their addresses stay until they are released.

    :param members: Members, some hundred at most.
    :returns: the members that are failed still.
    """
    with writer() as session:
        if not _fence(session, bulk_id, epoch):
            return []
        failed = sa.and_(
            Member.id.in_([member.id for member in members]),
            Member.state == MemberState.FAILED,
        )
        # It locks them, so that what is read is what was changed.
        session.execute(
            _update(Member)
            .where(failed)
            .values(
                floating_ip_state=FloatingIpState.WANTED,
                updated_at=timeutils.utcnow(),
            )
        )
        still = set(session.scalars(sa.select(Member.id).where(failed)))
        return [member for member in members if member.id in still]


@retry
def clear_floating_ips(bulk_id, epoch, members):
    """Note that members have no floating IPs any more, as conductor.

    :param members: Members, some hundred at most.
    """
    with writer() as session:
        if not _fence(session, bulk_id, epoch):
            return
        session.execute(
            _update(Member)
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


@retry
def give_up_floating_ips(
    bulk_id, epoch, reason, states=MemberState.WITH_PORTS
):
    """Fail the floating IPs that members have not got, as conductor.

    :param states: of the members.
    """
    with writer() as session:
        if _fence(session, bulk_id, epoch):
            session.execute(
                _update(Member)
                .where(_waits_for_floating_ip(bulk_id, states))
                .values(
                    floating_ip_state=FloatingIpState.FAILED,
                    floating_ip_reason=reason,
                    updated_at=timeutils.utcnow(),
                )
            )


# ------------------------------------------------------------ Zun's own rows


def container_states(uuids):
    """:returns: {uuid: (status, status_reason, task_state, host)}."""
    table = zun_models.Container.__table__
    query = sa.select(
        table.c.uuid,
        table.c.status,
        table.c.status_reason,
        table.c.task_state,
        table.c.host,
    )
    with reader() as session:
        return {
            row[0]: tuple(row[1:])
            for part in _parts(uuids)
            for row in session.execute(query.where(table.c.uuid.in_(part)))
        }


def hostnames(uuids):
    """:returns: {container uuid: hostname, or None}."""
    table = zun_models.Container.__table__
    query = sa.select(table.c.uuid, table.c.hostname)
    with reader() as session:
        return {
            uuid: hostname
            for part in _parts(uuids)
            for uuid, hostname in session.execute(
                query.where(table.c.uuid.in_(part))
            )
        }


@retry
def fail_containers(uuids, reason):
    """Say in Zun's rows that containers could not be placed."""
    table = zun_models.Container.__table__
    with writer() as session:
        session.execute(
            sa.update(table)
            .where(table.c.uuid.in_(uuids))
            .values(status='Error', status_reason=models.storable(reason))
        )


@retry
def reset_containers(uuids):
    """Make failed containers ready to be created again."""
    with writer() as session:
        session.execute(_reset(uuids))


@retry
def stop_container(uuid, reason):
    """Say in Zun's row of a running container that it runs no more.

    Zun would see it at its next look at all containers, in a minute.
    """
    table = zun_models.Container.__table__
    with writer() as session:
        session.execute(
            sa.update(table)
            .where(
                table.c.uuid == uuid,
                table.c.status == 'Running',
                table.c.task_state.is_(None),
            )
            .values(status='Stopped', status_reason=models.storable(reason))
        )


def _reset(uuids):
    table = zun_models.Container.__table__
    return (
        sa.update(table)
        .where(table.c.uuid.in_(uuids))
        .values(
            status='Creating', status_reason=None, task_state=None, host=None
        )
    )


def delete_containers(uuids):
    """Delete Zun's rows of containers that no host has."""
    for part in _parts(uuids):
        _delete_containers(part)


@retry
def _delete_containers(uuids):
    actions = zun_models.ContainerAction.__table__
    containers = zun_models.Container.__table__
    with writer() as session:
        # The rest cascades.
        _delete_mounts(session, uuids)
        session.execute(
            sa.delete(actions).where(actions.c.container_uuid.in_(uuids))
        )
        session.execute(
            sa.delete(containers).where(containers.c.uuid.in_(uuids))
        )


def delete_mounts(uuids):
    """Delete Zun's rows of what containers had mounted on hosts that died."""
    for part in _parts(uuids):
        _delete_mounts_of(part)


@retry
def _delete_mounts_of(uuids):
    with writer() as session:
        _delete_mounts(session, uuids)


def _delete_mounts(session, uuids):
    """Of mounts of bulks, each of which has a row of its own in volume."""
    mappings = zun_models.VolumeMapping.__table__
    volumes = zun_models.Volume.__table__
    of_mounts = session.scalars(
        sa.select(mappings.c.volume_id).where(
            mappings.c.container_uuid.in_(uuids)
        )
    ).all()
    if of_mounts:
        session.execute(
            sa.delete(mappings).where(mappings.c.container_uuid.in_(uuids))
        )
        session.execute(sa.delete(volumes).where(volumes.c.id.in_(of_mounts)))


def attached_volumes(volume_ids):
    """:returns: those of the Cinder volumes that Zun knows as attached."""
    mappings = zun_models.VolumeMapping.__table__
    volumes = zun_models.Volume.__table__
    found = set()
    with reader() as session:
        for part in _parts(volume_ids):
            found.update(
                session.scalars(
                    sa.select(volumes.c.cinder_volume_id)
                    .join(mappings, mappings.c.volume_id == volumes.c.id)
                    .where(volumes.c.cinder_volume_id.in_(part))
                )
            )
    return found


@retry
def destroy_bulk(bulk_id, epoch):
    """Remove a bulk whose members are all gone. Returns whether it did."""
    with writer() as session:
        if not _fence(session, bulk_id, epoch):
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


@retry
def dissolve_bulk(bulk_id):
    """Remove a bulk at which nothing is under way, and keep its containers.

    :returns: whether it is gone.
    """
    under_way = sa.exists().where(
        Member.bulk_id == bulk_id, Member.state.not_in(MemberState.FINAL)
    )
    with writer() as session:
        # A lock on the bulk's row first: who starts it anew waits for it.
        if not session.execute(
            _update(Bulk)
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


# -------------------------------------------------------------------- hosts


@retry
def add_host(host):
    """Make a host's row unless there is one. Returns nothing."""
    try:
        with writer() as session:
            session.execute(
                sa.insert(Host.__table__).values(
                    host=host,
                    epoch=0,
                    held=False,
                    created_at=timeutils.utcnow(),
                )
            )
    except db_exc.DBDuplicateEntry:
        return


def get_host(host):
    """:raises: ResourceNotFound (404)."""
    with reader() as session:
        row = session.scalars(sa.select(Host).where(Host.host == host)).first()
    if row is None:
        raise exception.ResourceNotFound(name='host', id=host)
    return row


def list_hosts(limit=None, marker=None):
    """List hosts by name.

    :param marker: name of the last host of the page before.
    """
    return _page(sa.select(Host), Host.host, limit, marker)


@retry
def change_host(row, **wishes):
    """Write an operator's wishes for a host. Returns whether it did.

    :param row: the Host as it was seen; nothing happens if another has
        changed its wishes since.
    """
    with writer() as session:
        return bool(
            session.execute(
                _update(Host)
                .where(Host.id == row.id, Host.epoch == row.epoch)
                .values(
                    epoch=Host.epoch + 1,
                    updated_at=timeutils.utcnow(),
                    **wishes,
                )
            ).rowcount
        )


@retry
def report_host(host, report):
    """Write how a host does, as its agent. No wish is touched."""
    with writer() as session:
        session.execute(
            _update(Host)
            .where(Host.host == host)
            .values(
                report=report,
                reported_at=timeutils.utcnow(),
                # When the wishes changed.
                updated_at=Host.updated_at,
            )
        )


def count_members_on(host):
    """Count what waits for a host's agent.

    :returns: {state: number} of the members that are deleting, or placed and
        of a bulk that is being built.
    """
    query = (
        sa.select(Member.state, sa.func.count())
        .join(Bulk, Bulk.id == Member.bulk_id)
        .where(
            Member.host == host,
            sa.or_(
                Member.state == MemberState.DELETING,
                sa.and_(
                    Member.state == MemberState.PLACED,
                    Bulk.status == BulkStatus.BUILDING,
                ),
            ),
            # Said once more, for the index.
            Member.state.in_((MemberState.PLACED, MemberState.DELETING)),
        )
        .group_by(Member.state)
    )
    with reader() as session:
        return {state: number for state, number in session.execute(query)}


#: Member states in which a host has its container, or is to have it.
_AT_A_HOST = (
    # From its claim on.
    MemberState.QUEUED,
    MemberState.PLACED,
    MemberState.STARTING,
    MemberState.RUNNING,
    MemberState.STOPPED,
)


def list_use():
    """What hosts have of Zun's containers, and what is on its way to them.

    zun-compute writes the host of a container when it begins with it; until
    then a member of a bulk knows it, and of a single container nobody does.

    :returns: rows of (host, container_type, cpu, memory, disk, number), alike
        containers in one; host None of those that are being created and have
        none yet. What a capsule is made of is where the capsule is.
    """
    container = zun_models.Container.__table__
    capsule = container.alias()
    host = sa.func.coalesce(container.c.host, Member.host, capsule.c.host)
    of = (
        container.c.container_type,
        container.c.cpu,
        container.c.memory,
        container.c.disk,
    )
    query = (
        sa.select(host, *of, sa.func.count())
        .select_from(container)
        .outerjoin(
            Member,
            sa.and_(
                Member.container_uuid == container.c.uuid,
                Member.state.in_(_AT_A_HOST),
            ),
        )
        .outerjoin(capsule, capsule.c.id == container.c.capsule_id)
        .where(
            sa.or_(host.is_not(None), container.c.status == consts.CREATING)
        )
        .group_by(host, *of)
    )
    with reader() as session:
        return [tuple(row) for row in session.execute(query)]


def list_shared_hosts():
    """:returns: the names of hosts that use a provider of Nova's."""
    node = zun_models.ComputeNode
    query = sa.select(node.hostname).where(node.rp_uuid != node.uuid)
    with reader() as session:
        return session.scalars(query).all()


def hosts_of_bulks(uuids, project_id):
    """Which hosts have members of bulks, or are to have.

    :param project_id: of whom the bulks have to be.
    :returns: {bulk uuid: {host}}, without the bulks that are not there.
    """
    query = (
        sa.select(Bulk.uuid, Member.host)
        .outerjoin(
            Member,
            sa.and_(
                Member.bulk_id == Bulk.id,
                Member.state.in_(_AT_A_HOST),
                Member.host.is_not(None),
            ),
        )
        .where(Bulk.uuid.in_(uuids), Bulk.project_id == project_id)
        .distinct()
    )
    found = collections.defaultdict(set)
    with reader() as session:
        for uuid, host in session.execute(query):
            # None of a bulk that has members nowhere.
            found[uuid].update([host] if host else [])
    return dict(found)


def create_tables(engine=None):
    """Make the tables without migrations: for SQLite in the lab and tests."""
    models.Base.metadata.create_all(engine or get_engine())
