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

import contextlib
import io
import os
import pathlib
import shutil
from unittest import mock

from alembic import util as alembic_util
import fixtures
from oslotest import base
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import migration
from zun_bulk.db import models


MODELS = set(models.Base.metadata.tables)
OURS = MODELS | {migration.VERSION_TABLE}


class TestMigration(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(database.Database(tables=False)).engine

    def tables(self):
        return set(sa.inspect(self.engine).get_table_names())

    def test_upgrade_from_nothing(self):
        self.assertIsNone(migration.version())
        self.assertEqual(
            {'expand': migration.revisions()}, migration.missing()
        )
        migration.upgrade()
        self.assertEqual(OURS, self.tables())
        self.assertEqual(migration.head(), migration.version())
        self.assertEqual({}, migration.missing())
        migration.check()

    def test_upgrade_again(self):
        migration.upgrade()
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO zun_bulk_bulk (uuid, name, project_id, user_id, "
                "request_id, status, count, run, max_attempts, placement, "
                "template, spec, epoch, heartbeat) VALUES ('u', 'n', 'p', "
                "'u', 'r', 'ready', 1, 1, 1, '{}', '{}', '{}', 0, 0)"
            )
        migration.upgrade()
        with self.engine.connect() as connection:
            self.assertEqual(
                1,
                connection.scalar(
                    sa.select(sa.func.count()).select_from(models.Bulk)
                ),
            )

    def test_bulks_that_there_are_already(self):
        migration.upgrade('e6a4182f7d05')
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO zun_bulk_bulk (id, uuid, name, project_id, "
                "user_id, request_id, status, count, run, max_attempts, "
                "placement, template, spec, epoch, heartbeat) VALUES (1, 'u', "
                "'n', 'p', 'u', 'r', 'ready', 2, 1, 1, '{}', '{}', '{}', 0, 0)"
            )
            connection.exec_driver_sql(
                "INSERT INTO zun_bulk_member (bulk_id, member_index, "
                "container_uuid, name, state, epoch, attempt) VALUES "
                "(1, 1, 'c', 'n-1', 'running', 0, 1)"
            )
        migration.upgrade()
        (bulk,) = db_bulks.list_bulks()
        self.assertEqual(2, db_accepting.last_index_of(bulk))
        self.assertEqual({1: {'running': 1}}, db_counts.count_members([1]))

    def test_upgrade_to_a_revision(self):
        migration.upgrade(migration.head())
        self.assertEqual(migration.head(), migration.version())

    def test_unknown_revision(self):
        self.assertRaises(
            alembic_util.CommandError, migration.upgrade, 'nonesuch'
        )
        self.assertRaises(
            alembic_util.CommandError, migration.stamp, 'nonesuch'
        )
        self.assertIsNone(migration.version())

    def test_leaves_the_tables_of_zun_alone(self):
        zun_models.Base.metadata.create_all(self.engine)
        zuns = self.tables()
        migration.upgrade()
        self.assertEqual(zuns | OURS, self.tables())
        # Neither does it propose to drop them.
        migration.check()

    def test_stamp_touches_no_tables(self):
        migration.stamp('head')
        self.assertEqual({migration.VERSION_TABLE}, self.tables())
        self.assertEqual(migration.head(), migration.version())

    def test_check_before_upgrade(self):
        error = self.assertRaises(alembic_util.CommandError, migration.check)
        self.assertIn('not up to date', str(error))

    def test_check_of_tables_that_differ(self):
        migration.upgrade()
        with self.engine.begin() as connection:
            connection.exec_driver_sql('DROP INDEX zun_bulk_member_host_idx')
        error = self.assertRaises(alembic_util.CommandError, migration.check)
        self.assertIn('zun_bulk_member_host_idx', str(error))

    def test_history(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            migration.history()
        self.assertIn(
            '%s (expand) (head)' % migration.head(), output.getvalue()
        )

    def test_one_line_of_revisions_a_branch(self):
        # Two heads of one would make "upgrade" ambiguous.
        heads = migration._scripts().get_heads()
        branches = [
            sorted(migration._scripts().get_revision(head).branch_labels)
            for head in heads
        ]
        self.assertIn(
            sorted(branches), ([['expand']], [['contract'], ['expand']])
        )


def tables_at(engine):
    """The tables as they are now, without the version table.

    :returns: a MetaData, which is what the models of their release were.
    """
    found = sa.MetaData()
    found.reflect(engine, only=lambda name, _metadata: name in MODELS)
    return found


def breaks(before, after):
    """Find changes that would break a release that uses the old tables.

    :param before: a MetaData.
    :param after: the MetaData of the same tables later.
    :returns: [str].
    """
    found = []
    for table in before.tables.values():
        if table.name not in after.tables:
            found.append('%s is gone' % table.name)
            continue
        later = after.tables[table.name]
        old = set(table.columns.keys())
        for column in table.columns:
            now = later.columns.get(column.name)
            if now is None:
                found.append('%s is gone' % column)
            elif (str(now.type), now.nullable) != (
                str(column.type),
                column.nullable,
            ):
                found.append('%s is another' % column)
        for column in later.columns:
            if (
                column.name not in old
                and not column.nullable
                and column.server_default is None
            ):
                found.append('%s has no value by itself' % column)
        for what in set(uniques(later)) - set(uniques(table)):
            if set(what) <= old:
                found.append('%s are to be unique' % ', '.join(what))
        for key in later.foreign_keys:
            if key.parent.name in old and not (
                table.columns[key.parent.name].foreign_keys
            ):
                found.append('%s is to be a foreign key' % key.parent)
    return found


def uniques(table):
    """Return the sets of columns that are unique together.

    :returns: [(name of a column, ...)].
    """
    return [
        tuple(column.name for column in one.columns)
        for one in [*table.constraints, *table.indexes]
        if getattr(one, 'unique', isinstance(one, sa.UniqueConstraint))
    ]


class TestExpand(base.BaseTestCase):
    """The release before goes on while and after its tables are expanded."""

    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(database.Database(tables=False)).engine

    def test_each_revision_only_adds(self):
        scripts = migration._scripts()
        before = sa.MetaData()
        for revision in reversed(migration.revisions()):
            if 'expand' not in scripts.get_revision(revision).branch_labels:
                continue
            migration.upgrade(revision)
            after = tables_at(self.engine)
            self.assertEqual([], breaks(before, after), revision)
            before = after
        self.assertEqual(MODELS, set(before.tables))

    def test_what_breaks_is_seen(self):
        migration.expand()
        for statement, text in (
            ('DROP TABLE zun_bulk_event', 'zun_bulk_event is gone'),
            (
                'ALTER TABLE zun_bulk_bulk DROP COLUMN tolerated',
                'zun_bulk_bulk.tolerated is gone',
            ),
            (
                'ALTER TABLE zun_bulk_bulk RENAME COLUMN run TO started',
                'zun_bulk_bulk.run is gone',
            ),
            (
                'CREATE UNIQUE INDEX x ON zun_bulk_bulk (project_id, name)',
                'project_id, name are to be unique',
            ),
        ):
            before = tables_at(self.engine)
            with self.engine.begin() as connection:
                connection.exec_driver_sql(statement)
            self.assertIn(text, breaks(before, tables_at(self.engine)))
        before, after = sa.MetaData(), sa.MetaData()
        for metadata, columns in (
            (before, [sa.Column('a', sa.String(8)), sa.Column('b', sa.Text)]),
            (
                after,
                [
                    sa.Column('a', sa.String(4)),
                    sa.Column('b', sa.Text, nullable=False),
                    sa.Column('c', sa.Text, nullable=False),
                ],
            ),
        ):
            sa.Table('t', metadata, *columns)
        self.assertEqual(
            ['t.a is another', 't.b is another', 't.c has no value by itself'],
            breaks(before, after),
        )


class TestContract(base.BaseTestCase):
    """Revisions that remove something: none yet, so there is one here."""

    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(database.Database(tables=False)).engine
        directory = self.useFixture(fixtures.TempDir()).join('db')
        shutil.copytree(
            migration.DIRECTORY,
            directory,
            ignore=shutil.ignore_patterns('*.py[co]', '__pycache__'),
        )
        self.useFixture(
            fixtures.MockPatchObject(migration, 'DIRECTORY', directory)
        )

    def write(self, message, branch, upgrade):
        """Add a revision that this release does not have."""
        known = set(migration.revisions())
        with contextlib.redirect_stdout(io.StringIO()):
            migration.revision(message, False, branch)
        (new,) = set(migration.revisions()) - known
        path = pathlib.Path(migration._scripts().get_revision(new).path)
        text = path.read_text()
        self.assertIn('    pass\n', text)
        path.write_text(text.replace('    pass\n', upgrade))
        return new

    def tables(self):
        return set(sa.inspect(self.engine).get_table_names())

    def test_apart_from_expand(self):
        migration.upgrade()
        removal = self.write(
            'first', 'contract', "    op.drop_table('zun_bulk_event')\n"
        )
        addition = self.write(
            'more',
            'expand',
            "    op.add_column('zun_bulk_bulk', sa.Column('x', sa.Text()))\n",
        )
        self.assertEqual(
            {'expand': [addition], 'contract': [removal]}, migration.missing()
        )
        migration.expand()
        self.assertEqual({'contract': [removal]}, migration.missing())
        self.assertIn('zun_bulk_event', self.tables())
        self.assertEqual(addition, migration.version())

        migration.contract()
        self.assertEqual({}, migration.missing())
        self.assertNotIn('zun_bulk_event', self.tables())
        self.assertEqual(
            {addition, removal}, set(migration.version().split(', '))
        )
        migration.contract()
        migration.expand()
        migration.upgrade()
        self.assertEqual({}, migration.missing())

        second = self.write(
            'second', 'contract', "    op.drop_table('zun_bulk_host')\n"
        )
        self.assertEqual({'contract': [second]}, migration.missing())
        migration.upgrade()
        self.assertNotIn('zun_bulk_host', self.tables())

    def test_waits_for_what_it_needs(self):
        """Contract alone brings the tables to what it was written for."""
        removal = self.write(
            'first', 'contract', "    op.drop_table('zun_bulk_event')\n"
        )
        migration.contract()
        self.assertEqual({}, migration.missing())
        self.assertEqual(removal, migration.version())
        self.assertEqual(OURS - {'zun_bulk_event'}, self.tables())

    def test_release_before(self):
        """It has no word for where the tables are."""
        migration.upgrade()
        self.write('more', 'expand', '    pass\n')
        migration.upgrade()
        with mock.patch.object(
            migration, 'DIRECTORY', os.path.dirname(migration.__file__)
        ):
            self.assertRaises(alembic_util.CommandError, migration.missing)
