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

Zun migrates its own tables with ``zun-db-manage``. The tables of zun_bulk are
in the same database and have their own version table.

Revisions belong to two branches. Those of ``expand`` only add, so that the
previous release still works on the new tables. Those of ``contract`` remove
columns and tables that are no longer used, once no service of the previous
release runs.
"""

import collections
import contextlib
import os
import sys

from alembic import command
from alembic import config as alembic_config
from alembic import script
from alembic import util as alembic_util
from alembic.runtime import migration

from zun_bulk.db import base as db_base


VERSION_TABLE = 'zun_bulk_alembic_version'
EXPAND = 'expand'
CONTRACT = 'contract'
#: Where alembic's files are.
DIRECTORY = os.path.dirname(__file__)

#: Alembic does not lock: of two upgrades at once, the second would fail on the
#: tables that the first has just created. By dialect, the statements that take
#: and release a lock. PostgreSQL releases it at the end of the transaction;
#: SQLite allows one writer only and reports that the database is locked.
LOCKS = {
    'mysql': (
        "SELECT GET_LOCK('zun_bulk', 600)",
        "SELECT RELEASE_LOCK('zun_bulk')",
    ),
    'postgresql': ("SELECT pg_advisory_xact_lock(hashtext('zun_bulk'))", None),
}


def _config(stdout=None):
    # Alembic's default is the stdout of the time when it was imported.
    return alembic_config.Config(
        os.path.join(DIRECTORY, 'alembic.ini'), stdout=stdout or sys.stdout
    )


def _scripts():
    return script.ScriptDirectory.from_config(_config())


@contextlib.contextmanager
def _connected(stdout=None):
    """Yield a configuration with a connection that holds the lock."""
    with db_base.get_engine().begin() as connection:
        lock, unlock = LOCKS.get(connection.dialect.name, (None, None))
        if lock:
            connection.exec_driver_sql(lock)
        config = _config(stdout)
        config.attributes['connection'] = connection
        try:
            yield config
        finally:
            if unlock:
                connection.exec_driver_sql(unlock)


def upgrade(revision=None):
    """Upgrade the tables to a revision.

    Existing tables are left as they are.

    :param revision: the newest of each branch if None.

    :raises: alembic's CommandError if there is no such revision.
    """
    with _connected() as config:
        command.upgrade(config, revision or 'heads')


def expand():
    """Add the tables and columns that this release needs.

    The previous release still works on the tables.
    """
    upgrade(EXPAND + '@head')


def contract():
    """Remove the tables and columns that this release no longer needs.

    Additions that a removal depends on are made first. No service of the
    previous release may run any more.
    """
    if _head(_scripts(), CONTRACT):
        upgrade(CONTRACT + '@head')


def stamp(revision):
    """Record that the tables are at a revision, without changing them."""
    with _connected() as config:
        command.stamp(config, revision)


def check(stdout=None):
    """Compare the tables with the models.

    :param stdout: a file for alembic's output.
    :raises: alembic's CommandError if the tables are not at the newest
        revisions or differ from the models.
    """
    with _connected(stdout) as config:
        command.check(config)


def revision(message, autogenerate, branch=EXPAND):
    """Write a new migration, for developers.

    :param autogenerate: whether to generate the operations that turn the
        tables of the configured database into those of the models.
    :param branch: EXPAND or CONTRACT.
    """
    scripts = _scripts()
    options = {'head': branch + '@head'}
    if not _head(scripts, branch):
        options = {'head': 'base', 'branch_label': branch}
    if branch == CONTRACT:
        # The replacements of removed columns must exist by then.
        options['depends_on'] = _head(scripts, EXPAND)
    with _connected() as config:
        command.revision(config, message, autogenerate=autogenerate, **options)


def _current():
    """Return the current revisions of the tables, one per branch."""
    with db_base.get_engine().connect() as connection:
        return migration.MigrationContext.configure(
            connection, opts={'version_table': VERSION_TABLE}
        ).get_current_heads()


def version():
    """Return the current revision of the tables, None before the first.

    If there are two, one of each branch, they are joined by a comma.
    """
    return ', '.join(sorted(_current())) or None


def _head(scripts, branch):
    """Return the newest revision of a branch, None if it has none."""
    for found in scripts.walk_revisions():
        if found.is_head and branch in found.branch_labels:
            return found.revision


def head():
    """Return the newest revision of EXPAND that this release knows."""
    return _head(_scripts(), EXPAND)


def revisions(branch=None):
    """List the revisions that this release knows, the newest first.

    :param branch: EXPAND or CONTRACT; both unless it is given.
    """
    return [
        found.revision
        for found in _scripts().walk_revisions()
        if branch is None or branch in found.branch_labels
    ]


def missing():
    """Find revisions of this release that were not applied to the tables.

    :returns: {branch: [revision]} of branches that have any.
    :raises: alembic's CommandError if the tables are at a revision that this
        release does not know.
    """
    scripts = _scripts()
    applied, todo = set(), list(_current())
    while todo:
        found = scripts.get_revision(todo.pop())
        applied.add(found.revision)
        for before in (found.down_revision, found.dependencies):
            todo += alembic_util.to_tuple(before, ())
    left = collections.defaultdict(list)
    for found in scripts.walk_revisions():
        if found.revision not in applied:
            for branch in found.branch_labels:
                left[branch].append(found.revision)
    return dict(left)


def history():
    """Print all revisions, the newest first."""
    command.history(_config())
