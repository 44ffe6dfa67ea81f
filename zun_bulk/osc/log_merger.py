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


"""Merging the logs of many containers in order of time."""

import heapq
import math
import operator

from zun_bulk.osc import client
from zun_bulk.osc import log_lines
from zun_bulk.osc import log_position
from zun_bulk.osc import spool as spools
from zun_bulk.states import MemberState


#: Attempts to read the log of a container that has ended.
FINAL_ATTEMPTS = 3

#: States in which a member may have a log.
READABLE = (
    MemberState.STARTING,
    MemberState.RUNNING,
    MemberState.STOPPED,
    MemberState.FAILED,
)
#: States in which a member writes nothing more.
ENDED = (
    MemberState.STOPPED,
    MemberState.FAILED,
    MemberState.CANCELLED,
    MemberState.DELETED,
)


class Merger:
    """Reads the logs of members and writes their lines in order of time.

    :param containers: a client.ContainerClient
    :param streams: {stdout: bool, stderr: bool}, which of them to read
    :param since: nanoseconds; older lines are skipped
    :param tail: maximum number of lines of each member, None for all
    :param render: function of a line, the line without its time, the name of
        the member and the length of the longest name; returns the text to
        write
    """

    def __init__(self, containers, streams, since, tail, render):
        self._containers = containers
        self._streams = streams
        self._since = since
        self._tail = tail
        self._render = render
        self._positions = {}
        # Lines that are held back, as older lines of other members may still
        # arrive, and their places in the spool.
        self._spool = spools.Spool()
        self._held = []
        # The newest time seen before the logs were last read.
        self._horizon = -1

    def read(self, members, pool):
        """Read the new lines of all members.

        :param pool: a pools.ThreadPool
        :returns: the spool, and a list of places in it for each member
        """
        width = max((len(member['name']) for member in members), default=0)
        spool = spools.Spool()
        places = pool.map(
            lambda member: self._read_one(spool, member, width),
            [member for member in members if not self.is_done(member)],
            chunksize=1,
        )
        # Of members that are added later, all lines are read.
        self._tail = None
        return spool, places

    def _read_one(self, spool, member, width):
        uuid = member['container_uuid']
        position = self._positions.setdefault(
            uuid, log_position.Position(self._since, self._tail)
        )
        query = {**self._streams, **position.query()}
        response = log_lines.split_lines(self._containers.logs(uuid, **query))
        try:
            places = spool.store(
                (moment, self._render(line, text, member['name'], width))
                for moment, line, text in position.new_lines(response)
            )
        except client.ApiError as e:
            if _has_no_log(member, e):
                # As soon as it has a log, all of its lines are new.
                position = self._positions[uuid] = log_position.Position(
                    self._since
                )
                position.phase_read = _phase(member)
            else:
                position.error = e
                position.failures += 1
            return []
        position.found, position.error, position.failures = True, None, 0
        position.phase_read = _phase(member)
        return places

    def is_done(self, member):
        """Return whether all of a member's log has been read."""
        if member['state'] not in READABLE:
            return True
        position = self._positions.get(member['container_uuid'])
        return (
            position is not None
            and member['state'] in ENDED
            and (
                position.phase_read == _phase(member)
                or position.failures >= FINAL_ATTEMPTS
            )
        )

    def error(self, member):
        """Return the error of reading a member's log, None if it succeeded."""
        position = self._positions.get(member['container_uuid'])
        return position and position.error

    def has_log(self, member):
        """Return whether a member has a log, readable or not."""
        position = self._positions.get(member['container_uuid'])
        return position is not None and bool(position.found or position.error)

    def write(self, spool, places, write, last):
        """Write the lines that no older line can precede any more.

        All logs were read after the newest line of the previous read was
        written. So all lines up to the time of that line have been read.

        :param spool: as returned by read
        :param places: as returned by read
        :param write: function of a text
        :param last: write all lines, hold none back
        """
        horizon = math.inf if last else self._horizon

        def hold_back(lines):
            for line in lines:
                if line[0] > horizon:
                    yield line
                else:
                    write(line[1])

        previous, held, self._held = self._spool, self._held, []
        self._spool = spools.Spool()
        self._held = self._spool.store(
            hold_back(
                heapq.merge(
                    previous.read(held),
                    *map(spool.read, places),
                    key=operator.itemgetter(0),
                )
            )
        )
        previous.close()
        spool.close()
        self._horizon = max(
            [self._horizon]
            + [position.newest for position in self._positions.values()]
        )

    def flush(self, write):
        """Write the lines that are held back."""
        held, self._held = self._held, []
        for _moment, text in self._spool.read(held):
            write(text)


def _phase(member):
    """Return the values that change when a container starts or ends."""
    return (
        member['state'],
        member['attempt'],
        member['started_at'],
        member['finished_at'],
    )


def _has_no_log(member, error):
    """Return whether an error means that a container is not created yet.

    Zun returns 409 while a container is being created, and 400 if its
    creation has failed; these requests have no other reason for a 400.
    """
    if error.status == 409:
        return member['state'] == MemberState.STARTING
    return error.status == 400 and member['state'] in (
        MemberState.STARTING,
        MemberState.FAILED,
    )
