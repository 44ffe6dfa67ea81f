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

"""Accepting a bulk, or more members of it: checks, then one transaction.

It does for N containers what ``zun.api.controllers.v1.containers`` does for
one, up to the choice of a host, which is left to a conductor.
"""

import contextlib
import copy
import hashlib
import json
import typing

from oslo_db import exception as db_exc
from oslo_log import log as logging
from oslo_utils import excutils
from oslo_utils import uuidutils
from zun import objects
from zun.common import exception
from zun.common import policy
from zun.compute import container_actions

from zun_bulk import notifications
from zun_bulk.api import container_rows
from zun_bulk.api import floating_ips
from zun_bulk.api import members
from zun_bulk.api import mounts
from zun_bulk.api import nets
from zun_bulk.api import quota
from zun_bulk.api import references
from zun_bulk.api import template as templates
from zun_bulk.api import validation
from zun_bulk.api.schemas import bulk as schema
from zun_bulk.conf import CONF
from zun_bulk.consts import OnFailure
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import quotas as db_quotas
from zun_bulk.db.models import Bulk
from zun_bulk.db.specs import BulkSpec
from zun_bulk.db.specs import MemberSpec
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState
from zun_bulk.volume import trusts


LOG = logging.getLogger(__name__)

#: Values of fields that a request leaves out.
_DEFAULTS = {
    'run': True,
    # If one start in twenty fails by chance, three attempts lose one container
    # in ten thousand, and five lose one in three million.
    'max_attempts': 5,
    'on_failure': OnFailure.PAUSE,
    'placement': schema.PLACEMENT,
}


class Prepared(typing.NamedTuple):
    """A bulk that has passed all checks, as rows to be written."""

    #: {column: value} of the bulk.
    bulk: dict
    #: [{column: value}] of its members, in the order of their indexes.
    members: list
    #: [{column: value}] of their containers in Zun's table, in this order.
    containers: list
    #: Function of {quota: used} that raises OverQuota (403); None if the
    #: project has no limits.
    check_quota: typing.Callable | None


def accept(context, body):
    """Check a bulk and write it with all its containers.

    :param body: the request body, valid against its schema. If the project
        already made a bulk with its client_token, nothing is written.
    :returns: the bulk's uuid, once its rows are committed.
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
        # The same request may have been accepted in the meantime, and hold
        # the token, the names or the quota.
        uuid = _accepted(context, body['client_token'], request_hash)
        if uuid is None:
            raise
        return uuid


def check(context, body):
    """Check a bulk as ``accept`` does, and write nothing.

    :param body: as for ``accept``.
    :returns: Prepared.
    :raises: as ``accept``; also Conflict (409) if the project already made a
        bulk with the client_token, even with the same body.
    """
    body = _with_defaults(body)
    if 'client_token' in body:
        uuid = _accepted(context, body['client_token'], _hash(body))
        if uuid is not None:
            raise exception.Conflict(
                'client_token: already used by bulk %s' % uuid
            )
    return _prepare(context, body)


def _with_defaults(body):
    body = dict(_DEFAULTS, **body)
    body['placement'] = dict(_DEFAULTS['placement'], **body['placement'])
    if 'floating_ips' in body:
        body['floating_ips'] = floating_ips.with_defaults(body['floating_ips'])
    return body


def _accepted(context, client_token, request_hash):
    """Find the bulk that the project made with a token.

    :returns: the bulk's uuid, or None.
    :raises: Conflict (409) if a different request made it.
    """
    bulk = db_bulks.get_bulk_by_client_token(context.project_id, client_token)
    if bulk is None:
        return None
    if bulk.request_hash != request_hash:
        raise exception.Conflict(
            'client_token: already used by bulk %s with a different request '
            'body; use another token' % bulk.uuid
        )
    return bulk.uuid


def _hash(body):
    """Hash a request body, with equal hashes for equivalent requests.

    Fields with their default value do not count, so that a field added by a
    later release does not change the hash.

    :param body: the request body with its defaults.
    """
    given = {
        key: value
        for key, value in body.items()
        if key != 'client_token' and value != _DEFAULTS.get(key)
    }
    given['template'] = _without_nulls(body['template'])
    text = json.dumps(given, sort_keys=True, separators=(',', ':'))
    return hashlib.sha256(text.encode()).hexdigest()


def _without_nulls(template):
    """Drop nulls: Zun accepts them in most fields and fails on some."""
    return {key: value for key, value in template.items() if value is not None}


def _accept(context, body, request_hash=None):
    prepared = _prepare(context, body)
    bulk, containers = prepared.bulk, prepared.containers
    bulk['request_hash'] = request_hash
    with _trusted(context, bulk, prepared.members):
        db_accepting.accept_bulk(
            bulk,
            prepared.members,
            containers,
            _actions(context, containers),
            prepared.check_quota,
        )
    notifications.send('create', Bulk(**bulk))
    return bulk['uuid']


@contextlib.contextmanager
def _trusted(context, bulk, member_rows):
    """Create a trust for a bulk that needs one, and keep it if it is written.

    The trust is deleted if the body raises and the bulk was not written. An
    exception does not prove that: the database may have committed and lost
    its answer.
    """
    spec = bulk['spec']
    trust_id = mounts.trust(
        context,
        bulk['uuid'],
        mounts.wishes(spec.mounts, bulk['count'])
        + mounts.wishes_of_members(
            [row['wanted'].mounts for row in member_rows]
        ),
    )
    if trust_id is None:
        yield
        return
    spec.trust_id = trust_id
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
                    'Keeping trust %(trust)s, as it is unknown whether bulk '
                    '%(bulk)s was written; a conductor deletes it if not: '
                    '%(error)s',
                    {'trust': trust_id, 'bulk': bulk['uuid'], 'error': error},
                )


def _prepare(context, body):
    """Check a bulk and make its rows.

    :param body: the request body with its defaults.
    :returns: Prepared.
    :raises: as ``accept``.
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
    references.check_host(context, wanted)
    container = container_rows.common_values(context, wanted)
    check_quota = quota.check_for(context, container, count)
    if check_quota is not None:
        # Fail before asking Neutron. The check that counts is the one made
        # while the rows are written.
        check_quota(db_quotas.usage(context.project_id))
    networks = references.requested_networks(
        context, wanted.get('nets', []), count
    )
    if own:
        with validation.blame_field('nets'):
            members.check_addresses(context, own, networks, faults)
        faults.refuse()
    public = floating_ips.check(
        context,
        body.get('floating_ips'),
        count,
        [member.get('floating_ip') for member in own or ()],
    )

    own = mounts.resolve_all(context, wanted, own, count)

    uuid = uuidutils.generate_uuid()
    rows = container_rows.make(container, uuid, count, name_pattern, own=own)
    container_rows.check_names(context, rows)
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
        'spec': BulkSpec(
            requested_networks=networks,
            security_groups=container.get('security_groups') or [],
            mounts=wanted['mounts'],
            availability_zone=wanted.get('availability_zone'),
            hints=wanted.get('hints'),
            requested_host=wanted.get('host'),
            cpu=container['cpu'],
            memory=int(container['memory']),
            disk=container['disk'],
            cpu_policy=container['cpu_policy'],
            own_fields=members.fields(body.get('members') or ()),
            floating_ips=public,
        ),
    }
    member_rows = _members(rows, own=own)
    floating_ips.distribute(public, member_rows)
    return Prepared(bulk, member_rows, rows, check_quota)


