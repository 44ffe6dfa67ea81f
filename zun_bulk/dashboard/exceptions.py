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

"""API errors in classes that Horizon handles by kind."""

from zun_bulk.osc import client


class NotFound(client.ApiError):
    """The bulk or host does not exist (404)."""


class Unauthorized(client.ApiError):
    """The token is no longer valid (401): the user has to log in."""


_CLASSES = {401: Unauthorized, 404: NotFound}

UNAUTHORIZED = (Unauthorized,)
NOT_FOUND = (NotFound,)
RECOVERABLE = (client.ApiError,)


def classify(error):
    """Convert a client.ApiError to its class above, if it has one."""
    kind = _CLASSES.get(error.status, client.ApiError)
    return kind(str(error), error.status, error.unanswered)
