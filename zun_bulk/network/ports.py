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

"""Neutron ports for the members of a bulk, made in batches.

A port is made as Zun's network driver would make it, so that all that Zun
does with it later, deleting it above all, stays right.
"""

import collections
import contextlib
import enum
import http.client
import ipaddress
import re

from keystoneauth1 import exceptions as ks_exc
from neutronclient.common import exceptions as neutron_exceptions
from zun.common import consts
from zun.network import kuryr_network

from zun_bulk import connections


#: Under this key a requested network carries what BulkNetwork needs.
PORT = 'zun_bulk_port'
#: Under this key it has the first and the last of the addresses to choose of.
RANGE = 'v4_range'


#: The description of each port that is made here.
MARK = 'zun_bulk'
#: Of how many containers one call lists the ports: they go into its URL.
LIST_BATCH = 100

#: Answers of a Neutron, or of a proxy before it, that has too much to do, and
#: of one that finds the request too large.
_BUSY = (408, 413, 429, 502, 503, 504)
#: What may stand for an address in a text.
_ADDRESS = re.compile(r'[0-9A-Fa-f:.]*[0-9A-Fa-f]')


class Kind(enum.Enum):
    """Of what Neutron refuses.

    :cvar TAKEN: an address that another port has.
    :cvar ADDRESSES: there is no address left.
    :cvar QUOTA: the project may have no more ports.
    :cvar WHOLE: what all ports of a bulk have in common.
    """

    TAKEN = 'taken'
    ADDRESSES = 'addresses'
    QUOTA = 'quota'
    WHOLE = 'whole'
    OTHER = 'other'


class Refused(Exception):
    """Neutron will not make these ports, however often it is asked.

    :ivar kind: a Kind.
    :ivar addresses: the IP addresses that its words name.
    """

    def __init__(self, text, kind=Kind.OTHER):
        super().__init__(text)
        self.kind = kind
        self.addresses = _addresses_in(text)


class Busy(Exception):
    """Neutron cannot now, or has not answered: it may have taken effect."""


class Ports:
    """A connection that keeps its Keystone token between calls."""

    def __init__(self):
        self._client = connections.neutron()
        self._extensions = None

    def has_extension(self, alias):
        """Whether Neutron has an extension. It is asked once."""
        if self._extensions is None:
            self._extensions = {
                extension['alias']
                for extension in self._client.list_extensions()['extensions']
            }
        return alias in self._extensions

    def taken(self, network_id):
        """:returns: {IP address} that nobody can have on a network."""
        subnets = self._client.list_subnets(
            network_id=[network_id], fields=['gateway_ip']
        )['subnets']
        ports = self._client.list_ports(
            network_id=network_id, fields=['fixed_ips']
        )['ports']
        return {subnet['gateway_ip'] for subnet in subnets} | {
            fixed['ip_address']
            for port in ports
            for fixed in port['fixed_ips']
        }

    def find(self, container_uuids):
        """Ports that the containers have already.

        :returns: {(container uuid, network id): port}.
        """
        return {
            (port['device_id'], port['network_id']): port
            for port in self._list(container_uuids)
        }

    def _list(self, container_uuids):
        uuids = list(container_uuids)
        return [
            port
            for start in range(0, len(uuids), LIST_BATCH)
            for port in self._client.list_ports(
                device_id=uuids[start : start + LIST_BATCH]
            )['ports']
        ]

    def marked(self):
        """All ports that were made for bulks.

        :returns: [port], with ``id`` and ``device_id``.
        """
        return self._client.list_ports(
            description=MARK, fields=['id', 'device_id']
        )['ports']

    def delete(self, port_id):
        """Delete a port, which may be gone already."""
        with contextlib.suppress(neutron_exceptions.PortNotFoundClient):
            self._client.delete_port(port_id)

    def defaults(self, bulk):
        """What Neutron would look up anew for each port, looked up once.

        A port that names its security group and its subnet costs Neutron an
        eighth less CPU. It names them only where it would get just those.

        :returns: {network id: what a port's body may say in addition}.
        """
        ids = list({n['network'] for n in bulk.spec['requested_networks']})
        found = {ident: {} for ident in ids}
        subnets = collections.defaultdict(list)
        for subnet in self._client.list_subnets(network_id=ids)['subnets']:
            subnets[subnet['network_id']].append(subnet)
        for ident, (subnet, *others) in subnets.items():
            # Of several, and for some kinds of ports, Neutron has to choose.
            if (
                not others
                and subnet['ip_version'] == 4
                and not subnet.get('service_types')
                and not subnet.get('segment_id')
            ):
                found[ident]['fixed_ips'] = [{'subnet_id': subnet['id']}]
        groups = self._default_groups(bulk.project_id)
        if groups:
            for network in self._client.list_networks(id=ids)['networks']:
                # It refuses groups where its networks do without.
                if network.get('port_security_enabled'):
                    found[network['id']]['security_groups'] = groups
        return found

    def _default_groups(self, project_id):
        try:
            groups = self._client.list_security_groups(
                project_id=project_id, name='default', fields='id'
            )['security_groups']
        except neutron_exceptions.NotFound:
            # It has no security groups at all.
            return []
        return [group['id'] for group in groups]

    def ensure(self, bulk, placements, known, defaults, own):
        """Make the ports that members lack, by one call.

        :param bulk: the Bulk.
        :param placements: [(Member, host name)].
        :param known: what ``find`` said of these members.
        :param defaults: what ``defaults`` said of the bulk.
        :param own: {(member id, index of a requested network): what the body
            of this port says in addition}.
        :returns: {member id: requested networks as Zun's container_create
            takes them}.
        :raises: Refused, with Neutron's own words; Busy.
        """
        networks = bulk.spec['requested_networks']
        missing = [
            _port_body(
                bulk,
                networks[index],
                member,
                host,
                first=place == 0,
                default=defaults[networks[index]['network']],
                own=own.get((member.id, index), {}),
            )
            for member, host in placements
            for place, index in enumerate(attached(networks))
            if wants_port(networks[index])
            and (member.container_uuid, networks[index]['network'])
            not in known
        ]
        if missing:
            known = {
                **known,
                **{
                    (port['device_id'], port['network_id']): port
                    for port in self._create(missing)
                },
            }
        return {
            member.id: _with_ports(networks, member, known)
            for member, _host in placements
        }

    def _create(self, bodies):
        try:
            return self._client.create_port({'ports': bodies})['ports']
        except ks_exc.ConnectionError as error:
            raise Busy('Neutron: %s' % error) from error
        except neutron_exceptions.NeutronClientException as error:
            text = 'Neutron: %s' % _words(error)
            if error.status_code in _BUSY or isinstance(
                error, neutron_exceptions.ConnectionFailed
            ):
                # In known words too, as a proxy's may be any.
                said = http.client.responses.get(error.status_code)
                raise Busy(
                    '%s (%s)' % (text, said) if said else text
                ) from error
            # That its own token is no good is not the members' fault.
            if error.status_code == 401 or not (
                400 <= error.status_code < 500
            ):
                raise
            raise Refused(text, _kind(error)) from error

    def sweep(self, bulk, container_uuids):
        """Delete what ports are left of containers that are gone.

        A port that the user gave is only freed.

        :returns: how many there were.
        """
        given = {
            network['port'] for network in bulk.spec['requested_networks']
        }
        # Not what find says: there may be two of one container and network.
        ports = self._list(container_uuids)
        for port in ports:
            if port['id'] in given:
                self._free(port['id'])
            else:
                self.delete(port['id'])
        return len(ports)

    def _free(self, port_id):
        with contextlib.suppress(neutron_exceptions.PortNotFoundClient):
            self._client.update_port(
                port_id,
                {
                    'port': {
                        'device_id': '',
                        'device_owner': '',
                        consts.BINDING_HOST_ID: None,
                    }
                },
            )


