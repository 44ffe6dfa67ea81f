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

"""The number of members for which one call makes ports: pure.

The size changes like TCP's congestion window: it doubles up to the configured
one, is halved when Neutron is overloaded, and grows in small steps after that.
"""


class BatchSize:
    """The size of the next batch.

    :ivar now: the most members that the next call may be for.
    """

    def __init__(self, most):
        """Start with the largest size.

        :param most: the configured size.
        """
        self._most = most
        self._step = max(1, most // 10)
        #: Up to this size it doubles.
        self._known = most
        self.now = most

    def begin(self, first):
        """Begin with a small batch, so that the first members start early.

        :param first: its size.
        """
        self.now = min(self.now, first)

    def succeeded(self, size):
        """Grow after a call that succeeded.

        :param size: of that call.
        """
        if size < self.now:
            # It proves nothing about larger ones.
            return
        if self.now < self._known:
            self.now = min(2 * self.now, self._known)
        else:
            self.now = min(self.now + self._step, self._most)
            self._known = self.now

    def overloaded(self, size):
        """Shrink after a call that overloaded Neutron.

        :param size: of that call.
        """
        if size <= self.now:
            # A larger one was under way before an earlier cut.
            self.now = self._known = max(1, size // 2)
