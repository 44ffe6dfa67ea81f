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

"""The bulk API as the pages see it, with the token of whoever looks."""

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
#: States of members which soon change by themselves, whatever the bulk's.
MOVING = (_State.STARTING, _State.DELETING)
#: States in which a member is through.
DONE = (*_State.FINAL, _State.DELETED)

#: Seconds that the names of projects are kept.
KEEP_NAMES = 60


class Bulk(base.APIDictWrapper):
    """A bulk as the API shows it, and what may be done with it."""

    #: Known where the bulks of all projects are listed.
    project_name = None

    @property
    def id(self):
        return self.uuid

    @property
    def rates(self):
        """As the API tells them; None if it was not asked."""
        return self._apidict.get('rates')

    @property
    def own_fields(self):
        """What members have of their own; None if that is not known."""
        return self._apidict.get('own_fields')

    @cached_property
    def done(self):
        return sum(self.members.get(state, 0) for state in DONE)

    @property
    def percent(self):
        """How much of it is done: a whole number, 100 only if all is."""
        return 100 * self.done // self.count if self.count else 100

    @property
    def at_work(self):
        """Whether it changes without anybody's doing."""
        return self.status in WORK or any(
            self.members.get(state) for state in MOVING
        )

    @property
    def actions(self):
        """The names of the actions that its status allows for."""
        floating_ips = self._apidict.get('floating_ips') or {}
        failed = self.members.get(_State.FAILED) or floating_ips.get('failed')
        offered = {
            'pause': self.status == _Status.BUILDING,
            'resume': self.status == _Status.PAUSED,
            'cancel': self.status in (_Status.BUILDING, _Status.PAUSED),
            'retry': failed and self.status in _Status.RETRIABLE,
            'scale': self.status in _Status.SCALABLE,
            'delete': self.status != _Status.DELETING,
        }
        return {name for name, holds in offered.items() if holds}


class Member(base.APIDictWrapper):
    @property
    def id(self):
        return self.index


class Event(base.APIDictWrapper):
    pass


class Host(base.APIDictWrapper):
    """A host; what it has never said is None."""

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
    """Zun's own client; it asks nothing of Keystone."""
    return zun_client.Client(
        auth_token=request.user.token.id,
        endpoint_override=base.url_for(request, 'container'),
        insecure=settings.OPENSTACK_SSL_NO_VERIFY,
        cacert=settings.OPENSTACK_SSL_CACERT,
    )


def _told(function):
    """Have what the API refuses raised in classes that Horizon knows."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except client.ApiError as e:
            raise exceptions.of(e) from e

    return wrapped


def _client(request):
    return host.HostClient(zunclient(request))


@_told
def bulk_list(request, limit, **filters):
    """A page of bulks: one call of the API.

    :param limit: how many, as many as the API gives in a page at the most
    """
    found = _client(request).list(limit=limit, **filters)
    return [Bulk(item) for item in found]


@_told
def bulk_get(request, ident, rate_window=None):
    """A bulk: one call of the API.

    :param rate_window: how many seconds of its work to tell the rates of
    """
    return Bulk(_client(request).get(ident, rate_window))


@_told
def bulk_create(request, body):
    """Ask for a bulk, or for what would become of it.

    Once only: who waits for a page asks again himself, and the client_token
    of the form lets no second bulk come of that.
    """
    return _client(request).create(body, note=None, delays=())


@_told
def bulk_act(request, ident, action, body=None):
    return Bulk(_client(request).act(ident, action, body))


@_told
def bulk_delete(request, ident):
    _client(request).delete(ident)


@_told
def member_list(request, ident, limit=None, **filters):
    found = _client(request).list_members(ident, limit=limit, **filters)
    return [Member(item) for item in found]


@_told
def event_list(request, ident, limit, **filters):
    found = _client(request).list_events(ident, limit=limit, **filters)
    return [Event(item) for item in found]


@_told
def host_list(request):
    return [Host(item) for item in _client(request).list_hosts()]


@_told
def host_get(request, name):
    return Host(_client(request).get_host(name))


@_told
def host_update(request, name, body):
    return Host(_client(request).update_host(name, body))


def quotas(request):
    """What the project may have of Zun, and has: {resource: {limit, in_use}}.

    A limit of -1 is none.
    """
    quota = zunclient(request).quotas.get(request.user.project_id, usages=True)
    return {
        name: value
        for name, value in quota.to_dict().items()
        if isinstance(value, dict) and 'limit' in value
    }


def project_names(request):
    """The names of all projects by their ids: one call of Keystone.

    They are kept a while, for a page that refreshes itself. Who may not know
    them is told none.
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
        cache.set(key, names, KEEP_NAMES)
    return names


def availability_zones(request):
    zones = zunclient(request).availability_zones.list()
    return sorted(zone.availability_zone for zone in zones)


#: The order in which states are told.
STATES = progress.STATES
