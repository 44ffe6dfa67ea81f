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

"""Options of the group ``zun_bulk``."""

from oslo_config import cfg


GROUP = cfg.OptGroup('zun_bulk', title='Creating containers in bulk')

OPTS = [
    cfg.IntOpt(
        'max_members',
        default=10000,
        min=1,
        max=100000,
        help="""
Maximum number of containers in one bulk.

A request for more is refused with 400. Each container costs a row in Zun's
``container`` and ``container_actions`` tables and one in ``zun_bulk_member``
at once; increase the value only if the database can handle the transaction
(10 000 members are about 30 000 rows).
""",
    ),
    cfg.IntOpt(
        'max_events',
        default=20000,
        min=100,
        max=1000000,
        help="""
Maximum number of events in the history of one bulk; the oldest are deleted
first.

A container causes two events, and two more for each failed attempt. An event
is a row of some 200 bytes in ``zun_bulk_event``, or up to 4 KB with a long
reason. Increase the value to keep the whole history of bulks of more than
10 000 containers; decrease it if there are many bulks and the database has
little room. A conductor checks once a minute, so there may temporarily be
more.
""",
    ),
    cfg.FloatOpt(
        'settle_time',
        default=5.0,
        min=0.0,
        max=300.0,
        help="""
Seconds for which a container must stay up before its member is "running".

A container that ends or restarts within this time has failed. Settling
occupies no slot for starts. 0 checks once, directly after the start.
""",
    ),
    cfg.FloatOpt(
        'create_timeout',
        default=600.0,
        min=10.0,
        max=86400.0,
        help="""
Maximum seconds until a start that has not ended is investigated.

Usually this happens earlier, after 30 to 45 seconds. The container is
inspected, and its member continues according to the result. A container that
is being created, or an image that is being pulled, is left alone however long
it takes. A start on which nothing has happened for this time, or for 45
seconds if that is less, is requested again. There is rarely a reason to change
this option.
""",
    ),
    cfg.IntOpt(
        'max_failed_percent',
        default=5,
        min=0,
        max=100,
        help="""
Percentage of a bulk's containers that may fail to start before it is paused.

A bulk is paused when both this and ``max_failed`` are exceeded, and its
``status_reason`` shows the failures. After a user resumes it, as many failures
are allowed again. A bulk with ``on_failure = continue`` does not pause because
of failures.
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
Seconds between two checks of the database for work, if no message arrives.

Messages only shorten this wait: even if all of them are lost, no work is lost.
""",
    ),
    cfg.BoolOpt(
        'run_conductor',
        default=True,
        help="""
Whether zun-compute plans bulks too.

One conductor at a time plans a bulk: the one that takes its lease first. Set
this to false on compute hosts that should only start containers, as long as
some host keeps it true or ``zun-bulk-conductor`` runs somewhere.
""",
    ),
    cfg.FloatOpt(
        'lease_time',
        default=15.0,
        min=1.0,
        max=3600.0,
        help="""
Seconds without a sign of life from a bulk's conductor after which another
conductor takes over the bulk.

A conductor shows a sign of life every third of this time. If the time is too
short, bulks move between conductors whenever the database is slow.
""",
    ),
    cfg.IntOpt(
        'claim_batch',
        default=100,
        min=1,
        max=200,
        help="""
Number of members claimed in Placement with one call.

Placement takes about 10 ms per member within one transaction; a call for more
than 200 members locks its rows for seconds.
""",
    ),
    cfg.IntOpt(
        'port_batch',
        default=20,
        min=1,
        max=200,
        help="""
Number of members for which ports are created in Neutron with one call.

The members of a batch are placed on their hosts once its ports exist, so a
small batch lets the hosts begin early; Neutron takes 0.1 to 0.3 seconds per
port. The batch is halved automatically when Neutron, or a proxy in front of
it, answers 413, 429, 502, 503, 504 or not at all, and grows again with
success. Decrease the value if calls for ports take longer than the time-out of
the proxy.

After two batches of a bulk, or ``port_calls`` if that is more, a conductor
continues with its other bulks: also decrease the value if small bulks wait too
long for large ones.
""",
    ),
    cfg.IntOpt(
        'port_calls',
        default=2,
        min=1,
        max=16,
        help="""
Maximum number of parallel calls to Neutron with which a conductor creates
ports.

A conductor makes one call at a time while at least ``port_batch`` members of
the bulk wait on their hosts, and this many while the hosts run out of members.

Increase the value if Neutron has many API workers and bulks wait for ports;
decrease it if bulks make Neutron slow for other users. When five calls in a
row get 503, 429 or no response, the conductor makes none for 5 to 60 seconds.
The same applies to ``floating_ip_calls`` and ``volume_calls``.
""",
    ),
    cfg.IntOpt(
        'floating_ip_calls',
        default=4,
        min=1,
        max=16,
        help="""
Maximum number of parallel calls to Neutron with which a conductor binds or
releases floating IPs.

Neutron handles one floating IP per call, in 0.2 to 1 second. Starts do not
wait for them, and while a bulk has containers to start there is one call at a
time, which leaves Neutron's capacity to the starts. Increase the value if
Neutron has many API workers and bulks wait for their floating IPs; decrease it
if they make Neutron slow for other users.
""",
    ),
    cfg.IntOpt(
        'volume_calls',
        default=4,
        min=1,
        max=32,
        help="""
Maximum number of parallel calls to Cinder with which a conductor creates or
deletes volumes.

Cinder creates one volume per call, in 0.1 to 0.5 seconds, and a bulk requests
one for each container if its template contains ``size``. Increase the value if
Cinder has many API workers and bulks wait for volumes; decrease it if bulks
make Cinder slow for other users.
""",
    ),
    cfg.StrOpt(
        'network_driver',
        default='kuryr',
        help="""
The Zun network driver that ``zun_bulk`` wraps, if ``[network] driver`` is
``zun_bulk``.

With ``[network] driver = zun_bulk``, all containers share one Keystone
session, and ports that a bulk has already created are not updated one by one.
Any name in the entry point group ``zun.network.driver`` except ``zun_bulk``.
""",
    ),
    cfg.PortOpt(
        'metrics_port',
        default=0,
        min=0,
        help="""
TCP port on which zun-compute serves metrics of its host's pace for Prometheus,
under ``/metrics``.

0 serves none. Everybody who can reach the port can read them.
""",
    ),
    cfg.HostAddressOpt(
        'metrics_address',
        default='127.0.0.1',
        help="""
Address on which zun-compute serves metrics, if ``metrics_port`` is set.

Choose an address that only Prometheus can reach: there is no authentication.
""",
    ),
]


def register_opts(conf):
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts():
    return {GROUP: OPTS}
