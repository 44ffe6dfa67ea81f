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

"""For how many members one call makes ports: pure.

As TCP has it: a size that nothing is known of doubles until it is what it
was meant to be. What Neutron could not bear is halved, and grows by little
steps from there.
"""


class BatchSize:
    """:ivar now: how many the next call may be for."""

    def __init__(self, most):
        """:param most: how many it may be for at most."""
        self._most = most
        self._step = max(1, most // 10)
        #: Up to which it doubles.
        self._known = most
        self.now = most

    def begin(self, first):
        """Begin with a small one, for who waits for the first of them."""
        self.now = min(self.now, first)

    def succeeded(self, size):
        """:param size: of the call that Neutron has answered."""
        if size < self.now:
            # It says nothing of larger ones.
            return
        if self.now < self._known:
            self.now = min(2 * self.now, self._known)
        else:
            self.now = min(self.now + self._step, self._most)
            self._known = self.now

    def overloaded(self, size):
        """:param size: of the call that was too much for Neutron."""
        if size <= self.now:
            # Else it was under way when another was cut already.
            self.now = self._known = max(1, size // 2)
