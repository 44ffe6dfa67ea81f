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

"""Client of the bulk API, on top of Zun's own client."""

import codecs
import contextlib
import copy
import re
import time
from urllib import parse

from keystoneauth1 import exceptions as ksa_exceptions
from osc_lib import exceptions
from oslo_serialization import jsonutils
import requests
from zunclient import api_versions
from zunclient import exceptions as zun_exceptions


#: Requests ask for the lowest version that they need, so that older releases
#: can serve them too.
API_VERSION = 'container-bulk 1.0'
#: The version with rates, with members' own fields, and with members by name.
RATES_VERSION = 'container-bulk 1.1'

COLLECTION = '/v1/bulks'

#: Timeout of a GET, in seconds. The POST that creates a bulk has no timeout: a
#: repetition would only wait for the first one.
READ_TIMEOUT = 60

#: Seconds before each repetition of the POST that creates a bulk.
CREATE_DELAYS = (1, 2, 4, 8)

#: Timeout of reading the log of a container, in seconds: longer than the
#: container API waits for the container's host.
LOG_TIMEOUT = 120

#: Bytes of a log to read from the network at a time.
CHUNK = 64 * 1024

#: The longest part of a JSON string that does not end within an escape, or
#: between the two escapes of one character. Nothing follows the group, so it
#: never backtracks (Python 3.11.2 mishandles possessive quantifiers).
_WHOLE = re.compile(
    r'(?:[^"\\]+'
    r'|\\[^u]'
    r'|\\u(?![dD][89abAB])[0-9a-fA-F]{4}'
    r'|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}'
    r')*'
)

#: What a proxy returns for a server that it cannot reach.
_PROXY_STATUSES = (502, 503, 504)

#: HttpServerError comes from Keystone; Zun's client raises its own errors.
_NO_ANSWER = (
    ksa_exceptions.ConnectFailure,
    ksa_exceptions.ConnectTimeout,
    ksa_exceptions.HttpServerError,
    ksa_exceptions.UnknownConnectionError,
)


class ApiError(exceptions.CommandError):
    """The bulk API refused a request or did not respond.

    :ivar status: the HTTP status, None if there was no response
    :ivar unanswered: whether the request may have been executed
    """

    def __init__(self, message, status=None, unanswered=False):
        super().__init__(message)
        self.status = status
        self.unanswered = unanswered

    @property
    def transient(self):
        """Whether the same request may succeed a little later."""
        return self.status is None or self.status >= 500


def _is_of_bulk_api(response):
    """Return whether a response is the bulk API's, not Zun's or a proxy's."""
    version = response.headers.get('OpenStack-API-Version', '')
    return version.startswith('container-bulk')


def _explain(error):
    """Return the message of an HTTP error, from its body if it has one.

    Zun's client uses only the title of an error, and hides the detail, which
    names the invalid field.
    """
    try:
        problem = jsonutils.loads(error.response.content)['errors'][0]
        text = problem.get('detail') or problem['title']
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return str(error)
    text = f'{text} (HTTP {error.http_status})'
    if error.request_id:
        text += f' (Request-ID: {error.request_id})'
    return text


