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

"""Hosts that start nothing for the moment get no containers."""

from zun_bulk.db import hosts as db_hosts
from zun_bulk.scheduler import pressure
from zun_bulk.scheduler import timed_cache
from zun_bulk.scheduler.filters import reason


#: :returns: as ``pressure.find``.
pressed = timed_cache.TimedCache(lambda: pressure.find(db_hosts.list_hosts()))


class HostPressureFilter(reason.ReasonFilter):
    """Leaves out hosts that are held or whose engine fails all.

    A gate holds a host that is short of memory, disk, process ids and so on
    (``[zun_bulk_pacing]``), its operator may (``bulk host set --hold``), and
    its breaker opens when its engine fails one start after the other.
    """

    def read(self, hosts, container, extra_spec):
        self._pressed = pressed()

    def why_not(self, host_state, container):
        return self._pressed.get(host_state.hostname)
