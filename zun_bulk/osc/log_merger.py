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

from zun_bulk.consts import MemberState
from zun_bulk.osc import client
from zun_bulk.osc import log_lines
from zun_bulk.osc import log_position
from zun_bulk.osc import spool as spools


#: Times to try to read the log of a container that has ended.
LAST_TRIES = 3

#: In these a member may have a log.
READABLE = (
    MemberState.STARTING,
    MemberState.RUNNING,
    MemberState.STOPPED,
    MemberState.FAILED,
)
#: In these nothing more comes from a member.
ENDED = (
    MemberState.STOPPED,
    MemberState.FAILED,
    MemberState.CANCELLED,
    MemberState.DELETED,
)


class Merger:
    """Reads the logs of members and writes them as one, in order of time.

    :param containers: a client.ContainerClient
    :param streams: what of stdout and stderr to ask for
    :param since: nanoseconds; no line that is older
    :param tail: lines of each member at most, None for all
    :param render: function of a line, the line without its time, the name of
        the member and the length of the longest name: what to write of it
    """

    def __init__(self, containers, streams, since, tail, render):
        self._containers = containers
        self._streams = streams
        self._since = since
        self._tail = tail
        self._render = render
        self._positions = {}
        # What waits for lines of others that belong before it, and where it
        # is.
        self._spool = spools.Spool()
        self._held = []
        # The newest time that had been seen before the logs were read last.
        self._horizon = -1

    def read(self, members, pool):
        """Read what is new of all members.

        :param pool: a pools.ThreadPool
        :returns: the spool and where in it the lines of each member are
        """
        width = max((len(member['name']) for member in members), default=0)
        spool = spools.Spool()
        places = pool.map(
            lambda member: self._read_one(spool, member, width),
            [member for member in members if not self.is_done(member)],
            chunksize=1,
        )
        # Who comes later comes as a whole.
        self._tail = None
        return spool, places

    def _read_one(self, spool, member, width):
        uuid = member['container_uuid']
        position = self._positions.setdefault(
            uuid, log_position.Position(self._since, self._tail)
        )
        query = {**self._streams, **position.query()}
        answer = log_lines.split_lines(self._containers.logs(uuid, **query))
        try:
            places = spool.store(
                (moment, self._render(line, text, member['name'], width))
                for moment, line, text in position.new_lines(answer)
            )
        except client.ApiError as e:
            if _has_no_log(member, e):
                # Once there is one, all of it is new.
                position = self._positions[uuid] = log_position.Position(
                    self._since
                )
                position.read_in = _phase(member)
            else:
                position.error = e
                position.tries += 1
            return []
        position.found, position.error, position.tries = True, None, 0
        position.read_in = _phase(member)
        return places

    def is_done(self, member):
        """Whether there is nothing more to read of a member, as it is now."""
        if member['state'] not in READABLE:
            return True
        position = self._positions.get(member['container_uuid'])
        return (
            position is not None
            and member['state'] in ENDED
            and (
                position.read_in == _phase(member)
                or position.tries >= LAST_TRIES
            )
        )

    def error(self, member):
        """Why the log of a member could not be read, None if it could."""
        position = self._positions.get(member['container_uuid'])
        return position and position.error

    def has_log(self, member):
        """Whether a member has a log, if only one that cannot be read."""
        position = self._positions.get(member['container_uuid'])
        return position is not None and bool(position.found or position.error)

    def write(self, spool, places, write, last):
        """Write what no older line can come before any more.

        Each member has been read after the newest line of the time before
        was written. So whatever is not newer than that one is there now.

        :param spool: what read returned, as are places
        :param write: function of a text
        :param last: write all that there is
        """
        horizon = math.inf if last else self._horizon

        def hold_back(lines):
            for line in lines:
                if line[0] > horizon:
                    yield line
                else:
                    write(line[1])

        before, held, self._held = self._spool, self._held, []
        self._spool = spools.Spool()
        self._held = self._spool.store(
            hold_back(
                heapq.merge(
                    before.read(held),
                    *map(spool.read, places),
                    key=operator.itemgetter(0),
                )
            )
        )
        before.close()
        spool.close()
        self._horizon = max(
            [self._horizon]
            + [position.newest for position in self._positions.values()]
        )

    def flush(self, write):
        """Write what has been held back."""
        held, self._held = self._held, []
        for _moment, text in self._spool.read(held):
            write(text)


def _phase(member):
    """What of a member changes when its container starts or ends."""
    return (
        member['state'],
        member['attempt'],
        member['started_at'],
        member['finished_at'],
    )


def _has_no_log(member, error):
    """Whether an error tells that a container was not created yet.

    Zun answers 409 for one that is being created, and 400 for one whose
    creation has failed; nothing else is wrong with what it is asked.
    """
    if error.status == 409:
        return member['state'] == MemberState.STARTING
    return error.status == 400 and member['state'] in (
        MemberState.STARTING,
        MemberState.FAILED,
    )
