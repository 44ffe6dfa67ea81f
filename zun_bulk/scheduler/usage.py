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

"""What is used of hosts, by Zun's own rows and by Placement.

Zun writes what is used of a host into ``compute_node``, but no sooner than
zun-compute begins with a container: members that wait at a host are not in it.
Both are read for all hosts at once.
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

#: What counts, and not what a capsule is made of.
_CLAIMING = (consts.TYPE_CONTAINER, consts.TYPE_CAPSULE)


class Use(collections.namedtuple('Use', 'containers used claimed')):
    """What Zun's containers use of a host.

    containers: how many there are; used: {resource class: amount} as
    zun-compute counts, CPUs as fractions, memory in MiB, disk in GB; claimed:
    the same as Zun claims for them in Placement, in whole VCPUs.
    """


class Usage:
    """What Zun's containers use of all hosts. Pure.

    :param rows: as list_use gives them.
    :param shared: hosts that use a provider of Nova's.
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
                # Of what claims nothing itself nothing is used either.
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
        """:returns: the Use of a host."""
        return self._hosts.get(host) or Use(
            0, collections.Counter(), collections.Counter()
        )

    def most_of(self, resource):
        """How much of its claim a container without a host uses at most.

        :returns: 0.1 if it is to get 0.1 CPU and claims a whole VCPU; 0 if
            all containers have a host.
        """
        return self._shares[resource]


def asked_for(cpu, memory, disk):
    """What a container asks for, as zun-compute counts it.

    :param memory: MiB, as text or None.
    :returns: {resource class: amount}.
    """
    return {
        orc.VCPU: cpu or 0,
        # Zun refuses what is no number, but not before it has a row.
        orc.MEMORY_MB: int(memory) if str(memory).isdigit() else 0,
        orc.DISK_GB: disk or 0,
    }


def _claim(asked):
    """What Zun claims in Placement for that."""
    return {
        orc.VCPU: max(1, math.ceil(asked[orc.VCPU] or CONF.default_cpu)),
        orc.MEMORY_MB: max(1, asked[orc.MEMORY_MB] or CONF.default_memory),
        orc.DISK_GB: asked[orc.DISK_GB],
    }


def _read_usage():
    return Usage(db_hosts.list_use(), db_hosts.list_shared_hosts())


class _Inventories:
    """Asks by a connection that outlives a request, and its token with it."""

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
    """Read anew next time: for who has just placed some itself."""
    read.invalidate()
    inventories.invalidate()
