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

"""The paste filter that serves the paths of zun_bulk in Zun's API."""

import types

import webob.dec
import webob.exc
from zun.common import policy

from zun_bulk import policies
from zun_bulk.api import errors
from zun_bulk.api import microversion
from zun_bulk.db import base as db_base


PREFIXES = ('/v1/bulks', '/v1/bulk_hosts')


def filter_factory(global_conf, **local_conf):
    """Make the filter for paste, after Zun has read its configuration."""
    register_policies()
    if not db_base.CONTEXT_MANAGER.is_started:
        db_base.configure()
    return BulkMiddleware


def register_policies():
    """Add the policies of zun_bulk to Zun's enforcer. Idempotent."""
    enforcer = policy.init()
    enforcer.register_defaults(
        [
            rule
            for rule in policies.list_rules()
            if rule.name not in enforcer.registered_rules
        ]
    )


class BulkMiddleware:
    """Serve PREFIXES and the paths below; pass on all others."""

    def __init__(self, application):
        # Imported here, as Zun's schemas read options on import.
        from zun.api import hooks

        from zun_bulk.api import handler

        self._application = application
        self._context_hook = hooks.ContextHook()
        self._dispatch = handler.dispatch
        self._map = handler.make_map()

    def __call__(self, environ, start_response):
        path = environ.get('PATH_INFO', '')
        for prefix in PREFIXES:
            if path == prefix or path.startswith(prefix + '/'):
                return self._serve(environ, start_response)
        return self._application(environ, start_response)

    @webob.dec.wsgify
    def _serve(self, req):
        version = request_id = None
        try:
            self._authenticate(req)
            request_id = req.context.request_id
            version = req.version = microversion.extract(req)
            response = self._dispatch(req, self._map)
        except Exception as exc:
            response = errors.response(exc, request_id)
        microversion.add_headers(response, version)
        return response

    def _authenticate(self, req):
        """Set the request's context from the result of authtoken.

        authtoken runs earlier in the pipeline. Headers can be forged, so
        requests without its mark in the environment are refused, even if the
        pipeline is misconfigured.

        :raises: HTTPUnauthorized (401), HTTPForbidden (403)
        """
        if (
            not req.environ.get('keystone.token_info')
            or req.headers.get('X-Identity-Status') != 'Confirmed'
        ):
            raise webob.exc.HTTPUnauthorized('Authentication required.')
        self._context_hook.before(types.SimpleNamespace(request=req))
        if not req.context.project_id:
            # Every user without a project would own such bulks.
            raise webob.exc.HTTPForbidden(
                'A token with a project is required.'
            )
