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
import ipaddress

from neutronclient.common import exceptions as neutron_exceptions
from zun.common import clients
from zun.common import consts
from zun.common import context as zun_context
from zun.network import kuryr_network


#: Under this key a requested network carries what BulkNetwork needs.
PORT = 'zun_bulk_port'


#: The description of each port that is made here.
MARK = 'zun_bulk'


class Refused(Exception):
    """Neutron will not make these ports, however often it is asked."""


class Ports:
    """A connection that keeps its Keystone token between calls."""

    def __init__(self):
        self._client = clients.OpenStackClients(
            zun_context.get_admin_context()
        ).neutron()

    def find(self, container_uuids):
        """Ports that the containers have already.

        :returns: {(container uuid, network id): port}.
        """
        return {
            (port['device_id'], port['network_id']): port
            for port in self._list(container_uuids)
        }

    def _list(self, container_uuids):
        if not container_uuids:
            return []
        return self._client.list_ports(device_id=list(container_uuids))[
            'ports'
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
        try:
            self._client.delete_port(port_id)
        except neutron_exceptions.PortNotFoundClient:
            return

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

    def ensure(self, bulk, placements, known, defaults):
        """Make the ports that members lack, by one call.

        :param bulk: the Bulk.
        :param placements: [(Member, host name)].
        :param known: what ``find`` said of these members.
        :param defaults: what ``defaults`` said of the bulk.
        :returns: {member id: requested networks as Zun's container_create
            takes them}.
        :raises: Refused, with Neutron's own words.
        """
        missing = [
            _port_body(
                bulk,
                network,
                member,
                host,
                first=index == 0,
                default=defaults[network['network']],
            )
            for member, host in placements
            for index, network in _in_zuns_order(bulk)
            if _wants_port(network)
            and (member.container_uuid, network['network']) not in known
        ]
        if missing:
            try:
                made = self._client.create_port({'ports': missing})['ports']
            except neutron_exceptions.NeutronClientException as error:
                if 400 <= error.status_code < 500:
                    raise Refused('Neutron: %s' % error) from error
                raise
            known = {
                **known,
                **{
                    (port['device_id'], port['network_id']): port
                    for port in made
                },
            }
        return {
            member.id: [
                _with_port(
                    network, known[member.container_uuid, network['network']]
                )
                if _wants_port(network)
                else network
                for network in bulk.spec['requested_networks']
            ]
            for member, _host in placements
        }

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
            try:
                if port['id'] in given:
                    self._client.update_port(
                        port['id'],
                        {
                            'port': {
                                'device_id': '',
                                'device_owner': '',
                                consts.BINDING_HOST_ID: None,
                            }
                        },
                    )
                else:
                    self._client.delete_port(port['id'])
            except neutron_exceptions.PortNotFoundClient:
                continue
        return len(ports)


def addresses(networks):
    """IP addresses in a member's networks, or None before it has ports."""
    if not networks:
        return None
    return [
        address['addr']
        for network in networks
        for address in network.get(PORT, {}).get('addresses', ())
    ]


def _wants_port(network):
    """The user's own port is his, and Zun binds it itself."""
    return not network.get('port')


def _in_zuns_order(bulk):
    """Zun attaches the last network first, as Docker's create does it."""
    return enumerate(reversed(bulk.spec['requested_networks']))


def _port_body(bulk, network, member, host, first, default):
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
    if network.get('fixed_ip'):
        body['fixed_ips'] = [{'ip_address': network['fixed_ip']}]
    if bulk.spec.get('security_groups'):
        body['security_groups'] = bulk.spec['security_groups']
    return body


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
