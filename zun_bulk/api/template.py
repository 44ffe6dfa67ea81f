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

"""A bulk's template: the body of a container create, for all its members.

``{index}`` in the name, the hostname and the environment's values is replaced
by the member's index, which counts from 1.
"""

import re

from oslo_utils import uuidutils
from zun.api.controllers.v1.schemas import containers as zun_schema

from zun_bulk.api import mounts
from zun_bulk.api import nets
from zun_bulk.api import validation
from zun_bulk.api.schemas import bulk as schema
from zun_bulk.consts import INDEX
from zun_bulk.consts import LABEL_PREFIX


def check(template, bulk_name, count):
    """Check a template with the first and the last index of a bulk.

    :param bulk_name: the bulk's name.
    :param count: the last index.
    :raises: SchemaValidationError, ValidationError (both 400) that name the
        field.
    """
    if template.get('exposed_ports'):
        # zun-compute would need the user's token to create a security group
        # for them, and members start without one.
        validation.refuse(
            'template.exposed_ports',
            'not supported for bulks; use security_groups that open the ports',
        )
    pattern = member_name(template, bulk_name, count)
    for index in (count, 1):
        member = dict(template, name=expand(pattern, index))
        if isinstance(template.get('nets'), list):
            member['nets'] = nets.for_zun(template['nets'])
        for key in ('hostname', 'environment'):
            if key in member:
                member[key] = expand(member[key], index)
        validation.check(
            {'template': member},
            {'properties': {'template': zun_schema.container_create_v140}},
            'the request body',
        )
    for label in template.get('labels') or {}:
        if label.startswith(LABEL_PREFIX):
            validation.refuse(
                'template.labels',
                'names beginning with %s are reserved' % LABEL_PREFIX,
            )
    nets.check(template.get('nets'), count)
    for number, mount in enumerate(template.get('mounts') or []):
        mounts.check('template.mounts[%d]' % number, mount)


def default_bulk_name(template):
    """Make the name of a bulk that has none, from that of its containers."""
    name = (template.get('name') or '').replace(INDEX, '').strip('_.-')
    if re.match(schema.name['pattern'], name):
        return name
    return 'bulk-' + uuidutils.generate_uuid(dashed=False)[:8]


def member_name(template, bulk_name, count):
    """Make the name of a bulk's members, with {index} if there are several."""
    name = template.get('name')
    if not name:
        return bulk_name + '-' + INDEX
    if count > 1 and INDEX not in name:
        return name + '-' + INDEX
    return name


def expand(value, index):
    """Replace {index} in a string, or in a dict's values."""
    if isinstance(value, dict):
        return {key: expand(item, index) for key, item in value.items()}
    if isinstance(value, str):
        return value.replace(INDEX, str(index))
    return value
