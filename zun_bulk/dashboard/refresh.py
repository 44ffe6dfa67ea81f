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

"""Responses to pages that refresh themselves (refresh.js)."""

from django import http

from zun_bulk.dashboard import exceptions
from zun_bulk.dashboard import progress
from zun_bulk.osc import client


def answer(at_work, fragments, announcement=''):
    """Return the current content of a page.

    :param at_work: whether the page should refresh itself again
    :param fragments: {ID of an element: HTML that replaces it}
    :param announcement: text for screen readers, read when it changes
    """
    return _response(
        {
            'poll': progress.poll(at_work),
            'fragments': fragments,
            'announce': str(announcement),
        }
    )


def refusal(error):
    """Return the response to an API error.

    If the object is gone (404) or the session expired (401), the page
    reloads, which shows the user why. After other errors it tries again.
    """
    if isinstance(error, exceptions.NOT_FOUND + exceptions.UNAUTHORIZED):
        return _response({'reload': True})
    return _response({'poll': progress.POLL, 'error': str(error)}, 503)


def refreshing(method):
    """Decorate a view's get() to respond to API errors."""

    def wrapped(*args, **kwargs):
        try:
            return method(*args, **kwargs)
        except client.ApiError as e:
            return refusal(e)

    return wrapped


def _response(body, status=200):
    response = http.JsonResponse(body, status=status)
    response['Cache-Control'] = 'no-store'
    return response
