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

"""Zun's own rows: containers and their mounts."""

import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from zun_bulk import disclosure
from zun_bulk.db import base
from zun_bulk.db import models


def container_states(uuids):
    """Return the Zun state of containers.

    :returns: {uuid: (status, status_reason, task_state, host)}.
    """
    table = zun_models.Container.__table__
    query = sa.select(
        table.c.uuid,
        table.c.status,
        table.c.status_reason,
        table.c.task_state,
        table.c.host,
    )
    with base.reader() as session:
        return {
            row[0]: tuple(row[1:])
            for part in base.parts(uuids)
            for row in session.execute(query.where(table.c.uuid.in_(part)))
        }


def hostnames(uuids):
    """Return the hostnames of containers.

    :returns: {container uuid: hostname, or None}.
    """
    table = zun_models.Container.__table__
    query = sa.select(table.c.uuid, table.c.hostname)
    with base.reader() as session:
        return {
            uuid: hostname
            for part in base.parts(uuids)
            for uuid, hostname in session.execute(
                query.where(table.c.uuid.in_(part))
            )
        }


@base.retry
def fail_containers(uuids, reason):
    """Set containers that could not be placed to Error."""
    table = zun_models.Container.__table__
    with base.writer() as session:
        session.execute(
            sa.update(table)
            .where(table.c.uuid.in_(uuids))
            .values(status='Error', status_reason=_for_user(reason))
        )


@base.retry
def reset_containers(uuids):
    """Reset failed containers, so that they can be created again."""
    with base.writer() as session:
        session.execute(reset(uuids))


@base.retry
def stop_container(uuid, reason):
    """Set a container that has stopped from Running to Stopped.

    Zun itself would do it in its next periodic check of all containers, within
    a minute.
    """
    table = zun_models.Container.__table__
    with base.writer() as session:
        session.execute(
            sa.update(table)
            .where(
                table.c.uuid == uuid,
                table.c.status == 'Running',
                table.c.task_state.is_(None),
            )
            .values(status='Stopped', status_reason=_for_user(reason))
        )


def _for_user(reason):
    # Zun shows it to all users that may see the container.
    return models.storable(disclosure.render(reason, hosts=False))


def reset(uuids):
    """Return the UPDATE that resets containers to Creating."""
    table = zun_models.Container.__table__
    return (
        sa.update(table)
        .where(table.c.uuid.in_(uuids))
        .values(
            status='Creating', status_reason=None, task_state=None, host=None
        )
    )


def delete_containers(uuids):
    """Delete Zun's rows of containers that are on no host."""
    for part in base.parts(uuids):
        _delete_containers(part)


@base.retry
def _delete_containers(uuids):
    actions = zun_models.ContainerAction.__table__
    containers = zun_models.Container.__table__
    with base.writer() as session:
        # The rest cascades.
        _delete_mounts(session, uuids)
        session.execute(
            sa.delete(actions).where(actions.c.container_uuid.in_(uuids))
        )
        session.execute(
            sa.delete(containers).where(containers.c.uuid.in_(uuids))
        )


def delete_mounts(uuids):
    """Delete Zun's rows of the mounts of containers, after a host failure."""
    for part in base.parts(uuids):
        _delete_mounts_of(part)


@base.retry
def _delete_mounts_of(uuids):
    with base.writer() as session:
        _delete_mounts(session, uuids)


def _delete_mounts(session, uuids):
    """Delete rows of bulks' mounts; each has its own row in ``volume``."""
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
    """Return those of the Cinder volumes that are attached in Zun."""
    mappings = zun_models.VolumeMapping.__table__
    volumes = zun_models.Volume.__table__
    found = set()
    with base.reader() as session:
        for part in base.parts(volume_ids):
            found.update(
                session.scalars(
                    sa.select(volumes.c.cinder_volume_id)
                    .join(mappings, mappings.c.volume_id == volumes.c.id)
                    .where(volumes.c.cinder_volume_id.in_(part))
                )
            )
    return found


def existing_container_names(names, project_id=None):
    """Return those of the names that containers have already.

    Names are compared in lower case.

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
