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

"""Bound the number of containers on each host."""

from zun_bulk.conf import CONF
from zun_bulk.scheduler.filters import base_limit


class ContainerDensityFilter(base_limit.LimitFilter):
    """Excludes hosts with ``max_containers_per_host`` containers.

    All of Zun's count, running or not, including those that wait on the host
    and those of capsules.
    """

    bound_by = 'containers'

    def room(self, host_state, container):
        most = self._most(host_state)
        if not most:
            return base_limit.NO_LIMIT
        return max(0, most - self._number(host_state))

    def why(self, host_state, container):
        return 'it has %d containers of at most %d' % (
            self._number(host_state),
            self._most(host_state),
        )

    @staticmethod
    def _most(host_state):
        return CONF.zun_bulk_scheduler.max_containers_by_host.get(
            host_state.hostname,
            CONF.zun_bulk_scheduler.max_containers_per_host,
        )

    def _number(self, host_state):
        return self.usage.of(host_state.hostname).containers
