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

"""Versions of the zun_bulk tables: thin wrappers of alembic's commands.

Zun migrates its tables by its own ``zun-db-manage``; ours stand beside them
in the same database, with a version table of their own.
"""

import contextlib
import os
import sys

from alembic import command
from alembic import config as alembic_config
from alembic import script
from alembic.runtime import migration

from zun_bulk.db import base as db_base


VERSION_TABLE = 'zun_bulk_alembic_version'

#: Alembic does not keep two upgrades apart: the second would fail on the
#: tables that the first has just made. By dialect, how to wait for one
#: another and how to let go. PostgreSQL lets go at the end of the transaction;
#: SQLite has one writer anyway and says that it is locked.
LOCKS = {
    'mysql': (
        "SELECT GET_LOCK('zun_bulk', 600)",
        "SELECT RELEASE_LOCK('zun_bulk')",
    ),
    'postgresql': ("SELECT pg_advisory_xact_lock(hashtext('zun_bulk'))", None),
}


def _config():
    # Alembic's default is what stdout was when alembic was imported.
    return alembic_config.Config(
        os.path.join(os.path.dirname(__file__), 'alembic.ini'),
        stdout=sys.stdout,
    )


@contextlib.contextmanager
def _connected():
    """A configuration with a connection, alone among those that migrate."""
    with db_base.get_engine().begin() as connection:
        lock, unlock = LOCKS.get(connection.dialect.name, (None, None))
        if lock:
            connection.exec_driver_sql(lock)
        config = _config()
        config.attributes['connection'] = connection
        try:
            yield config
        finally:
            if unlock:
                connection.exec_driver_sql(unlock)


def upgrade(revision=None):
    """Bring the tables to a revision, the newest if none is given.

    Tables that are there already are left as they are.

    :raises: alembic's CommandError if there is no such revision.
    """
    with _connected() as config:
        command.upgrade(config, revision or 'head')


def stamp(revision):
    """Say that the tables are at a revision, without touching them."""
    with _connected() as config:
        command.stamp(config, revision)


def check():
    """Compare the tables with the models.

    :raises: alembic's CommandError if the tables are not at the newest
        revision or differ from the models.
    """
    with _connected() as config:
        command.check(config)


def revision(message, autogenerate):
    """Write a new migration, for developers.

    :param autogenerate: whether to fill it with what is missing to turn the
        tables of the configured database into those of the models.
    """
    with _connected() as config:
        command.revision(config, message, autogenerate=autogenerate)


def version():
    """:returns: the revision the tables are at, None before the first."""
    with db_base.get_engine().connect() as connection:
        return migration.MigrationContext.configure(
            connection, opts={'version_table': VERSION_TABLE}
        ).get_current_revision()


def head():
    """:returns: the newest revision that this release knows."""
    return script.ScriptDirectory.from_config(_config()).get_current_head()


def revisions():
    """:returns: all revisions that this release knows, the newest first."""
    directory = script.ScriptDirectory.from_config(_config())
    return [found.revision for found in directory.walk_revisions()]


def history():
    """Print all revisions, the newest first."""
    command.history(_config())
