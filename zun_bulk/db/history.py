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

"""The history of bulks and their members.

Each event is recorded in the transaction of the change. Events of members are
recorded in one statement: one by one they would cost more than the change.
"""

from oslo_utils import timeutils
import sqlalchemy as sa

from zun_bulk.db import base
from zun_bulk.db.models import Event
from zun_bulk.db.models import Member


#: Number of events that one statement deletes.
TRIM_BATCH = 1000


def list_events(
    bulk_id, filters=None, limit=None, marker=None, sort_dir='asc'
):
    """List what happened to a bulk and its members, the oldest first.

    :param filters: dict of column name to value, compared for equality.
    :param marker: id of the last event of the previous page.
    """
    query = sa.select(Event).where(Event.bulk_id == bulk_id)
    query = query.filter_by(**(filters or {}))
    return base.page(query, Event.id, limit, marker, sort_dir)


def record(session, bulk_id, event, reason=None):
    """Record an event of a bulk.

    :param event: an EventName.
    """
    session.execute(
        sa.insert(Event.__table__).values(
            bulk_id=bulk_id,
            event=event,
            reason=reason,
            created_at=timeutils.utcnow(),
        )
    )


def record_members(session, ids, now, event_values=None):
    """Record the states of members that this transaction has changed.

    :param event_values: {column: value} in place of the members' own values.
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
    for name, value in dict(event_values or {}, created_at=now).items():
        columns[name] = sa.literal(value, event[name].type)
    session.execute(
        sa.insert(Event.__table__).from_select(
            list(columns),
            sa.select(*columns.values())
            .where(member.id.in_(ids))
            .order_by(member.id),
        )
    )


def newest_events(since):
    """Find bulks with events newer than the one with the id ``since``.

    :returns: {bulk id: id of its newest event}.
    """
    query = (
        sa.select(Event.bulk_id, sa.func.max(Event.id))
        .where(Event.id > since)
        .group_by(Event.bulk_id)
    )
    with base.reader() as session:
        return {bulk_id: newest for bulk_id, newest in session.execute(query)}


def trim_events(bulk_id, keep):
    """Delete the oldest events of a bulk, TRIM_BATCH at a time.

    :param keep: number of events that stay.
    """
    ids = sa.select(Event.id).where(Event.bulk_id == bulk_id).limit(1)
    with base.reader() as session:
        last = session.scalar(ids.order_by(Event.id.desc()).offset(keep))
    upto = 0
    while last is not None and upto < last:
        with base.reader() as session:
            upto = session.scalar(
                ids.where(Event.id < last)
                .order_by(Event.id)
                .offset(TRIM_BATCH)
            )
        upto = upto or last
        _delete_events(bulk_id, upto)


@base.retry
def _delete_events(bulk_id, upto):
    with base.writer() as session:
        session.execute(
            sa.delete(Event)
            .where(Event.bulk_id == bulk_id, Event.id <= upto)
            .execution_options(synchronize_session=False)
        )


def number_of_members(number):
    """Return a number of members as text, such as ``2 members``."""
    return '%d member%s' % (number, '' if number == 1 else 's')