class BulkClient:
    """Client of the bulk API.

    All methods raise ApiError.

    :param container_client: a zunclient.v1.client.Client
    """

    def __init__(self, container_client):
        # Zun's client overwrites any version in the headers with the
        # microversion of the container API, unless it has none itself.
        self._http = copy.copy(container_client.http_client)
        self._http.api_version = api_versions.APIVersion()

    def create(self, body, note, delays=CREATE_DELAYS):
        """Create a bulk; repeat the request while there is no response.

        :param body: the request: client_token, count, template and so on;
            the token ensures that repetitions do not create another bulk
        :param note: function that reports a line of text, called for each
            failure that is retried
        :param delays: seconds before each repetition
        :returns: the bulk, accepted but not built yet; with dry_run the plan
        """
        for delay in delays:
            try:
                return self._create(body)
            except ApiError as e:
                if not e.unanswered:
                    raise
                note(f'{e}; retrying in {delay} s')
            time.sleep(delay)
        return self._create(body)

    def _create(self, body):
        return self._call(
            self._http.json_request, 'POST', COLLECTION, body=body
        )[1]

    def get(self, ident, rate_window=None):
        """Get a bulk by UUID or name.

        :param rate_window: include the rates of this many seconds
        """
        if rate_window is None:
            return self._get(self._path(ident))
        return self._get(
            f'{self._path(ident)}?rate_window={rate_window}', RATES_VERSION
        )

    def act(self, ident, action, body=None):
        """Request an action on a bulk.

        :param action: pause, resume, cancel, retry or scale
        :param body: the body of the action, if it takes one
        :returns: the bulk
        """
        return self._call(
            self._http.json_request,
            'POST',
            f'{self._path(ident)}/{action}',
            body=body or {},
        )[1]

    def delete(self, ident, keep_containers=False):
        """Request the deletion of a bulk and all of its containers.

        :param keep_containers: delete only the bulk
        """
        path = self._path(ident)
        if keep_containers:
            path += '?keep_containers=true'
        # Not json_request, which logs an error if the response has no body.
        self._call(self._http.raw_request, 'DELETE', path)

    def list(self, limit=None, **filters):
        """Yield bulks, page after page.

        :param limit: maximum number of bulks, None for all
        :param filters: query parameters; those that are None are omitted
        """
        return self._pages(COLLECTION, 'bulks', limit, filters)

    def list_members(self, ident, limit=None, **filters):
        """Yield the members of a bulk; see list for the parameters."""
        return self._pages(
            self._path(ident) + '/members',
            'members',
            limit,
            filters,
            API_VERSION if filters.get('name') is None else RATES_VERSION,
        )

    def list_events(self, ident, limit=None, **filters):
        """Yield the events of a bulk; see list for the parameters."""
        return self._pages(
            self._path(ident) + '/events', 'events', limit, filters
        )

    @staticmethod
    def _path(ident):
        return f'{COLLECTION}/{parse.quote(ident, safe="")}'

    def _get(self, url, version=API_VERSION):
        return self._call(
            self._http.json_request,
            'GET',
            url,
            version=version,
            timeout=READ_TIMEOUT,
        )[1]

    def _pages(self, path, key, limit, filters, version=API_VERSION):
        query = {k: v for k, v in filters.items() if v is not None}
        if limit is not None:
            query['limit'] = limit
        query = parse.urlencode(query)
        while True:
            page = self._get(f'{path}?{query}' if query else path, version)
            for item in page[key]:
                yield item
                if limit is not None:
                    limit -= 1
                    if not limit:
                        return
            if not page.get('next'):
                return
            # Only the query: the path may repeat a prefix of the endpoint.
            query = parse.urlsplit(page['next']).query

    def _call(self, method, verb, url, version=API_VERSION, **kwargs):
        headers = {
            'OpenStack-API-Version': version,
            'Accept': 'application/json',
            'Content-Type': 'application/json',
        }
        try:
            return method(verb, url, headers=headers, **kwargs)
        except zun_exceptions.HttpError as e:
            # A 404 from elsewhere does not mean that the bulk is gone.
            if e.http_status == 404 and not _is_of_bulk_api(e.response):
                raise ApiError(
                    'The container service has no bulk API: '
                    'zun_bulk is not enabled there (HTTP 404)'
                ) from e
            raise ApiError(
                _explain(e), e.http_status, e.http_status in _PROXY_STATUSES
            ) from e
        except _NO_ANSWER as e:
            raise ApiError(str(e), unanswered=True) from e


def json_text(chunks):
    """Decode a JSON string piece by piece, as it arrives.

    :param chunks: iterable of bytes
    :raises: ValueError if they are not a JSON string
    """
    decoder = codecs.getincrementaldecoder('utf-8')()
    rest, begun, ended = '', False, False
    for chunk in chunks:
        rest += decoder.decode(chunk)
        if not begun and rest:
            if rest[0] != '"':
                raise ValueError('not a JSON string')
            begun, rest = True, rest[1:]
        whole = _WHOLE.match(rest).group()
        yield jsonutils.loads(f'"{whole}"', strict=False)
        rest = rest[len(whole) :]
        # Read to the end, so that the connection can be reused.
        ended = ended or rest.startswith('"')
    if not ended:
        raise ValueError('it ends too early')


class ContainerClient:
    """Client of Zun's own container API.

    :param container_client: a zunclient.v1.client.Client
    """

    def __init__(self, container_client):
        self._http = container_client.http_client

    def logs(self, uuid, **query):
        """Yield the log of a container, piece by piece.

        Zun's client would hold the whole log in memory, more than once.

        :param query: stdout, stderr, timestamps, tail and since, as in the
            API
        :raises: ApiError
        """
        url = f'/v1/containers/{uuid}/logs?{parse.urlencode(query)}'
        try:
            response = self._http.raw_request(
                'GET',
                url,
                headers={'Accept': 'application/json'},
                timeout=LOG_TIMEOUT,
                stream=True,
                # Logging would read the whole response.
                log=False,
            )
            with contextlib.closing(response):
                yield from json_text(response.iter_content(CHUNK))
        except zun_exceptions.HttpError as e:
            raise ApiError(_explain(e), e.http_status) from e
        except (*_NO_ANSWER, requests.RequestException) as e:
            raise ApiError(str(e), unanswered=True) from e
        except ValueError as e:
            raise ApiError(f'The response is not a log: {e}') from e


def for_command(cmd):
    """Make the BulkClient of a command."""
    return BulkClient(cmd.app.client_manager.container)
