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

"""What a template refers to by name: found with the user's own token.

Hosts and registries are Zun's; networks, ports and security groups are
Neutron's.
"""

import copy

from oslo_utils import uuidutils
from zun import objects
from zun.api.controllers.v1 import containers
from zun.common import exception
from zun.common import utils as zun_utils
from zun.network import neutron

from zun_bulk import zun_compat
from zun_bulk.api import nets
from zun_bulk.api import validation
from zun_bulk.consts import NetKey


def check_host(context, wanted):
    """Check that the host which the template requests exists.

    :param wanted: the template without nulls.
    :raises: ValidationError (400)
    """
    if 'host' in wanted:
        with validation.blame_field('host'):
            objects.ComputeNode.get_by_name(context, wanted['host'])


def security_groups(context, groups):
    """Find the ids of security groups, each once.

    :param groups: their names or ids.
    :raises: ValidationError (400)
    """
    neutron_api = neutron.NeutronAPI(context)
    with validation.blame_field('security_groups'):
        return list(
            dict.fromkeys(
                neutron_api.find_resourceid_by_name_or_id(
                    'security_group', group, context.project_id
                )
                for group in dict.fromkeys(groups)
            )
        )


def registry(context, ident):
    """Find a registry of the user by its name or uuid.

    :returns: an objects.Registry.
    :raises: ValidationError (400)
    """
    context = copy.copy(context)
    context.all_projects = context.is_admin
    find = (
        objects.Registry.get_by_uuid
        if uuidutils.is_uuid_like(ident)
        else objects.Registry.get_by_name
    )
    with validation.blame_field('registry'):
        return find(context, ident)


def requested_networks(context, asked, count):
    """Find the networks and ports of a template's ``nets``.

    :param asked: the ``nets``.
    :param count: number of members, each of which needs an address.
    :returns: Zun's requested networks, one for each of the ``nets``.
    :raises: ValidationError (400)
    """
    with validation.blame_field('nets'):
        networks = zun_utils.build_requested_networks(
            context, nets.for_zun(asked)
        )
        controller = containers.ContainersController()
        requests = zun_compat.create_sriov_requests(
            controller, context, networks
        )
        if requests.requests:
            raise exception.ValidationError(
                detail='SR-IOV ports are not supported for bulks'
            )
        with_range = [
            network['network']
            for net, network in zip(asked, networks, strict=False)
            if NetKey.V4_RANGE in net
        ]
        subnets = []
        if with_range:
            # Subnets that the user may not see cannot be used either.
            subnets = neutron.NeutronAPI(context).list_subnets(
                network_id=with_range
            )['subnets']
    nets.set_ranges(asked, networks, subnets, count)
    return networks
