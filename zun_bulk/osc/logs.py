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

"""The logs of the containers of a bulk, merged into one."""

import argparse
import datetime
import functools
import heapq
import math
from multiprocessing import pool as pools
import operator
import re
import tempfile
import threading
import time

from osc_lib import exceptions
from osc_lib.command import command

from zun_bulk.osc import bulk as common
from zun_bulk.osc import client
from zun_bulk.osc import waiter


#: Nanoseconds in a second: Docker's time stamps are that exact.
SECOND = 10**9

#: Logs to read at a time, by default and at most. The client's session keeps
#: no more connections than the latter.
PARALLEL = 8
MAX_PARALLEL = 10

#: Characters of a line; what is longer is shown as more than one.
LONGEST_LINE = 64 * 1024

#: Bytes to write to a spool at a time, and so to hold of each member while
#: the logs are merged.
BLOCK = 16 * 1024

#: Bytes of logs to hold in memory; what is more goes to a temporary file.
SPOOL_MEMORY = 16 * 1024 * 1024

#: Seconds between two looks at the logs.
POLL_INTERVAL = 2

#: Times to try to read the log of a container that has ended.
LAST_TRIES = 3

#: Members to name in one note.
NAMED = 10

#: In these a member may have a log.
READABLE = ('starting', 'running', 'stopped', 'failed')
#: In these nothing more comes from a member.
ENDED = ('stopped', 'failed', 'cancelled', 'deleted')

_TIME = re.compile(
    r'(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?'
    r'([Zz]|[+-]\d\d:\d\d)?'
)
_RELATIVE = re.compile(
    r'(?=.)(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,10})s)?'
)
_UNIX = re.compile(r'(\d{1,11})(?:\.(\d{1,9}))?')
_INDEXES = re.compile(r'(\d{1,9})(?:-(\d{1,9}))?')


def _nanoseconds(seconds, fraction):
    return int(seconds) * SECOND + int((fraction or '0').ljust(9, '0'))


# Lines come by the thousand a second.
@functools.lru_cache(maxsize=1024)
def _unix_time(text, zone):
    moment = datetime.datetime.fromisoformat(text.upper() + zone.upper())
    # As docker does: without a zone it is that of whoever asks.
    return math.floor(moment.timestamp())


def _time_of(match):
    """The time that a match of _TIME tells, in nanoseconds.

    :raises: ValueError, OverflowError
    """
    text, fraction, zone = match.groups()
    return _nanoseconds(_unix_time(text, zone or ''), fraction)


def parse_line(line):
    """Take a line of a log apart.

    :returns: its time in nanoseconds, None if it has none, and what comes
        after the time
    """
    stamp, space, text = line.partition(' ')
    match = _TIME.fullmatch(stamp)
    if not match or not match[3]:
        return None, line
    try:
        return _time_of(match), text
    except (OverflowError, ValueError):
        return None, line


def since_time(text):
    """Convert the value of --since to nanoseconds."""
    try:
        if match := _UNIX.fullmatch(text):
            return _nanoseconds(*match.groups())
        if match := _RELATIVE.fullmatch(text):
            days, hours, minutes, seconds = (
                int(number or 0) for number in match.groups()
            )
            ago = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
            return max(0, int((time.time() - ago) * SECOND))
        if match := _TIME.fullmatch(text):
            return max(0, _time_of(match))
        moment = datetime.datetime.fromisoformat(text)
        return max(0, math.floor(moment.timestamp()) * SECOND)
    except (OverflowError, ValueError):
        raise argparse.ArgumentTypeError(
            f'{text!r} is neither a time (2026-01-02T03:04:05Z), nor unix '
            'seconds, nor a time ago (10m, 1h30m)'
        ) from None


def index_ranges(text):
    """Convert a value of --index, as 1,5-7, to pairs of first and last."""
    ranges = []
    for part in text.split(','):
        match = _INDEXES.fullmatch(part)
        if not match:
            raise argparse.ArgumentTypeError(
                f'{part!r} is neither a number nor two, as 5-7'
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f'{part!r} has no numbers')
        ranges.append((first, last))
    return ranges


def _bounded(first, last=math.inf):
    def convert(text):
        value = int(text)
        if not first <= value <= last:
            raise argparse.ArgumentTypeError(
                f'{text} is not {first} or more'
                if last == math.inf
                else f'{text} is not {first} to {last}'
            )
        return value

    # argparse tells it in its message.
    convert.__name__ = 'int'
    return convert


def split_lines(pieces):
    """Yield the lines of a text that comes in pieces.

    A line of more than LONGEST_LINE characters is cut, always at the same
    places, so that lines can be counted.
    """
    rest = ''
    for piece in pieces:
        *lines, rest = (rest + piece).split('\n')
        for line in lines:
            yield from _cut(line)
        *parts, rest = _cut(rest)
        yield from parts
    if rest:
        yield rest


