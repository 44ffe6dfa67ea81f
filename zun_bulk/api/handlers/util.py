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

"""Functions shared by the handlers."""

import re

from oslo_serialization import jsonutils
from oslo_utils import uuidutils
import webob
from zun.api import utils as api_utils
from zun.common import exception
from zun.common import policy
from zun.common.policies import container as container_policies

from zun_bulk.api.schemas import bulk as schema
from zun_bulk.api.views import bulk as view
from zun_bulk.db import bulks as db_bulks


_NAME = re.compile(schema.name['pattern'])


def json_response(body, status=200):
    return webob.Response(
        status=status,
        content_type='application/json',
        body=jsonutils.dump_as_bytes(body),
    )


def enforce(context, rule, target=None):
    """Check a policy.

    :raises: PolicyNotAuthorized (403)
    """
    policy.enforce(context, rule, target, action=rule)


def find_bulk(context, ident, rule):
    """Find the bulk that a path names, if the user may use it.

    :param ident: uuid or name. Admins reach other projects' bulks by uuid.
    :param rule: the policy to check for the bulk.
    :returns: the Bulk.
    :raises: ResourceNotFound (404), Conflict (409), PolicyNotAuthorized (403)
    """
    if not _NAME.match(ident):
        raise exception.ResourceNotFound(name='bulk', id=ident)
    everywhere = context.is_admin and uuidutils.is_uuid_like(ident)
    bulk = db_bulks.get_bulk(ident, None if everywhere else context.project_id)
    enforce(
        context, rule, {'project_id': bulk.project_id, 'user_id': bulk.user_id}
    )
    return bulk


def may_see_hosts(context, fatal=False):
    """Whether the user may see hosts, by Zun's policy for containers.

    :param fatal: whether to raise PolicyNotAuthorized (403) if not.
    """
    return context.can(
        container_policies.CONTAINER % 'get_one:host', fatal=fatal
    )


def page_size(query):
    return api_utils.validate_limit(query.get('limit'))


def cut_page(req, query, rows, limit, key):
    """Cut a list to the size of a page.

    :param query: the request's parameters.
    :param rows: the list, with at least one row more than limit if there are
        further pages.
    :param limit: number of rows per page.
    :param key: the attribute of a row that is its marker.
    :returns: (rows, URL of the next page or None).
    """
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, view.next_url(req, query, getattr(rows[-1], key))
