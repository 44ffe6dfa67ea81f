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

"""zun-bulk-orphans: finds resources of bulks that Zun does not know.

They exist only after Zun's database was restored from a backup: what was made
since then has no rows. The command considers only resources marked as those of
a bulk, by the label of Docker's containers, the description of Neutron's ports
and floating IPs, or the metadata of Cinder's volumes, and the claims in
Placement of the same containers.
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
        help='Remove the resources instead of only listing them.',
    )
]
DESCRIPTION = """
Lists resources of bulks that Zun's database does not contain: containers in
the Docker of this host, ports and floating IPs in Neutron, volumes in Cinder
and claims in Placement. Run it on each host after the database was restored
from a backup and Zun is running again.
"""


class Orphans(
    collections.namedtuple(
        'Orphans', 'containers ports floating_ips volumes claims docker_error'
    )
):
    """Resources that Zun does not know.

    :ivar containers: uuids of the containers in this host's Docker.
    :ivar ports: [port] of Neutron.
    :ivar floating_ips: [floating IP] of Neutron, without those that users
        keep or have bound elsewhere since.
    :ivar volumes: [volume] of Cinder whose container and bulk are both
        unknown; a bulk that is known deletes its own.
    :ivar claims: uuids of containers with a claim.
    :ivar docker_error: the error of Docker, or None.
    """


def _in_docker():
    """List the containers of bulks in this host's Docker.

    :returns: ({uuid}, None), or (empty set, error).
    """
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
    """Find the resources that Zun does not know.

    :returns: the Orphans.
    """
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
    # Rows are written first, so containers without one never get one.
    unknown = uuids - zun_rows.container_states(sorted(uuids)).keys()
    bulks = db_bulks.existing_bulks(
        {volume.metadata[volumes.BULK] for volume in made}
    )
    left = [port for port in marked if port['device_id'] in unknown]
    # One bound to another port is in use.
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
    """Remove the Orphans.

    :returns: number of volumes left, as they are in use or not deletable.
    """
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
            'Failed to list containers in the Docker of this host: %s'
            % found.docker_error,
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
        print('%d resources unknown to Zun' % number)
        return 0
    left = remove(found, *apis) if number else 0
    print('%d removed' % (number - left))
    if left:
        print(
            '%d volumes not removed, as they are attached or for a reason in '
            'the log' % left,
            file=sys.stderr,
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
