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

"""Bound resources on each host by the allocation ratio in force.

Zun's CPUFilter, RamFilter and DiskFilter ignore ratios, containers that wait
on a host, and what Nova uses there.
"""

import os_resource_classes as orc
from zun.common import utils

from zun_bulk.conf import CONF
from zun_bulk.scheduler import usage
from zun_bulk.scheduler.filters import base_limit


#: Tolerance for sums of fractions, which are not exact: ten times 0.1 is less
#: than 1.
DUST = 1e-6
#: In an option: all hosts that it does not name.
OTHERS = '*'


def configured_ratio(option, host):
    """Return the allocation ratio that is configured for a host.

    :param option: ``cpu``, ``ram`` or ``disk``.
    :returns: the ratio; None if none is configured.
    """
    ratios = getattr(CONF.zun_bulk_scheduler, option + '_allocation_ratios')
    return ratios.get(host, ratios.get(OTHERS))


class OvercommitFilter(base_limit.LimitFilter):
    """Excludes hosts where the limit of a resource is reached.

    The limit is the first of these that is set: the ratio in
    ``[zun_bulk_scheduler]`` for the host, Placement's inventory of it,
    ``[compute] *_allocation_ratio``, ``[compute]
    initial_*_allocation_ratio``.
    """

    #: In the names of options: cpu_allocation_ratio.
    option = None
    #: In HostState.limits, for zun-compute's claim.
    claimed_as = None
    #: By how much a claim may exceed its limit.
    tolerance = 0
    #: For the log.
    unit = None

    def read_use(self):
        # In this order, members placed between the two reads count as unknown
        # at most, and are never missed.
        super().read_use()
        self.inventories = usage.inventories()

    def total(self, host_state):
        """Return what a host has, without what is reserved."""
        raise NotImplementedError()

    def room(self, host_state, container):
        wanted = self._wanted(container)
        if not wanted:
            return base_limit.NO_LIMIT
        return max(0, int(self._left(host_state) / wanted + DUST))

    def set_limits(self, host_state, container):
        # Zun applies limits even to containers that request nothing.
        if self._wanted(container):
            host_state.limits[self.claimed_as] = (
                self._limit(host_state)
                - self._used_by_others(host_state)
                + self.tolerance
            )

    def why(self, host_state, container):
        return 'it has %.2f %s left of %.2f, and %.2f is requested' % (
            self._left(host_state),
            self.unit,
            self._limit(host_state),
            self._wanted(container),
        )

    def _wanted(self, container):
        return usage.asked_for(
            container.cpu, container.memory, container.disk
        )[self.bound_by]

    def _limit(self, host_state):
        ratio = configured_ratio(self.option, host_state.hostname)
        if ratio is None:
            capacity, _used = self._inventory(host_state)
            if capacity is not None:
                return capacity
            # As in zun-compute, where 0 means not set.
            ratio = getattr(
                CONF.compute, self.option + '_allocation_ratio'
            ) or getattr(
                CONF.compute, 'initial_%s_allocation_ratio' % self.option
            )
        return max(0, self.total(host_state)) * ratio

    def _inventory(self, host_state):
        return self.inventories.get(host_state.uuid, {}).get(
            self.bound_by, (None, 0)
        )

    def _left(self, host_state):
        return (
            self._limit(host_state)
            - self._used_by_others(host_state)
            - self._on_its_way(host_state)
            - self.usage.of(host_state.hostname).used[self.bound_by]
        )

    def _unknown(self, host_state):
        """Return what is claimed for no known container."""
        _capacity, used = self._inventory(host_state)
        claimed = self.usage.of(host_state.hostname).claimed[self.bound_by]
        return max(0, used - claimed)

    def _used_by_others(self, host_state):
        if host_state.hostname not in self.usage.shared:
            return 0
        return self._unknown(host_state)

    def _on_its_way(self, host_state):
        """Return what is claimed for containers without a host so far.

        A conductor makes the ports of a member between its claim and its
        placement, and Zun's API writes no host at all.
        """
        if host_state.hostname in self.usage.shared:
            return 0
        return self._unknown(host_state) * self.usage.most_of(self.bound_by)


class CpuOvercommitFilter(OvercommitFilter):
    """Counts CPUs, including fractions."""

    bound_by = orc.VCPU
    option = 'cpu'
    claimed_as = 'cpu'
    unit = 'CPUs'
    tolerance = DUST

    def total(self, host_state):
        return host_state.cpus - CONF.compute.reserved_host_cpus


class MemoryOvercommitFilter(OvercommitFilter):
    """Counts memory in MiB."""

    bound_by = orc.MEMORY_MB
    option = 'ram'
    claimed_as = 'memory'
    unit = 'MiB of memory'

    def total(self, host_state):
        return host_state.mem_total - CONF.compute.reserved_host_memory_mb


class DiskOvercommitFilter(OvercommitFilter):
    """Counts disk in GB, on hosts that can limit the disk of containers."""

    bound_by = orc.DISK_GB
    option = 'disk'
    claimed_as = 'disk'
    unit = 'GB of disk'

    def room(self, host_state, container):
        if self._wanted(container) and not host_state.disk_quota_supported:
            return 0
        return super().room(host_state, container)

    def why(self, host_state, container):
        if not host_state.disk_quota_supported:
            return 'its storage driver cannot limit the disk of containers'
        return super().why(host_state, container)

    def total(self, host_state):
        return host_state.disk_total - utils.convert_mb_to_ceil_gb(
            CONF.compute.reserved_host_disk_mb
        )
