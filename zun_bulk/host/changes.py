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
"""What has become of containers that have run: they stop, die, run again."""

import collections
import itertools
import math

from oslo_log import log as logging

from zun_bulk import disclosure
from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.host import engine
from zun_bulk.host import members
from zun_bulk.host import verification


LOG = logging.getLogger(__name__)

#: How many containers are looked at in one turn: when an engine comes back,
#: all may have died.
AT_A_TIME = 20
#: Seconds until one is looked at again that Zun or Docker is at work on.
LOOK_AGAIN = 1.0
#: States of members whose containers have run, and may run no more or again.
HAVE_RUN = (MemberState.RUNNING, MemberState.STOPPED, MemberState.FAILED)


class Changes:
    """Brings members up to date with containers that started or died."""

    def __init__(self, docker, of_host, starting, wake):
        """:param docker: the host's Engine.

        :param of_host: the host's Members.
        :param starting: the host's Starting.
        :param wake: function that has ``follow`` called soon.
        """
        self._engine = docker
        self._members = of_host
        self._starting = starting
        self._wake = wake
        # Told by the thread that follows Docker's events.
        self._changed = collections.deque()
        self._missed = False
        #: {container uuid: when to look at it}
        self._looks = {}

    # --------------------------------------------- called by Docker's events

    def add(self, action, container_uuid):
        """A container of a bulk has started or died."""
        if action == 'start' and self._starting.has(container_uuid):
            # As it was asked to.
            return
        self._changed.append(container_uuid)
        self._wake()

    def subscribed(self, back):
        """Containers may have started or died without being told.

        :param back: when the engine was found to answer, in seconds since the
            epoch.
        """
        self._engine.back = back
        self._missed = True
        self._wake()

    def unsubscribed(self):
        """Nothing is told of containers until ``missed`` is called."""
        self._engine.back = math.inf

    # ------------------------------------------------------------- the turn

    def wait(self, now):
        """Seconds until one is to be looked at; None if none is."""
        return min(self._looks.values()) - now if self._looks else None

    def check_due(self, now):
        """Look at what Docker's events have told of."""
        try:
            if self._missed:
                self._changed.extend(self._list_changed())
                self._missed = False
            while self._changed:
                self._looks[self._changed.popleft()] = now
            # One that dies while it settles has not settled.
            for uuid in self._starting.settle_now(self._looks, now):
                del self._looks[uuid]
            self._look_again(now)
        except Exception as error:
            # An engine that is down is no reason to do nothing else.
            LOG.warning(
                'Could not look at containers that have changed: %s', error
            )
            self._looks = {
                uuid: max(due, now + LOOK_AGAIN)
                for uuid, due in self._looks.items()
            }

    def _list_changed(self):
        """Containers that are not what their members say."""
        states = self._engine.list_states()
        self._remove_strays(list(states))
        found = []
        for state in HAVE_RUN:
            for member in db_members.list_members_by_state(
                state, host=self._members.host
            ):
                uuid = member.container_uuid
                if state == MemberState.RUNNING:
                    # What was only to be created is "created".
                    changed = states.get(uuid) not in ('running', 'created')
                else:
                    changed = states.get(uuid) == 'running'
                if changed:
                    found.append(uuid)
        return found

    def _remove_strays(self, uuids):
        """Remove containers whose members are another host's by now.

        They were taken back from this host when it was forced down. What has
        no rows at all is left alone, as the database may be an old one.
        """
        host = self._members.host
        unknown = set(uuids)
        for member in db_members.list_members_by_container(uuids):
            unknown.discard(member.container_uuid)
            if member.host != host:
                LOG.warning(
                    'Container %(uuid)s is removed from %(host)s, as its '
                    'member has gone to %(other)s',
                    {
                        'uuid': member.container_uuid,
                        'host': host,
                        'other': member.host or 'no host yet',
                    },
                )
                self._engine.remove(member.container_uuid)
        unknown -= zun_rows.container_states(list(unknown)).keys()
        if unknown:
            LOG.warning(
                'Docker on %(host)s has %(number)d containers of bulks that '
                'Zun does not know, such as zun-%(uuid)s; remove them by hand '
                'if they are not wanted',
                {'host': host, 'number': len(unknown), 'uuid': min(unknown)},
            )

    def _look_again(self, now):
        uuids = list(
            itertools.islice(
                (uuid for uuid, due in self._looks.items() if due <= now),
                AT_A_TIME,
            )
        )
        if not uuids:
            return
        rows = zun_rows.container_states(uuids)
        found = {
            member.container_uuid: member
            for member in db_members.list_members_by_container(uuids)
            if member.host == self._members.host and member.state in HAVE_RUN
        }
        for uuid in uuids:
            if uuid in found and not self._look_at(
                found[uuid], rows.get(uuid)
            ):
                self._looks[uuid] = now + LOOK_AGAIN
            else:
                del self._looks[uuid]

    def _look_at(self, member, row):
        """Returns whether what the container is now is known."""
        inspect = self._engine.inspect(member.container_uuid)
        found = verification.since(inspect, row and (row[0], row[2]))
        if found is None:
            return False
        if found[0] == member.state:
            return True
        bulk = members.current_bulk(member)
        if (
            member.state == MemberState.RUNNING
            and self._may_try_again(bulk, member)
            and self._engine.has_taken(inspect)
        ):
            self._members.again(member, engine.RESTARTED)
            self._starting.more = True
        else:
            self._record(bulk, member, *found)
        return True

    @staticmethod
    def _may_try_again(bulk, member):
        return (
            bulk is not None
            and bulk.status == BulkStatus.BUILDING
            and member.attempt < bulk.max_attempts
        )

    def _record(self, bulk, member, state, reason_class, reason):
        """A container that has run is in another state than it was."""
        uuid = member.container_uuid
        reason = reason and disclosure.mark_host(self._members.host, reason)
        if not db_transitions.move_members(
            [member], state, reason=reason, reason_class=reason_class
        ):
            return
        db_bulks.review_bulk(member.bulk_id)
        if state == MemberState.RUNNING:
            LOG.info('Container %s runs again', uuid)
            return
        zun_rows.stop_container(uuid, reason or 'It has ended.')
        LOG.warning(
            'Container %(uuid)s of bulk %(bulk)s has ended: %(reason)s',
            {
                'uuid': uuid,
                'bulk': bulk and bulk.uuid,
                'reason': disclosure.render(reason)
                or 'it was done, or was stopped',
            },
        )
        if state == MemberState.FAILED:
            members.pause_if_hopeless(bulk, reason)
