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


"""A temporary file for the lines of many logs."""

import tempfile
import threading


#: Bytes that are written to a spool at a time, and are in memory for each
#: member while the logs are merged.
BLOCK = 16 * 1024

#: Bytes of logs to hold in memory; a larger spool is a temporary file.
MEMORY = 16 * 1024 * 1024


class Spool:
    """Holds the lines of many logs in one file.

    A single file, since a bulk may have more members than a process may have
    open files. No lines may be read while others are stored.
    """

    def __init__(self):
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY)
        self._lock = threading.Lock()
        self._end = 0

    def store(self, lines):
        """Write lines; several threads may do so at a time.

        :param lines: pairs of a time and a text
        :returns: their places in the file, for read
        """
        places, block, size = [], [], 0
        for moment, text in lines:
            record = f'{moment} {text}\n'.encode(errors='replace')
            block.append(record)
            size += len(record)
            if size >= BLOCK:
                places.append(self._append(b''.join(block)))
                block, size = [], 0
        if block:
            places.append(self._append(b''.join(block)))
        return places

    def _append(self, data):
        with self._lock:
            start = self._end
            self._file.seek(start)
            self._file.write(data)
            self._end += len(data)
        return start, len(data)

    def read(self, places):
        """Yield the lines at places, as they were passed to store."""
        for start, length in places:
            self._file.seek(start)
            for record in self._file.read(length).decode()[:-1].split('\n'):
                moment, _space, text = record.partition(' ')
                yield int(moment), text

    def close(self):
        self._file.close()
