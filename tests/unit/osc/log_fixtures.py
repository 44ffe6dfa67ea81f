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


"""Logs of containers that tests share."""

import datetime

from zun_bulk.osc import log_lines


#: 2026-01-02T03:04:05Z, in nanoseconds.
NOW = 1767323045 * log_lines.SECOND
MILLISECOND = 10**6


def stamp(moment):
    """Format a time as Docker does."""
    seconds, nanoseconds = divmod(moment, log_lines.SECOND)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f'{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z'


class Container:
    """A log as the container API returns it.

    :ivar lines: pairs of a time and a text, as they were written
    :ivar problem: (status, text) to answer instead
    """

    def __init__(self, *lines):
        self.lines = list(lines)
        self.problem = None
        self.queries = []

    def answer(self, query):
        self.queries.append(query)
        lines = self.lines
        if query['tail'] != 'all':
            lines = lines[max(0, len(lines) - int(query['tail'])) :]
        since = int(query.get('since', 0)) * log_lines.SECOND
        return [
            f'{stamp(moment)} {text}'
            for moment, text in lines
            if moment >= since
        ]
