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

"""The base class of filters that enforce a limit on each host."""

import math

from zun_bulk.scheduler import usage
from zun_bulk.scheduler.filters import base_reason


class LimitFilter(base_reason.ReasonFilter):
    """Passes hosts that have room for one more container.

    Bulks also ask it how many more fit. Other packages may subclass it.
    """

    #: What is limited, for Host.bound_by.
    bound_by = None

    def read(self, hosts, container, extra_spec):
        self.read_use()
        if not any(self.room(host, container) >= 1 for host in hosts):
            # Containers may have been deleted since.
            usage.forget()
            self.read_use()

    def read_use(self):
        """Read the resources in use on all hosts."""
        self.usage = usage.read()

    def why_not(self, host_state, container):
        if self.room(host_state, container) < 1:
            return self.why(host_state, container)
        self.set_limits(host_state, container)
        return None

    def room(self, host_state, container):
        """Return how many more such containers a host may get.

        :param host_state: the HostState passed to filter_all.
        :returns: a whole number, 0 or more, or NO_LIMIT.
        """
        raise NotImplementedError()

    def set_limits(self, host_state, container):
        """Set the limits for zun-compute's own claim, if any."""

    def why(self, host_state, container):
        """Return why there is no room, for the log."""
        raise NotImplementedError()


#: The room if nothing is requested or nothing limits it.
NO_LIMIT = math.inf
