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

"""The hosts: operators' wishes, their agents' reports, and what they have."""

import collections

from oslo_db import exception as db_exc
from oslo_utils import timeutils
import sqlalchemy as sa
from zun.common import consts
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.db import base
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Host
from zun_bulk.db.models import Member


@base.retry
def add_host(host):
    """Make a host's row unless there is one. Returns nothing."""
    try:
        with base.writer() as session:
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
    with base.reader() as session:
        row = session.scalars(sa.select(Host).where(Host.host == host)).first()
    if row is None:
        raise exception.ResourceNotFound(name='host', id=host)
    return row


def list_hosts(limit=None, marker=None):
    """List hosts by name.

    :param marker: name of the last host of the page before.
    """
    return base.page(sa.select(Host), Host.host, limit, marker)


@base.retry
def change_host(row, **wishes):
    """Write an operator's wishes for a host. Returns whether it did.

    :param row: the Host as it was seen; nothing happens if another has
        changed its wishes since.
    """
    with base.writer() as session:
        return bool(
            session.execute(
                base.update(Host)
                .where(Host.id == row.id, Host.epoch == row.epoch)
                .values(
                    epoch=Host.epoch + 1,
                    updated_at=timeutils.utcnow(),
                    **wishes,
                )
            ).rowcount
        )


@base.retry
def report_host(host, report):
    """Write how a host does, as its agent. No wish is touched."""
    with base.writer() as session:
        session.execute(
            base.update(Host)
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
    with base.reader() as session:
        return {state: number for state, number in session.execute(query)}


#: Member states in which a host has its container, or is to have it.
_STATES_ON_HOST = (
    # From its claim on.
    MemberState.QUEUED,
    MemberState.PLACED,
    MemberState.STARTING,
    MemberState.RUNNING,
    MemberState.STOPPED,
)


def list_container_usage():
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
                Member.state.in_(_STATES_ON_HOST),
            ),
        )
        .outerjoin(capsule, capsule.c.id == container.c.capsule_id)
        .where(
            sa.or_(host.is_not(None), container.c.status == consts.CREATING)
        )
        .group_by(host, *of)
    )
    with base.reader() as session:
        return [tuple(row) for row in session.execute(query)]


def list_shared_hosts():
    """:returns: the names of hosts that use a provider of Nova's."""
    node = zun_models.ComputeNode
    query = sa.select(node.hostname).where(node.rp_uuid != node.uuid)
    with base.reader() as session:
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
                Member.state.in_(_STATES_ON_HOST),
                Member.host.is_not(None),
            ),
        )
        .where(Bulk.uuid.in_(uuids), Bulk.project_id == project_id)
        .distinct()
    )
    found = collections.defaultdict(set)
    with base.reader() as session:
        for uuid, host in session.execute(query):
            # None of a bulk that has members nowhere.
            found[uuid].update([host] if host else [])
    return dict(found)
