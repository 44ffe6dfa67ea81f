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

"""Exceptions to responses, in the shape of Zun's own errors."""

from oslo_log import log as logging
from oslo_serialization import jsonutils
from oslo_utils import uuidutils
import webob
from webob import util as webob_util
import webob.exc
from zun.common import exception

from zun_bulk.db import tables


LOG = logging.getLogger(__name__)


def response(exc, request_id):
    """Make the response for an exception.

    Whatever is not the client's fault is logged and told as a number only,
    but for tables that are not there yet, which :mod:`zun_bulk.db.tables`
    tells an operator of, and no more often than it needs to be.

    :param request_id: the request's id or None.
    """
    headers = {}
    if isinstance(exc, webob.exc.HTTPException):
        status, text = exc.code, exc.detail or exc.explanation
        headers = {
            name: exc.headers[name]
            for name in ('Allow',)
            if name in exc.headers
        }
    elif isinstance(exc, exception.ZunException) and exc.code < 500:
        status, text = exc.code, str(exc)
    elif tables.explains(exc):
        status = 503
        text = (
            'This service is not ready: its database is still to be upgraded.'
        )
    else:
        return _server_error(exc, request_id)
    LOG.debug(
        'Refused with %(status)s: %(text)s', {'status': status, 'text': text}
    )
    return _response(
        status,
        exception.convert_excp_to_err_code(type(exc).__name__),
        text,
        text,
        request_id,
        headers,
    )


def _server_error(exc, request_id):
    correlation_id = uuidutils.generate_uuid()
    LOG.error('%s: %s', correlation_id, exc, exc_info=exc)
    return _response(
        500,
        '',
        webob_util.status_reasons[500],
        exception.OBFUSCATED_MSG % correlation_id,
        request_id,
    )


def _response(status, code, title, detail, request_id, headers=()):
    error = {
        'request_id': request_id or '',
        'code': 'container.' + code,
        'status': status,
        'title': title,
        'detail': detail,
        'links': [],
    }
    result = webob.Response(
        status=status,
        content_type='application/json',
        body=jsonutils.dump_as_bytes({'errors': [error]}),
    )
    result.headers.update(headers)
    return result
