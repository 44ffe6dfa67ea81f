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

"""Options of the group ``zun_bulk_scheduler``."""

from oslo_config import cfg
from oslo_config import types


GROUP = cfg.OptGroup(
    'zun_bulk_scheduler', title='Which hosts may get further containers'
)

_RATIOS = types.Dict(types.Float(min=0.01, max=10000))

OPTS = [
    cfg.Opt(
        'cpu_allocation_ratios',
        type=_RATIOS,
        default={},
        help="""
Number of CPUs that ``CpuOvercommitFilter`` offers for each CPU of a host.

The value is a list of HOST:RATIO pairs, separated by commas, as in
``compute-1:4,*:16``. HOST is a name as in ``openstack appcontainer service
list``, or ``*`` for all other hosts; a ratio is from 0.01 to 10000. Fractions
of CPUs are counted exactly. The base is the host's CPUs less ``[compute]
reserved_host_cpus``.

This takes precedence over the ratio in Placement. Set it if that ratio had to
be raised because a container claims at least one VCPU there, or if a host
should accept less than Placement would allow.
""",
    ),
    cfg.Opt(
        'ram_allocation_ratios',
        type=_RATIOS,
        default={},
        help="""
Memory that ``MemoryOvercommitFilter`` offers, relative to that of a host.

The value is a list of HOST:RATIO pairs as in ``cpu_allocation_ratios``, each
ratio from 0.01 to 10000. The base is the host's memory less ``[compute]
reserved_host_memory_mb``. Set it if a host should accept less than Placement
would allow; above Placement's own ratio it has no effect, because the same
amount is claimed there.
""",
    ),
    cfg.Opt(
        'disk_allocation_ratios',
        type=_RATIOS,
        default={},
        help="""
Disk that ``DiskOvercommitFilter`` offers, relative to that of a host.

The value is a list of HOST:RATIO pairs as in ``cpu_allocation_ratios``, each
ratio from 0.01 to 10000. The base is the GB that zun-compute reports, without
those reserved by ``[compute] reserve_disk_for_image``, less ``[compute]
reserved_host_disk_mb``. Set it if a host should accept less than Placement
would allow; above Placement's own ratio it has no effect.
""",
    ),
    cfg.IntOpt(
        'max_containers_per_host',
        default=0,
        min=0,
        max=100000,
        help="""
Number of Zun's containers at which ``ContainerDensityFilter`` excludes a host.

Containers that do not run count, and those on their way to the host. 0 means
no limit. With this limit, containers go to other hosts; with
``[zun_bulk_pacing] max_containers``, they wait on their host. Set it to a
number that the hosts have proven to handle, if that is less than their CPUs
and memory allow.
""",
    ),
    cfg.Opt(
        'max_containers_by_host',
        type=types.Dict(types.Integer(min=0, max=100000)),
        default={},
        help="""
``max_containers_per_host`` for individual hosts.

The value is a list of HOST:NUMBER pairs, separated by commas, as in
``compute-1:200,compute-2:0``; a number is from 0, which means no limit, to
100000.
""",
    ),
]


def register_opts(conf):
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    return {GROUP: OPTS}
