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

"""A Zun network driver that makes real Neutron ports and plugs nothing.

Containers get Docker's network "none".
"""

from zun.network import kuryr_network


class LabNetwork(kuryr_network.KuryrNetwork):
    def get_or_create_network(self, context, neutron_net_id):
        """There is no Docker network to make."""

    def process_networking_config(
        self,
        container,
        requested_network,
        host_config,
        container_kwargs,
        docker,
        security_group_ids,
    ):
        addresses = self.connect_container_to_network(
            container, requested_network, security_group_ids
        )
        container.addresses = {requested_network['network']: addresses}
        host_config['network_mode'] = 'none'

    def connect_container_to_network(
        self, container, requested_network, security_groups=None
    ):
        addresses, _port = self.neutron_api.create_or_update_port(
            container,
            requested_network['network'],
            requested_network,
            kuryr_network.DEVICE_OWNER,
            security_groups,
            set_binding_host=True,
        )
        return addresses

    def _disconnect_container_from_network(
        self, container_id, network_name, addrs_list
    ):
        ports = {address['port'] for address in addrs_list}
        ours = {
            address['port']
            for address in addrs_list
            if not address['preserve_on_delete']
        }
        self.neutron_api.delete_or_unbind_ports(ports, ours)
