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

"""What the modules of the database share: sessions and statements."""

from oslo_db import api as oslo_db_api
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import importutils
import sqlalchemy as sa

from zun_bulk.conf import CONF
from zun_bulk.db import models


#: Zun traces where it is installed.
osprofiler_sqlalchemy = importutils.try_import('osprofiler.sqlalchemy')

#: Our own, because Zun's is private to it and differs between releases.
CONTEXT_MANAGER = enginefacade.transaction_context()


class _Session:
    """What enginefacade wants to hang its session on."""


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
    """Use Zun's ``[database]`` section. Called again, it changes nothing."""
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
        # As Zun does: each statement of a traced request is a point.
        CONTEXT_MANAGER.append_on_engine_create(
            lambda engine: osprofiler_sqlalchemy.add_tracing(sa, engine, 'db')
        )


def reader():
    """:returns: a context manager of a session that only reads."""
    return CONTEXT_MANAGER.reader.using(_Session())


def writer():
    """:returns: a context manager of a session that commits at its end."""
    return CONTEXT_MANAGER.writer.using(_Session())


def get_engine():
    """:returns: SQLAlchemy's engine of the database that is written to."""
    return CONTEXT_MANAGER.writer.get_engine()


def update(model):
    """:returns: an UPDATE of a model's rows."""
    # No session has objects that it would have to bring up to date.
    return sa.update(model).execution_options(synchronize_session=False)


def parts(items):
    """Cut a list into as many as one statement should name.

    Of more, MariaDB reads the whole table instead of an index, and a write
    then locks all of it.
    """
    return [items[start : start + 500] for start in range(0, len(items), 500)]


def page(query, key, limit, marker, sort_dir='asc'):
    """So many rows of a query in the order of a key that each has alone.

    :param marker: the key of the last row of the page before.
    """
    ascending = sort_dir == 'asc'
    if marker is not None:
        query = query.where(key > marker if ascending else key < marker)
    query = query.order_by(key.asc() if ascending else key.desc())
    with reader() as session:
        return session.scalars(query.limit(limit)).all()


def create_tables(engine=None):
    """Make the tables without migrations: for SQLite in the lab and tests."""
    models.Base.metadata.create_all(engine or get_engine())
