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

"""The bulk API as the commands see it, on top of Zun's own client."""

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


#: Requests ask for no later version than what they want of it takes, so that
#: they are answered by releases before as well.
API_VERSION = 'container-bulk 1.0'
#: That of rates, of the fields of members' own, and of members by name.
RATES_VERSION = 'container-bulk 1.1'

COLLECTION = '/v1/bulks'

#: Seconds until a GET that brings nothing is given up. The creating POST has
#: no such limit: one more would only wait for the same.
READ_TIMEOUT = 60

#: Seconds before each repetition of the creating POST.
CREATE_DELAYS = (1, 2, 4, 8)

#: As with READ_TIMEOUT, for the log of a container: longer than the container
#: API waits for the host that has it.
LOG_TIMEOUT = 120

#: Bytes of a log to take from the network at a time.
CHUNK = 64 * 1024

#: As much of a JSON string as does not end within an escape, or between the
#: two that make one character. Nothing follows, so that it never backtracks
#: (Python 3.11.2 makes something else of possessive quantifiers).
_WHOLE = re.compile(
    r'(?:[^"\\]+'
    r'|\\[^u]'
    r'|\\u(?![dD][89abAB])[0-9a-fA-F]{4}'
    r'|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}'
    r')*'
)

#: What a proxy answers for a server that it cannot reach.
_OF_PROXIES = (502, 503, 504)

#: The last but one is Keystone's: Zun's client has errors of its own.
_NO_ANSWER = (
    ksa_exceptions.ConnectFailure,
    ksa_exceptions.ConnectTimeout,
    ksa_exceptions.HttpServerError,
    ksa_exceptions.UnknownConnectionError,
)


class ApiError(exceptions.CommandError):
    """The bulk API refused a request or gave no answer.

    :ivar status: its HTTP status, None if there was no answer of the API
    :ivar unanswered: whether the API may have done what it was asked for
    """

    def __init__(self, message, status=None, unanswered=False):
        super().__init__(message)
        self.status = status
        self.unanswered = unanswered

    @property
    def transient(self):
        """Whether the same request may well succeed a little later."""
        return self.status is None or self.status >= 500


def _is_of_bulk_api(response):
    """Tell whether an answer is the bulk API's, not Zun's or a proxy's."""
    version = response.headers.get('OpenStack-API-Version', '')
    return version.startswith('container-bulk')


def _explain(error):
    """Tell an HTTP error in the words of the API where it has some.

    Zun's client puts the title of an error into its message and hides the
    detail, which is what names the offending field.
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
    """Speaks with the bulk API.

    Every method raises ApiError.

    :param container_client: a zunclient.v1.client.Client
    """

    def __init__(self, container_client):
        # Zun's client writes the microversion of the container API over any
        # other one, unless it has none itself.
        self._http = copy.copy(container_client.http_client)
        self._http.api_version = api_versions.APIVersion()

    def create(self, body, note, delays=CREATE_DELAYS):
        """Ask for a bulk, some times as long as there is no answer.

        :param body: the request: client_token, count, template and so on;
            the token lets no repetition make another bulk
        :param note: function of a line of text, told of each failure that is
            borne
        :param delays: seconds before each repetition
        :returns: the bulk, accepted but not built yet; what would become of
            it if the request has dry_run
        """
        for delay in delays:
            try:
                return self._create(body)
            except ApiError as e:
                if not e.unanswered:
                    raise
                note(f'{e}; trying again in {delay} s')
            time.sleep(delay)
        return self._create(body)

    def _create(self, body):
        return self._call(
            self._http.json_request, 'POST', COLLECTION, body=body
        )[1]

    def get(self, ident, rate_window=None):
        """Get a bulk by UUID or name.

        :param rate_window: how many seconds of its work to tell the rates of
        """
        if rate_window is None:
            return self._get(self._path(ident))
        return self._get(
            f'{self._path(ident)}?rate_window={rate_window}', RATES_VERSION
        )

    def act(self, ident, action, body=None):
        """Change a bulk's course.

        :param action: pause, resume, cancel, retry or scale
        :param body: what the action takes, if anything
        :returns: the bulk
        """
        return self._call(
            self._http.json_request,
            'POST',
            f'{self._path(ident)}/{action}',
            body=body or {},
        )[1]

    def delete(self, ident, keep_containers=False):
        """Ask for the deletion of a bulk and all of its containers.

        :param keep_containers: delete the bulk alone.
        """
        path = self._path(ident)
        if keep_containers:
            path += '?keep_containers=true'
        # Not json_request: it complains of an answer that has no body.
        self._call(self._http.raw_request, 'DELETE', path)

    def list(self, limit=None, **filters):
        """Yield bulks, page after page.

        :param limit: yield no more than these, None for all
        :param filters: query parameters, those that are None are left out
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
        """Yield what happened to a bulk; see list for the parameters."""
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
            # The path may have a prefix that the service catalog has too.
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
            # A foreign 404 must not pass for a bulk that is gone.
            if e.http_status == 404 and not _is_of_bulk_api(e.response):
                raise ApiError(
                    'The container service has no bulk API: '
                    'zun_bulk is not enabled there (HTTP 404)'
                ) from e
            raise ApiError(
                _explain(e), e.http_status, e.http_status in _OF_PROXIES
            ) from e
        except _NO_ANSWER as e:
            raise ApiError(str(e), unanswered=True) from e


def json_text(chunks):
    """Yield the text of a JSON string piece by piece, as it comes.

    :param chunks: bytes
    :raises: ValueError if it is anything else
    """
    decoder = codecs.getincrementaldecoder('utf-8')()
    rest, begun, ended = '', False, False
    for chunk in chunks:
        rest += decoder.decode(chunk)
        if not begun and rest:
            if rest[0] != '"':
                raise ValueError('it is not a text')
            begun, rest = True, rest[1:]
        whole = _WHOLE.match(rest).group()
        yield jsonutils.loads(f'"{whole}"', strict=False)
        rest = rest[len(whole) :]
        # Read to its end, so that the connection can be used again.
        ended = ended or rest.startswith('"')
    if not ended:
        raise ValueError('it ends too early')


class ContainerClient:
    """Speaks with Zun's own API of containers.

    :param container_client: a zunclient.v1.client.Client
    """

    def __init__(self, container_client):
        self._http = container_client.http_client

    def logs(self, uuid, **query):
        """Yield the log of a container, piece by piece.

        Zun's client would hold all of it, and more than once.

        :param query: stdout, stderr, timestamps, tail and since, as the API
            takes them
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
                # It would read the whole answer.
                log=False,
            )
            with contextlib.closing(response):
                yield from json_text(response.iter_content(CHUNK))
        except zun_exceptions.HttpError as e:
            raise ApiError(_explain(e), e.http_status) from e
        except (*_NO_ANSWER, requests.RequestException) as e:
            raise ApiError(str(e), unanswered=True) from e
        except ValueError as e:
            raise ApiError(f'The answer is no log: {e}') from e


def for_command(cmd):
    """Make the BulkClient of a command."""
    return BulkClient(cmd.app.client_manager.container)
