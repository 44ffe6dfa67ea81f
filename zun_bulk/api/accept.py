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
from oslo_log import log as logging
from oslo_serialization import jsonutils
from oslo_utils import excutils
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
from zun_bulk import zun_compat
from zun_bulk.api import floating_ips
from zun_bulk.api import members
from zun_bulk.api import mounts
from zun_bulk.api import nets
from zun_bulk.api import template as templates
from zun_bulk.api import validation
from zun_bulk.api.schemas import bulk as schema
from zun_bulk.conf import CONF
from zun_bulk.consts import LABEL_BULK
from zun_bulk.consts import LABEL_INDEX
from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.consts import OnFailure
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import quotas as db_quotas
from zun_bulk.db import zun_rows as db_zun_rows
from zun_bulk.db.models import UNSTORABLE
from zun_bulk.db.models import Bulk
from zun_bulk.volume import trusts


LOG = logging.getLogger(__name__)

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
    'placement': schema.PLACEMENT,
}

#: Zun's quotas, as people call them.
_RESOURCES = {
    'containers': 'containers',
    'cpu': 'cpu',
    'memory': 'memory in MB',
    'disk': 'disk in GB',
}


def accept(context, body):
    """Check a bulk and write it with all its containers.

    :param body: the request body, checked against its schema. If it has a
        client_token with which the project has made a bulk already, nothing
        is written.
    :returns: the bulk's uuid; what it stands for is committed.
    :raises: ZunException with the code of the response; nothing is written.
    """
    body = _with_defaults(body)
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


def check(context, body):
    """Check a bulk as ``accept`` does, and write nothing.

    :param body: as for ``accept``.
    :returns: ({column: value} of the bulk, the same of a container of it in
        Zun's table; they are alike but for what has the index in it).
    :raises: as ``accept``; Conflict (409) also if the client_token has made
        a bulk, whatever of.
    """
    body = _with_defaults(body)
    if 'client_token' in body:
        uuid = _accepted(context, body['client_token'], _hash(body))
        if uuid is not None:
            raise exception.Conflict(
                'client_token: bulk %s was made with it already.' % uuid
            )
    bulk, _member_rows, rows, _check_usage = _prepare(context, body)
    return bulk, rows[0]


def _with_defaults(body):
    body = dict(_DEFAULTS, **body)
    body['placement'] = dict(_DEFAULTS['placement'], **body['placement'])
    if 'floating_ips' in body:
        body['floating_ips'] = floating_ips.with_defaults(body['floating_ips'])
    return body


def _accepted(context, client_token, request_hash):
    """:returns: the uuid of the bulk that a token has made, or None.

    :raises: Conflict (409) if another request has made it.
    """
    bulk = db_bulks.get_bulk_by_client_token(context.project_id, client_token)
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
    bulk, member_rows, rows, check_usage = _prepare(context, body)
    bulk['request_hash'] = request_hash
    with _trusted(context, bulk, member_rows):
        db_accepting.accept_bulk(
            bulk, member_rows, rows, _actions(context, rows), check_usage
        )
    notifications.send('create', Bulk(**bulk))
    return bulk['uuid']


@contextlib.contextmanager
def _trusted(context, bulk, member_rows):
    """Within it, a trust is there for a bulk that needs one.

    It goes again if the bulk is not written. What is raised may be that the
    database did not answer, and then it may be written.
    """
    own = [row['wanted'] or {} for row in member_rows]
    trust_id = mounts.trust(
        context,
        bulk['uuid'],
        _wishes(bulk['spec'], bulk['count']) + _wishes_of_members(own),
    )
    if trust_id is None:
        yield
        return
    bulk['spec']['trust_id'] = trust_id
    try:
        yield
    except Exception:
        with excutils.save_and_reraise_exception():
            try:
                db_bulks.get_bulk(bulk['uuid'])
            except exception.ResourceNotFound:
                trusts.discard(trust_id)
            except Exception as error:
                LOG.warning(
                    'Trust %(trust)s is left, for conductors to see whether '
                    'bulk %(bulk)s was written: %(error)s',
                    {'trust': trust_id, 'bulk': bulk['uuid'], 'error': error},
                )


