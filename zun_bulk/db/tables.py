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

"""Detecting and reporting missing tables.

Services may run before ``zun-bulk-db-manage upgrade``; they retry until it was
run. The threads of a process share one reporter, which logs missing tables
once and then at growing intervals.
"""

import threading
import time

from oslo_db import exception as db_exc
from oslo_log import log as logging
import sqlalchemy as sa
from sqlalchemy import exc as sa_exc

from zun_bulk.conf import CONF
from zun_bulk.db import base
from zun_bulk.db import models


LOG = logging.getLogger(__name__)

#: Seconds until missing tables are logged again: the first time and at most.
LOG_INTERVAL = 60.0
MAX_LOG_INTERVAL = 3600.0


def list_missing():
    """Find the tables and columns of this release that the database lacks.

    :returns: names of tables, and of columns as ``table.column``.
    """
    wanted = models.Base.metadata.tables
    with base.get_engine().connect() as connection:
        found = {
            name: {column['name'] for column in columns}
            for (_schema, name), columns in sa.inspect(connection)
            .get_multi_columns(filter_names=list(wanted))
            .items()
        }
    return sorted(wanted.keys() - found.keys()) + [
        '%s.%s' % (name, column.name)
        for name in sorted(found)
        for column in wanted[name].columns
        if column.name not in found[name]
    ]


class MissingTablesReporter:
    """Logs missing tables, at growing intervals."""

    def __init__(self):
        self._lock = threading.Lock()
        self._interval = LOG_INTERVAL
        self._due = float('-inf')

    def report_missing(self, error, now=None):
        """Report missing tables if they caused an error.

        :param error: the exception that a database call raised.
        :param now: monotonic time in seconds.
        :returns: whether tables or columns are missing.
        """
        if isinstance(error, db_exc.DBConnectionError) or not isinstance(
            # oslo.db does not wrap this error of MySQL.
            error,
            (db_exc.DBError, sa_exc.DBAPIError),
        ):
            return False
        try:
            missing = list_missing()
        except Exception:
            return False
        if missing:
            self._log(missing, time.monotonic() if now is None else now)
        return bool(missing)

    def _log(self, missing, now):
        with self._lock:
            if now < self._due:
                return
            self._due = now + self._interval
            self._interval = min(MAX_LOG_INTERVAL, 2 * self._interval)
        LOG.error(
            'Bulks are unavailable: the database lacks %(missing)s; run '
            '"zun-bulk-db-manage%(files)s upgrade". You do not have to '
            'restart this process.',
            {
                'missing': missing[0]
                if len(missing) == 1
                else '%s and %d more' % (missing[0], len(missing) - 1),
                'files': ''.join(
                    ' --config-file %s' % path
                    # Set once a service has read its command line.
                    for path in getattr(CONF, 'config_file', None) or ()
                ),
            },
        )


_reporter = MissingTablesReporter()
#: Of the reporter that this process shares.
report_missing = _reporter.report_missing
