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

"""Handlers of bulks."""

from oslo_utils import strutils
from oslo_utils import timeutils
import webob
from zun.common import exception

from zun_bulk import notifications
from zun_bulk import rpc
from zun_bulk.api import accept
from zun_bulk.api import dry_run
from zun_bulk.api import rates
from zun_bulk.api import validation
from zun_bulk.api.handlers import util
from zun_bulk.api.schemas import bulk as schema
from zun_bulk.api.views import bulk as view
from zun_bulk.api.views import plan as plan_view
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db import members as db_members
from zun_bulk.states import BulkStatus
from zun_bulk.volume import trusts


#: Attempts to scale a bulk that other requests change at the same time.
ATTEMPTS = 5


def create_bulk(req):
    """Create a bulk: 202 once all its rows are committed.

    Idempotent with a client_token: the same request returns the same bulk.
    With ``dry_run`` nothing is created: 200 with where members would go.
    """
    util.enforce(req.context, 'bulk:create')
    validation.read_query(req, schema.no_query)
    body = validation.read_body(req, schema.create, large='members')
    if body.pop('dry_run', False):
        util.enforce(req.context, 'bulk:create:dry_run')
        plan = dry_run.plan(req.context, body)
        return util.json_response(
            plan_view.plan(plan, util.may_see_hosts(req.context))
        )
    uuid = accept.accept(req.context, body)
    rpc.wake(req.context)
    bulk = db_bulks.get_bulk(uuid)
    response = util.json_response(_detail(req, bulk), status=202)
    response.location = view.url(req, bulk)
    return response


def list_bulks(req):
    """List bulks, newest first by default."""
    context = req.context
    util.enforce(context, 'bulk:get_all')
    query = validation.read_query(req, schema.list_query)
    project_id = context.project_id
    if strutils.bool_from_string(query.get('all_projects', False)):
        util.enforce(context, 'bulk:get_all_projects')
        project_id = None
    limit = util.page_size(query)
    try:
        bulks = db_bulks.list_bulks(
            project_id,
            filters={
                key: query[key] for key in ('status', 'name') if key in query
            },
            limit=limit + 1,
            marker=query.get('marker'),
            sort_key=query.get('sort_key', 'created_at'),
            sort_dir=query.get('sort_dir', 'desc'),
        )
    except exception.ResourceNotFound as exc:
        raise exception.ValidationError(detail='marker: %s' % exc) from exc
    bulks, following = util.cut_page(req, query, bulks, limit, 'uuid')
    counts = db_counts.count_members([bulk.id for bulk in bulks])
    with_hosts = util.may_see_hosts(context)
    return util.json_response(
        {
            'bulks': [
                view.summary(req, bulk, counts[bulk.id], with_hosts)
                for bulk in bulks
            ],
            'next': following,
        }
    )


def get_bulk(req, ident):
    """Show a bulk with its progress."""
    query = validation.read_query(
        req,
        schema.get_query
        if req.version.matches((1, 1))
        else schema.get_query_1_0,
    )
    bulk = util.find_bulk(req.context, ident, 'bulk:get')
    shown = _detail(req, bulk)
    if 'rate_window' in query:
        shown['rates'] = _rates(bulk, int(query['rate_window']))
    return util.json_response(shown)


def _rates(bulk, window):
    end = bulk.finished_at
    if end is None and bulk.status == BulkStatus.PAUSED:
        # Up to the pause; starts that ended later count as ended then.
        end = bulk.updated_at
    span = rates.span(bulk.created_at, end or timeutils.utcnow(), window)
    return view.rates(
        span,
        db_counts.count_by_time(
            bulk.id, span.ends, span.start if span.is_cut else None
        ),
    )


def delete_bulk(req, ident):
    """Delete a bulk with its containers. Idempotent.

    With ``keep_containers`` only the bulk itself is deleted, at once.

    :raises: Conflict (409) if the containers shall be kept and the bulk is
        not finished.
    """
    context = req.context
    query = validation.read_query(req, schema.delete_query)
    bulk = util.find_bulk(context, ident, 'bulk:delete')
    if strutils.bool_from_string(query.get('keep_containers')):
        if not db_bulks.dissolve_bulk(bulk.id):
            raise exception.Conflict(
                'Bulk %s is %s: its containers can be kept only if it is '
                'ready, error or cancelled and none of them is being deleted.'
                % (bulk.uuid, bulk.status)
            )
        if bulk.spec.trust_id:
            trusts.discard(bulk.spec.trust_id)
        notifications.send('deleted', bulk)
        return webob.Response(status=202, content_type='application/json')
    if db_bulks.mark_bulk_deleting(bulk.id):
        notifications.send(
            'delete', bulk, status=BulkStatus.DELETING, status_reason=None
        )
    rpc.wake(context, db_counts.count_by_host(bulk.id))
    return webob.Response(status=202, content_type='application/json')


