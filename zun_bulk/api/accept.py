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

"""Accepting a bulk, or more of it: Zun's checks once, one transaction.

It does for N containers what ``zun.api.controllers.v1.containers`` does for
one, up to where that looks for a host; a conductor does the rest.
"""

import contextlib
import copy
import hashlib
import json

from neutronclient.common import exceptions as neutron_exceptions
from oslo_db import exception as db_exc
from oslo_serialization import jsonutils
from oslo_utils import strutils
from oslo_utils import timeutils
from oslo_utils import uuidutils
from zun import objects
from zun.api import utils as api_utils
from zun.api.controllers.v1 import containers
from zun.common import consts
from zun.common import exception
from zun.common import policy
from zun.common import quota
from zun.common import utils as zun_utils
from zun.compute import container_actions
from zun.db.sqlalchemy import models as zun_models
from zun.network import neutron

from zun_bulk import notifications
from zun_bulk.api import template as templates
from zun_bulk.conf import CONF
from zun_bulk.db import api as db_api
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import BulkStatus
from zun_bulk.db.models import MemberState
from zun_bulk.db.models import OnFailure


#: Bytes that a bulk's container rows may have together.
MAX_ROWS_SIZE = 64 * 1024 * 1024
#: Bytes in MySQL's TEXT, which Zun's JSON columns are.
_MAX_TEXT = 65535

#: What a request means that does not say otherwise.
_DEFAULTS = {
    'run': True,
    # Where one start in twenty fails by chance, of ten thousand containers
    # one would fail with three attempts; with five it takes 300 such bulks.
    'max_attempts': 5,
    'on_failure': OnFailure.PAUSE,
    'placement': {'policy': 'spread'},
}

#: Zun's quotas, as people call them.
_RESOURCES = {
    'containers': 'containers',
    'cpu': 'cpu',
    'memory': 'memory in MB',
    'disk': 'disk in GB',
}

_LABEL_BULK = templates.LABEL_PREFIX + 'bulk'
_LABEL_INDEX = templates.LABEL_PREFIX + 'index'


def accept(context, body):
    """Check a bulk and write it with all its containers.

    :param body: the request body, checked against its schema. If it has a
        client_token with which the project has made a bulk already, nothing
        is written.
    :returns: the bulk's uuid; what it stands for is committed.
    :raises: ZunException with the code of the response; nothing is written.
    """
    body = dict(_DEFAULTS, **body)
    body['placement'] = dict(_DEFAULTS['placement'], **body['placement'])
    if 'client_token' not in body:
        return _accept(context, body)
    request_hash = _hash(body)
    uuid = _accepted(context, body['client_token'], request_hash)
    if uuid is not None:
        return uuid
    try:
        return _accept(context, body, request_hash)
    except (exception.ZunException, db_exc.DBDuplicateEntry):
        # The same request may have come meanwhile, and have taken the token,
        # the names or the quota.
        uuid = _accepted(context, body['client_token'], request_hash)
        if uuid is None:
            raise
        return uuid


def _accepted(context, client_token, request_hash):
    """:returns: the uuid of the bulk that a token has made, or None.

    :raises: Conflict (409) if another request has made it.
    """
    bulk = db_api.get_bulk_of_token(context.project_id, client_token)
    if bulk is None:
        return None
    if bulk.request_hash != request_hash:
        raise exception.Conflict(
            'client_token: bulk %s was made with it by a request with another '
            'body.' % bulk.uuid
        )
    return bulk.uuid


