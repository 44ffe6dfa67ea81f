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

"""Zun's Docker driver, throttled and idempotent.

All calls work as in Zun's driver. In addition, everything that makes the
engine work waits for a slot, for bulks and single containers alike. A create
looks for an existing container first, the start of a member is reported to the
agent, and a delete also removes a container whose ID Zun has lost.
"""

import collections
import contextlib

from docker import errors
from oslo_concurrency import lockutils
from oslo_log import log as logging
import requests
from zun.common import consts
from zun.common import exception
from zun.container.docker import driver as docker_driver
from zun.container.docker import utils as docker_utils

from zun_bulk import guru_meditation
from zun_bulk.conductor import conductor
from zun_bulk.conf import CONF
from zun_bulk.consts import LABEL_BULK
from zun_bulk.db import base as db_base
from zun_bulk.host import agent
from zun_bulk.host import engine
from zun_bulk.host import probes
from zun_bulk.network import requested
from zun_bulk.scheduler.filters import overcommit
from zun_bulk.volume import attaching


LOG = logging.getLogger(__name__)

#: Seconds that a probe, and with it the agent, waits for the engine.
PROBE_TIMEOUT = 5
#: Number of pulls that are remembered.
PULLS_KNOWN = 100


class ThrottledDockerDriver(attaching.Attaching, docker_driver.DockerDriver):
    """The driver; Zun creates one for containers and one for capsules."""

    #: The agent of the host; all drivers share it.
    _agent = None

    def __init__(self):
        super().__init__()
        db_base.configure()
        self._probes = probes.Probes()
        self._docker_root = None
        if self._agent is None:
            type(self)._agent = agent.HostAgent(
                CONF.host,
                engine.Engine(
                    self.inspect,
                    self.remove,
                    self.probe,
                    self.list_states,
                    self.watch,
                    self.forget_volumes,
                ),
            )
        self._serving = False
        #: Capsules that are being deleted, each of which has a slot.
        self._capsules = set()
        #: (request id, repo, tag) of the last pulls.
        self._pulled = collections.deque(maxlen=PULLS_KNOWN)

    # Zun calls these to limit the new size of a container.

    def get_cpu_allocation_ratio(self):
        """Return the CPU overcommit ratio of this host."""
        ratio = overcommit.configured_ratio('cpu', CONF.host)
        return super().get_cpu_allocation_ratio() if ratio is None else ratio

    def get_ram_allocation_ratio(self):
        """Return the memory overcommit ratio of this host."""
        ratio = overcommit.configured_ratio('ram', CONF.host)
        return super().get_ram_allocation_ratio() if ratio is None else ratio

    def get_available_resources(self):
        """Return the resources of the host; start the agent the first time.

        Zun calls it first after it has synchronized its containers, so the
        agent may begin then.
        """
        if not self._serving:
            self._serving = True
            self._agent.start()
            guru_meditation.add('Bulks on this host', self._agent.report)
            if CONF.zun_bulk.run_conductor:
                planner = conductor.Conductor()
                planner.start()
                guru_meditation.add('Conductor of bulks', planner.report)
            guru_meditation.on_signal('zun-compute')
        return super().get_available_resources()

    def inspect(self, container_uuid):
        """Return Docker's inspect of a container; None if there is none."""
        with docker_utils.docker_client() as docker:
            try:
                return docker.inspect_container(
                    consts.NAME_PREFIX + container_uuid
                )
            except errors.NotFound:
                return None

    @staticmethod
    def list_states():
        """Return {uuid: Docker's state} of the containers of bulks."""
        with docker_utils.docker_client() as docker:
            return {
                uuid_of(found['Names'][0]): found['State']
                for found in docker.containers(
                    all=True, filters={'label': LABEL_BULK}
                )
            }

    def watch(self, since):
        """Subscribe to the start and die events of containers of bulks.

        :param since: time of the first event, in seconds since the epoch.
        :returns: an iterator of (action, container uuid).
        """
        with docker_utils.docker_client() as docker:
            events = docker.events(
                since=int(since),
                filters={
                    'type': 'container',
                    'event': ['start', 'die'],
                    'label': LABEL_BULK,
                },
                decode=True,
            )
        return (
            (event['Action'], uuid_of(event['Actor']['Attributes']['name']))
            for event in events
        )

    def _start_slot(self, container):
        # A member has had a slot since the agent cast its start.
        if self._agent.is_starting(container.uuid):
            return self._agent.working(container.uuid)
        return self._agent.starts.slot(container.uuid)

    def _delete_slot(self, container):
        if self._agent.is_deleting(container.uuid):
            return self._agent.working(container.uuid)
        if container.uuid in self._capsules:
            return contextlib.nullcontext()
        return self._agent.deletes.slot(container.uuid)

    def pull_image(
        self,
        context,
        repo,
        tag,
        image_pull_policy='always',
        driver_name=None,
        registry=None,
    ):
        """Pull an image unless it was pulled here for the same bulk before.

        Containers with the same image wait for one pull, and pulls of
        different images wait for a slot.
        """
        # All members of a bulk have the ID of the request that created it.
        pull = context.request_id, repo, tag
        image = '%s:%s' % (repo, tag)
        with lockutils.lock('zun-bulk-image-' + image):
            if pull in self._pulled and image_pull_policy == 'always':
                image_pull_policy = 'ifnotpresent'
            if image_pull_policy != 'always':
                try:
                    return super().pull_image(
                        context, repo, tag, 'never', driver_name, registry
                    )
                except exception.ImageNotFound:
                    if image_pull_policy == 'never':
                        raise
            with self._agent.pulls.slot(image):
                found = super().pull_image(
                    context,
                    repo,
                    tag,
                    image_pull_policy,
                    driver_name,
                    registry,
                )
            self._pulled.append(pull)
            return found

    def _provision_network(self, context, network_driver, requested_networks):
        """Let only one container at a time create a network in Docker.

        Zun creates a network that Docker does not have. If several containers
        did so at the same time, they would wait for seconds, or fail.
        """
        for network in requested_networks:
            with lockutils.lock('zun-bulk-network-%s' % network['network']):
                super()._provision_network(context, network_driver, [network])

    def create(
        self, context, container, image, requested_networks, requested_volumes
    ):
        """Create a container unless an earlier create of it took effect."""
        with self._start_slot(container):
            return self._create(
                context,
                container,
                image,
                requested_networks,
                requested_volumes,
            )

    def _create(
        self, context, container, image, requested_networks, requested_volumes
    ):
        found = None
        if not self._agent.is_new(container.uuid):
            found = self.inspect(container.uuid)
        if (
            found is not None
            and self._is_of_this_bulk(container, found)
            # The mounts of a container that does not run may have moved.
            and (
                found['State']['Running']
                or not requested_volumes.get(container.uuid)
            )
        ):
            container = self._adopt(
                context, container, found, requested_networks
            )
        else:
            if found is not None and not found['State']['Running']:
                self.remove(container.uuid)
            container = super().create(
                context,
                container,
                image,
                requested_networks,
                requested_volumes,
            )
        self._agent.created(container.uuid)
        return container

    @staticmethod
    def _is_of_this_bulk(container, found):
        ours = (container.labels or {}).get(LABEL_BULK)
        theirs = (found['Config'].get('Labels') or {}).get(LABEL_BULK)
        return ours is not None and ours == theirs

    def _adopt(self, context, container, found, requested_networks):
        LOG.info(
            'Container %s already exists in Docker; using it', container.uuid
        )
        container.container_id = found['Id']
        container.addresses = {
            network['network']: network[requested.PORT]['addresses']
            for network in requested_networks
            if requested.PORT in network
        }
        config = found['Config']
        container.entrypoint = container.entrypoint or config['Entrypoint']
        container.command = container.command or config['Cmd']
        self._populate_container(container, found, force=True)
        container.save(context)
        return container

    def start(self, context, container):
        """Start a container, and report it to the agent."""
        with self._start_slot(container):
            return self._start(context, container)

    def _start(self, context, container):
        try:
            container = super().start(context, container)
        except exception.Conflict as error:
            # Zun takes any error with 404 in its text, such as in an ID, for
            # "not found", and drops the text of Docker.
            original = error.__context__
            if isinstance(original, exception.DockerError):
                raise original from None
            raise
        except requests.exceptions.RequestException:
            # Docker may have started it, although its answer was lost.
            found = self.inspect(container.uuid)
            if found is None or not found['State']['Running']:
                raise
            container.status = consts.RUNNING
            container.status_reason = None
        if container.status == consts.RUNNING:
            self._agent.started(container.uuid)
        elif self._agent.is_starting(container.uuid):
            # Zun's driver stops a container whose network it failed to set up,
            # without an error.
            raise exception.DockerError(error_msg=container.status_reason)
        return container

    def reboot(self, context, container, timeout):
        """Restart a container."""
        with self._start_slot(container):
            return super().reboot(context, container, timeout)

    def stop(self, context, container, timeout):
        """Stop a container."""
        with self._delete_slot(container):
            return super().stop(context, container, timeout)

    def delete(self, context, container, force):
        """Delete a container, even if Zun does not have its Docker ID."""
        with self._delete_slot(container):
            super().delete(context, container, force)
            if not container.container_id:
                self.remove(container.uuid)

    def _create_container_in_capsule(
        self,
        context,
        capsule,
        container,
        requested_networks,
        requested_volumes,
    ):
        # This also pulls the image and starts the container.
        with self._agent.starts.slot(container.uuid):
            super()._create_container_in_capsule(
                context,
                capsule,
                container,
                requested_networks,
                requested_volumes,
            )

    def delete_capsule(self, context, capsule, force):
        """Delete a capsule, with one slot for its few containers."""
        with self._delete_slot(capsule):
            self._capsules.add(capsule.uuid)
            try:
                super().delete_capsule(context, capsule, force)
            finally:
                self._capsules.discard(capsule.uuid)

    @staticmethod
    def remove(container_uuid):
        """Remove a container by its name, if it exists."""
        with docker_utils.docker_client() as docker:
            try:
                docker.remove_container(
                    consts.NAME_PREFIX + container_uuid, force=True
                )
            except errors.NotFound:
                return

    def probe(self):
        """Return the gates.Readings of this host."""
        if self._docker_root is None:
            self._docker_root = self._find_docker_root()
        return self._probes.read(self._docker_root, self._ping)

    @staticmethod
    def _find_docker_root():
        """Return Docker's data root; None if the engine does not answer."""
        try:
            with docker_utils.docker_client() as docker:
                docker.timeout = PROBE_TIMEOUT
                return docker.info().get('DockerRootDir')
        except Exception as error:
            LOG.warning('Failed to get the data root of Docker: %s', error)
            return None

    @staticmethod
    def _ping():
        with docker_utils.docker_client() as docker:
            docker.timeout = PROBE_TIMEOUT
            docker.ping()


def uuid_of(name):
    """Return the uuid of a container, from its name in Docker."""
    return name.lstrip('/').removeprefix(consts.NAME_PREFIX)
