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

"""A conductor's clients of Placement, Neutron, Cinder and the hosts."""

import threading
import time

from zun import objects
from zun.api import servicegroup
from zun.common import context as zun_context

from zun_bulk import rpc
from zun_bulk.network import ports
from zun_bulk.scheduler import placement
from zun_bulk.volume import volumes


#: Seconds for which the list of hosts that are down is cached.
DOWN_INTERVAL = 10.0


class Stopping(Exception):
    """This conductor is stopping; another one continues."""


class Services:
    """The clients that all parts of a conductor share.

    :ivar context: an admin context for Zun's objects.
    :ivar stopping: a threading.Event; once it is set, no new call is made.
    """

    def __init__(self):
        self.context = zun_context.get_admin_context(all_projects=True)
        self.stopping = threading.Event()
        self._down = {}
        self._down_seen = float('-inf')
        # Made at first use, so that zun-compute starts without Keystone.
        self._placement = None
        self._ports = None
        self._volumes = None

    def check_stopping(self):
        """Stop here if the conductor is stopping.

        :raises: Stopping
        """
        if self.stopping.is_set():
            raise Stopping()

    def placement(self):
        if self._placement is None:
            self._placement = placement.Placement()
        return self._placement

    def ports(self):
        if self._ports is None:
            self._ports = ports.Ports()
        return self._ports

    def volumes(self):
        if self._volumes is None:
            self._volumes = volumes.Volumes()
        return self._volumes

    def hosts_down(self):
        """List the hosts whose zun-compute is down for Zun's scheduler.

        :returns: {host: whether an operator has forced it down}.
        """
        now = time.monotonic()
        if now - self._down_seen >= DOWN_INTERVAL:
            self._down_seen = now
            is_up = servicegroup.ServiceGroup().service_is_up
            self._down = {
                service.host: bool(service.forced_down)
                for service in objects.ZunService.list_by_binary(
                    self.context, 'zun-compute'
                )
                if not is_up(service)
            }
        return self._down

    def known_down(self):
        """Return the names of the hosts that were last seen down."""
        return sorted(self._down)

    def wake_hosts(self, names):
        rpc.wake(self.context, names, conductors=False)
