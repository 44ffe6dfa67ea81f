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


GROUP = cfg.OptGroup(
    'zun_bulk_pacing', title='How fast a host starts containers'
)

#: How many it starts at a time: see zun_bulk.pacing.adaptive.
PACER = [
    cfg.StrOpt(
        'mode',
        default='adaptive',
        choices=[
            ('adaptive', 'find what the host can take, up to max_in_flight'),
            ('fixed', 'always max_in_flight'),
        ],
        help="""
How the number of containers is found that a host starts at the same time.

A Docker Engine has a knee: beyond some number of starts at the same time it
starts fewer a second, and then fails them. ``adaptive`` looks at how many it
starts a second and stays at the knee; it needs no setting for a host, follows
one that changes, and halves its number when the engine is overloaded. Choose
``fixed`` to rule out pacing while looking for the cause of something else, or
where a number has proven itself.
""",
    ),
    cfg.IntOpt(
        'max_in_flight',
        default=0,
        min=0,
        max=256,
        help="""
The most containers that a host starts at the same time, and the most that it
stops or deletes.

With ``mode = adaptive`` it is the bound of what is tried, with ``mode =
fixed`` what is done. 0 is four for each CPU of the host, 32 at most, and with
``mode = fixed`` two. Bulks, single containers and restarts count alike,
and the containers of capsules with ``capsule_driver = zun_bulk``.
""",
    ),
    cfg.FloatOpt(
        'start_interval',
        default=0.0,
        min=0.0,
        max=3600.0,
        help="""
Seconds between two starts on a host at least, whatever else would allow more.

0 is as fast as the host can take. 30 is what operators used to do by hand:
choose such a value only for what pacing does not see, as an application whose
first minute costs its host dearly.
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
Seconds between two looks at what a host has left, while it has containers to
start.

A look costs a few milliseconds. Between two of them a host may go past a
limit by as many containers as it starts in that time, so raise it only
together with a greater distance to the limits below.
""",
    ),
    cfg.IntOpt(
        'min_memory_mb',
        default=256,
        min=0,
        max=1048576,
        help="""
The least available memory, in MiB, with which a host starts another
container.

It is the kernel's ``MemAvailable``. Raise it to what the host's own services
need in reserve; beside what it uses itself, each
container costs some MiB in Docker's own processes. 0 never holds the host.
""",
    ),
    cfg.IntOpt(
        'max_pids_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of the processes and threads in use at which a host starts no more.

Of ``kernel.pid_max``, ``kernel.threads-max`` and the ``pids.max`` of the
cgroups of Docker and its containers, the one that is nearest counts. Rather
raise that limit than this one: a host without a free process number cannot
even be logged in to.
""",
    ),
    cfg.IntOpt(
        'max_mounts_percent',
        default=80,
        min=10,
        max=100,
        help="""
Percentage of ``fs.mount-max`` in use at which a host starts no more.

A container takes two or three mounts on the host. Rather raise
``fs.mount-max``: at its limit the host can mount nothing at all.
""",
    ),
    cfg.IntOpt(
        'max_fds_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of ``fs.file-max`` in open files at which a host starts no more.

Rather raise ``fs.file-max``, which costs nothing until it is used.
""",
    ),
    cfg.IntOpt(
        'max_inotify_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of root's inotify instances in use at which a host starts no more.

The limit is ``fs.inotify.max_user_instances``, 128 unless the distribution
raised it. They are counted once a minute, and only where zun-compute runs as
root. 100 where containers do well without.
""",
    ),
    cfg.IntOpt(
        'max_keys_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of root's kernel keys in use at which a host starts no more.

Docker makes a key ring for each container, and calls the end of them "disk
quota exceeded"; the limit is ``kernel.keys.root_maxkeys``.
""",
    ),
    cfg.IntOpt(
        'max_bridge_ports',
        default=1000,
        min=1,
        max=1023,
        help="""
Ports of one Linux bridge at which a host starts no more.

The kernel takes 1023 to a bridge and no setting changes that. The fullest
bridge of the host counts, whichever the next container would use. Lower it
where something else adds ports to the same bridge.
""",
    ),
    cfg.IntOpt(
        'max_shm_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of the host's ``/dev/shm`` in use at which it starts no more.

The ``/dev/shm`` of a container is another one and does not count.
""",
    ),
    cfg.IntOpt(
        'max_disk_percent',
        default=90,
        min=10,
        max=100,
        help="""
Percentage of the disk of Docker's data root at which a host starts no more.

Raise it on disks so large that a tenth of them is still plenty for images
and logs.
""",
    ),
    cfg.IntOpt(
        'max_containers',
        default=0,
        min=0,
        max=100000,
        help="""
Containers in Docker, running or not, at which a host starts no more.

0 is no limit. Set it to what a host was seen to take, where that is less than
the limits above allow. It needs zun-compute to see Docker's data root.
""",
    ),
]

OPTS = PACER + GATES


def register_opts(conf):
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    return {GROUP: OPTS}