def addresses(networks):
    """IP addresses in a member's networks, or None before it has ports."""
    if not networks:
        return None
    return [
        address['addr']
        for network in networks
        for address in network.get(PORT, {}).get('addresses', ())
    ]


def wants_port(network):
    """The user's own port is his, and Zun binds it itself."""
    return not network.get('port')


def attached(networks):
    """Indexes of the requested networks that Zun attaches, in its order.

    The last one as Docker creates the container, then the others. A network
    that is there again it leaves out.
    """
    indexes = list(range(len(networks)))
    found = {}
    for index in indexes[-1:] + indexes[:-1]:
        found.setdefault(networks[index]['network'], index)
    return list(found.values())


def _port_body(bulk, network, member, host, first, default, own):
    body = {
        **default,
        'network_id': network['network'],
        'tenant_id': bulk.project_id,
        'device_id': member.container_uuid,
        'description': MARK,
    }
    if first:
        body['device_owner'] = kuryr_network.DEVICE_OWNER
        body[consts.BINDING_HOST_ID] = host
    if bulk.spec.get('security_groups'):
        body['security_groups'] = bulk.spec['security_groups']
    return {**body, **own}


def _with_ports(networks, member, known):
    with_port = {
        index for index in attached(networks) if wants_port(networks[index])
    }
    return [
        _with_port(network, known[member.container_uuid, network['network']])
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


def _words(error):
    """What Neutron says, without the ids of requests.

    So that one cause is one reason, however many members have it.
    """
    return str(error).partition('\nNeutron server returns request_ids')[0]


def _kind(error):
    if isinstance(
        error,
        (
            neutron_exceptions.IpAddressInUseClient,
            neutron_exceptions.IpAddressAlreadyAllocatedClient,
        ),
    ):
        return Kind.TAKEN
    if isinstance(error, neutron_exceptions.IpAddressGenerationFailureClient):
        return Kind.ADDRESSES
    if isinstance(error, neutron_exceptions.OverQuotaClient):
        return Kind.QUOTA
    # A policy; a network or a security group that is not there.
    if error.status_code in (403, 404):
        return Kind.WHOLE
    return Kind.OTHER


def _addresses_in(text):
    found = set()
    for word in _ADDRESS.findall(text):
        with contextlib.suppress(ValueError):
            found.add(str(ipaddress.ip_address(word)))
    return found
