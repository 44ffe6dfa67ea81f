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

"""A member's requested networks, as Zun's container_create takes them: pure.

A requested network is a dict as Zun builds it, with the keys ``network`` and
``port`` among others, and with those below.
"""

import ipaddress

from zun.common import consts


#: The port that was made for the member, as ``network.driver`` passes it on.
PORT = 'zun_bulk_port'
#: The first and the last of the IPv4 addresses to choose from.
RANGE = 'v4_range'


def addresses(networks):
    """List the IP addresses of a member's ports.

    :param networks: the member's requested networks with ports, or None.
    :returns: [address], or None if the member has no ports yet.
    """
    if not networks:
        return None
    return [
        address['addr']
        for network in networks
        for address in network.get(PORT, {}).get('addresses', ())
    ]


def wants_port(network):
    """Whether a port has to be made.

    Zun itself binds a port that the user gave.
    """
    return not network.get('port')


def attached(networks):
    """Find which requested networks Zun attaches.

    Zun attaches the last one as Docker creates the container, then the others
    in order. Of a network that is requested twice it attaches the first in
    this order only.

    :returns: [index], in the order in which Zun attaches them.
    """
    indexes = list(range(len(networks)))
    found = {}
    for index in indexes[-1:] + indexes[:-1]:
        found.setdefault(networks[index]['network'], index)
    return list(found.values())


def with_ports(networks, container_uuid, ports):
    """Add a member's ports to its requested networks.

    :param networks: the bulk's requested networks.
    :param ports: {(container uuid, network id): port}.
    :returns: requested networks for this member.
    """
    with_port = {
        index for index in attached(networks) if wants_port(networks[index])
    }
    return [
        _with_port(network, ports[container_uuid, network['network']])
        if index in with_port
        else network
        for index, network in enumerate(networks)
    ]


def _with_port(network, port):
    return dict(
        network,
        port=port['id'],
        **{
            PORT: {
                'id': port['id'],
                'mac_address': port['mac_address'],
                'host': port.get(consts.BINDING_HOST_ID),
                'addresses': [
                    {
                        'addr': fixed['ip_address'],
                        'version': ipaddress.ip_address(
                            fixed['ip_address']
                        ).version,
                        'port': port['id'],
                        'subnet_id': fixed['subnet_id'],
                        'preserve_on_delete': network['preserve_on_delete'],
                    }
                    for fixed in port['fixed_ips']
                ],
            }
        },
    )
