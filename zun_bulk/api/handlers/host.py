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

"""Handlers of hosts."""

import re

from oslo_log import log as logging
from zun import objects
from zun.api import servicegroup
from zun.common import exception

from zun_bulk import rpc
from zun_bulk.api import validation
from zun_bulk.api.handlers import util
from zun_bulk.api.schemas import bulk as bulk_schema
from zun_bulk.api.schemas import host as schema
from zun_bulk.api.views import host as view
from zun_bulk.db import hosts as db_hosts


LOG = logging.getLogger(__name__)

#: Host names that every database can compare.
_NAME = re.compile(r'[!-~]{1,255}\Z')
#: Attempts to change a host that other requests change at the same time.
ATTEMPTS = 5
#: Settings of the pace; the other fields of a change are about the hold.
_PACE = ('mode', 'max_in_flight', 'start_interval')


def list_hosts(req):
    """List hosts by name, with their last reports."""
    util.enforce(req.context, 'bulk_host:get_all')
    query = validation.read_query(req, schema.list_query)
    limit = util.page_size(query)
    rows = db_hosts.list_hosts(limit + 1, query.get('marker'))
    rows, following = util.cut_page(req, query, rows, limit, 'host')
    up = _hosts_up(req.context)
    return util.json_response(
        {
            'hosts': [
                view.host(req, row, row.report, 'report', row.host in up)
                for row in rows
            ],
            'next': following,
        }
    )


def get_host(req, name):
    """Show a host live, or with its last report if it does not answer."""
    util.enforce(req.context, 'bulk_host:get')
    validation.read_query(req, bulk_schema.no_query)
    row = _find(name)
    try:
        pace, source = rpc.get_pace(req.context, row.host), 'live'
    except Exception as error:
        # Whatever the cause is, as a broker that is down, use the report.
        LOG.warning(
            'Failed to get the pace of host %(host)s, showing its last '
            'report: %(error)r',
            {'host': row.host, 'error': error},
        )
        pace, source = row.report, 'report'
    return util.json_response(
        view.host(req, row, pace, source, source == 'live')
    )


def update_host(req, name):
    """Hold or release a host, or set its pace.

    The change is stored, so that it also applies to a host that is down.
    """
    context = req.context
    util.enforce(context, 'bulk_host:update')
    validation.read_query(req, bulk_schema.no_query)
    body = validation.read_body(req, schema.update)
    row = _change(name, body)
    LOG.info(
        'User %(user)s changes host %(host)s: %(changes)s',
        {'user': context.user_id, 'host': row.host, 'changes': body},
    )
    _notify(context, row.host, body)
    up = row.host in _hosts_up(context)
    return util.json_response(view.host(req, row, row.report, 'report', up))


def _find(name):
    if not _NAME.match(name):
        raise exception.ResourceNotFound(name='host', id=name)
    return db_hosts.get_host(name)


def _columns(body):
    """Make the columns to set.

    :returns: {column: value}.
    """
    columns = {name: body[name] for name in _PACE if name in body}
    if 'held' in body:
        columns['held'] = body['held']
        # The reason of an earlier hold does not apply any more.
        columns['held_reason'] = body.get('hold_reason')
    elif 'hold_reason' in body:
        columns['held_reason'] = body['hold_reason']
    return columns


def _change(name, body):
    """Change a host's row.

    :returns: the row after the change.
    :raises: ResourceNotFound (404), ValidationError (400), Conflict (409) if
        other requests keep changing it.
    """
    for _attempt in range(ATTEMPTS):
        row = _find(name)
        if body.get('hold_reason') and not body.get('held', row.held):
            raise exception.ValidationError(
                detail='hold_reason: the host is not held; set held as well'
            )
        if db_hosts.change_host(row, **_columns(body)):
            return _find(name)
    raise exception.Conflict(
        'Host %s is being changed by other requests; try again.' % name
    )


def _notify(context, host, body):
    """Notify a host's agent of a change.

    The messages only save time: the change is committed already.
    """
    messages = []
    if 'held' in body:
        messages.append(
            ('hold', {'reason': body.get('hold_reason')})
            if body['held']
            else ('release', {})
        )
    pace = {name: body[name] for name in _PACE if name in body}
    if pace:
        messages.append(('set_pace', pace))
    with rpc.best_effort():
        for what, values in messages:
            rpc.tell_host(context, host, what, **values)


def _hosts_up(context):
    """Find the hosts whose zun-compute is up.

    :returns: {name}.
    """
    group = servicegroup.ServiceGroup()
    return {
        service.host
        for service in objects.ZunService.list_by_binary(
            context, 'zun-compute'
        )
        if group.service_is_up(service)
    }
