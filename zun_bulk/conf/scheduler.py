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
How many CPUs ``CpuOvercommitFilter`` gives out for each that a host has.

These are HOST:RATIO pairs with commas between them, as in
``compute-1:4,*:16``. HOST is a name as in ``openstack appcontainer service
list``, or ``*`` for all that are not named; a ratio is from 0.01 to 10000.
Fractions of CPUs count as such. The CPUs are those that the host has less
``[compute] reserved_host_cpus``.

It goes before the ratio in Placement. Set it where that had to be raised
because a container claims one VCPU there at least, or where a host is to
take less than Placement would let it.
""",
    ),
    cfg.Opt(
        'ram_allocation_ratios',
        type=_RATIOS,
        default={},
        help="""
How much memory ``MemoryOvercommitFilter`` gives out for what a host has.

These are HOST:RATIO pairs as in ``cpu_allocation_ratios``, each ratio from
0.01 to 10000, of the host's memory less ``[compute]
reserved_host_memory_mb``. Set it where a host is to take less than Placement
would let it; above Placement's own ratio it has no effect, as as many MiB are
claimed there.
""",
    ),
    cfg.Opt(
        'disk_allocation_ratios',
        type=_RATIOS,
        default={},
        help="""
How much disk ``DiskOvercommitFilter`` gives out for what a host has.

These are HOST:RATIO pairs as in ``cpu_allocation_ratios``, each ratio from
0.01 to 10000, of the GB that zun-compute reports, without those that
``[compute] reserve_disk_for_image`` sets apart, less ``[compute]
reserved_host_disk_mb``. Set it where a host is to take less than Placement
would let it; above Placement's own ratio it has no effect.
""",
    ),
    cfg.IntOpt(
        'max_containers_per_host',
        default=0,
        min=0,
        max=100000,
        help="""
Number of Zun's containers at which ``ContainerDensityFilter`` gives a host
no more.

Those that do not run count, and those on their way to the host. 0 is no
limit. Containers go to other hosts then; at ``[zun_bulk_pacing]
max_containers`` they wait at the host that they have. Set it to what hosts
were seen to take, where that is less than their CPUs and memory allow.
""",
    ),
    cfg.Opt(
        'max_containers_by_host',
        type=types.Dict(types.Integer(min=0, max=100000)),
        default={},
        help="""
``max_containers_per_host`` of hosts that differ.

These are HOST:NUMBER pairs with commas between them, as in
``compute-1:200,compute-2:0``; a number is from 0, which is no limit, to
100000.
""",
    ),
]


def register_opts(conf):
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    return {GROUP: OPTS}
