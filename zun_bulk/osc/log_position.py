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

    A log can only be requested from a whole second on, so the lines of that
    second that were already read are returned again. As a log only grows,
    they are the first lines of the response, and are skipped by their number.

    :ivar newest: the time of the newest line read, 0 if there is none
    :ivar found: whether the log has ever been read
    :ivar error: the error of the last attempt to read, None if it succeeded
    :ivar failures: the number of failed attempts in a row
    :ivar phase_read: the phase that the member was in when its log was read
    """

    def __init__(self, since=None, tail=None):
        """Start at a time or at the last lines.

        :param since: nanoseconds; older lines are skipped
        :param tail: maximum number of lines of the first response
        """
        self._since = since or 0
        self._tail = tail
        self._known = 0
        self.newest = 0
        self.found = False
        self.error = None
        self.failures = 0
        self.phase_read = None

    def query(self):
        """Return the query of the next request, without the streams."""
        query = {'timestamps': True}
        # With --tail 0, the last line is needed for its time.
        query['tail'] = 'all' if self._tail is None else max(1, self._tail)
        since = max(self._since, self.newest)
        if since:
            # Docker's client refuses 0.
            query['since'] = max(1, since // log_lines.SECOND)
        return query

    def new_lines(self, response):
        """Yield the lines of a response that have not been read yet.

        The position only advances once the whole response was read.

        :returns: tuples of a time, by which the lines are in order, the line
            and the line without its time
        """
        newest = moment = self.newest
        number = in_second = 0
        for number, line in enumerate(response, 1):
            found, text = log_lines.parse_line(line)
            # A line without a time has the time of the line before it.
            moment = moment if found is None else found
            if moment // log_lines.SECOND == newest // log_lines.SECOND:
                in_second += 1
            elif moment > newest:
                in_second = 1
            # Lines of the two streams may be slightly out of order.
            newest = max(newest, moment)
            # After a log was restarted, these lines are new ones.
            if number <= self._known and moment <= self.newest:
                continue
            if self._tail != 0 and moment >= self._since:
                yield newest, line, text
        self.newest = newest
        self._known = in_second
        if self._tail is not None and number >= max(1, self._tail):
            # The last second may have more lines than were requested.
            self._known = math.inf
        self._tail = None
