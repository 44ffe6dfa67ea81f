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

Revisions are of two branches. Those of ``expand`` only add, so that the
release before goes on working on the new tables; those of ``contract`` remove
what no release still uses, once nothing of the release before runs.
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


def _config(stdout=None):
    # Alembic's default is what stdout was when alembic was imported.
    return alembic_config.Config(
        os.path.join(DIRECTORY, 'alembic.ini'), stdout=stdout or sys.stdout
    )


def _scripts():
    return script.ScriptDirectory.from_config(_config())


@contextlib.contextmanager
def _connected(stdout=None):
    """A configuration with a connection, alone among those that migrate."""
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
    """Bring the tables to a revision, the newest of each branch if none is.

    Tables that are there already are left as they are.

    :raises: alembic's CommandError if there is no such revision.
    """
    with _connected() as config:
        command.upgrade(config, revision or 'heads')


def expand():
    """Add to the tables what this release wants of them.

    The release before works on them as before.
    """
    upgrade(EXPAND + '@head')


def contract():
    """Remove from the tables what this release no longer wants.

    What of it needs additions makes these first. Nothing of the release
    before may run any more.
    """
    if _head(_scripts(), CONTRACT):
        upgrade(CONTRACT + '@head')


def stamp(revision):
    """Say that the tables are at a revision, without touching them."""
    with _connected() as config:
        command.stamp(config, revision)


def check(stdout=None):
    """Compare the tables with the models.

    :param stdout: a file for what alembic says to it.
    :raises: alembic's CommandError if the tables are not at the newest
        revisions or differ from the models.
    """
    with _connected(stdout) as config:
        command.check(config)


def revision(message, autogenerate, branch=EXPAND):
    """Write a new migration, for developers.

    :param autogenerate: whether to fill it with what is missing to turn the
        tables of the configured database into those of the models.
    :param branch: EXPAND or CONTRACT.
    """
    scripts = _scripts()
    options = {'head': branch + '@head'}
    if not _head(scripts, branch):
        options = {'head': 'base', 'branch_label': branch}
    if branch == CONTRACT:
        # What it removes has been replaced by then.
        options['depends_on'] = _head(scripts, EXPAND)
    with _connected() as config:
        command.revision(config, message, autogenerate=autogenerate, **options)


def _current():
    """:returns: the revisions that the tables are at, one of a branch."""
    with db_base.get_engine().connect() as connection:
        return migration.MigrationContext.configure(
            connection, opts={'version_table': VERSION_TABLE}
        ).get_current_heads()


def version():
    """:returns: the revision the tables are at, None before the first.

    Where there are two, of both branches, they are joined by a comma.
    """
    return ', '.join(sorted(_current())) or None


def _head(scripts, branch):
    """:returns: the newest revision of a branch, None if it has none."""
    for found in scripts.walk_revisions():
        if found.is_head and branch in found.branch_labels:
            return found.revision


def head():
    """:returns: the newest revision of EXPAND that this release knows."""
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
    """Find what of this release's revisions the tables have not had.

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
