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

"""Projects' usage of their quotas, and the lock that guards it."""

from oslo_db import exception as db_exc
from oslo_utils import timeutils
import sqlalchemy as sa
from zun.common import consts
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.db import base
from zun_bulk.db.models import Project


def lock_project(session, project_id, now):
    """Lock a project's row, so that its other bulks wait.

    The lock lasts until the transaction ends. It is a write, because Galera
    allows SELECT ... FOR UPDATE of one row on several nodes at once, and
    SQLite does not have it.

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
def add_project(project_id):
    """Create a project's row unless it exists."""
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
    """Return a project's usage, counted as Zun does for its quotas.

    :returns: {quota: number}, memory in MB and disk in GB.
    """
    with base.reader() as session:
        return usage_in(session, project_id)


def usage_in(session, project_id):
    """Do the same as ``usage`` in a given session."""
    table = zun_models.Container.__table__
    row = session.execute(
        sa.select(
            sa.func.count().label('containers'),
            sa.func.sum(table.c.cpu).label('cpu'),
            # Zun stores it as text, which PostgreSQL cannot sum up.
            sa.func.sum(sa.cast(table.c.memory, sa.BigInteger)).label(
                'memory'
            ),
            sa.func.sum(table.c.disk).label('disk'),
        ).where(
            table.c.project_id == project_id,
            table.c.container_type == consts.TYPE_CONTAINER,
        )
    ).one()
    # A sum is an int, float or Decimal, or None if there are no rows.
    return {name: float(value or 0) for name, value in row._mapping.items()}
