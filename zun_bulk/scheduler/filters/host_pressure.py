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

"""Exclude hosts that start nothing at the moment."""

from zun_bulk.db import hosts as db_hosts
from zun_bulk.scheduler import pressure
from zun_bulk.scheduler import timed_cache
from zun_bulk.scheduler.filters import base_reason


#: :returns: as ``pressure.find``.
pressed = timed_cache.TimedCache(lambda: pressure.find(db_hosts.list_hosts()))


class HostPressureFilter(base_reason.ReasonFilter):
    """Excludes hosts that are held or whose breaker is open.

    Gates hold a host that lacks memory, disk, process ids and so on
    (``[zun_bulk_pacing]``), operators hold one with ``bulk host set --hold``,
    and the breaker opens after failed starts in a row.
    """

    def read(self, hosts, container, extra_spec):
        self._pressed = pressed()

    def why_not(self, host_state, container):
        return self._pressed.get(host_state.hostname)
