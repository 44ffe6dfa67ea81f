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

"""What filters have in common that hold a limit of each host."""

import math

from zun_bulk.scheduler import usage
from zun_bulk.scheduler.filters import reason


class LimitFilter(reason.ReasonFilter):
    """Passes hosts that have room for one more container.

    A bulk asks it too for how many more there is room. Other packages may
    derive theirs from it.
    """

    #: What the limit is of, as Host.bound_by has it.
    bound_by = None

    def read(self, hosts, container, extra_spec):
        self.read_use()
        if not any(self.room(host, container) >= 1 for host in hosts):
            # Some may have gone since.
            usage.forget()
            self.read_use()

    def read_use(self):
        """Read what is used of all hosts."""
        self.usage = usage.read()

    def why_not(self, host_state, container):
        if self.room(host_state, container) < 1:
            return self.why(host_state, container)
        self.set_limits(host_state, container)
        return None

    def room(self, host_state, container):
        """How many more such containers a host may get.

        :param host_state: the HostState, as filter_all had it.
        :returns: a whole number, 0 or more; NO_LIMIT.
        """
        raise NotImplementedError()

    def set_limits(self, host_state, container):
        """Set what zun-compute's own claim has to keep to, if anything."""

    def why(self, host_state, container):
        """Why there is no room, for the log."""
        raise NotImplementedError()


#: The room where nothing is asked for, or nothing is a limit.
NO_LIMIT = math.inf
