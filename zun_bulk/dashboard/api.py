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

"""The bulk API for the pages, called with the token of the user."""

import functools

from django.conf import settings
from django.core.cache import cache
from django.utils.functional import cached_property
from horizon import exceptions as horizon_exceptions
from openstack_dashboard.api import base
from openstack_dashboard.api import keystone
from zunclient.v1 import client as zun_client

from zun_bulk import consts
from zun_bulk.dashboard import exceptions
from zun_bulk.osc import client
from zun_bulk.osc import host
from zun_bulk.osc import progress


_State = consts.MemberState
_Status = consts.BulkStatus

#: Statuses in which the conductor works on a bulk.
WORK = _Status.WORK
#: States of members that change soon, whatever the status of their bulk.
MOVING = (_State.STARTING, _State.DELETING)
#: States of members that need no more work.
DONE = (*_State.FINAL, _State.DELETED)

#: Seconds to cache the names of projects.
NAMES_TTL = 60


class Bulk(base.APIDictWrapper):
    """A bulk as the API returns it, with the actions it allows."""

    #: Set only in the list of the bulks of all projects.
    project_name = None

    @property
    def id(self):
        return self.uuid

    @property
    def rates(self):
        """The rates from the API; None if they were not requested."""
        return self._apidict.get('rates')

    @property
    def own_fields(self):
        """The names of per-container values; None if unknown."""
        return self._apidict.get('own_fields')

    @cached_property
    def done(self):
        return sum(self.members.get(state, 0) for state in DONE)

    @property
    def percent(self):
        """The completed part, rounded down: 100 only if all is done."""
        return 100 * self.done // self.count if self.count else 100

    @property
    def at_work(self):
        """Whether the bulk changes without a user's action."""
        return self.status in WORK or any(
            self.members.get(state) for state in MOVING
        )

    @property
    def actions(self):
        """The names of the actions that the status allows."""
        floating_ips = self._apidict.get('floating_ips') or {}
        failed = self.members.get(_State.FAILED) or floating_ips.get('failed')
        allowed = {
            'pause': self.status == _Status.BUILDING,
            'resume': self.status == _Status.PAUSED,
            'cancel': self.status in (_Status.BUILDING, _Status.PAUSED),
            'retry': failed and self.status in _Status.RETRIABLE,
            'scale': self.status in _Status.SCALABLE,
            'delete': self.status != _Status.DELETING,
        }
        return {name for name, holds in allowed.items() if holds}


class Member(base.APIDictWrapper):
    @property
    def id(self):
        return self.index


class Event(base.APIDictWrapper):
    pass


class Host(base.APIDictWrapper):
    """A host; values that it has never reported are None."""

    @property
    def id(self):
        return self.host

    @property
    def name(self):
        return self.host

    @property
    def starts(self):
        return (self.pace or {}).get('starts') or {}

    @property
    def held_by(self):
        return (self.pace or {}).get('held_by') or {}

    @property
    def at_work(self):
        pace = self.pace or {}
        return bool(
            pace.get('queued')
            or pace.get('deleting')
            or any(
                (pace.get(kind) or {}).get('in_flight')
                for kind in ('starts', 'deletes')
            )
        )


def zunclient(request):
    """Return Zun's client; it makes no request to Keystone."""
    return zun_client.Client(
        auth_token=request.user.token.id,
        endpoint_override=base.url_for(request, 'container'),
        insecure=settings.OPENSTACK_SSL_NO_VERIFY,
        cacert=settings.OPENSTACK_SSL_CACERT,
    )


def _with_horizon_errors(function):
    """Decorate a function to raise API errors in Horizon's classes."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except client.ApiError as e:
            raise exceptions.classify(e) from e

    return wrapped


def _client(request):
    return host.HostClient(zunclient(request))


@_with_horizon_errors
def bulk_list(request, limit, **filters):
    """Return a page of bulks, with one API request.

    :param limit: number of bulks, up to the maximum page size of the API
    """
    found = _client(request).list(limit=limit, **filters)
    return [Bulk(item) for item in found]


@_with_horizon_errors
def bulk_get(request, ident, rate_window=None):
    """Return a bulk, with one API request.

    :param rate_window: seconds of the bulk's work for which to get rates
    """
    return Bulk(_client(request).get(ident, rate_window))


@_with_horizon_errors
def bulk_create(request, body):
    """Create a bulk, or do a dry run.

    This does not retry: users repeat the request themselves, and the form's
    client_token ensures that this creates no second bulk.
    """
    return _client(request).create(body, note=None, delays=())


@_with_horizon_errors
def bulk_act(request, ident, action, body=None):
    return Bulk(_client(request).act(ident, action, body))


@_with_horizon_errors
def bulk_delete(request, ident):
    _client(request).delete(ident)


@_with_horizon_errors
def member_list(request, ident, limit=None, **filters):
    found = _client(request).list_members(ident, limit=limit, **filters)
    return [Member(item) for item in found]


@_with_horizon_errors
def event_list(request, ident, limit, **filters):
    found = _client(request).list_events(ident, limit=limit, **filters)
    return [Event(item) for item in found]


@_with_horizon_errors
def host_list(request):
    return [Host(item) for item in _client(request).list_hosts()]


@_with_horizon_errors
def host_get(request, name):
    return Host(_client(request).get_host(name))


@_with_horizon_errors
def host_update(request, name, body):
    return Host(_client(request).update_host(name, body))


def quotas(request):
    """Return the project's quotas in Zun: {resource: {limit, in_use}}.

    A limit of -1 means unlimited.
    """
    quota = zunclient(request).quotas.get(request.user.project_id, usages=True)
    return {
        name: value
        for name, value in quota.to_dict().items()
        if isinstance(value, dict) and 'limit' in value
    }


def project_names(request):
    """Return the names of all projects by ID, with one request to Keystone.

    The names are cached, because the page refreshes itself. Without the right
    to list projects, there are no names.
    """
    key = f'zun_bulk.projects.{request.user.id}'
    names = cache.get(key)
    if names is None:
        try:
            projects, _more = keystone.tenant_list(request)
            names = {project.id: project.name for project in projects}
        except Exception:
            names = {}
            horizon_exceptions.handle(request, ignore=True)
        cache.set(key, names, NAMES_TTL)
    return names


def availability_zones(request):
    zones = zunclient(request).availability_zones.list()
    return sorted(zone.availability_zone for zone in zones)


#: The order in which states are shown.
STATES = progress.STATES
