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

"""The hosts: operators' settings, agents' reports, and usage."""

import collections

from oslo_db import exception as db_exc
from oslo_utils import timeutils
import sqlalchemy as sa
from zun.common import consts
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.db import base
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Host
from zun_bulk.db.models import Member
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


@base.retry
def add_host(host):
    """Create a host's row unless it exists."""
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
    """Return a host's row.

    :raises: ResourceNotFound (404).
    """
    with base.reader() as session:
        row = session.scalars(sa.select(Host).where(Host.host == host)).first()
    if row is None:
        raise exception.ResourceNotFound(name='host', id=host)
    return row


def list_hosts(limit=None, marker=None):
    """List hosts by name.

    :param marker: name of the last host of the previous page.
    """
    return base.page(sa.select(Host), Host.host, limit, marker)


@base.retry
def change_host(row, **settings):
    """Write an operator's settings of a host.

    :param row: the Host as it was read; nothing is written if its settings
        were changed since.
    :param settings: {column: value}.
    :returns: whether they were written.
    """
    with base.writer() as session:
        return bool(
            session.execute(
                base.update(Host)
                .where(Host.id == row.id, Host.epoch == row.epoch)
                .values(
                    epoch=Host.epoch + 1,
                    updated_at=timeutils.utcnow(),
                    **settings,
                )
            ).rowcount
        )


@base.retry
def report_host(host, report):
    """Write the report of a host's agent; the settings stay."""
    with base.writer() as session:
        session.execute(
            base.update(Host)
            .where(Host.host == host)
            .values(
                report=report,
                reported_at=timeutils.utcnow(),
                # The time of the last change of the settings.
                updated_at=Host.updated_at,
            )
        )


def count_members_on(host):
    """Count the members that wait for a host's agent.

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
            # Redundant, but lets the database use the index.
            Member.state.in_((MemberState.PLACED, MemberState.DELETING)),
        )
        .group_by(Member.state)
    )
    with base.reader() as session:
        return {state: number for state, number in session.execute(query)}


#: Member states in which a host has the container or will get it.
_STATES_ON_HOST = (
    # Once it has a claim.
    MemberState.QUEUED,
    MemberState.PLACED,
    MemberState.STARTING,
    MemberState.RUNNING,
    MemberState.STOPPED,
)


def list_container_usage():
    """List the resources of Zun's containers on hosts, including planned ones.

    zun-compute writes the host of a container when it begins to create it.
    Until then the member of a bulk has it; for a single container it is
    unknown.

    :returns: [(host, container_type, cpu, memory in MB, disk in GB, number of
        such containers)]; host is None for containers that are being created
        and have no host yet. The containers of a capsule are on its host.
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
    """Return the names of hosts that share a resource provider with Nova."""
    node = zun_models.ComputeNode
    query = sa.select(node.hostname).where(node.rp_uuid != node.uuid)
    with base.reader() as session:
        return session.scalars(query).all()


def hosts_of_bulks(uuids, project_id):
    """Find the hosts that have members of bulks or will get them.

    :param project_id: ignore bulks of other projects.
    :returns: {bulk uuid: {host}}, without bulks that do not exist.
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
            # The host is None if no member of the bulk has one.
            found[uuid].update([host] if host else [])
    return dict(found)
