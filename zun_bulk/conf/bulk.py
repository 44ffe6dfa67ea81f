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


GROUP = cfg.OptGroup('zun_bulk', title='Creating containers in bulk')

OPTS = [
    cfg.IntOpt(
        'max_members',
        default=10000,
        min=1,
        max=100000,
        help="""
The most containers that one bulk may have.

A request for more is refused with 400. Each costs a row in Zun's
``container`` and ``container_actions`` tables and one in
``zun_bulk_member`` at once; raise it only where the database takes the
transaction (10 000 members are about 30 000 rows).
""",
    ),
    cfg.IntOpt(
        'max_events',
        default=20000,
        min=100,
        max=1000000,
        help="""
The most events that the history of one bulk keeps; the oldest go first.

A container leaves two, and two more for each attempt that failed. An event is
a row of some 200 bytes in ``zun_bulk_event``, or up to 4 KB where it has a
long reason. Raise it to keep the whole history of bulks of more than 10 000
containers; lower it where there are many bulks and the database has little
room. A conductor looks once a minute, so there may be more for as long.
""",
    ),
    cfg.FloatOpt(
        'settle_time',
        default=5.0,
        min=0.0,
        max=300.0,
        help="""
Seconds for which a container must stay up before its member is "running".

A container that ends or restarts within this time is failed. Settling holds
no place among those that start. 0 looks once, right after the start.
""",
    ),
    cfg.FloatOpt(
        'create_timeout',
        default=600.0,
        min=10.0,
        max=86400.0,
        help="""
Seconds after which a start that has not ended is looked into, at the latest.

In most cases that is earlier by itself, after 30 to 45 seconds. The container
is inspected, and its member goes on by what is found. What is being created or
pulled is left alone however long it takes; what nobody has done anything about
for this time, or for 45 seconds if that is less, is started again. There is
hardly a reason to change it.
""",
    ),
    cfg.IntOpt(
        'max_failed_percent',
        default=5,
        min=0,
        max=100,
        help="""
Percentage of a bulk's containers that may fail to start before it is paused.

It is paused when both this and ``max_failed`` are exceeded, and its
``status_reason`` says of what. What its user then resumes bears as many again.
A bulk with ``on_failure = continue`` does not pause for what fails.
""",
    ),
    cfg.IntOpt(
        'max_failed',
        default=10,
        min=0,
        max=100000,
        help="""
Number of a bulk's containers that may fail to start before it is paused; see
``max_failed_percent``.

0 with ``max_failed_percent = 0`` pauses at the first failure.
""",
    ),
    cfg.FloatOpt(
        'poll_interval',
        default=5.0,
        min=0.1,
        max=300.0,
        help="""
Seconds between two looks into the database for work, when no message came.

Messages only shorten this wait: losing all of them loses nothing.
""",
    ),
    cfg.BoolOpt(
        'run_conductor',
        default=True,
        help="""
Whether zun-compute plans bulks too.

One conductor plans a bulk at a time, whichever takes its lease first. Set it
to false on compute hosts that should only start containers, as long as some
host keeps it true or ``zun-bulk-conductor`` runs somewhere.
""",
    ),
    cfg.FloatOpt(
        'lease_time',
        default=15.0,
        min=1.0,
        max=3600.0,
        help="""
Seconds without a sign of life from a bulk's conductor after which another
takes the bulk over.

A conductor shows one every third of this time. Too short a time moves bulks
between conductors whenever the database is slow.
""",
    ),
    cfg.IntOpt(
        'claim_batch',
        default=100,
        min=1,
        max=200,
        help="""
How many members are claimed in Placement by one call.

Placement takes about 10 ms a member within one transaction; a call of more
than 200 holds its rows for seconds.
""",
    ),
    cfg.IntOpt(
        'port_batch',
        default=20,
        min=1,
        max=200,
        help="""
For how many members ports are made in Neutron by one call.

The members of a batch are handed to their hosts once it is made, so a small
batch lets the hosts begin early; Neutron takes 0.1 to 0.3 seconds a port. It
is halved by itself when Neutron, or a proxy before it, answers 413, 429, 502,
503, 504 or not at all, and grows again with success. Lower it where calls for
ports take longer than the proxy's time-out.

After two batches of a bulk, or ``port_calls`` if that is more, a conductor's
other bulks have their turns: lower it, too, where small bulks wait for long
beside large ones.
""",
    ),
    cfg.IntOpt(
        'port_calls',
        default=2,
        min=1,
        max=16,
        help="""
How many calls that make ports a conductor has under way in Neutron at most.

It is one while ``port_batch`` members of the bulk or more wait at their hosts,
and as many as this while the hosts run dry.

Raise it where Neutron has many API workers and ports are what a bulk waits
for; lower it where bulks make Neutron slow for others. When five calls in a
row get 503, 429 or no response, the conductor makes none for 5 to 60 seconds.
The same holds for ``floating_ip_calls`` and ``volume_calls``.
""",
    ),
    cfg.IntOpt(
        'floating_ip_calls',
        default=4,
        min=1,
        max=16,
        help="""
How many calls that bind or release floating IPs a conductor has under way in
Neutron at most.

Neutron takes one floating IP in a call, and 0.2 to 1 second for it. Starts do
not wait for them, and while a bulk has containers to start there is one call
at a time, which leaves Neutron to those who attach them. Raise it where
Neutron has many API workers and bulks wait for their floating IPs; lower it
where they make Neutron slow for others.
""",
    ),
    cfg.IntOpt(
        'volume_calls',
        default=4,
        min=1,
        max=32,
        help="""
How many calls that make or delete volumes a conductor has under way in Cinder
at most.

Cinder makes one volume by a call, which takes 0.1 to 0.5 seconds, and a bulk
asks for one for each container of a template with ``size``. Raise it where
Cinder has many API workers and volumes are what a bulk waits for; lower it
where bulks make Cinder slow for others.
""",
    ),
    cfg.StrOpt(
        'network_driver',
        default='kuryr',
        help="""
The Zun network driver that does the work when ``[network] driver`` is
``zun_bulk``.

``[network] driver = zun_bulk`` makes one Keystone session serve all
containers and spares the update of each port that a bulk has already made.
Any name of the entry point group ``zun.network.driver`` but ``zun_bulk``.
""",
    ),
    cfg.PortOpt(
        'metrics_port',
        default=0,
        min=0,
        help="""
TCP port at which zun-compute serves metrics of its host's pace for
Prometheus, under ``/metrics``.

0 serves none. Whoever reaches the port can read them.
""",
    ),
    cfg.HostAddressOpt(
        'metrics_address',
        default='127.0.0.1',
        help="""
Address at which zun-compute serves metrics, if ``metrics_port`` is set.

Choose one that only Prometheus reaches: there is no authentication.
""",
    ),
]


def register_opts(conf):
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    return {GROUP: OPTS}
