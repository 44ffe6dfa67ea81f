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

"""What would become of a bulk, without making it."""

from keystoneauth1 import exceptions as ks_exc
from oslo_log import log as logging
import sqlalchemy as sa
import webob.exc
from zun.common import context as zun_context
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from zun_bulk import zun_compat
from zun_bulk.api import accept
from zun_bulk.scheduler import hosts
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import planner


LOG = logging.getLogger(__name__)


def plan(context, body):
    """Check a bulk and plan it, and write nothing.

    :param body: the request body, checked against its schema.
    :returns: a Plan for all of its members, as a conductor would make it now.
    :raises: ZunException as ``accept.check``; HTTPServiceUnavailable (503) if
        Placement or Keystone does not answer.
    """
    try:
        prepared = accept.check(context, body)
        bulk = prepared.bulk
        survey = hosts.survey(
            # As conductors do.
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
        # What it says is for operators: it has addresses.
        LOG.warning('There is no dry run without Placement: %s', error)
        raise webob.exc.HTTPServiceUnavailable(
            'Placement or Keystone does not answer, so that nobody knows what '
            'there is room for; try again later.'
        ) from error
    return planner.plan(
        bulk['count'], survey.rooms, bulk['placement']['policy']
    )


def _container(context, row):
    """The object that Zun would make of a container's row in its table."""
    values = {'id': 0}
    for column in zun_models.Container.__table__.columns:
        value, kind = row.get(column.name), column.type
        if isinstance(kind, sa.types.TypeDecorator):
            # Some make an empty list or dict of None.
            value = kind.process_result_value(
                kind.process_bind_param(value, None), None
            )
        values.setdefault(column.name, value)
    return zun_compat.container_from_row(context, values)
