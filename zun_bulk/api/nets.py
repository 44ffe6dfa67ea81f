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

"""Checks of a template's ``nets``, and their address ranges.

Zun's own ``nets`` have no ranges.
"""

import ipaddress

from zun_bulk.api import validation
from zun_bulk.consts import NetKey
from zun_bulk.network import requested


_ADDRESSES = (NetKey.V4_ADDRESS, NetKey.V6_ADDRESS)


def for_zun(nets):
    """Copy nets without the keys that Zun does not have."""
    return [
        {key: value for key, value in net.items() if key != NetKey.V4_RANGE}
        for net in nets or ()
    ]


def check(nets, count):
    """Check nets as far as possible without Neutron.

    :param count: number of members.
    :raises: ValidationError (400) that names the field.
    """
    for number, net in enumerate(nets or ()):
        if NetKey.V4_RANGE in net:
            for key in (NetKey.PORT, *_ADDRESSES):
                if key in net:
                    _refuse(
                        number,
                        NetKey.V4_RANGE,
                        'not allowed together with %s' % key,
                    )
            _parse(number, net[NetKey.V4_RANGE])
        if count == 1:
            continue
        if net.get(NetKey.PORT):
            _refuse(
                number,
                NetKey.PORT,
                'one port cannot be used by %d containers' % count,
            )
        for key in _ADDRESSES:
            if net.get(key):
                _refuse(
                    number,
                    key,
                    'one address cannot be used by %d containers; use %s, or '
                    'addresses in members' % (count, NetKey.V4_RANGE),
                )


def set_ranges(nets, networks, subnets, count):
    """Add the ranges of nets to the requested networks.

    :param networks: Zun's requested networks, one for each of the nets;
        changed in place.
    :param subnets: the subnets of these networks, as Neutron lists them.
    :param count: number of members.
    :raises: as ``check``.
    """
    attached = requested.attached(networks)
    for number, net in enumerate(nets or ()):
        if NetKey.V4_RANGE not in net:
            continue
        if number not in attached:
            _refuse(
                number,
                NetKey.V4_RANGE,
                'the network is given twice, but containers are attached to '
                'it only once',
            )
        first, last = _parse(number, net[NetKey.V4_RANGE])
        subnet = _subnet_of(
            first,
            last,
            [
                subnet
                for subnet in subnets
                if subnet['network_id'] == networks[number]['network']
            ],
        )
        if subnet is None:
            _refuse(
                number,
                NetKey.V4_RANGE,
                '%s is not inside a subnet of the network'
                % net[NetKey.V4_RANGE],
            )
        networks[number][requested.RANGE] = [str(first), str(last)]
        gateway = subnet['gateway_ip']
        has_gateway = (
            gateway and first <= ipaddress.ip_address(gateway) <= last
        )
        _check_size(number, networks[number], count, bool(has_gateway))


def check_sizes(networks, count):
    """Check that each range has enough addresses.

    :param networks: a bulk's requested networks.
    :param count: number of members.
    :raises: as ``check``.
    """
    for number, network in enumerate(networks):
        if requested.RANGE in network:
            _check_size(number, network, count)


def _check_size(number, network, count, lost=0):
    first, last = map(ipaddress.IPv4Address, network[requested.RANGE])
    size = int(last) - int(first) + 1 - lost
    if size < count:
        _refuse(
            number,
            NetKey.V4_RANGE,
            '%s-%s has addresses for only %d of %d containers'
            % (first, last, size, count),
        )


def _parse(number, text):
    try:
        first, last = (
            ipaddress.IPv4Address(part.strip()) for part in text.split('-')
        )
    except ValueError:
        _refuse(
            number, NetKey.V4_RANGE, 'must be two IPv4 addresses: FIRST-LAST'
        )
    if first > last:
        _refuse(
            number, NetKey.V4_RANGE, '%s is higher than %s' % (first, last)
        )
    return first, last


def _subnet_of(first, last, subnets):
    for subnet in subnets:
        cidr = ipaddress.ip_network(subnet['cidr'])
        if cidr.version == 4 and first in cidr and last in cidr:
            # Without the network and the broadcast address.
            if cidr.prefixlen > 30 or (
                first > cidr.network_address and last < cidr.broadcast_address
            ):
                return subnet
    return None


def _refuse(number, key, text):
    validation.refuse('template.nets[%d].%s' % (number, key), text)
