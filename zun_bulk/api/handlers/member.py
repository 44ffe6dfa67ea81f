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

"""Handlers of the members of bulks."""

from zun_bulk.api import validation
from zun_bulk.api.handlers import util
from zun_bulk.api.schemas import member as schema
from zun_bulk.api.views import member as view
from zun_bulk.db import members as db_members


def list_members(req, ident):
    """List the members of a bulk by index."""
    query = validation.read_query(
        req,
        schema.list_query
        if req.version.matches((1, 1))
        else schema.list_query_1_0,
    )
    bulk = util.find_bulk(req.context, ident, 'bulk:members')
    with_host = util.may_see_hosts(req.context, fatal='host' in query)
    limit = util.page_size(query)
    marker = query.get('marker')
    rows = db_members.list_members(
        bulk.id,
        filters={key: query[key] for key in ('state', 'host') if key in query},
        name=query.get('name'),
        limit=limit + 1,
        marker=None if marker is None else int(marker),
        sort_dir=query.get('sort_dir', 'asc'),
    )
    rows, following = util.cut_page(req, query, rows, limit, 'member_index')
    return util.json_response(
        {
            'members': [view.member(row, with_host) for row in rows],
            'next': following,
        }
    )