def grow(context, bulk, count):
    """Check further members of a bulk and write them with their containers.

    :param bulk: the Bulk as it was last read.
    :param count: number of members that it shall have.
    :returns: whether they are committed; False if the bulk was scaled or
        finished in the meantime.
    :raises: ZunException with the code of the response; nothing is written.
    """
    _check_count(count)
    first = db_accepting.last_index_of(bulk) + 1
    added = count - bulk.count
    last = first + added - 1
    templates.check(bulk.template, bulk.name, last)
    wanted = copy.deepcopy(_without_nulls(bulk.template))
    _enforce_policies(context, wanted)
    # Whoever sends the request, the containers belong to the owner of the
    # bulk and to its first request, which zun-compute will work with.
    owner = copy.copy(context)
    owner.project_id, owner.user_id = bulk.project_id, bulk.user_id
    owner.request_id = bulk.request_id
    # As found when the bulk was created, so that its members stay alike.
    wanted.pop('security_groups', None)
    for name in ('cpu', 'memory', 'disk', 'cpu_policy'):
        value = getattr(bulk.spec, name)
        if value is not None:
            wanted[name] = value
    container = container_rows.common_values(owner, wanted)
    if bulk.spec.security_groups:
        container['security_groups'] = bulk.spec.security_groups
    check_quota = quota.check_for(owner, container, added)
    nets.check_sizes(bulk.spec.requested_networks, count)
    rows = container_rows.make(
        container,
        bulk.uuid,
        added,
        templates.member_name(bulk.template, bulk.name, last),
        first,
    )
    container_rows.check_names(owner, rows)
    member_rows = _members(rows, first)
    floating_ips.grow(owner, bulk, member_rows)
    if context.project_id == bulk.project_id:
        # Other users have other quotas, and the conductor fails such members
        # anyway.
        mounts.resolve(context, mounts.wishes(bulk.spec.mounts, count, added))
    return db_accepting.grow_bulk(
        bulk, last, member_rows, rows, _actions(owner, rows), check_quota
    )


def _check_count(count):
    if count > CONF.zun_bulk.max_members:
        raise exception.ValidationError(
            detail='count: a bulk has at most %d members'
            % CONF.zun_bulk.max_members
        )


def _members(rows, first=1, own=None):
    """Make the rows of members.

    :param rows: [{column: value}] of their containers.
    :param first: index of the first of them.
    :param own: the per-member values of each member, None if none has any.
    """
    return [
        {
            'member_index': index,
            'container_uuid': row['uuid'],
            'name': row['name'],
            'state': MemberState.QUEUED,
            'wanted': members.wanted(own[index - first])
            if own
            else MemberSpec(),
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
