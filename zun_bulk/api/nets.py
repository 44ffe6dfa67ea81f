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

"""What a template's nets have that Zun's do not: ranges of addresses."""

import ipaddress

from zun_bulk.api import validation
from zun_bulk.network import requested


RANGE = 'v4-range'


def for_zun(nets):
    """The nets without what Zun's schema does not know."""
    return [
        {key: value for key, value in net.items() if key != RANGE}
        for net in nets or ()
    ]


def check(nets, count):
    """Check what can be told of nets without Neutron.

    :raises: ValidationError (400) that names the field.
    """
    for number, net in enumerate(nets or ()):
        if RANGE in net:
            for key in ('port', 'v4-fixed-ip', 'v6-fixed-ip'):
                if key in net:
                    _refuse(number, RANGE, 'it does not go with %s' % key)
            _parse(number, net[RANGE])
        if count == 1:
            continue
        if net.get('port'):
            _refuse(
                number, 'port', 'one port cannot serve %d containers' % count
            )
        for key in ('v4-fixed-ip', 'v6-fixed-ip'):
            if net.get(key):
                _refuse(
                    number,
                    key,
                    'one address cannot serve %d containers; give %s, or '
                    'addresses in members' % (count, RANGE),
                )


def set_ranges(nets, networks, subnets, count):
    """Give requested networks their ranges.

    :param networks: Zun's requested networks, one for each of the nets.
    :param subnets: the subnets of these networks, as Neutron lists them.
    :param count: how many members there are.
    :raises: as ``check``.
    """
    attached = requested.attached(networks)
    for number, net in enumerate(nets or ()):
        if RANGE not in net:
            continue
        if number not in attached:
            _refuse(
                number,
                RANGE,
                'the network is there twice, and containers are attached to '
                'it once',
            )
        first, last = _parse(number, net[RANGE])
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
                RANGE,
                '%s is not inside a subnet of the network' % net[RANGE],
            )
        networks[number][requested.RANGE] = [str(first), str(last)]
        gateway = subnet['gateway_ip']
        has_gateway = (
            gateway and first <= ipaddress.ip_address(gateway) <= last
        )
        _check_size(number, networks[number], count, bool(has_gateway))


def check_sizes(networks, count):
    """Check that ranges have an address for each of so many members.

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
            RANGE,
            '%s-%s has addresses for %d of %d containers'
            % (first, last, size, count),
        )


def _parse(number, text):
    try:
        first, last = (
            ipaddress.IPv4Address(part.strip()) for part in text.split('-')
        )
    except ValueError:
        _refuse(number, RANGE, 'it must be two IPv4 addresses: FIRST-LAST')
    if first > last:
        _refuse(number, RANGE, '%s comes after %s' % (first, last))
    return first, last


def _subnet_of(first, last, subnets):
    for subnet in subnets:
        cidr = ipaddress.ip_network(subnet['cidr'])
        if cidr.version == 4 and first in cidr and last in cidr:
            # Neither the address of the subnet nor that of its broadcasts.
            if cidr.prefixlen > 30 or (
                first > cidr.network_address and last < cidr.broadcast_address
            ):
                return subnet
    return None


def _refuse(number, key, text):
    validation.refuse('template.nets[%d].%s' % (number, key), text)
