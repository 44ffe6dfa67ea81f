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

"""Readies the volumes of members on this host for their next start."""

import collections

from oslo_concurrency import lockutils
from oslo_log import log as logging

from zun_bulk.db import transitions as db_transitions
from zun_bulk.host import locks
from zun_bulk.states import MemberState
from zun_bulk.volume import mounts


LOG = logging.getLogger(__name__)


class Prepared(collections.namedtuple('Prepared', 'ready running postponed')):
    """Members by what to do about them after a look at their volumes.

    :ivar ready: those to start now.
    :ivar running: those whose containers run: an earlier start of theirs has
        succeeded late.
    :ivar postponed: those whose volumes could not be detached, to be prepared
        again later.
    """


class Volumes:
    """Detaches what failed starts have left attached to this host."""

    def __init__(self, engine, members):
        """Create it.

        :param engine: the host's Engine.
        :param members: the host's Members.
        """
        self._engine = engine
        self._members = members

    def prepare(self, batch):
        """Detach the volumes of earlier starts.

        Zun deletes the new volumes of a start that fails, so a member without
        them goes back to a conductor, which creates them.

        :param batch: members of known bulks, to be started.
        :returns: Prepared; members of deleted bulks are left out.
        """
        prepared = Prepared([], [], [])
        without_volumes = []
        for member in batch:
            bulk = self._members.bulk_of(member)
            if bulk is None:
                # It was deleted after the member had been read.
                continue
            if not mounts.of(bulk, member):
                prepared.ready.append(member)
                continue
            if member.attempt or member.reason:
                running = self._detach(member)
                if running is None:
                    prepared.postponed.append(member)
                    continue
                if running:
                    prepared.running.append(member)
                    continue
            if mounts.lacks(bulk, member):
                without_volumes.append(member)
            else:
                prepared.ready.append(member)
        if db_transitions.move_members(without_volumes, MemberState.QUEUED):
            self._members.wake_conductor()
        return prepared

    def _detach(self, member):
        """Detach what earlier starts have left, unless the container runs.

        :returns: whether it runs; None if this has to be tried again.
        """
        uuid = member.container_uuid
        try:
            # Otherwise a start that is still under way would lose its volumes.
            with locks.zun_idle(uuid):
                running = self._engine.is_running(uuid)
                if not running:
                    self._engine.forget_volumes(uuid)
                return running
        except lockutils.AcquireLockFailedException:
            LOG.info(
                'Zun still works on container %s; starting it later', uuid
            )
        except Exception as error:
            LOG.warning(
                'Failed to detach the volumes of container %(uuid)s; retrying '
                'later: %(error)s',
                {'uuid': uuid, 'error': error},
            )
        return None
