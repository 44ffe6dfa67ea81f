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
"""The Docker Engine of a host, as its agent uses it."""

import functools
import math

from oslo_log import log as logging

from zun_bulk.host import gates
from zun_bulk.host import verification


LOG = logging.getLogger(__name__)

#: Readings of nothing, for which no gate holds.
UNREAD = functools.partial(gates.Readings, ping=0.0)
#: The reason of a container that ended because its engine did.
RESTARTED = 'its engine was restarted'


class Engine:
    """Functions of a Docker Engine and what they show.

    :ivar back_since: when the engine was last found to answer after an outage,
        in seconds since the epoch; infinite while no subscription to its
        events exists, because any container may have ended with it then.
    """

    def __init__(
        self,
        inspect,
        remove,
        probe=UNREAD,
        list_states=dict,
        watch=None,
        forget_volumes=lambda container_uuid: None,
    ):
        """Create it of functions; each takes a container's uuid unless noted.

        :param inspect: function that returns Docker's inspect, or None.
        :param remove: function that removes a container from Docker.
        :param probe: function without arguments that returns the host's
            gates.Readings.
        :param list_states: function without arguments that returns
            {container uuid: Docker's state} of the containers of bulks.
        :param watch: function of a time that yields Docker's events; see
            ``events.follow``.
        :param forget_volumes: function that detaches what an earlier start
            of a container has left attached to this host.
        """
        self.inspect = inspect
        self.remove = remove
        self.probe = probe
        self.list_states = list_states
        self.watch = watch
        self.forget_volumes = forget_volumes
        self.back_since = math.inf

    def is_running(self, container_uuid):
        """Return whether a container runs, by Docker's inspect of it."""
        state = (self.inspect(container_uuid) or {}).get('State') or {}
        return bool(state.get('Running'))

    def took_down(self, inspect):
        """Return whether a container ended because this engine did.

        :param inspect: Docker's inspect of it.
        """
        return verification.ended_with_engine(inspect, self.back_since)

    def remove_leftover(self, container_uuid):
        """Remove a container from Docker if it is still there.

        Zun deletes the row of a container even if Docker failed to remove it.

        :returns: whether Docker has no such container any more.
        """
        try:
            if self.inspect(container_uuid) is not None:
                LOG.info(
                    'Removing container %s, which is left over in Docker',
                    container_uuid,
                )
                self.remove(container_uuid)
        except Exception as error:
            LOG.warning(
                'Failed to remove container %(uuid)s from Docker; retrying '
                'later: %(error)s',
                {'uuid': container_uuid, 'error': error},
            )
            return False
        return True
