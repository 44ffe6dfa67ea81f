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


"""How far the log of a container has been read."""

import math

from zun_bulk.osc import log_lines


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
            query['since'] = max(1, since // log_lines.SECOND)
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
            found, text = log_lines.parse_line(line)
            # A line without a time belongs to the one before it.
            moment = moment if found is None else found
            if moment // log_lines.SECOND == newest // log_lines.SECOND:
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