def _hash(body):
    """Tell requests apart: the same for two that ask for the same.

    What has its default does not count, so that a field that a later release
    adds changes nothing.

    :param body: the request body with its defaults.
    """
    said = {
        key: value
        for key, value in body.items()
        if key != 'client_token' and value != _DEFAULTS.get(key)
    }
    said['template'] = _without_nulls(body['template'])
    text = json.dumps(said, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


def _without_nulls(template):
    """Zun takes null for most fields and stumbles over some."""
    return {key: value for key, value in template.items() if value is not None}


def _accept(context, body, request_hash=None):
    count, template = body['count'], body['template']
    if count > CONF.zun_bulk.max_members:
        raise exception.ValidationError(
            detail='count: a bulk has at most %d members'
            % CONF.zun_bulk.max_members
        )
    name = body.get('name') or templates.default_bulk_name(template)
    templates.check(template, name, count)
    wanted = copy.deepcopy(_without_nulls(template))
    _enforce_policies(context, wanted)
    _check_host(context, wanted)
    container = _container(context, wanted)
    check_usage = _quota_check(context, container, count)
    if check_usage is not None:
        # Neutron need not be asked for what cannot be. What counts is the
        # look that is taken as the rows are written.
        check_usage(db_api.usage(context.project_id))
    with _naming('nets'):
        networks = _requested_networks(context, wanted.get('nets', []))

    uuid = uuidutils.generate_uuid()
    rows = _container_rows(
        container, uuid, count, templates.member_name(template, name, count)
    )
    _check_names(context, rows)
    bulk = {
        'uuid': uuid,
        'name': name,
        'project_id': context.project_id,
        'user_id': context.user_id,
        'request_id': context.request_id,
        'client_token': body.get('client_token'),
        'request_hash': request_hash,
        'status': BulkStatus.BUILDING,
        'count': count,
        'run': body['run'],
        'max_attempts': body['max_attempts'],
        'on_failure': body['on_failure'],
        'placement': body['placement'],
        'template': template,
        'spec': {
            'requested_networks': networks,
            'security_groups': container.get('security_groups') or [],
            'mounts': wanted.get('mounts', []),
            'availability_zone': wanted.get('availability_zone'),
            'hints': wanted.get('hints'),
            'requested_host': wanted.get('host'),
            'cpu': container['cpu'],
            'memory': int(container['memory']),
            'disk': container['disk'],
            'cpu_policy': container['cpu_policy'],
        },
    }
    db_api.accept_bulk(
        bulk, _members(rows), rows, _actions(context, rows), check_usage
    )
    notifications.send('create', Bulk(**bulk))
    return uuid


def grow(context, bulk, count):
    """Check further members of a bulk and write them with their containers.

    :param bulk: the Bulk as it was seen.
    :param count: how many members it is to have.
    :returns: whether they are committed; not if the bulk was scaled or ended
        meanwhile.
    :raises: ZunException with the code of the response; nothing is written.
    """
    if count > CONF.zun_bulk.max_members:
        raise exception.ValidationError(
            detail='count: a bulk has at most %d members'
            % CONF.zun_bulk.max_members
        )
    first = db_api.last_index_of(bulk) + 1
    added = count - bulk.count
    last = first + added - 1
    templates.check(bulk.template, bulk.name, last)
    wanted = copy.deepcopy(_without_nulls(bulk.template))
    _enforce_policies(context, wanted)
    # Whoever asks: the containers are of whom the bulk is, and of the request
    # that zun-compute will have to do with.
    owner = copy.copy(context)
    owner.project_id, owner.user_id = bulk.project_id, bulk.user_id
    owner.request_id = bulk.request_id
    # As they were found when the bulk was made: its members are alike.
    wanted.pop('security_groups', None)
    for name in ('cpu', 'memory', 'disk', 'cpu_policy'):
        if bulk.spec.get(name) is not None:
            wanted[name] = bulk.spec[name]
    container = _container(owner, wanted)
    if bulk.spec.get('security_groups'):
        container['security_groups'] = bulk.spec['security_groups']
    check_usage = _quota_check(owner, container, added)
    rows = _container_rows(
        container,
        bulk.uuid,
        added,
        templates.member_name(bulk.template, bulk.name, last),
        first,
    )
    _check_names(owner, rows)
    return db_api.grow_bulk(
        bulk,
        last,
        _members(rows, first),
        rows,
        _actions(owner, rows),
        check_usage,
    )


def _members(rows, first=1):
    return [
        {
            'member_index': index,
            'container_uuid': row['uuid'],
            'name': row['name'],
            'state': MemberState.QUEUED,
        }
        for index, row in enumerate(rows, first)
    ]


def _actions(context, rows):
    return [
        objects.ContainerAction.pack_action_start(
            context, row['uuid'], container_actions.CREATE
        )
        for row in rows
    ]


@contextlib.contextmanager
def _naming(field):
    """Name the template's field in what Zun's checks say of its value.

    What they do not find, or find twice, is a bad value here and not a bad
    address.
    """
    try:
        yield
    except exception.ZunException as exc:
        if exc.code not in (400, 404, 409):
            raise
        _refuse(field, exc)
    except neutron_exceptions.NeutronClientNoUniqueMatch as exc:
        _refuse(field, exc)
    except neutron_exceptions.NeutronClientException as exc:
        if not 400 <= exc.status_code < 500:
            raise
        _refuse(field, exc)


def _refuse(field, text):
    raise exception.ValidationError(
        detail='template.%s: %s' % (field, text)
    ) from None


def _enforce_policies(context, wanted):
    rules = ['container:create']
    rules += [
        'container:create:' + field
        for field in ('runtime', 'privileged', 'image_pull_policy')
        if field in wanted
    ]
    if 'host' in wanted:
        rules.append('container:create:requested_destination')
    for rule in rules:
        policy.enforce(context, rule, action=rule)


def _check_host(context, wanted):
    if 'host' in wanted:
        with _naming('host'):
            objects.ComputeNode.get_by_name(context, wanted['host'])


def _container(context, wanted):
    """What a container's row says of the template, the same for all.

    :param wanted: the template without nulls.
    :returns: {column: value} without what each member has of its own.
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
        fields['security_groups'] = _security_groups(
            context, wanted['security_groups']
        )
    if 'healthcheck' in fields:
        fields['healthcheck']['test'] = fields['healthcheck'].pop('cmd', '')
    fields['cpu_policy'] = wanted.get('cpu_policy')
    fields['image_driver'] = (
        api_utils.string_or_none(wanted.get('image_driver'))
        or CONF.default_image_driver
    )
    controller._set_default_resource_limit(fields)
    if 'restart_policy' in fields:
        restart = fields['restart_policy']
        if restart.get('MaximumRetryCount') is None:
            restart.pop('MaximumRetryCount', None)
        with _naming('restart_policy'):
            zun_utils.check_for_restart_policy(fields)
    if 'registry' in wanted:
        fields['registry_id'] = _registry(context, wanted['registry']).id
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


def _security_groups(context, groups):
    """:returns: ids, each once."""
    neutron_api = neutron.NeutronAPI(context)
    with _naming('security_groups'):
        return list(
            dict.fromkeys(
                neutron_api.find_resourceid_by_name_or_id(
                    'security_group', group, context.project_id
                )
                for group in dict.fromkeys(groups)
            )
        )


def _registry(context, ident):
    context = copy.copy(context)
    context.all_projects = context.is_admin
    find = (
        objects.Registry.get_by_uuid
        if uuidutils.is_uuid_like(ident)
        else objects.Registry.get_by_name
    )
    with _naming('registry'):
        return find(context, ident)


def _requested_networks(context, nets):
    networks = zun_utils.build_requested_networks(context, nets)
    controller = containers.ContainersController()
    requests = controller._create_pci_requests_for_sriov_ports(
        context, networks
    )
    if requests.requests:
        raise exception.ValidationError(
            detail='SR-IOV ports are not supported for bulks'
        )
    return networks


def _quota_check(context, container, count):
    """Make what tells whether a bulk fits into its project's quotas.

    :returns: function of {quota: used} that raises OverQuota (403) if not
        all members fit; None where there is no limit.
    """
    quotas = quota.QUOTAS.get_project_quotas(
        context, context.project_id, usages=False
    )
    limits = {name: quotas[name]['limit'] for name in _RESOURCES}
    # None and -1 stand for no limit.
    limits = {
        name: limit
        for name, limit in limits.items()
        if limit is not None and limit >= 0
    }
    asked = {
        'containers': count,
        'cpu': count * (container['cpu'] or 0),
        'memory': count * int(container['memory']),
        'disk': count * (container['disk'] or 0),
    }

    def check(used):
        overs = [
            '%s (%s used, %s asked for, %s allowed)'
            % (
                _RESOURCES[name],
                _number(used[name]),
                _number(asked[name]),
                _number(limit),
            )
            for name, limit in limits.items()
            # Parts of a CPU are binary fractions.
            if round(used[name] + asked[name], 3) > limit
        ]
        if overs:
            raise exception.OverQuota(overs=', '.join(overs))

    return check if limits else None


def _number(value):
    """A number as people write it, without what floats add."""
    return ('%.3f' % value).rstrip('0').rstrip('.')


def _container_rows(container, bulk_uuid, count, name_pattern, first=1):
    """Rows of Zun's container table, as its own create would write them.

    :param first: the index of the first of them.
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
        container_type=objects.Container.container_type,
        created_at=timeutils.utcnow(),
    )
    labels = dict(container.get('labels') or {}, **{_LABEL_BULK: bulk_uuid})
    rows = []
    for index in range(first, first + count):
        row = dict(
            common,
            uuid=uuidutils.generate_uuid(),
            name=templates.expand(name_pattern, index),
            hostname=templates.expand(common['hostname'], index),
            environment=templates.expand(common['environment'], index),
            labels=dict(labels, **{_LABEL_INDEX: str(index)}),
        )
        rows.append(row)
    # The last has the longest values.
    _check_sizes(rows[-1], count)
    return rows


def _check_sizes(row, count):
    """Refuse what the database would."""
    total = 0
    for column in zun_models.Container.__table__.columns:
        value = row.get(column.name)
        if isinstance(value, str):
            size, limit = len(value), getattr(column.type, 'length', None)
            if any(
                char > '\uffff' or '\ud800' <= char <= '\udfff' or char == '\0'
                for char in value
            ):
                _refuse(column.name, 'it has characters that Zun cannot keep')
        elif isinstance(value, (dict, list)):
            size, limit = len(jsonutils.dumps(value)), _MAX_TEXT
        else:
            continue
        if size > (limit or _MAX_TEXT):
            _refuse(
                column.name,
                'it is too long by %d characters'
                % (size - (limit or _MAX_TEXT)),
            )
        total += size
    if total * count > MAX_ROWS_SIZE:
        raise exception.ValidationError(
            detail='template: it is too large for %d containers' % count
        )


def _check_names(context, rows):
    scope = CONF.compute.unique_container_name_scope
    if not scope:
        return
    existing = db_api.existing_container_names(
        [row['name'] for row in rows],
        context.project_id if scope == 'project' else None,
    )
    if existing:
        raise exception.ContainerAlreadyExists(
            field='name', value=min(existing)
        )
