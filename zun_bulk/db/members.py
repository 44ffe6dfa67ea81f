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

"""Lists of members."""

import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.db import base
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Member
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


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
    :param name: a part of their names, in any case.
    :param marker: index of the last member of the previous page.
    :param with_removed: also list members that were scaled away.
    """
    query = sa.select(Member).where(Member.bulk_id == bulk_id)
    if not with_removed:
        query = query.where(Member.removed.is_(False))
    if name is not None:
        query = query.where(Member.name.icontains(name, autoescape=True))
    query = query.filter_by(**(filters or {}))
    return base.page(query, Member.member_index, limit, marker, sort_dir)


def list_last_members(bulk_id, number):
    """List the members with the highest indexes, ``number`` at most."""
    return list_members(bulk_id, limit=number, sort_dir='desc')


def list_members_by_index(bulk_id, indexes):
    """List the members with these indexes that were not scaled away."""
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
    """List members that were scaled away, the oldest first.

    :param host: only members of this host; '' means those without a host.
    :param with_floating_ip: also list members whose floating IP is not
        released yet.
    """
    query = sa.select(Member).where(
        Member.bulk_id == bulk_id,
        Member.state.in_(states),
        Member.removed.is_(True),
    )
    if not with_floating_ip:
        query = query.where(Member.floating_ip_state.is_(None))
    return oldest_members(query, host, limit)


def list_members_by_state(state, bulk_id=None, host=None):
    """List members in a state, the oldest first.

    :param host: only members of this host; '' means those without a host.
    """
    query = sa.select(Member).where(Member.state == state)
    if bulk_id is not None:
        query = query.where(Member.bulk_id == bulk_id)
    return oldest_members(query, host)


def list_members_in_fair_order(state, host, limit, building=False):
    """List members of a host in a state, in fair order.

    Projects alternate, and within a project its bulks, so that nobody waits
    for all of a bulk of a thousand members.

    :param limit: maximum number of members.
    :param building: only members of bulks that are being built.
    """
    query = (
        sa.select(
            Member.id,
            Member.bulk_id,
            Bulk.project_id,
            sa.func.row_number()
            .over(partition_by=Member.bulk_id, order_by=Member.id)
            .label('fair_rank'),
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
            order_by=(of_bulk.c.fair_rank, of_bulk.c.bulk_id),
        )
        .label('fair_rank'),
    ).subquery()
    with base.reader() as session:
        return session.scalars(
            sa.select(Member)
            .join(of_project, of_project.c.id == Member.id)
            .order_by(of_project.c.fair_rank, Member.id)
            .limit(limit)
        ).all()


def oldest_members(query, host=None, limit=None):
    """Run a query of members, the oldest first.

    :param host: only members of this host; '' means those without a host.
    """
    if host is not None:
        query = query.where(
            Member.host.is_(None) if host == '' else Member.host == host
        )
    with base.reader() as session:
        return session.scalars(query.order_by(Member.id).limit(limit)).all()


def list_members_by_container(container_uuids):
    """List the members whose containers these are."""
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
    """List cancelled members that still have a container row in Zun."""
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
