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

"""Survey hosts for a bulk, as Zun's scheduler does for one container.

The request filters, the resource request and the filters in ``[scheduler]
enabled_filters`` are Zun's own; they run once for a bulk instead of once for
each container.
"""

import collections

from zun import objects
from zun.common import exception
from zun.scheduler import filter_scheduler
from zun.scheduler import request_filter
from zun.scheduler import utils

from zun_bulk import zun_compat
from zun_bulk.conf import CONF
from zun_bulk.db import hosts as db_hosts
from zun_bulk.scheduler import planner
from zun_bulk.scheduler import pressure
from zun_bulk.scheduler import usage
from zun_bulk.scheduler.filters import base_limit
from zun_bulk.scheduler.filters import host_pressure


#: Reasons for excluding a host other than resources and filters.
NOT_UP = 'its zun-compute is down or disabled'
OTHER_REQUESTED = 'another host is requested'
TRAITS = 'its traits, or those resources together'
#: Successful starts after which the pace of a host counts.
MIN_STARTS = 20


class Host(
    collections.namedtuple(
        'Host',
        'name room limits allocations bound_by zone',
        defaults=(None, None),
    )
):
    """A host that passed the filters.

    room: how many more containers fit according to Placement and the filters;
    limits: limits that the filters set for the claim on the host; allocations:
    the claim for one container; bound_by: what bounds the room, a resource
    class or ``containers``; zone: its availability zone.
    """


class Survey(collections.namedtuple('Survey', 'hosts rooms')):
    """All hosts as a bulk sees them.

    hosts: {name: Host} of the hosts that passed; rooms: a planner.Room of each
    host that is up or has members of the bulk.
    """

    @property
    def held(self):
        """Hosts that passed but are held.

        :returns: {name: reason}.
        """
        return {
            room.host: room.bound_by
            for room in self.rooms
            if room.host in self.hosts and not room.room
        }

    @property
    def rooms_later(self):
        """Rooms as they will be once no host is held.

        :returns: [planner.Room].
        """
        held = self.held
        return [
            room._replace(
                room=self.hosts[room.host].room,
                bound_by=self.hosts[room.host].bound_by,
            )
            if room.host in held
            else room
            for room in self.rooms
        ]


def survey(context, container, spec, placement, taken=None):
    """Find which hosts may take a bulk's containers, and how many.

    Held hosts (see ``pressure``) pass but have no room: a bulk may wait for
    them.

    :param container: any container of the bulk; filters treat all alike.
    :param spec: the bulk's BulkSpec.
    :param placement: a Placement.
    :param taken: {host name: number of members that the bulk has there}.
    :returns: a Survey.
    """
    taken = taken or {}
    rows = db_hosts.list_hosts()
    held = pressure.find(rows)
    paces = {row.host: _pace(row.report or {}) for row in rows}
    passed, refused = _passing(context, container, spec, placement)
    found = dict(refused)
    for name, host in passed.items():
        found[name] = (
            (host.zone, host.room, host.bound_by)
            if name not in held
            else (host.zone, 0, held[name])
        )
    rooms = [
        planner.Room(
            name,
            *found.get(name, (None, 0, NOT_UP)),
            pace=paces.get(name),
            taken=taken.get(name, 0),
        )
        for name in found.keys() | taken.keys()
    ]
    return Survey(passed, rooms)


def _pace(report):
    """Return a host's starts per second; None if unknown."""
    starts = report.get('starts', {})
    ended = starts.get('ended', {}).get('done', 0)
    if ended < MIN_STARTS or not starts.get('median'):
        return None
    pace = starts['limit'] / starts['median']
    if starts.get('interval'):
        pace = min(pace, 1 / starts['interval'])
    return pace


def _passing(context, container, spec, placement):
    """Run Placement and Zun's filters.

    :returns: ({name: Host}, {name: (zone, 0, reason)} of all others).
    """
    extra_spec = {
        'hints': spec.hints,
        'pci_requests': objects.ContainerPCIRequests(requests=[]),
        'availability_zone': spec.availability_zone,
        'requested_host': spec.requested_host,
    }
    request_filter.process_reqspec(context, extra_spec)
    scheduler = filter_scheduler.FilterScheduler()
    services = zun_compat.get_services_by_host(scheduler, context)
    nodes = [
        node
        for node in objects.ComputeNode.list(context)
        if node.hostname in services
    ]
    refused = {}

    def refuse(name, why):
        refused[name] = (_zone(services[name]), 0, why)

    if extra_spec['requested_host']:
        for node in nodes:
            if node.hostname != extra_spec['requested_host']:
                refuse(node.hostname, OTHER_REQUESTED)
        nodes = [node for node in nodes if node.hostname not in refused]
    try:
        resources = utils.resources_from_request_spec(
            context, container, extra_spec
        )
    except exception.NoValidHost as error:
        for node in nodes:
            refuse(node.hostname, str(error))
        return {}, refused
    zun_compat.remove_candidate_limit(resources)
    candidates = placement.candidates(resources)
    full = [node for node in nodes if node.rp_uuid not in candidates]
    if full:
        short_of = placement.short_of(resources)
        for node in full:
            refuse(node.hostname, short_of(node.rp_uuid) or TRAITS)
    enabled, states = _filter(
        scheduler,
        scheduler.get_all_host_state(
            [node for node in nodes if node.rp_uuid in candidates], services
        ),
        container,
        extra_spec,
        refuse,
    )
    found = {}
    for state in states:
        candidate = candidates[state.uuid]
        room, bound_by = _room(enabled, state, container, candidate)
        found[state.hostname] = Host(
            state.hostname,
            room,
            state.limits,
            candidate.allocations,
            bound_by,
            _zone(state.service),
        )
    return found, refused


def _filter(scheduler, states, container, extra_spec, refuse):
    """Run Zun's filters one by one, to know which one excludes a host.

    HostPressureFilter is left out, as bulks wait for held hosts.

    :param refuse: function of a host's name and the reason for excluding it.
    :returns: (the filters, the HostStates that pass).
    """
    # Members placed a moment ago count.
    usage.forget()
    enabled = [
        one
        for one in scheduler.enabled_filters
        if not isinstance(one, host_pressure.HostPressureFilter)
    ]
    states = list(states)
    for one in enabled:
        scheduler.enabled_filters = [one]
        passed = list(
            zun_compat.get_filtered_hosts(
                scheduler, states, container, extra_spec
            )
            or ()
        )
        names = {state.hostname for state in passed}
        for state in states:
            if state.hostname not in names:
                refuse(state.hostname, type(one).__name__)
        states = passed
    return enabled, states


def _zone(service):
    return service.availability_zone or CONF.default_availability_zone


def _room(filters, state, container, candidate):
    """Return how many more containers fit, and what bounds that."""
    rooms = [(candidate.room, candidate.bound_by)]
    rooms += [
        (one.room(state, container), one.bound_by)
        for one in filters
        if isinstance(one, base_limit.LimitFilter)
    ]
    return min(rooms, key=lambda pair: pair[0])
