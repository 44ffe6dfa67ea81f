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

"""A Zun network driver that saves calls to Keystone and Neutron.

It wraps the driver that ``[zun_bulk] network_driver`` names and replaces its
NeutronAPI. All containers of a zun-compute share the session, and so the
token, of the new one, and it uses the ports of bulks without updating them.
"""

import functools

from stevedore import driver as stevedore_driver

from zun_bulk import connections
from zun_bulk.conf import CONF
from zun_bulk.network import requested


@functools.cache
def _driver_class():
    return stevedore_driver.DriverManager(
        'zun.network.driver', CONF.zun_bulk.network_driver
    ).driver


@functools.cache
def _admin_client():
    return connections.neutron()


class NeutronAPI:
    """Zun's NeutronAPI with a shared session."""

    def __init__(self, api):
        """Wrap a NeutronAPI.

        :param api: the one that a network driver has made.
        """
        api.admin_client = _admin_client()
        if not (api.context.auth_token or api.context.auth_token_info):
            api.client = api.admin_client
        self._api = api

    def __getattr__(self, name):
        return getattr(self._api, name)

    def create_or_update_port(
        self,
        container,
        network_uuid,
        requested_network,
        device_owner,
        security_groups=None,
        set_binding_host=False,
    ):
        port = requested_network.get(requested.PORT)
        if port and (not set_binding_host or port['host'] == container.host):
            return port['addresses'], port
        return self._api.create_or_update_port(
            container,
            network_uuid,
            requested_network,
            device_owner,
            security_groups,
            set_binding_host,
        )


class BulkNetwork:
    """The wrapping driver; it delegates all other calls."""

    def init(self, context, *args, **kwargs):
        self._driver = _driver_class()()
        self._driver.init(context, *args, **kwargs)
        self._driver.neutron_api = NeutronAPI(self._driver.neutron_api)

    def __getattr__(self, name):
        return getattr(self._driver, name)
