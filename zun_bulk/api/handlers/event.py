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

"""Handlers of the events of bulks."""

from zun_bulk.api import validation
from zun_bulk.api.handlers import util
from zun_bulk.api.schemas import event as schema
from zun_bulk.api.views import event as view
from zun_bulk.db import history as db_history


def list_events(req, ident):
    """List the events of a bulk and its members, oldest first by default."""
    query = validation.read_query(req, schema.list_query)
    bulk = util.find_bulk(req.context, ident, 'bulk:events')
    with_host = util.may_see_hosts(req.context)
    limit = util.page_size(query)
    filters = {}
    if 'index' in query:
        filters['member_index'] = int(query['index'])
    if 'event' in query:
        filters['event'] = query['event']
    marker = query.get('marker')
    rows = db_history.list_events(
        bulk.id,
        filters=filters,
        limit=limit + 1,
        marker=None if marker is None else int(marker),
        sort_dir=query.get('sort_dir', 'asc'),
    )
    rows, following = util.cut_page(req, query, rows, limit, 'id')
    return util.json_response(
        {
            'events': [view.event(row, with_host) for row in rows],
            'next': following,
        }
    )
