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

"""Options of the group ``zun_bulk_pacing``."""

from oslo_config import cfg


GROUP = cfg.OptGroup(
    'zun_bulk_pacing', title='How fast a host starts containers'
)

#: How many it starts at a time: see zun_bulk.pacing.adaptive.
PACER = [
    cfg.StrOpt(
        'mode',
        default='adaptive',
        choices=[
            ('adaptive', 'find the best number, up to max_in_flight'),
            ('fixed', 'always max_in_flight'),
        ],
        help="""
How to determine the number of containers that a host starts at the same time.

Beyond a certain number of parallel starts, a Docker Engine starts fewer
containers per second, and then fails them. ``adaptive`` measures the starts
per second and stays at the best number; it needs no setting per host, adapts
to changes, and halves the number when the engine is overloaded. Choose
``fixed`` to rule out pacing while you look for the cause of another problem,
or if a number has proven itself.
""",
    ),
    cfg.IntOpt(
        'max_in_flight',
        default=0,
        min=0,
        max=256,
        help="""
Maximum number of containers that a host starts at the same time, and maximum
number that it stops or deletes.

With ``mode = adaptive``, this is the upper bound of the search, with ``mode =
fixed`` the number used. 0 means four per CPU of the host, at most 32, and with
``mode = fixed`` two. Bulks, single containers and restarts count equally, and
so do the containers of capsules with ``capsule_driver = zun_bulk``.
""",
    ),
    cfg.FloatOpt(
        'start_interval',
        default=0.0,
        min=0.0,
        max=3600.0,
        help="""
Minimum seconds between two starts on a host, even if all else allows more.

0 means as fast as the host can handle. 30 is what operators used to do by
hand: choose such a value only for load that pacing does not see, such as an
application that loads its host heavily in its first minute.
""",
    ),
]

#: What holds a host: see zun_bulk.host.gates.
GATES = [
    cfg.FloatOpt(
        'probe_interval',
        default=5.0,
        min=0.5,
        max=300.0,
        help="""
Seconds between two checks of a host's remaining resources, while it has
containers to start.

A check costs a few milliseconds. Between two checks, a host may exceed a limit
by as many containers as it starts in that time, so increase the value only
together with more distance to the limits below.
""",
    ),
    cfg.IntOpt(
        'min_memory_mb',
        default=256,
        min=0,
        max=1048576,
        help="""
Minimum available memory, in MiB, with which a host starts another container.

This is the kernel's ``MemAvailable``. Increase it to the reserve that the
host's own services need; in addition to its own use, each container costs some
MiB in Docker's processes. 0 never holds the host.
""",
    ),
    cfg.IntOpt(
        'max_pids_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of processes and threads in use at which a host stops starting
containers.

Of ``kernel.pid_max``, ``kernel.threads-max`` and the ``pids.max`` of the
cgroups of Docker and its containers, the nearest limit applies. Increase that
limit rather than this option: on a host without a free process ID, you cannot
even log in.
""",
    ),
    cfg.IntOpt(
        'max_mounts_percent',
        default=80,
        min=10,
        max=100,
        help="""
Percentage of ``fs.mount-max`` in use at which a host stops starting
containers.

A container needs two or three mounts on the host. Increase ``fs.mount-max``
rather than this option: at that limit, the host cannot mount anything.
""",
    ),
    cfg.IntOpt(
        'max_fds_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of ``fs.file-max`` in open files at which a host stops starting
containers.

Increase ``fs.file-max`` rather than this option; it costs nothing until it is
used.
""",
    ),
    cfg.IntOpt(
        'max_inotify_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of root's inotify instances in use at which a host stops starting
containers.

The limit is ``fs.inotify.max_user_instances``, 128 unless the distribution has
raised it. They are counted once a minute, and only if zun-compute runs as
root. Set 100 if your containers work without them.
""",
    ),
    cfg.IntOpt(
        'max_keys_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of root's kernel keys in use at which a host stops starting
containers.

Docker creates a key ring for each container, and reports "disk quota exceeded"
when there are no more; the limit is ``kernel.keys.root_maxkeys``.
""",
    ),
    cfg.IntOpt(
        'max_bridge_ports',
        default=1000,
        min=1,
        max=1023,
        help="""
Number of ports of one Linux bridge at which a host stops starting containers.

The kernel allows 1023 per bridge, and no setting changes that. The fullest
bridge of the host counts, whichever the next container would use. Decrease the
value if other software adds ports to the same bridge.
""",
    ),
    cfg.IntOpt(
        'max_shm_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of the host's ``/dev/shm`` in use at which it stops starting
containers.

The ``/dev/shm`` of a container is separate and does not count.
""",
    ),
    cfg.IntOpt(
        'max_disk_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of the disk of Docker's data root in use at which a host stops
starting containers.

Increase it for disks that are so large that a tenth is still plenty for images
and logs.
""",
    ),
    cfg.IntOpt(
        'max_containers',
        default=0,
        min=0,
        max=100000,
        help="""
Number of containers in Docker, running or not, at which a host stops starting
containers.

0 means no limit. Set it to a number that the host has proven to handle, if
that is less than the limits above allow. zun-compute must be able to see
Docker's data root.
""",
    ),
]

OPTS = PACER + GATES


def register_opts(conf):
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    return {GROUP: OPTS}
