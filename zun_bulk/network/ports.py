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

Ports look as if Zun's network driver had made them, so that Zun handles them
correctly later, in particular when it deletes them.
"""

import collections
import contextlib

from neutronclient.common import exceptions as neutron_exceptions
from zun.common import consts
from zun.network import kuryr_network

from zun_bulk import connections
from zun_bulk.network import errors
from zun_bulk.network import requested


#: The description of each port that is made here.
MARK = 'zun_bulk'
#: The most containers whose ports one call lists: their ids are in its URL.
LIST_BATCH = 100


class Ports:
    """A client of Neutron that keeps its token between calls."""

    def __init__(self):
        self._client = connections.neutron()
        self._extensions = None

    def has_extension(self, alias):
        """Whether Neutron has an extension; the list is read once."""
        if self._extensions is None:
            self._extensions = {
                extension['alias']
                for extension in self._client.list_extensions()['extensions']
            }
        return alias in self._extensions

    def taken(self, network_id):
        """List the addresses of a network that are in use.

        :returns: {IP address}.
        """
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
        """Find the ports that containers already have.

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
        """List all ports that were made for bulks.

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
        """Look up once what Neutron would look up for each port.

        A port that names its security group and its subnet takes an eighth
        less of Neutron's CPU. Ports name them only if they would get the same
        by default.

        :returns: {network id: additions to a port's body}.
        """
        ids = list({n['network'] for n in bulk.spec.requested_networks})
        found = {ident: {} for ident in ids}
        subnets = collections.defaultdict(list)
        for subnet in self._client.list_subnets(network_id=ids)['subnets']:
            subnets[subnet['network_id']].append(subnet)
        for ident, (subnet, *others) in subnets.items():
            # Neutron has to choose among several, and for some kinds of ports.
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
                # Neutron refuses groups on networks without port security.
                if network.get('port_security_enabled'):
                    found[network['id']]['security_groups'] = groups
        return found

    def _default_groups(self, project_id):
        try:
            groups = self._client.list_security_groups(
                project_id=project_id, name='default', fields='id'
            )['security_groups']
        except neutron_exceptions.NotFound:
            # This Neutron has no security groups.
            return []
        return [group['id'] for group in groups]

    def ensure(self, bulk, placements, known, defaults, own):
        """Make the ports that members lack, with one call.

        :param bulk: the Bulk.
        :param placements: [(Member, host name)].
        :param known: the result of ``find`` for these members.
        :param defaults: the result of ``defaults`` for the bulk.
        :param own: {(member id, index of a requested network): additions to
            the body of this port}.
        :returns: {member id: requested networks for Zun's container_create}.
        :raises: errors.Refused, errors.Busy
        """
        networks = bulk.spec.requested_networks
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
            for place, index in enumerate(requested.attached(networks))
            if requested.wants_port(networks[index])
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
            member.id: requested.with_ports(
                networks, member.container_uuid, known
            )
            for member, _host in placements
        }

    def _create(self, bodies):
        with errors.of_ports():
            return self._client.create_port({'ports': bodies})['ports']

    def sweep(self, bulk, container_uuids):
        """Delete the ports left of containers that are gone.

        The user's own ports are only unbound.

        :returns: number of ports found.
        """
        given = {network['port'] for network in bulk.spec.requested_networks}
        # Not by find, as a container may have two ports on a network.
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
    if bulk.spec.security_groups:
        body['security_groups'] = bulk.spec.security_groups
    return {**body, **own}
