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
"""Members that were cast to zun-compute, whose end is waited for."""

import contextlib
import time


#: Seconds without any work of the driver after which a start or a delete is
#: lost and asked for again. Zun claims in between and saves its row.
LOST = 45.0


class InFlight:
    """A member that was cast to zun-compute, to be created or deleted.

    :ivar since: when that was, in monotonic seconds as all times here.
    :ivar looked: when it was looked into, as it took long.
    :ivar at_work: whether the driver is at it just now.
    :ivar seen: when the driver was last at it.
    :ivar refused: when it was seen that its claim was refused.
    """

    def __init__(self, member, now):
        self.member = member
        self.since = self.looked = self.seen = now
        self.at_work = False
        self.refused = None

    @contextlib.contextmanager
    def working(self):
        """Within it the driver is at the member. Entered by its threads."""
        self.at_work = True
        try:
            yield
        finally:
            self.seen = time.monotonic()
            self.at_work = False

    def is_quiet(self, now, patience=LOST):
        """Whether the driver has not been at it for ``patience`` seconds."""
        return not self.at_work and now - self.seen > patience
