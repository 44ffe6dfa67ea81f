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
"""The Docker Engine of a host, as its agent asks it."""

import functools
import math

from oslo_log import log as logging

from zun_bulk.host import gates
from zun_bulk.host import verification


LOG = logging.getLogger(__name__)

#: What is not read holds nothing.
UNREAD = functools.partial(gates.Readings, ping=0.0)
#: Why a container ended that the engine has taken with it.
RESTARTED = 'its engine was restarted'


class Engine:
    """Each function takes a container's uuid, unless said otherwise.

    :ivar back: when it was last found to answer after it had not, in seconds
        since the epoch. As long as nobody listens to it, any container may
        have ended with it.
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
        """:param inspect: function that returns Docker's inspect, or None.

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
        self.back = math.inf

    def runs(self, container_uuid):
        """Whether a container runs, by Docker's inspect of it."""
        state = (self.inspect(container_uuid) or {}).get('State') or {}
        return bool(state.get('Running'))

    def has_taken(self, inspect):
        """Whether a container ended because this engine did."""
        return verification.ended_with_engine(inspect, self.back)

    def clear(self, container_uuid):
        """Remove what Docker still has. Returns whether it has nothing.

        Zun deletes the row of a container that Docker would not remove.
        """
        try:
            if self.inspect(container_uuid) is not None:
                LOG.info(
                    'Container %s is left in Docker and is removed',
                    container_uuid,
                )
                self.remove(container_uuid)
        except Exception as error:
            LOG.warning(
                'Could not remove container %(uuid)s, which is tried '
                'again: %(error)s',
                {'uuid': container_uuid, 'error': error},
            )
            return False
        return True