def _wishes(spec, count, added=None):
    """What is asked of Cinder for a bulk's members.

    :param count: how many there are in all.
    :param added: how many of them are new, if not all.
    """
    return [
        mounts.Wish(
            'template.mounts[%d]' % number,
            mount,
            added if added and 'size' in mount else count,
        )
        for number, mount in enumerate(spec.get('mounts') or ())
    ]


def _wishes_of_members(own):
    """What is asked of Cinder for single members.

    :param own: what each has of its own.
    """
    return [
        mounts.Wish('members[%d].mounts[%d]' % (position, number), mount, 1)
        for position, member in enumerate(own)
        for number, mount in enumerate(member.get('mounts') or ())
    ]


def _resolve_mounts(context, wanted, own, count):
    """Put into mounts what Cinder says of the volumes that they name.

    :param wanted: the template.
    :param own: what each member has of its own, or None.
    :returns: own, as it is then.
    """
    wishes = _wishes(wanted, count)
    resolved = mounts.resolve(context, wishes + _wishes_of_members(own or ()))
    wanted['mounts'] = resolved[: len(wishes)]
    rest = iter(resolved[len(wishes) :])
    return own and [
        dict(member, mounts=[next(rest) for _ in member.get('mounts') or ()])
        for member in own
    ]


def _prepare(context, body):
    """Check a bulk and make its rows.

    :returns: ({column: value} of the bulk, [the same of each member], [the
        same of each container], function that checks the quota, or None).
    """
    count, template = body['count'], body['template']
    own = body.get('members')
    _check_count(count)
    name = body.get('name') or templates.default_bulk_name(template)
    templates.check(template, name, count)
    name_pattern = templates.member_name(template, name, count)
    if own:
        faults = members.check(own, count, template, name_pattern)
    wanted = copy.deepcopy(_without_nulls(template))
    _enforce_policies(context, wanted)
    _check_host(context, wanted)
    container = _container(context, wanted)
    check_usage = _quota_check(context, container, count)
    if check_usage is not None:
        # Neutron need not be asked for what cannot be. What counts is the
        # look that is taken as the rows are written.
        check_usage(db_quotas.usage(context.project_id))
    networks = _requested_networks(context, wanted.get('nets', []), count)
    if own:
        with _blame_field('nets'):
            members.check_addresses(context, own, networks, faults)
        faults.refuse()
    public = floating_ips.check(
        context,
        body.get('floating_ips'),
        count,
        [member.get('floating_ip') for member in own or ()],
    )

    own = _resolve_mounts(context, wanted, own, count)

    uuid = uuidutils.generate_uuid()
    rows = _container_rows(container, uuid, count, name_pattern, own=own)
    _check_names(context, rows)
    bulk = {
        'uuid': uuid,
        'name': name,
        'project_id': context.project_id,
        'user_id': context.user_id,
        'request_id': context.request_id,
        'client_token': body.get('client_token'),
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
            'mounts': wanted['mounts'],
            'availability_zone': wanted.get('availability_zone'),
            'hints': wanted.get('hints'),
            'requested_host': wanted.get('host'),
            'cpu': container['cpu'],
            'memory': int(container['memory']),
            'disk': container['disk'],
            'cpu_policy': container['cpu_policy'],
            'own_fields': members.fields(body.get('members') or ()),
        },
    }
    if public:
        bulk['spec']['floating_ips'] = public
    member_rows = _members(rows, own=own)
    floating_ips.distribute(public, member_rows)
    return bulk, member_rows, rows, check_usage


def grow(context, bulk, count):
    """Check further members of a bulk and write them with their containers.

    :param bulk: the Bulk as it was seen.
    :param count: how many members it is to have.
    :returns: whether they are committed; not if the bulk was scaled or ended
        meanwhile.
    :raises: ZunException with the code of the response; nothing is written.
    """
    _check_count(count)
    first = db_accepting.last_index_of(bulk) + 1
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
    nets.check_sizes(bulk.spec['requested_networks'], count)
    rows = _container_rows(
        container,
        bulk.uuid,
        added,
        templates.member_name(bulk.template, bulk.name, last),
        first,
    )
    _check_names(owner, rows)
    member_rows = _members(rows, first)
    floating_ips.grow(owner, bulk, member_rows)
    if context.project_id == bulk.project_id:
        # Others have another quota, and conductors find out anyway.
        mounts.resolve(context, _wishes(bulk.spec, count, added))
    return db_accepting.grow_bulk(
        bulk, last, member_rows, rows, _actions(owner, rows), check_usage
    )


