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
"""Follows containers that have run: they stop, die, or run again."""

import collections
import itertools
import math

from oslo_log import log as logging

from zun_bulk import disclosure
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.host import engine
from zun_bulk.host import members
from zun_bulk.host import verification
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


LOG = logging.getLogger(__name__)

#: How many containers are checked per cycle: all may have died when an engine
#: comes back.
BATCH_SIZE = 20
#: Seconds until a container is checked again that Zun or Docker works on.
CHECK_INTERVAL = 1.0
#: States of members whose containers have run, and may have changed since.
HAVE_RUN = (MemberState.RUNNING, MemberState.STOPPED, MemberState.FAILED)


class Changes:
    """Updates members whose containers have started or died."""

    def __init__(self, docker, host_members, starting, wake):
        """Create it.

        :param docker: the host's Engine.
        :param host_members: the host's Members.
        :param starting: the host's Starting.
        :param wake: function that has ``check_due`` called soon.
        """
        self._engine = docker
        self._members = host_members
        self._starting = starting
        self._wake = wake
        # Set by the thread that follows Docker's events.
        self._changed = collections.deque()
        self._may_have_missed = False
        #: {container uuid: when to check it}
        self._due = {}

    # --------------------------------------------- called by Docker's events

    def add(self, action, container_uuid):
        """Record that a container of a bulk has started or died.

        :param action: Docker's name of the event.
        """
        if action == 'start' and self._starting.has(container_uuid):
            # The agent has started it.
            return
        self._changed.append(container_uuid)
        self._wake()

    def subscribed(self, at):
        """Check all containers: earlier events may have been missed.

        :param at: when the engine answered, in seconds since the epoch.
        """
        self._engine.back_since = at
        self._may_have_missed = True
        self._wake()

    def unsubscribed(self):
        """Record that no events arrive until ``subscribed`` is called."""
        self._engine.back_since = math.inf

    # ------------------------------------------------------------ the cycle

    def wait(self, now):
        """Return the seconds until the next check; None if none is due."""
        return min(self._due.values()) - now if self._due else None

    def check_due(self, now):
        """Check the containers whose events have arrived."""
        try:
            if self._may_have_missed:
                self._changed.extend(self._list_changed())
                self._may_have_missed = False
            while self._changed:
                self._due[self._changed.popleft()] = now
            # A container that dies during its settle time is verified at once.
            for uuid in self._starting.settle_now(self._due, now):
                del self._due[uuid]
            self._check_batch(now)
        except Exception as error:
            # An engine that is down must not keep the agent from other work.
            LOG.warning(
                'Failed to check containers that have changed; retrying: %s',
                error,
            )
            self._due = {
                uuid: max(due, now + CHECK_INTERVAL)
                for uuid, due in self._due.items()
            }

    def _list_changed(self):
        """List the containers whose states differ from those of members."""
        states = self._engine.list_states()
        self._remove_strays(list(states))
        found = []
        for state in HAVE_RUN:
            for member in db_members.list_members_by_state(
                state, host=self._members.host
            ):
                uuid = member.container_uuid
                if state == MemberState.RUNNING:
                    # Containers of bulks without run stay "created".
                    changed = states.get(uuid) not in ('running', 'created')
                else:
                    changed = states.get(uuid) == 'running'
                if changed:
                    found.append(uuid)
        return found

    def _remove_strays(self, uuids):
        """Remove containers whose members are on another host by now.

        The members were moved when this host was forced down. Containers
        without rows are left alone: the database may be an old backup.

        :param uuids: of all containers of bulks in Docker.
        """
        host = self._members.host
        unknown = set(uuids)
        for member in db_members.list_members_by_container(uuids):
            unknown.discard(member.container_uuid)
            if member.host != host:
                LOG.warning(
                    'Removing container %(uuid)s from %(host)s, as its member '
                    'was moved to %(other)s',
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
                'are not in the database, such as zun-%(uuid)s; remove them '
                'by hand if they are not needed',
                {'host': host, 'number': len(unknown), 'uuid': min(unknown)},
            )

    def _check_batch(self, now):
        uuids = list(
            itertools.islice(
                (uuid for uuid, due in self._due.items() if due <= now),
                BATCH_SIZE,
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
            if uuid in found and not self._update(found[uuid], rows.get(uuid)):
                self._due[uuid] = now + CHECK_INTERVAL
            else:
                del self._due[uuid]

    def _update(self, member, row):
        """Update a member if its container's state has changed.

        :param row: Zun's row of the container; None if there is none.
        :returns: False if the state is not final yet.
        """
        inspect = self._engine.inspect(member.container_uuid)
        found = verification.state_after_run(inspect, row and (row[0], row[2]))
        if found is None:
            return False
        if found[0] == member.state:
            return True
        bulk = members.current_bulk(member)
        if (
            member.state == MemberState.RUNNING
            and self._may_try_again(bulk, member)
            and self._engine.took_down(inspect)
        ):
            self._members.try_again(member, engine.RESTARTED)
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
        """Record the new state of a container that has run."""
        uuid = member.container_uuid
        reason = reason and disclosure.mark_host(self._members.host, reason)
        if not db_transitions.move_members(
            [member], state, reason=reason, reason_class=reason_class
        ):
            return
        db_bulks.review_bulk(member.bulk_id)
        if state == MemberState.RUNNING:
            LOG.info('Container %s is running again', uuid)
            return
        zun_rows.stop_container(uuid, reason or 'The container has ended.')
        LOG.warning(
            'Container %(uuid)s of bulk %(bulk)s has ended: %(reason)s',
            {
                'uuid': uuid,
                'bulk': bulk and bulk.uuid,
                'reason': disclosure.render(reason)
                or 'it finished, or was stopped',
            },
        )
        if state == MemberState.FAILED:
            members.pause_if_hopeless(bulk, reason)