def _cut(line):
    return [
        line[start : start + LONGEST_LINE]
        for start in range(0, len(line) or 1, LONGEST_LINE)
    ]


class Spool:
    """Holds the lines of many logs in one file.

    In one, since a bulk may have more members than a process may have open
    files. While lines are stored, none may be read.
    """

    def __init__(self):
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOL_MEMORY)
        self._lock = threading.Lock()
        self._end = 0

    def store(self, lines):
        """Write lines; many threads may do so at a time.

        :param lines: pairs of a time and a text
        :returns: where they are, for read
        """
        places, block, size = [], [], 0
        for moment, text in lines:
            record = f'{moment} {text}\n'.encode(errors='replace')
            block.append(record)
            size += len(record)
            if size >= BLOCK:
                places.append(self._append(b''.join(block)))
                block, size = [], 0
        if block:
            places.append(self._append(b''.join(block)))
        return places

    def _append(self, data):
        with self._lock:
            start = self._end
            self._file.seek(start)
            self._file.write(data)
            self._end += len(data)
        return start, len(data)

    def read(self, places):
        """Yield lines, as they were given to store."""
        for start, length in places:
            self._file.seek(start)
            for record in self._file.read(length).decode()[:-1].split('\n'):
                moment, _space, text = record.partition(' ')
                yield int(moment), text

    def close(self):
        self._file.close()


class Position:
    """How far the log of a container has been read.

    A log can only be asked for from a whole second on. So what of that second
    has been read comes again; as a log only grows, it is the first so many
    lines.

    :ivar newest: the time of the newest line read, 0 before there is one
    :ivar found: whether it has ever been read
    :ivar error: why it could not be read the last time, None if it could
    :ivar tries: how often that was so in a row
    :ivar read_in: what the member was like when its log was read
    """

    def __init__(self, since=None, tail=None):
        """Start.

        :param since: nanoseconds; no line that is older
        :param tail: how many lines there may be the first time
        """
        self._since = since or 0
        self._tail = tail
        self._known = 0
        self.newest = 0
        self.found = False
        self.error = None
        self.tries = 0
        self.read_in = None

    def query(self):
        """What to ask the API for besides the streams."""
        query = {'timestamps': True}
        # To follow without any old line it takes the time of the last one.
        query['tail'] = 'all' if self._tail is None else max(1, self._tail)
        since = max(self._since, self.newest)
        if since:
            # Docker's client refuses 0.
            query['since'] = max(1, since // SECOND)
        return query

    def new_lines(self, answer):
        """Yield what has not been read yet of the lines of an answer.

        What is read counts as such once all of the answer is.

        :returns: tuples of a time, by which the lines are in order, the line
            and the line without its time
        """
        newest = moment = self.newest
        number = in_second = 0
        for number, line in enumerate(answer, 1):
            found, text = parse_line(line)
            # A line without a time belongs to the one before it.
            moment = moment if found is None else found
            if moment // SECOND == newest // SECOND:
                in_second += 1
            elif moment > newest:
                in_second = 1
            # Of its two streams lines may be a little out of order.
            newest = max(newest, moment)
            # A log that was begun anew has new lines where the old ones were.
            if number <= self._known and moment <= self.newest:
                continue
            if self._tail != 0 and moment >= self._since:
                yield newest, line, text
        self.newest = newest
        self._known = in_second
        if self._tail is not None and number >= max(1, self._tail):
            # There may be more of the last second than was asked for.
            self._known = math.inf
        self._tail = None


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
        self._spool = Spool()
        self._held = []
        # The newest time that had been seen before the logs were read last.
        self._horizon = -1

    def read(self, members, pool):
        """Read what is new of all members.

        :param pool: a pools.ThreadPool
        :returns: the spool and where in it the lines of each member are
        """
        width = max((len(member['name']) for member in members), default=0)
        spool = Spool()
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
            uuid, Position(self._since, self._tail)
        )
        query = {**self._streams, **position.query()}
        answer = split_lines(self._containers.logs(uuid, **query))
        try:
            places = spool.store(
                (moment, self._render(line, text, member['name'], width))
                for moment, line, text in position.new_lines(answer)
            )
        except client.ApiError as e:
            if _has_no_log(member, e):
                # Once there is one, all of it is new.
                position = self._positions[uuid] = Position(self._since)
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
        self._spool = Spool()
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
    return (member['state'] == 'starting' and error.status == 409) or (
        member['state'] in ('starting', 'failed') and error.status == 400
    )


