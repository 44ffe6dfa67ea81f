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

"""Sessions and statements that the modules of the database share."""

from oslo_db import api as oslo_db_api
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import importutils
import sqlalchemy as sa

from zun_bulk.conf import CONF
from zun_bulk.db import models


#: Zun traces statements if osprofiler is installed.
osprofiler_sqlalchemy = importutils.try_import('osprofiler.sqlalchemy')

#: Separate from Zun's, which is private and differs between releases.
CONTEXT_MANAGER = enginefacade.transaction_context()


class _Session:
    """An object to which enginefacade attaches its session."""


enginefacade.transaction_context_provider(_Session)


retry = oslo_db_api.wrap_db_retry(
    max_retries=8,
    retry_on_deadlock=True,
    retry_interval=0.1,
    inc_retry_interval=True,
    max_retry_interval=2,
    jitter=True,
)


def configure():
    """Use Zun's ``[database]`` section. Idempotent."""
    if CONTEXT_MANAGER.is_started:
        return
    options = {
        key: value
        for key, value in dict(CONF.database).items()
        if key
        in (
            'connection',
            'slave_connection',
            'max_pool_size',
            'max_overflow',
            'pool_timeout',
            'max_retries',
            'retry_interval',
            'connection_recycle_time',
            'mysql_sql_mode',
            'sqlite_synchronous',
        )
    }
    CONTEXT_MANAGER.configure(**options)
    if (
        osprofiler_sqlalchemy
        and CONF.profiler.enabled
        and CONF.profiler.trace_sqlalchemy
    ):
        # As in Zun: each statement of a traced request is a trace point.
        CONTEXT_MANAGER.append_on_engine_create(
            lambda engine: osprofiler_sqlalchemy.add_tracing(sa, engine, 'db')
        )


def reader():
    """Return a context manager of a session that only reads."""
    return CONTEXT_MANAGER.reader.using(_Session())


def writer():
    """Return a context manager of a session that commits at its end."""
    return CONTEXT_MANAGER.writer.using(_Session())


def get_engine():
    """Return SQLAlchemy's engine of the database for writes."""
    return CONTEXT_MANAGER.writer.get_engine()


def update(model):
    """Return an UPDATE statement for a model's rows."""
    # No session holds objects that the statement would have to refresh.
    return sa.update(model).execution_options(synchronize_session=False)


def parts(items):
    """Split a list into parts of 500, the most that one statement names.

    With more values, MariaDB reads the whole table instead of an index, and a
    write then locks all of it.
    """
    return [items[start : start + 500] for start in range(0, len(items), 500)]


def page(query, key, limit, marker, sort_dir='asc'):
    """Return one page of a query's rows, ordered by a unique key.

    :param key: the column to order by.
    :param limit: maximum number of rows; None returns all.
    :param marker: the key of the last row of the previous page.
    :param sort_dir: ``asc`` or ``desc``.
    """
    ascending = sort_dir == 'asc'
    if marker is not None:
        query = query.where(key > marker if ascending else key < marker)
    query = query.order_by(key.asc() if ascending else key.desc())
    with reader() as session:
        return session.scalars(query.limit(limit)).all()


def create_tables(engine=None):
    """Create the tables without migrations, in SQLite for lab and tests."""
    models.Base.metadata.create_all(engine or get_engine())