def _check_count(count):
    if count > CONF.zun_bulk.max_members:
        raise exception.ValidationError(
            detail='count: a bulk has at most %d members'
            % CONF.zun_bulk.max_members
        )


def _members(rows, first=1, own=None):
    """:param own: what each member has of its own, None of none."""
    return [
        {
            'member_index': index,
            'container_uuid': row['uuid'],
            'name': row['name'],
            'state': MemberState.QUEUED,
            'wanted': members.wanted(own[index - first]) if own else None,
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
def _blame_field(field):
    """Name the template's field in what Zun's checks say of its value.

    What they do not find, or find twice, is a bad value here and not a bad
    address.
    """
    try:
        yield
    except exception.ZunException as exc:
        if exc.code not in (400, 404, 409):
            raise
        validation.refuse('template.' + field, exc)
    except neutron_exceptions.NeutronClientNoUniqueMatch as exc:
        validation.refuse('template.' + field, exc)
    except neutron_exceptions.NeutronClientException as exc:
        if not 400 <= exc.status_code < 500:
            raise
        validation.refuse('template.' + field, exc)


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
        with _blame_field('host'):
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
    zun_compat.set_default_resource_limit(controller, fields)
    if 'restart_policy' in fields:
        restart = fields['restart_policy']
        if restart.get('MaximumRetryCount') is None:
            restart.pop('MaximumRetryCount', None)
        with _blame_field('restart_policy'):
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
    with _blame_field('security_groups'):
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
    with _blame_field('registry'):
        return find(context, ident)


def _requested_networks(context, asked, count):
    with _blame_field('nets'):
        networks = zun_utils.build_requested_networks(
            context, nets.for_zun(asked)
        )
        controller = containers.ContainersController()
        requests = zun_compat.create_sriov_requests(
            controller, context, networks
        )
        if requests.requests:
            raise exception.ValidationError(
                detail='SR-IOV ports are not supported for bulks'
            )
        with_range = [
            network['network']
            for net, network in zip(asked, networks, strict=False)
            if nets.RANGE in net
        ]
        subnets = []
        if with_range:
            # One that the user may not see is none of his either.
            subnets = neutron.NeutronAPI(context).list_subnets(
                network_id=with_range
            )['subnets']
    nets.set_ranges(asked, networks, subnets, count)
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


def _container_rows(
    container, bulk_uuid, count, name_pattern, first=1, own=None
):
    """Rows of Zun's container table, as its own create would write them.

    :param first: the index of the first of them.
    :param own: what each member has of its own, None of none.
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
    """Refuse what the database would."""
    total = 0
    for name in zun_models.Container.__table__.columns.keys():
        if own and name in members.COLUMNS:
            continue
        # Where they are alike, the last has the longest values.
        size, fault = _measure(name, rows[-1].get(name))
        if fault:
            validation.refuse('template.' + name, fault)
        total += size
    total *= len(rows)
    if own:
        total += members.check_sizes(rows, _measure)
    if total > MAX_ROWS_SIZE:
        raise exception.ValidationError(
            detail='template%s: it is too large for %d containers'
            % (' with members' if own else '', len(rows))
        )


def _measure(name, value):
    """:returns: (size of a column's value, what is wrong with it or None)."""
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            return 0, 'it has characters that Zun cannot keep'
        column = zun_models.Container.__table__.columns[name]
        size = len(value)
        limit = getattr(column.type, 'length', None) or _MAX_TEXT
    elif isinstance(value, (dict, list)):
        size, limit = len(jsonutils.dumps(value)), _MAX_TEXT
    else:
        return 0, None
    if size > limit:
        return size, 'it is too long by %d characters' % (size - limit)
    return size, None


def _check_names(context, rows):
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
