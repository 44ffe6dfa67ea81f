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
"""Deletes the members of a host."""

from oslo_log import log as logging

from zun_bulk import zun_compat
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.host import in_flight
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.states import MemberState


LOG = logging.getLogger(__name__)


class Deleting:
    """Casts deletes as fast as the throttle allows, and checks their results.

    :ivar in_flight: {container uuid: InFlight} of members being deleted.
    :ivar more: whether the database may have more members to delete.
    """

    def __init__(self, engine, members, throttle):
        """Create it.

        :param engine: the host's Engine.
        :param members: the host's Members.
        :param throttle: the Throttle of deletes.
        """
        self._engine = engine
        self._members = members
        self._throttle = throttle
        self.in_flight = {}
        self.more = True

    def wait(self, now):
        """Return the seconds until the next delete; None if unknown."""
        return self._throttle.wait(now) if self.more else None

    def delete_due(self, now):
        """Cast the deletes that the throttle allows now."""
        room = self._throttle.room(now)
        if not room or not self.more:
            return
        limit = room + len(self.in_flight)
        members = db_members.list_members_in_fair_order(
            MemberState.DELETING, self._members.host, limit
        )
        self.more = len(members) == limit
        members = [
            member
            for member in members
            if member.container_uuid not in self.in_flight
        ][:room]
        self._members.know_bulks(members)
        containers = self._members.containers(members)
        for member in members:
            uuid = member.container_uuid
            self.in_flight[uuid] = in_flight.InFlight(member, now)
            self._throttle.started(uuid, now)
            if uuid in containers:
                self._cast(member, containers[uuid])

    def _cast(self, member, container):
        api = self._members.compute_for(member)
        api.container_delete_on(
            zun_compat.get_rpc_context(api), self._members.host, container
        )

    def check(self, now):
        """Finish the deletes that are done, and repeat those that are lost."""
        if not self.in_flight:
            return
        rows = zun_rows.container_states(list(self.in_flight))
        gone = [
            entry.member
            for uuid, entry in self.in_flight.items()
            if uuid not in rows and self._engine.remove_leftover(uuid)
        ]
        for member in gone:
            del self.in_flight[member.container_uuid]
            self._throttle.finished(member.container_uuid, now, Outcome.DONE)
        if gone:
            db_transitions.move_members(gone, MemberState.DELETED)
            self.more = True
            self._members.note_end()
        for uuid, entry in list(self.in_flight.items()):
            if entry.is_idle(now):
                LOG.warning(
                    'Container %(uuid)s was not deleted from %(host)s '
                    'within %(seconds)d s; retrying',
                    {
                        'uuid': uuid,
                        'host': self._members.host,
                        'seconds': now - entry.since,
                    },
                )
                del self.in_flight[uuid]
                self._throttle.finished(uuid, now, Outcome.NEUTRAL)
                self.more = True
