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

"""Dry runs: where the members of a bulk would go, without creating it."""

from keystoneauth1 import exceptions as ks_exc
import sqlalchemy as sa
from zun.common import context as zun_context
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from zun_bulk import zun_compat
from zun_bulk.api import accept
from zun_bulk.api import errors
from zun_bulk.scheduler import hosts
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import planner


def plan(context, body):
    """Check a bulk and plan it, and write nothing.

    :param body: the request body, valid against its schema.
    :returns: a Plan for all of its members, as a conductor would make it now.
    :raises: ZunException as ``accept.check``; HTTPServiceUnavailable (503) if
        Placement or Keystone is not available.
    """
    try:
        prepared = accept.check(context, body)
        bulk = prepared.bulk
        survey = hosts.survey(
            # As conductors plan.
            zun_context.get_admin_context(all_projects=True),
            _container(context, prepared.containers[0]),
            bulk['spec'],
            placement.Placement(),
        )
    except (
        ks_exc.ClientException,
        exception.AuthorizationFailure,
        placement.BadAnswer,
    ) as error:
        raise errors.unavailable(
            'Placement or Keystone', 'cannot plan the bulk', error
        ) from error
    return planner.plan(
        bulk['count'], survey.rooms, bulk['placement']['policy']
    )


def _container(context, row):
    """Make the object that Zun would read from a container's row."""
    values = {'id': 0}
    for column in zun_models.Container.__table__.columns:
        value, kind = row.get(column.name), column.type
        if isinstance(kind, sa.types.TypeDecorator):
            # Some types convert None to an empty list or dict.
            value = kind.process_result_value(
                kind.process_bind_param(value, None), None
            )
        values.setdefault(column.name, value)
    return zun_compat.container_from_row(context, values)