def pause_bulk(req, ident):
    """Pause a bulk: start no further members. Starts in flight finish."""
    return _change_status(
        req,
        ident,
        'pause',
        lambda bulk_id: db_bulks.pause_bulk(bulk_id, 'Paused by the user.'),
        (BulkStatus.PAUSED,),
        'only a building bulk can be paused',
    )


def resume_bulk(req, ident):
    """Resume a paused bulk."""
    return _change_status(
        req,
        ident,
        'resume',
        db_bulks.resume_bulk,
        (BulkStatus.BUILDING,),
        'only a paused bulk can be resumed',
    )


def cancel_bulk(req, ident):
    """Cancel the members that are not started yet; keep the others."""
    return _change_status(
        req,
        ident,
        'cancel',
        db_bulks.cancel_bulk,
        (BulkStatus.CANCELLING, BulkStatus.CANCELLED),
        'only a building or paused bulk can be cancelled',
    )


def retry_bulk(req, ident):
    """Retry the failed members of a bulk."""
    return _change_status(
        req,
        ident,
        'retry',
        db_bulks.retry_bulk,
        # Without failed members there is nothing to do.
        BulkStatus.RETRIABLE,
        'a bulk that is being cancelled or deleted cannot be retried',
    )


def _change_status(req, ident, action, change, idle, otherwise):
    """Change a bulk's status: 202 with the bulk. Idempotent.

    :param action: name of the policy and of the notification.
    :param change: function of the bulk's id that returns whether it changed
        anything.
    :param idle: statuses in which there is nothing to do.
    :param otherwise: error text in any other status.
    :returns: the response.
    :raises: Conflict (409)
    """
    validation.read_query(req, schema.no_query)
    validation.read_no_body(req)
    bulk = util.find_bulk(req.context, ident, 'bulk:' + action)
    changed = change(bulk.id)
    bulk = db_bulks.get_bulk(bulk.uuid)
    if changed:
        notifications.send(action, bulk)
        rpc.wake(req.context, db_counts.count_by_host(bulk.id))
    elif bulk.status not in idle:
        raise exception.Conflict(
            'Bulk %s is %s: %s.' % (bulk.uuid, bulk.status, otherwise)
        )
    return util.json_response(_detail(req, bulk), status=202)


def scale_bulk(req, ident):
    """Add or remove members of a bulk: 202 with the bulk. Idempotent.

    :raises: ValidationError (400), OverQuota (403), Conflict (409)
    """
    context = req.context
    validation.read_query(req, schema.no_query)
    body = validation.read_body(req, schema.scale)
    if len(body) != 1:
        raise exception.ValidationError(
            detail='the request body: give either count or indexes'
        )
    bulk = util.find_bulk(context, ident, 'bulk:scale')
    for _attempt in range(ATTEMPTS):
        if bulk.status not in BulkStatus.SCALABLE:
            raise exception.Conflict(
                'Bulk %s is %s: only a bulk that is building, paused, ready '
                'or error can be scaled.' % (bulk.uuid, bulk.status)
            )
        leaving = _leaving(bulk, body)
        if body.get('count', 0) > bulk.count:
            changed = accept.grow(context, bulk, body['count'])
        elif leaving:
            changed = db_accepting.shrink_bulk(bulk, leaving)
        else:
            break
        bulk = db_bulks.get_bulk(bulk.uuid)
        if changed:
            notifications.send('scale', bulk)
            rpc.wake(context, {m.host for m in leaving if m.host})
            break
    else:
        raise exception.Conflict(
            'Bulk %s is being changed by other requests; try again.'
            % bulk.uuid
        )
    return util.json_response(_detail(req, bulk), status=202)


def _leaving(bulk, body):
    """List the members to remove: those named, or the last ones.

    :returns: [Member], empty if there are none to remove.
    :raises: ValidationError (400)
    """
    if 'count' in body:
        number = bulk.count - body['count']
        return (
            db_members.list_last_members(bulk.id, number) if number > 0 else []
        )
    last = db_accepting.last_index_of(bulk)
    if max(body['indexes']) > last:
        raise exception.ValidationError(
            detail='indexes: no member has had an index above %d' % last
        )
    members = db_members.list_members_by_index(bulk.id, body['indexes'])
    if len(members) >= bulk.count:
        raise exception.ValidationError(
            detail='indexes: cannot remove every member; delete the bulk '
            'instead'
        )
    return members


def _detail(req, bulk):
    hosts = None
    if util.may_see_hosts(req.context):
        hosts = db_counts.count_by_host(bulk.id)
    return view.detail(
        req,
        bulk,
        db_counts.count_members([bulk.id])[bulk.id],
        hosts,
        db_counts.list_failures(bulk.id, view.MAX_FAILURES_READ),
        db_floating_ips.count_floating_ips(bulk.id),
    )
