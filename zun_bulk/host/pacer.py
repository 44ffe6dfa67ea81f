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

"""How many containers a host may start now: pure, without I/O or clock.

A pacer is asked ``available`` before a start, told ``started`` and
``finished`` around it, and handed the time each time, so that a simulator
can drive it as well as a host's agent.
"""


class FixedWindow:
    """At most ``limit`` at the same time, whatever becomes of them."""

    def __init__(self, limit):
        """:param limit: the most starts in flight, at least 1."""
        self.limit = limit
        self._in_flight = {}

    @property
    def in_flight(self):
        return len(self._in_flight)

    def available(self, now):
        """How many more may start.

        :param now: monotonic seconds.
        """
        return max(0, self.limit - len(self._in_flight))

    def started(self, key, now):
        self._in_flight[key] = now

    def finished(self, key, now, succeeded):
        """A start has ended. One that is not in flight changes nothing.

        :param succeeded: whether the engine did what it was asked.
        """
        self._in_flight.pop(key, None)
