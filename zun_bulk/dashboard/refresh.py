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

"""Answers to pages that refresh themselves (static/zun_bulk/refresh.js)."""

from django import http

from zun_bulk.dashboard import exceptions
from zun_bulk.dashboard import progress
from zun_bulk.osc import client


def answer(at_work, fragments, announcement=''):
    """What a page is to show now.

    :param at_work: whether it is worth while to look again
    :param fragments: {id of an element: the HTML to put in its place}
    :param announcement: what a screen reader is to say once it has changed
    """
    return _response(
        {
            'poll': progress.poll(at_work),
            'fragments': fragments,
            'announce': str(announcement),
        }
    )


def refusal(error):
    """What the API said in place of the data.

    A page that is not of use any more (404, 401) loads anew, which tells the
    user why; after any other error it looks again a little later.
    """
    if isinstance(error, exceptions.NOT_FOUND + exceptions.UNAUTHORIZED):
        return _response({'reload': True})
    return _response({'poll': progress.POLL, 'error': str(error)}, 503)


def refreshing(method):
    """For a view's get(): answer with a refusal if the API does."""

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