class ShowBulkLogs(command.Command):
    """Show the logs of the containers of a bulk, merged by time"""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        common.add_bulk(parser)
        parser.add_argument(
            '--index',
            metavar='<indexes>',
            type=index_ranges,
            action='extend',
            help='Only containers with these numbers, as 3 or 1,5-7 (repeat '
            'option for more)',
        )
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            '--state',
            metavar='<state>',
            choices=READABLE,
            help='Only members in this state '
            f'({", ".join(READABLE)}); not with --follow',
        )
        which.add_argument(
            '--follow',
            action='store_true',
            help='Go on with what is written from now on, also by containers '
            'that are added, until all have ended or Ctrl-C',
        )
        parser.add_argument(
            '--tail',
            metavar='<number>',
            type=_bounded(0),
            help='The last so many lines of each container (default: all)',
        )
        parser.add_argument(
            '--since',
            metavar='<time>',
            type=since_time,
            help='Only lines since a time (2026-01-02T03:04:05Z), unix '
            'seconds, or so long ago (10m, 1h30m)',
        )
        parser.add_argument(
            '--timestamps',
            action='store_true',
            help='Show the time of each line',
        )
        parser.add_argument(
            '--no-prefix',
            action='store_true',
            help='Do not show the name of the container before each line',
        )
        parser.add_argument(
            '--stdout',
            action='store_true',
            help='Only standard output of the containers',
        )
        parser.add_argument(
            '--stderr',
            action='store_true',
            help='Only standard error of the containers',
        )
        parser.add_argument(
            '--parallel',
            metavar='<number>',
            type=_bounded(1, MAX_PARALLEL),
            default=PARALLEL,
            help='Logs to read at the same time '
            f'(1 to {MAX_PARALLEL}, default: {PARALLEL})',
        )
        return parser

    def take_action(self, parsed_args):
        self._args = parsed_args
        self._bulks = common.bulk_client(self)
        # A name may be in use again before the end.
        self._uuid = self._bulks.get(parsed_args.bulk)['uuid']
        self._silent_since = None
        self._told = set()
        both = parsed_args.stdout == parsed_args.stderr
        merger = Merger(
            client.ContainerClient(self.app.client_manager.container),
            {
                'stdout': both or parsed_args.stdout,
                'stderr': both or parsed_args.stderr,
            },
            parsed_args.since,
            parsed_args.tail,
            self._render,
        )
        try:
            members = self._show(merger)
        except KeyboardInterrupt:
            merger.flush(self._write)
            raise
        failed = sum(merger.error(member) is not None for member in members)
        if failed:
            raise exceptions.CommandError(
                f'The logs of {failed} of {len(members)} containers could '
                'not be read.'
            )

    def _show(self, merger):
        """Show the logs. Returns the members as they were last."""
        follow = self._args.follow
        members = self._members()
        self._check(members)
        with pools.ThreadPool(self._args.parallel) as pool:
            first = True
            while True:
                spool, places = merger.read(members, pool)
                self._tell(merger, members, first)
                last = not follow or all(
                    member['state'] in ENDED and merger.is_done(member)
                    for member in members
                )
                merger.write(spool, places, self._write, last)
                self.app.stdout.flush()
                if last:
                    return members
                # What is held back the first time need not wait.
                if not first:
                    time.sleep(POLL_INTERVAL)
                first = False
                members = self._look_again(members)

    def _members(self):
        found = self._bulks.list_members(self._uuid, state=self._args.state)
        if self._args.index is None:
            return list(found)
        return [
            member
            for member in found
            if any(
                first <= member['index'] <= last
                for first, last in self._args.index
            )
        ]

    def _look_again(self, members):
        """Get the members as they are now; bear that the API is away."""
        try:
            members = self._members()
        except client.ApiError as e:
            if e.status == 404:
                self._note('The bulk was deleted.')
                return []
            now = time.monotonic()
            if not e.transient or (
                self._silent_since is not None
                and now - self._silent_since >= waiter.PATIENCE
            ):
                raise
            if self._silent_since is None:
                self._silent_since = now
                self._note(f'{e}; trying again')
        else:
            self._silent_since = None
        return members

    def _check(self, members):
        """Tell which members there are none of."""
        for first, last in self._args.index or ():
            if not any(first <= member['index'] <= last for member in members):
                which = first if first == last else f'{first}-{last}'
                self._note(f'There is no container {which}.')
        if not members:
            raise exceptions.CommandError('There are no such containers.')

    def _tell(self, merger, members, first):
        """Tell on standard error whose log there is not, and why."""
        without = [
            f'{member["name"]} ({member["state"]})'
            for member in members
            if not merger.has_log(member)
        ]
        if first and without:
            names = ', '.join(without[:NAMED])
            if len(without) > NAMED:
                names += f' and {len(without) - NAMED} more'
            self._note(f'There is no log of {names}.')
        for member in members:
            error = merger.error(member)
            if error is None:
                self._told.discard(member['index'])
            # Once, however often it is tried.
            elif member['index'] not in self._told:
                self._told.add(member['index'])
                self._note(f'{member["name"]}: {error}')

    def _render(self, line, text, name, width):
        shown = line if self._args.timestamps else text
        if self._args.no_prefix:
            return shown
        return f'{name:<{width}} | {shown}'

    def _write(self, text):
        self.app.stdout.write(text + '\n')

    def _note(self, text):
        self.app.stderr.write(text + '\n')
