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
"""Members that zun-compute is creating or deleting."""

import contextlib
import time


#: Seconds without any work of the driver after which a start or a delete
#: counts as lost and is repeated. Meanwhile Zun may claim resources and save
#: its row.
LOST = 45.0


class InFlight:
    """A member whose create or delete was cast to zun-compute.

    All times are monotonic seconds.

    :ivar since: when it was cast.
    :ivar checked_at: when it was last checked because it takes long.
    :ivar driver_active: whether the driver works on it right now.
    :ivar driver_seen_at: when the driver last worked on it.
    :ivar refused_at: when its claim was found refused; None if it was not.
    """

    def __init__(self, member, now):
        self.member = member
        self.since = self.checked_at = self.driver_seen_at = now
        self.driver_active = False
        self.refused_at = None

    @contextlib.contextmanager
    def working(self):
        """Mark the member as being worked on; for the driver's threads."""
        self.driver_active = True
        try:
            yield
        finally:
            self.driver_seen_at = time.monotonic()
            self.driver_active = False

    def is_idle(self, now, seconds=LOST):
        """Return whether the driver has not worked on it for some time.

        :param seconds: for how long.
        """
        return not self.driver_active and now - self.driver_seen_at > seconds
