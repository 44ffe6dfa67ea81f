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

"""A short-lived cache of what is read for all hosts at once.

Zun makes a new scheduler for each single container.
"""

import threading
import time


#: Seconds for which a value is valid: a burst of single creates reads it once.
FRESH = 2.0


class TimedCache:
    """Caches the result of a function for FRESH seconds."""

    def __init__(self, read):
        self._read = read
        self._lock = threading.Lock()
        self._value, self._until = None, float('-inf')

    def invalidate(self):
        # Waits for a read under way, and drops its value too.
        with self._lock:
            self._value, self._until = None, float('-inf')

    def __call__(self):
        # Threads that come during a read wait for it and use its value.
        with self._lock:
            if time.monotonic() >= self._until:
                self._value = self._read()
                self._until = time.monotonic() + FRESH
            return self._value
