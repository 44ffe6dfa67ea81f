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

"""Paths of the API, and their handlers."""

import functools

import routes
import webob.exc

from zun_bulk.api.handlers import bulk
from zun_bulk.api.handlers import event
from zun_bulk.api.handlers import host
from zun_bulk.api.handlers import member


ROUTE_DECLARATIONS = {
    '/v1/bulks': {'GET': bulk.list_bulks, 'POST': bulk.create_bulk},
    '/v1/bulks/{ident}': {'GET': bulk.get_bulk, 'DELETE': bulk.delete_bulk},
    '/v1/bulks/{ident}/pause': {'POST': bulk.pause_bulk},
    '/v1/bulks/{ident}/resume': {'POST': bulk.resume_bulk},
    '/v1/bulks/{ident}/cancel': {'POST': bulk.cancel_bulk},
    '/v1/bulks/{ident}/retry': {'POST': bulk.retry_bulk},
    '/v1/bulks/{ident}/scale': {'POST': bulk.scale_bulk},
    '/v1/bulks/{ident}/members': {'GET': member.list_members},
    '/v1/bulks/{ident}/events': {'GET': event.list_events},
    '/v1/bulk_hosts': {'GET': host.list_hosts},
    '/v1/bulk_hosts/{name}': {'GET': host.get_host, 'PATCH': host.update_host},
}


def make_map():
    mapper = routes.Mapper()
    for path, targets in ROUTE_DECLARATIONS.items():
        for method, function in targets.items():
            mapper.connect(
                path, action=function, conditions={'method': [method]}
            )
        mapper.connect(
            path,
            action=functools.partial(_not_allowed, ', '.join(sorted(targets))),
        )
    return mapper


def dispatch(req, mapper):
    """Call the handler of a request's path and method.

    :returns: the response.
    :raises: HTTPNotFound, HTTPMethodNotAllowed
    """
    match = mapper.match(environ=req.environ)
    if match is None:
        raise webob.exc.HTTPNotFound('There is no resource at this path.')
    return match.pop('action')(req, **match)


def _not_allowed(allowed, req, **match):
    raise webob.exc.HTTPMethodNotAllowed(
        'Method %s is not allowed for this path.' % req.method,
        headers={'Allow': allowed},
    )
