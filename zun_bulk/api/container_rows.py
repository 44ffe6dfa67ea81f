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

"""Rows of Zun's container table for the members of a bulk.

They hold what ``zun.api.controllers.v1.containers`` writes for one container.
"""

from oslo_serialization import jsonutils
from oslo_utils import strutils
from oslo_utils import timeutils
from oslo_utils import uuidutils
from zun import objects
from zun.api import utils as api_utils
from zun.api.controllers.v1 import containers
from zun.common import consts
from zun.common import exception
from zun.common import utils as zun_utils
from zun.db.sqlalchemy import models as zun_models

from zun_bulk import zun_compat
from zun_bulk.api import members
from zun_bulk.api import references
from zun_bulk.api import template as templates
from zun_bulk.api import validation
from zun_bulk.conf import CONF
from zun_bulk.consts import LABEL_BULK
from zun_bulk.consts import LABEL_INDEX
from zun_bulk.db import zun_rows as db_zun_rows
from zun_bulk.db.models import UNSTORABLE


#: Bytes that the container rows of one bulk may have in total.
MAX_ROWS_SIZE = 64 * 1024 * 1024
#: Bytes that fit into MySQL's TEXT, the type of Zun's JSON columns.
_MAX_TEXT = 65535


def common_values(context, wanted):
    """Make the columns that are the same for all containers of a template.

    :param context: of the project and user that own the containers.
    :param wanted: the template without nulls.
    :returns: {column: value} without those that have per-member values.
    :raises: ValidationError (400)
    """
    controller = containers.ContainersController()
    fields = {
        key: value
        for key, value in wanted.items()
        if key in objects.Container.fields and key not in ('host', 'registry')
    }
    for key in (
        'interactive',
        'tty',
        'auto_heal',
        'auto_remove',
        'privileged',
    ):
        if key in fields:
            fields[key] = strutils.bool_from_string(fields[key], strict=True)
    fields.setdefault('interactive', False)
    if wanted.get('security_groups'):
        fields['security_groups'] = references.security_groups(
            context, wanted['security_groups']
        )
    if 'healthcheck' in fields:
        fields['healthcheck']['test'] = fields['healthcheck'].pop('cmd', '')
    fields['cpu_policy'] = wanted.get('cpu_policy')
    fields['image_driver'] = (
        api_utils.string_or_none(wanted.get('image_driver'))
        or CONF.default_image_driver
    )
    zun_compat.set_default_resource_limit(controller, fields)
    if 'restart_policy' in fields:
        restart = fields['restart_policy']
        if restart.get('MaximumRetryCount') is None:
            restart.pop('MaximumRetryCount', None)
        with validation.blame_field('restart_policy'):
            zun_utils.check_for_restart_policy(fields)
    if 'registry' in wanted:
        fields['registry_id'] = references.registry(
            context, wanted['registry']
        ).id
    fields.update(
        project_id=context.project_id,
        user_id=context.user_id,
        status=consts.CREATING,
    )
    try:
        # Zun's object brings each value to its column's type.
        return objects.Container(context, **fields).obj_get_changes()
    except (TypeError, ValueError) as exc:
        raise exception.ValidationError(
            detail='Invalid input for template: %s' % exc
        ) from exc


def make(container, bulk_uuid, count, name_pattern, first=1, own=None):
    """Make rows of Zun's container table, as its own create writes them.

    :param container: {column: value} as ``common_values`` returns it.
    :param bulk_uuid: of the bulk that the containers belong to.
    :param count: number of rows.
    :param name_pattern: name of the containers, with {index}.
    :param first: index of the first of them.
    :param own: the per-member values of each member, None if none has any.
    :returns: [{column: value}] in the order of their indexes.
    :raises: ValidationError (400) if a row does not fit into the database.
    """
    common = {}
    for column in zun_models.Container.__table__.columns:
        value = container.get(column.name)
        if value is None and column.default is not None:
            # The ORM takes the default for None too, a plain insert does not.
            value = column.default.arg if column.default.is_scalar else None
        if not column.primary_key:
            common[column.name] = value
    common.update(
        name=name_pattern,
        labels=dict(container.get('labels') or {}, **{LABEL_BULK: bulk_uuid}),
        container_type=objects.Container.container_type,
        created_at=timeutils.utcnow(),
    )
    rows = []
    for index in range(first, first + count):
        said = members.override(common, own[index - first] if own else {})
        row = dict(
            common,
            uuid=uuidutils.generate_uuid(),
            name=templates.expand(said['name'], index),
            hostname=templates.expand(said['hostname'], index),
            environment=templates.expand(said['environment'], index),
            labels=dict(said['labels'], **{LABEL_INDEX: str(index)}),
        )
        rows.append(row)
    _check_sizes(rows, own)
    return rows


def _check_sizes(rows, own):
    """Refuse rows that the database would refuse.

    :raises: ValidationError (400)
    """
    total = 0
    for name in zun_models.Container.__table__.columns.keys():
        if own and name in members.COLUMNS:
            continue
        # Members are alike here; the last has the longest {index}.
        size, fault = _measure(name, rows[-1].get(name))
        if fault:
            validation.refuse('template.' + name, fault)
        total += size
    total *= len(rows)
    if own:
        total += members.check_sizes(rows, _measure)
    if total > MAX_ROWS_SIZE:
        raise exception.ValidationError(
            detail='template%s: too large for %d containers, whose rows '
            'would exceed %d bytes in total'
            % (' with members' if own else '', len(rows), MAX_ROWS_SIZE)
        )


def _measure(name, value):
    """Measure a column's value in characters.

    :returns: (its size, error text or None).
    """
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            return 0, 'it contains characters that Zun cannot store'
        column = zun_models.Container.__table__.columns[name]
        size = len(value)
        limit = getattr(column.type, 'length', None) or _MAX_TEXT
    elif isinstance(value, (dict, list)):
        size, limit = len(jsonutils.dumps(value)), _MAX_TEXT
    else:
        return 0, None
    if size > limit:
        return size, 'too long by %d characters' % (size - limit)
    return size, None


def check_names(context, rows):
    """Check container names where Zun is configured to keep them unique.

    :raises: ContainerAlreadyExists (409)
    """
    scope = CONF.compute.unique_container_name_scope
    if not scope:
        return
    existing = db_zun_rows.existing_container_names(
        [row['name'] for row in rows],
        context.project_id if scope == 'project' else None,
    )
    if existing:
        raise exception.ContainerAlreadyExists(
            field='name', value=min(existing)
        )
