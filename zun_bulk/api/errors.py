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

"""Converting exceptions to responses, in the format of Zun's own errors."""

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

    Server errors are logged, and the response contains only an id that finds
    them in the log. Missing tables are a 503 instead, which
    :mod:`zun_bulk.db.tables` logs, though not for each request.

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
    elif tables.report_missing(exc):
        status = 503
        text = 'This service is not ready: its database has to be upgraded.'
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


def unavailable(services, consequence, error):
    """Make a 503 of a failed call to another service, and log its cause.

    The cause stays in the log, as it contains internal addresses.

    :param services: names of the services that may have failed.
    :param consequence: what zun-api cannot do without them: ``cannot ...``.
    :param error: the cause.
    :returns: HTTPServiceUnavailable (503), to be raised.
    """
    text = '%s is not available: %s' % (services, consequence)
    LOG.warning('%s: %s', text, error)
    return webob.exc.HTTPServiceUnavailable(text + '; try again later.')


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
