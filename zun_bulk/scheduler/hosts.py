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

"""Hosts for a bulk, as Zun's scheduler would choose them for one container.

Zun's request filters, its resource request and the filters that
``[scheduler] enabled_filters`` names are Zun's own; they run once for a bulk
instead of once for each container.
"""

import collections

from oslo_log import log as logging
from zun import objects
from zun.common import exception
from zun.scheduler import filter_scheduler
from zun.scheduler import request_filter
from zun.scheduler import utils


LOG = logging.getLogger(__name__)


class Host(collections.namedtuple('Host', 'name room limits allocations')):
    """A host that passed.

    room: how many more such containers Placement has room for; limits: what
    the filters set for the claim on the host; allocations: the claim for one
    container.
    """


def passing(context, container, spec, placement):
    """Hosts that may take a container, with the room that they have.

    :param container: any container of the bulk: they are all alike in what
        filters look at.
    :param spec: the bulk's spec.
    :param placement: a Placement.
    :returns: {host name: Host}.
    """
    extra_spec = {
        'hints': spec.get('hints'),
        'pci_requests': objects.ContainerPCIRequests(requests=[]),
        'availability_zone': spec.get('availability_zone'),
        'requested_host': spec.get('requested_host'),
    }
    request_filter.process_reqspec(context, extra_spec)
    try:
        resources = utils.resources_from_request_spec(
            context, container, extra_spec
        )
    except exception.NoValidHost:
        return {}
    candidates = placement.candidates(resources)
    if not candidates:
        return {}
    scheduler = filter_scheduler.FilterScheduler()
    services = scheduler._get_services_by_host(context)
    nodes = [
        node
        for node in objects.ComputeNode.list(
            context, filters={'rp_uuid': list(candidates)}
        )
        if node.hostname in services
    ]
    states = scheduler.get_all_host_state(nodes, services)
    passed = scheduler._get_filtered_hosts(states, container, extra_spec)
    return {
        state.hostname: Host(
            state.hostname,
            candidates[state.uuid].room,
            state.limits,
            candidates[state.uuid].allocations,
        )
        for state in passed or ()
    }
