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

"""Tables that are not there yet, and who is told.

Services may run before ``zun-bulk-db-manage upgrade``: they look again until
it has been run. Their threads are of one process, which tells of it once and
then at widening intervals.
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

#: Seconds until it is told once more, the first time and at most.
LOG_INTERVAL = 60.0
MAX_LOG_INTERVAL = 3600.0


def list_missing():
    """Look what of this release's tables the database does not have.

    :returns: names of tables and, where one lacks columns, ``table.column``.
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
    """Tells what is lacking, not too often."""

    def __init__(self):
        self._lock = threading.Lock()
        self._interval = LOG_INTERVAL
        self._due = float('-inf')

    def report_missing(self, error, now=None):
        """Whether an error is for want of tables. If so, it is told.

        :param error: what a look into the database has raised.
        :param now: monotonic seconds.
        """
        if isinstance(error, db_exc.DBConnectionError) or not isinstance(
            # MySQL's is left by oslo.db as it is.
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
                    # It is there once a service has read its command line.
                    for path in getattr(CONF, 'config_file', None) or ()
                ),
            },
        )


_reporter = MissingTablesReporter()
#: Of this process.
report_missing = _reporter.report_missing
