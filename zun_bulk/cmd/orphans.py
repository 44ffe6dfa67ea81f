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

"""zun-bulk-orphans: finds what bulks have left that Zun knows nothing of.

There is no such thing as long as Zun's database is the one that it worked
with. It is for a database that was restored from a backup: what was made since
has no rows. Only what carries the mark of a bulk is looked at: the label of
Docker's containers, the description of Neutron's ports and floating IPs, the
metadata of Cinder's volumes; claims in Placement are those of the same
containers.
"""

import collections
import sys

from docker import errors
from oslo_config import cfg
from oslo_log import log as logging
import requests
from zun import objects
from zun.common import context as zun_context

from zun_bulk.conf import CONF
from zun_bulk.container import driver
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import zun_rows
from zun_bulk.network import floating_ips
from zun_bulk.network import ports
from zun_bulk.scheduler import placement
from zun_bulk.volume import volumes


OPTIONS = [
    cfg.BoolOpt(
        'remove',
        default=False,
        help='Remove what is found, and do not only show it.',
    )
]
DESCRIPTION = """
Shows the containers in the Docker of this host, the ports and floating IPs in
Neutron, the volumes in Cinder and the claims in Placement that bulks have left
and that Zun has no rows of, as after its database was restored from a backup.
Run it on each host once Zun is up again.
"""


class Orphans(
    collections.namedtuple(
        'Orphans', 'containers ports floating_ips volumes claims docker_error'
    )
):
    """What Zun knows nothing of.

    :ivar containers: uuids of those in this host's Docker.
    :ivar ports: [port] of Neutron.
    :ivar floating_ips: [floating IP] of Neutron, without those that were kept
        and those that somebody has bound elsewhere since.
    :ivar volumes: [volume] of Cinder, of containers and bulks that are both
        unknown: a bulk that is known deletes its own.
    :ivar claims: uuids of the containers that have one.
    :ivar docker_error: why Docker could not be asked, or None.
    """


def _in_docker():
    """:returns: (uuids of bulks' containers, why there is no answer)."""
    try:
        return set(driver.ThrottledDockerDriver.list_states()), None
    except (errors.DockerException, requests.RequestException) as error:
        return set(), str(error)


def _providers():
    nodes = objects.ComputeNode.list(
        zun_context.get_admin_context(all_projects=True)
    )
    return [node.rp_uuid for node in nodes if node.rp_uuid]


def find(ports_api, floating_ips_api, volumes_api, placement_api):
    """:returns: the Orphans."""
    in_docker, error = _in_docker()
    marked = ports_api.marked()
    public = floating_ips_api.marked()
    made = volumes_api.marked()
    uuids = (
        in_docker
        | {port['device_id'] for port in marked}
        | {row['container_uuid'] for row in public}
        | {volume.metadata[volumes.CONTAINER] for volume in made}
    )
    # Rows come before all else, so what has none now will have none.
    unknown = uuids - zun_rows.container_states(sorted(uuids)).keys()
    bulks = db_bulks.existing_bulks(
        {volume.metadata[volumes.BULK] for volume in made}
    )
    left = [port for port in marked if port['device_id'] in unknown]
    # One that its user has bound to something else is in use.
    unused = {None, *(port['id'] for port in left)}
    return Orphans(
        sorted(in_docker & unknown),
        left,
        [
            row
            for row in public
            if row['container_uuid'] in unknown and row['port_id'] in unused
        ],
        [
            volume
            for volume in made
            if volume.metadata[volumes.CONTAINER] in unknown
            and volume.metadata[volumes.BULK] not in bulks
        ],
        sorted(placement_api.claimed(unknown, _providers())),
        error,
    )


def remove(found, ports_api, floating_ips_api, volumes_api, placement_api):
    """:returns: how many are left, volumes that something has."""
    for uuid in found.containers:
        driver.ThrottledDockerDriver.remove(uuid)
    for row in found.floating_ips:
        floating_ips_api.delete(row['id'])
    for port in found.ports:
        ports_api.delete(port['id'])
    placement_api.release(found.claims, _providers())
    return sum(
        volumes.is_held(volume) or not volumes_api.delete(volume)
        for volume in found.volumes
    )


def _show(found):
    for uuid in found.containers:
        print('container %s' % uuid)
    for port in found.ports:
        print('port %s of container %s' % (port['id'], port['device_id']))
    for row in found.floating_ips:
        print(
            'floating IP %s of container %s'
            % (row['floating_ip_address'], row['container_uuid'])
        )
    for volume in found.volumes:
        print(
            'volume %s of container %s, %s'
            % (
                volume.id,
                volume.metadata[volumes.CONTAINER],
                ', '.join(
                    [
                        volume.status,
                        *[
                            'on %s' % (attachment.get('host_name') or '?')
                            for attachment in volume.attachments
                        ],
                    ]
                ),
            )
        )
    for uuid in found.claims:
        print('claim of container %s' % uuid)
    if found.docker_error:
        print(
            'The Docker of this host was left out: %s' % found.docker_error,
            file=sys.stderr,
        )


def main(argv=None):
    logging.register_options(CONF)
    CONF.register_cli_opts(OPTIONS)
    CONF(
        sys.argv[1:] if argv is None else argv,
        project='zun',
        prog='zun-bulk-orphans',
        description=DESCRIPTION,
    )
    logging.setup(CONF, 'zun')
    db_base.configure()
    apis = (
        ports.Ports(),
        floating_ips.FloatingIps(),
        volumes.Volumes(),
        placement.Placement(),
    )
    found = find(*apis)
    _show(found)
    number = sum(map(len, found[:-1]))
    if not CONF.remove:
        print('%d that Zun knows nothing of' % number)
        return 0
    left = remove(found, *apis) if number else 0
    print('%d removed' % (number - left))
    if left:
        print(
            'Volumes that are left, as they are attached, or as the log says: '
            '%d' % left,
            file=sys.stderr,
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
