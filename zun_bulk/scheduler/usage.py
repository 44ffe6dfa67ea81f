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

"""The resources in use on hosts, from Zun's rows and from Placement.

Zun writes the use of a host into ``compute_node`` only once zun-compute begins
with a container, so members that wait on a host are not in it. Both sources
are read for all hosts at once.
"""

import collections
import math

from keystoneauth1 import exceptions as ks_exc
import os_resource_classes as orc
from oslo_log import log as logging
from zun.common import consts
from zun.common import exception

from zun_bulk.conf import CONF
from zun_bulk.db import hosts as db_hosts
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import timed_cache


LOG = logging.getLogger(__name__)

#: Types that claim; containers of a capsule do not.
_CLAIMING = (consts.TYPE_CONTAINER, consts.TYPE_CAPSULE)


class Use(collections.namedtuple('Use', 'containers used claimed')):
    """The resources that Zun's containers use on a host.

    containers: their number; used: {resource class: amount} as zun-compute
    counts, CPUs as fractions, memory in MiB, disk in GB; claimed: the same as
    Zun claims in Placement, in whole VCPUs.
    """


class Usage:
    """The resources that Zun's containers use on all hosts: pure.

    :param rows: as list_container_usage returns them.
    :param shared: hosts that share a provider with Nova.
    """

    def __init__(self, rows, shared=()):
        self.shared = frozenset(shared)
        self._hosts = {}
        self._shares = collections.defaultdict(float)
        for host, kind, cpu, memory, disk, number in rows:
            asked = asked_for(cpu, memory, disk)
            claim = _claim(asked) if kind in _CLAIMING else {}
            if host is None:
                self._add_waiting(asked, claim)
                continue
            use = self.of(host)
            for total, amounts in ((use.used, asked), (use.claimed, claim)):
                # Containers without a claim use nothing of their own.
                for resource in claim:
                    total[resource] += number * amounts[resource]
            self._hosts[host] = use._replace(
                containers=use.containers + number
            )

    def _add_waiting(self, asked, claim):
        for resource, amount in claim.items():
            if amount:
                self._shares[resource] = max(
                    self._shares[resource], asked[resource] / amount
                )

    def of(self, host):
        """Return the Use of a host."""
        return self._hosts.get(host) or Use(
            0, collections.Counter(), collections.Counter()
        )

    def most_of(self, resource):
        """Return the largest share of its claim that a waiting container uses.

        :returns: 0.1 if one will use 0.1 CPU and claims a whole VCPU; 0 if
            all containers have a host.
        """
        return self._shares[resource]


def asked_for(cpu, memory, disk):
    """Return the resources of a container, as zun-compute counts them.

    :param memory: MiB, as text or None.
    :returns: {resource class: amount}.
    """
    return {
        orc.VCPU: cpu or 0,
        # Zun rejects other texts only after it has written the row.
        orc.MEMORY_MB: int(memory) if str(memory).isdigit() else 0,
        orc.DISK_GB: disk or 0,
    }


def _claim(asked):
    """Return what Zun claims in Placement for these resources."""
    return {
        orc.VCPU: max(1, math.ceil(asked[orc.VCPU] or CONF.default_cpu)),
        orc.MEMORY_MB: max(1, asked[orc.MEMORY_MB] or CONF.default_memory),
        orc.DISK_GB: asked[orc.DISK_GB],
    }


def _read_usage():
    return Usage(db_hosts.list_container_usage(), db_hosts.list_shared_hosts())


class _Inventories:
    """Reads with a client that keeps its token between requests."""

    def __init__(self):
        self._placement = None

    def __call__(self):
        try:
            if self._placement is None:
                self._placement = placement.Placement()
            return self._placement.inventories()
        except (ks_exc.ClientException, exception.ZunException) as error:
            LOG.warning(
                'Failed to get inventories from Placement; using the '
                'allocation ratios of the configuration: %s',
                error,
            )
            return {}


#: :returns: the Usage.
read = timed_cache.TimedCache(_read_usage)
#: :returns: as of Placement.inventories; {} if Placement does not answer.
inventories = timed_cache.TimedCache(_Inventories())


def forget():
    """Drop the cached values, after placing members."""
    read.invalidate()
    inventories.invalidate()
