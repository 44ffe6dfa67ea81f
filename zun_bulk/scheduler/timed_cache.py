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

"""What is read for all hosts at once, and kept for a moment.

Zun makes its scheduler anew for each single container.
"""

import threading
import time


#: Seconds for which what was read is good: a burst of single creates reads it
#: once.
FRESH = 2.0


class TimedCache:
    """What a function returned, for FRESH seconds."""

    def __init__(self, read):
        self._read = read
        self._lock = threading.Lock()
        self._value, self._until = None, float('-inf')

    def invalidate(self):
        # What is being read now is forgotten too.
        with self._lock:
            self._value, self._until = None, float('-inf')

    def __call__(self):
        # Who comes while it is read waits for it, and does not read too.
        with self._lock:
            if time.monotonic() >= self._until:
                self._value = self._read()
                self._until = time.monotonic() + FRESH
            return self._value
