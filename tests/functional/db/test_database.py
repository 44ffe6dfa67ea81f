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

"""The tables and the statements on them on servers as they are in use.

tests.unit.db goes through every statement on SQLite. Here is what SQLite
cannot tell: types, transactions that meet, and the migration's dialects.
"""

import datetime
import os
import subprocess
import sys
import threading
import time

import fixtures
from oslo_db import exception as db_exc
from oslo_utils import fixture as utils_fixture
from oslotest import base
import sqlalchemy as sa
from zun.common import consts
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from tests import database
from tests.functional.db import servers
from tests.threads import at_once
from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import history as db_history
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import migration
from zun_bulk.db import models
from zun_bulk.db import tables
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import trusts
from zun_bulk.db import zun_rows
from zun_bulk.db.models import Member


THREADS = 8


def values_for(table, number):
    """A row that has what it must have and no more.

    :param number: its id, and what tells it from other rows.
    """
    return {
        column.name: '{"n": %d}' % number
        if isinstance(column.type, sa.String)
        else number % 2 == 1
        if isinstance(column.type, sa.Boolean)
        else number
        for column in table.columns
        if column.primary_key
        or (not column.nullable and column.server_default is None)
    }


class DatabaseTests:
    """Tests that every server has to pass."""

    server_class = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.server_class()
        cls.server.setUp()
        cls.addClassCleanup(cls.server.cleanUp)

    def use_database(self):
        """Make a database with Zun's tables and ours, and use it."""
        engine = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        zun_models.Base.metadata.create_all(engine, self.tables_of_zun())
        migration.upgrade()
        return engine

    def tables_of_zun(self):
        return zun_models.Base.metadata.sorted_tables

    def count(self, engine, model):
        with engine.connect() as connection:
            return connection.scalar(
                sa.select(sa.func.count()).select_from(model.__table__)
            )

    def counts(self, engine):
        """The rows of all that a bulk is written to."""
        return [
            self.count(engine, model)
            for model in (
                models.Bulk,
                Member,
                zun_models.Container,
                zun_models.ContainerAction,
            )
        ]

    # --------------------------------------------------------------- trusts

    def test_a_trust_that_is_left_is_taken_once(self):
        self.use_database()
        bulk, _members = database.accept(1)
        time = self.useFixture(utils_fixture.TimeFixture())
        for trust_id, uuid in (('used', bulk.uuid), ('left', 'gone')):
            trusts.note(trust_id, uuid)
        self.assertEqual([], trusts.take_left(9))
        time.advance_time_seconds(trusts.YOUNG + 1)
        self.assertEqual(['left'], trusts.take_left(9))
        self.assertEqual([], trusts.take_left(9))
        time.advance_time_seconds(trusts.AGAIN + 1)
        self.assertEqual(['left'], trusts.take_left(9))
        trusts.forget('left')
        time.advance_time_seconds(trusts.AGAIN + 1)
        self.assertEqual([], trusts.take_left(9))

    # ------------------------------------------------------------ migration

    def test_upgrade_from_nothing(self):
        engine = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        self.assertIsNone(migration.version())
        migration.upgrade()
        self.assertEqual(migration.head(), migration.version())
        self.assertEqual(
            {
                'zun_bulk_bulk',
                'zun_bulk_event',
                'zun_bulk_member',
                'zun_bulk_host',
                'zun_bulk_project',
                'zun_bulk_trust',
                migration.VERSION_TABLE,
            },
            set(sa.inspect(engine).get_table_names()),
        )
        # The tables are what the models say.
        migration.check()
        migration.upgrade()

    def test_before_the_upgrade(self):
        engine = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        log = self.useFixture(fixtures.FakeLogger('zun_bulk.db.tables'))
        teller = tables.Teller()

        def is_explained(expected):
            try:
                db_bulks.list_bulks()
            except Exception as error:
                self.assertTrue(teller.explains(error), error)
                self.assertIn(expected, log.output)
                return True

        self.assertTrue(is_explained('has zun_bulk_bulk and '))
        migration.upgrade()
        self.assertEqual([], tables.lacking())
        with engine.begin() as connection:
            connection.exec_driver_sql(
                'ALTER TABLE zun_bulk_bulk DROP COLUMN run'
            )
        teller = tables.Teller()
        self.assertTrue(is_explained('has zun_bulk_bulk.run: run'))

    def test_upgrade_beside_zun(self):
        engine = self.use_database()
        self.assertLessEqual(
            {table.name for table in self.tables_of_zun()},
            set(sa.inspect(engine).get_table_names()),
        )
        migration.check()

    def test_two_upgrades_at_once(self):
        url = self.server.make_database()
        conf_file = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'zun.conf'
        )
        with open(conf_file, 'w') as conf:
            conf.write('[database]\nconnection = %s\n' % url)
        commands = [
            subprocess.Popen(
                [
                    sys.executable,
                    '-m',
                    'zun_bulk.cmd.db_manage',
                    '--config-file',
                    conf_file,
                    'upgrade',
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _number in range(2)
        ]
        outputs = [command.communicate()[0] for command in commands]
        self.assertEqual(
            [0, 0], [command.returncode for command in commands], outputs
        )
        # Each revision by one of the two.
        self.assertEqual(
            len(migration.revisions()),
            sum(output.count('Running upgrade') for output in outputs),
        )
        self.useFixture(database.Database(url, tables=False))
        migration.check()

    # ---------------------------------------------------------------- turns

    def test_members_in_turn(self):
        self.use_database()
        accepted = [
            database.accept(count, project_id=project)
            for count, project in ((4, 'one'), (2, 'one'), (2, 'two'))
        ]
        for bulk, members in accepted:
            epoch = db_leases.take_lease(bulk, 'host-1')
            database.place(
                bulk.id,
                epoch,
                [(member, 'host-1', [], {}) for member in members],
            )
        large, small, other = [bulk.id for bulk, _members in accepted]
        self.assertEqual(
            [
                (large, 1),
                (other, 1),
                (small, 1),
                (other, 2),
                (large, 2),
                (small, 2),
                (large, 3),
            ],
            [
                (member.bulk_id, member.member_index)
                for member in db_members.list_members_in_fair_order(
                    MemberState.PLACED, 'host-1', 7, building=True
                )
            ],
        )

    # ---------------------------------------------------------------- types

    def test_keeps_long_documents(self):
        self.use_database()
        template = {
            'image': 'cirros',
            'environment': {'NAME': 'ä€\U0001f40b' * 20000},
        }
        bulk, members = database.accept(1, template=template)
        self.assertEqual(template, bulk.template)
        epoch = db_leases.take_lease(bulk, 'host-1')
        networks = [{'network': 'net-%d' % number} for number in range(5000)]
        database.place(bulk.id, epoch, [(members[0], 'host-1', networks, {})])
        self.assertEqual(
            networks, db_members.list_members(bulk.id)[0].networks
        )

    def test_keeps_any_reason(self):
        self.use_database()
        bulk, members = database.accept(1)
        reason = 'broken \U0001f40b pipe\0 \udcff: “ä€”, '
        db_transitions.move_members(
            members,
            MemberState.FAILED,
            reason_class='start',
            reason=reason + 'x' * 100000,
        )
        self.assertEqual(
            [('start', ('broken ? pipe? ?: “ä€”, ' + 'x' * 4000)[:4000], 1)],
            db_counts.list_failures(bulk.id, 1),
        )
        zun_rows.fail_containers([members[0].container_uuid], reason)
        self.assertEqual(
            'broken ? pipe? ?: “ä€”, ',
            zun_rows.container_states([members[0].container_uuid])[
                members[0].container_uuid
            ][1],
        )
        epoch = db_leases.take_lease(bulk, 'host-1')
        self.assertTrue(
            db_bulks.set_bulk_status(
                bulk.id,
                epoch,
                BulkStatus.BUILDING,
                BulkStatus.ERROR,
                reason=reason,
            )
        )

    # --------------------------------------------------------- transactions

    def test_accepts_a_thousand_in_one_transaction(self):
        engine = self.use_database()
        commits, statements = [], []
        sa.event.listen(engine, 'commit', commits.append)
        sa.event.listen(
            engine,
            'before_cursor_execute',
            lambda _connection, _cursor, statement, *_args: statements.append(
                statement
            ),
        )
        rows = database.rows(1000)
        db_accepting.accept_bulk(*rows)
        self.assertEqual(1, len(commits))
        self.assertLess(len(statements), 20)

        bulk = db_bulks.get_bulk(rows[0]['uuid'])
        members = db_members.list_members(bulk.id)
        self.assertEqual(
            list(range(1, 1001)), [member.member_index for member in members]
        )
        self.assertEqual([1, 1000, 1000, 1000], self.counts(engine))

    def test_leaves_nothing_when_the_last_row_fails(self):
        engine = self.use_database()
        rows = database.rows(1000)
        rows[1][-1]['member_index'] = 1
        self.assertRaises(
            db_exc.DBDuplicateEntry, db_accepting.accept_bulk, *rows
        )
        self.assertEqual([0, 0, 0, 0], self.counts(engine))

    def test_one_of_many_takes_a_token(self):
        engine = self.use_database()

        def contender():
            rows = database.rows(20, client_token='once', request_hash='a')
            try:
                db_accepting.accept_bulk(*rows)
            except db_exc.DBDuplicateEntry:
                return None
            return rows[0]['uuid']

        made = [uuid for uuid in at_once([contender] * THREADS) if uuid]
        self.assertEqual(1, len(made))
        self.assertEqual(
            made[0],
            db_bulks.get_bulk_by_client_token('project-1', 'once').uuid,
        )
        self.assertEqual([1, 20, 20, 20], self.counts(engine))

    def test_many_at_the_edge_of_a_quota(self):
        engine = self.use_database()
        seen = []

        def check(used):
            seen.append(used['containers'])
            if used['containers'] + 3 > 10:
                raise exception.OverQuota(overs='containers')

        def contender():
            rows = database.rows(3)
            for row in rows[2]:
                row.update(cpu=0.1, memory='512', disk=2)
            try:
                db_accepting.accept_bulk(*rows, check)
            except exception.OverQuota:
                return False
            return True

        accepted = at_once([contender] * 50)
        self.assertEqual(3, accepted.count(True))
        self.assertEqual([0, 3, 6] + [9] * 47, sorted(seen))
        self.assertEqual([3, 9, 9, 9], self.counts(engine))
        used = []
        db_accepting.accept_bulk(*database.rows(1), used.append)
        self.assertAlmostEqual(0.9, used[0].pop('cpu'), 5)
        self.assertEqual(
            {'containers': 9, 'memory': 4608, 'disk': 18}, used[0]
        )
        # Another project's turn is another one.
        db_accepting.accept_bulk(
            *database.rows(1, project_id='project-2'), check
        )
        self.assertEqual(0, seen[-1])

    def test_many_scale_at_the_edge_of_a_quota(self):
        engine = self.use_database()

        def check(used):
            if used['containers'] + 2 > 13:
                raise exception.OverQuota(overs='containers')

        def contender(bulk):
            _bulk, *rows = database.rows(2)
            for index, member in enumerate(rows[0], 2):
                member['member_index'] = index
            try:
                return db_accepting.grow_bulk(bulk, 3, *rows, check)
            except exception.OverQuota:
                return None

        bulks = [database.accept(1)[0] for _number in range(8)]
        grown = at_once([lambda bulk=bulk: contender(bulk) for bulk in bulks])
        self.assertEqual(2, grown.count(True))
        self.assertEqual(6, grown.count(None))
        self.assertEqual(12, self.count(engine, zun_models.Container))
        self.assertEqual(
            [1] * 6 + [3] * 2,
            sorted(db_bulks.get_bulk(bulk.uuid).count for bulk in bulks),
        )

    def test_a_repetition_at_the_edge_of_a_quota(self):
        self.use_database()
        rows = database.rows(3, client_token='once')
        db_accepting.accept_bulk(*rows, lambda used: None)

        def check(used):
            raise exception.OverQuota(overs='containers')

        self.assertRaises(
            db_exc.DBDuplicateEntry,
            db_accepting.accept_bulk,
            *database.rows(3, client_token='once'),
            check,
        )

    def test_tokens_that_differ_in_case(self):
        self.use_database()
        uuids = {
            token: database.accept(1, client_token=token)[0].uuid
            for token in ('once', 'Once', None)
        }
        database.accept(1, client_token=None)
        database.accept(1, client_token='once', project_id='project-2')
        for token in ('once', 'Once'):
            self.assertEqual(
                uuids[token],
                db_bulks.get_bulk_by_client_token('project-1', token).uuid,
            )
        self.assertIsNone(
            db_bulks.get_bulk_by_client_token('project-1', 'ONCE')
        )

    def test_one_of_many_moves_a_member(self):
        self.use_database()
        bulk, _members = database.accept(1)
        seen = [db_members.list_members(bulk.id) for _number in range(THREADS)]

        def contender(number):
            return lambda: db_transitions.move_members(
                seen[number], MemberState.PLACED, host='host-%d' % number
            )

        moved = at_once([contender(number) for number in range(THREADS)])
        winners = [number for number in range(THREADS) if moved[number]]
        self.assertEqual(1, len(winners))
        (member,) = db_members.list_members(bulk.id)
        self.assertEqual(
            ('host-%d' % winners[0], 1), (member.host, member.epoch)
        )

    def test_one_of_many_takes_the_lease(self):
        self.use_database()
        bulk, _members = database.accept(1)
        epochs = at_once(
            [
                lambda owner=number: db_leases.take_lease(
                    bulk, 'host-%d' % owner
                )
                for number in range(THREADS)
            ]
        )
        self.assertEqual([1], [epoch for epoch in epochs if epoch])
        owner = 'host-%d' % epochs.index(1)
        self.assertEqual(
            (owner, 1),
            (
                db_bulks.get_bulk(bulk.uuid).lease_owner,
                db_bulks.get_bulk(bulk.uuid).epoch,
            ),
        )

    def test_a_hosts_row(self):
        self.use_database()
        at_once([lambda: db_hosts.add_host('host-1')] * THREADS)
        (seen,) = db_hosts.list_hosts()
        changed = at_once(
            [
                lambda number=number: db_hosts.change_host(
                    seen,
                    held=True,
                    held_reason='disk %d' % number,
                    mode='fixed',
                    max_in_flight=number,
                    start_interval=0.25,
                )
                for number in range(THREADS)
            ]
        )
        self.assertEqual(1, changed.count(True))
        winner = changed.index(True)
        report = {'held_by': {'disk': 'x' * 100000}}
        db_hosts.report_host('host-1', report)
        row = db_hosts.get_host('host-1')
        self.assertEqual(
            (1, True, 'disk %d' % winner, 'fixed', winner, 0.25, report),
            (
                row.epoch,
                row.held,
                row.held_reason,
                row.mode,
                row.max_in_flight,
                row.start_interval,
                row.report,
            ),
        )
        self.assertIsNotNone(row.reported_at)
        self.assertEqual({}, db_hosts.count_members_on('host-1'))

    def test_places_many_by_few_statements(self):
        engine = self.use_database()
        bulk, members = database.accept(50)
        epoch = db_leases.take_lease(bulk, 'host-1')
        statements = []
        sa.event.listen(
            engine,
            'before_cursor_execute',
            lambda *args: statements.append(args[2]),
        )
        placements = [
            (
                member,
                'host-%d' % (member.member_index % 3),
                [{'port': member.name}] if member.member_index % 2 else None,
                {'cpu': member.member_index},
            )
            for member in members
        ]
        placed = database.place(bulk.id, epoch, placements)
        # For their claims, and for their ports.
        self.assertLess(len(statements), 9)
        self.assertEqual([member.id for member in members], placed)
        self.assertEqual(
            [
                (host, networks, limits, MemberState.PLACED, 2)
                for _member, host, networks, limits in placements
            ],
            [
                (m.host, m.networks, m.limits, m.state, m.epoch)
                for m in db_members.list_members(bulk.id)
            ],
        )

    def test_use_of_hosts(self):
        engine = self.use_database()
        bulk, members = database.accept(3)
        container = zun_models.Container.__table__
        with engine.begin() as connection:
            connection.execute(
                sa.update(container).values(cpu=0.1, memory='64')
            )
            connection.execute(
                sa.update(container)
                .where(container.c.uuid == members[0].container_uuid)
                .values(host='host-1')
            )
            connection.execute(
                sa.insert(zun_models.ComputeNode.__table__),
                [
                    {'uuid': 'own', 'rp_uuid': 'own', 'hostname': 'host-1'},
                    {'uuid': 'two', 'rp_uuid': 'nova', 'hostname': 'host-2'},
                ],
            )
        database.place(
            bulk.id,
            db_leases.take_lease(bulk, 'conductor'),
            [(member, 'host-1', [], {}) for member in members[:2]],
        )
        self.assertCountEqual(
            [
                ('host-1', consts.TYPE_CONTAINER, 0.1, '64', 0, 2),
                (None, consts.TYPE_CONTAINER, 0.1, '64', 0, 1),
            ],
            db_hosts.list_use(),
        )
        self.assertEqual(['host-2'], db_hosts.list_shared_hosts())
        self.assertEqual(
            {bulk.uuid: {'host-1'}},
            db_hosts.hosts_of_bulks([bulk.uuid, 'none'], bulk.project_id),
        )

    # -------------------------------------------------------------- history

    def told(self, bulk, **kwargs):
        return [
            (row.event, row.member_index, row.host, row.attempt, row.reason)
            for row in db_history.list_events(bulk.id, **kwargs)
        ]

    def test_history(self):
        engine = self.use_database()
        bulk, members = database.accept(3)
        epoch = db_leases.take_lease(bulk, 'host-1')
        database.place(
            bulk.id, epoch, [(member, 'host-1', [], {}) for member in members]
        )
        members = db_members.list_members(bulk.id)
        statements = []
        sa.event.listen(
            engine,
            'before_cursor_execute',
            lambda *args: statements.append(args[2]),
        )
        db_transitions.start_members(members)
        self.assertEqual(2, len(statements), statements)
        reason = 'broken \U0001f40b pipe\0 \udcff'
        db_transitions.move_members(
            members[:1], MemberState.PLACED, reason=reason
        )
        db_transitions.move_members(
            members[1:2],
            MemberState.QUEUED,
            told={'host': 'host-1', 'reason': reason},
            host=None,
        )
        db_transitions.move_members(
            members[2:], MemberState.RUNNING, reason=None
        )
        db_bulks.cancel_bulk(bulk.id)
        epoch = db_leases.take_lease(db_bulks.get_bulk(bulk.uuid), 'host-1')
        self.assertTrue(db_transitions.cancel_members(bulk.id, epoch))
        self.assertEqual(
            [
                ('accepted', None, None, None, '3 members'),
                ('starting', 1, 'host-1', 1, None),
                ('starting', 2, 'host-1', 1, None),
                ('starting', 3, 'host-1', 1, None),
                ('placed', 1, 'host-1', 1, 'broken ? pipe? ?'),
                ('queued', 2, 'host-1', 1, 'broken ? pipe? ?'),
                ('running', 3, 'host-1', 1, None),
                ('cancelling', None, None, None, None),
                ('deleting', 1, 'host-1', 1, 'broken ? pipe? ?'),
                ('cancelled', 2, None, 1, None),
            ],
            self.told(bulk),
        )
        self.assertEqual(
            {None, *(member.container_uuid for member in members)},
            {row.container_uuid for row in db_history.list_events(bulk.id)},
        )

    def test_rates_and_names(self):
        self.use_database()
        bulk, members = database.accept(12, name='Web_1')
        start = datetime.datetime(2030, 1, 2, 3, 4, 5)

        def after(seconds):
            return start + datetime.timedelta(seconds=seconds)

        for seconds, member in enumerate(members):
            db_transitions.move_members(
                [member],
                MemberState.FAILED if seconds == 7 else MemberState.RUNNING,
                finished_at=after(seconds),
            )
        # The first of a step is of that, the last of the one before not.
        self.assertEqual(
            {(0, 'running'): 5, (1, 'running'): 4, (1, 'failed'): 1}
            | {(2, 'running'): 2},
            db_counts.count_by_time(bulk.id, [after(5), after(10), after(11)]),
        )
        self.assertEqual(
            {(59, 'running'): 5, (59, 'failed'): 1},
            db_counts.count_by_time(
                bulk.id, [after(number - 60) for number in range(60)], after(6)
            ),
        )
        for name, expected in (
            ('WEB_1-1', [1, 10, 11, 12]),
            ('eb_1-12', [12]),
            ('w_b', []),
            ('%', []),
            ('/', []),
            ('\\', []),
        ):
            self.assertEqual(
                expected,
                [
                    member.member_index
                    for member in db_members.list_members(bulk.id, name=name)
                ],
                name,
            )

    def test_one_event_of_one_move(self):
        self.use_database()
        bulk, _members = database.accept(40)
        seen = [db_members.list_members(bulk.id) for _number in range(THREADS)]
        at_once(
            [
                lambda members=members[number % 2 :: 2]: (
                    db_transitions.move_members(members, MemberState.FAILED)
                )
                for number, members in enumerate(seen)
            ]
        )
        self.assertEqual(
            list(range(1, 41)), sorted(row[1] for row in self.told(bulk)[1:])
        )

    def test_history_of_what_is_cancelled_while_it_starts(self):
        self.use_database()
        bulk, members = database.accept(60)
        epoch = db_leases.take_lease(bulk, 'host-1')
        database.place(
            bulk.id, epoch, [(member, 'host-1', [], {}) for member in members]
        )
        placed = db_members.list_members_by_state(MemberState.PLACED)

        def agent(some):
            for member in some:
                for _member in db_transitions.start_members([member]):
                    db_transitions.move_members([member], MemberState.RUNNING)

        def cancel():
            db_bulks.cancel_bulk(bulk.id)
            epoch = db_leases.take_lease(
                db_bulks.get_bulk(bulk.uuid), 'host-1'
            )
            return db_transitions.cancel_members(bulk.id, epoch)

        *_agents, cancelled = at_once(
            [lambda: agent(placed[:30]), lambda: agent(placed[:29:-1]), cancel]
        )
        self.assertTrue(cancelled)
        last = {row[1]: row[0] for row in self.told(bulk) if row[1]}
        self.assertEqual(
            {
                m.member_index: m.state
                for m in db_members.list_members(bulk.id)
            },
            last,
        )
        told = self.told(bulk)
        self.assertEqual(len(set(told)), len(told))

    def test_history_is_trimmed_while_it_grows(self):
        self.use_database()
        self.useFixture(fixtures.MockPatchObject(db_history, 'TRIM_BATCH', 10))
        bulks = [database.accept(50)[0] for _number in range(3)]

        def grow(bulk):
            members = db_members.list_members(bulk.id)
            for state in ('placed', 'failed') * 4:
                for start in range(0, 50, 5):
                    db_transitions.move_members(
                        members[start : start + 5], state
                    )

        def trim():
            for _time in range(20):
                for bulk in bulks:
                    db_history.trim_events(bulk.id, 100)

        at_once(
            [lambda bulk=bulk: grow(bulk) for bulk in bulks] + [trim, trim]
        )
        for bulk in bulks:
            db_history.trim_events(bulk.id, 100)
            told = self.told(bulk)
            self.assertEqual(
                [('placed', 50), ('failed', 50)],
                [
                    (state, sum(row[0] == state for row in told))
                    for state in ('placed', 'failed')
                ],
            )
        newest = db_history.newest_events(0)
        self.assertEqual({bulk.id for bulk in bulks}, newest.keys())
        self.assertEqual({}, db_history.newest_events(max(newest.values())))

    def test_delete_against_agents_and_conductor(self):
        self.use_database()
        bulk, members = database.accept(60)
        epoch = db_leases.take_lease(bulk, 'host-1')
        database.place(
            bulk.id,
            epoch,
            [(member, 'host-1', [], {}) for member in members[:40]],
        )
        placed = db_members.list_members_by_state(MemberState.PLACED)

        def agent(some):
            return lambda: db_transitions.start_members(some)

        at_once(
            [
                agent(placed[:20]),
                agent(placed[19::-1]),
                agent(placed[20:]),
                lambda: database.place(
                    bulk.id,
                    epoch,
                    [(member, 'host-2', [], {}) for member in members[40:]],
                ),
                lambda: db_bulks.mark_bulk_deleting(bulk.id),
            ]
        )
        self.assertEqual(
            BulkStatus.DELETING, db_bulks.get_bulk(bulk.uuid).status
        )
        self.assertEqual(
            {bulk.id: {MemberState.DELETING: 60}},
            db_counts.count_members([bulk.id]),
        )

    def test_upgrade_with_bulks(self):
        engine = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        migration.upgrade('e6a4182f7d05')
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    'INSERT INTO zun_bulk_bulk (id, uuid, name, project_id, '
                    'user_id, request_id, status, count, run, max_attempts, '
                    'placement, template, spec, epoch, heartbeat) VALUES '
                    "(1, 'u', 'n', 'p', 'u', 'r', 'ready', 1, :run, 1, '{}', "
                    "'{}', '{}', 0, 0)"
                ),
                {'run': True},
            )
            connection.execute(
                sa.text(
                    'INSERT INTO zun_bulk_member (bulk_id, member_index, '
                    'container_uuid, name, state, epoch, attempt) VALUES '
                    "(1, 1, 'c', 'n-1', 'running', 0, 1)"
                )
            )
        migration.upgrade()
        migration.check()
        (bulk,) = db_bulks.list_bulks()
        self.assertEqual(1, db_accepting.last_index_of(bulk))
        self.assertEqual({1: {'running': 1}}, db_counts.count_members([1]))

    def test_earlier_releases_write_after_expand(self):
        """As they do in a rolling upgrade, whichever release it was."""
        engine = self.use_database()
        empty = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        earlier = []
        for revision in reversed(migration.revisions()[1:]):
            migration.upgrade(revision)
            # Alone with what it knew then.
            metadata = sa.MetaData()
            metadata.reflect(
                empty, only=lambda name, _all: name.startswith('zun_bulk_')
            )
            metadata.remove(metadata.tables[migration.VERSION_TABLE])
            earlier.append((revision, metadata))
        for number, (revision, metadata) in enumerate(earlier, 1):
            with engine.begin() as connection:
                for table in metadata.sorted_tables:
                    connection.execute(
                        table.insert().values(values_for(table, number))
                    )
            with engine.connect() as connection:
                for table in metadata.sorted_tables:
                    (row,) = connection.execute(
                        table.select().where(table.c.id == number)
                    )
                    self.assertEqual(
                        values_for(table, number),
                        {
                            name: row._mapping[name]
                            for name in values_for(table, number)
                        },
                        revision,
                    )
        with engine.connect() as connection:
            # Today's models take what they have written.
            for model in (models.Bulk, Member, models.Host, models.Project):
                rows = connection.execute(sa.select(model.__table__)).all()
                self.assertLessEqual(3, len(rows), model)
        self.assertEqual(len(earlier), self.count(engine, models.Bulk))

    def test_many_scale_a_bulk_at_once(self):
        engine = self.use_database()
        bulk, members = database.accept(40)
        epoch = db_leases.take_lease(bulk, 'host-1')
        database.place(
            bulk.id, epoch, [(member, 'host-1', [], {}) for member in members]
        )
        placed = db_members.list_members_by_state(MemberState.PLACED)
        db_transitions.move_members(
            placed[:20], MemberState.FAILED, reason_class='x'
        )

        def grow():
            for _attempt in range(100):
                seen = db_bulks.get_bulk(bulk.uuid)
                last = db_accepting.last_index_of(seen) + 10
                _bulk, *rows = database.rows(10)
                for index, member in enumerate(rows[0], last - 9):
                    member['member_index'] = index
                if db_accepting.grow_bulk(seen, last, *rows):
                    return 10

        def shrink():
            for _attempt in range(100):
                seen = db_bulks.get_bulk(bulk.uuid)
                if db_accepting.shrink_bulk(
                    seen, db_members.list_last_members(bulk.id, 5)
                ):
                    return -5

        def look():
            """What a view shows adds up at all times."""
            for _time in range(20):
                seen = db_bulks.get_bulk(bulk.uuid)
                counts = db_counts.count_members([bulk.id])[bulk.id]
                after = db_bulks.get_bulk(bulk.uuid)
                if (seen.count, seen.last_index) == (
                    after.count,
                    after.last_index,
                ):
                    self.assertEqual(seen.count, sum(counts.values()))
            return 0

        changes = at_once(
            [
                grow,
                shrink,
                grow,
                shrink,
                grow,
                look,
                lambda: db_transitions.start_members(placed[20:]) and 0,
                lambda: (
                    db_transitions.move_members(placed[:20], 'placed') and 0
                ),
            ]
        )
        self.assertEqual([10, -5, 10, -5, 10], changes[:5])
        after = db_bulks.get_bulk(bulk.uuid)
        left = db_members.list_members(bulk.id)
        self.assertEqual((60, 70), (after.count, after.last_index))
        self.assertEqual(60, len(left))
        self.assertEqual(70, self.count(engine, Member))
        self.assertEqual(
            {MemberState.DELETING},
            {
                member.state
                for member in db_members.list_members(
                    bulk.id, with_removed=True
                )
                if member.removed
            },
        )
        self.assertNotIn(
            MemberState.DELETING, {member.state for member in left}
        )

    def test_deadlock_is_tried_again(self):
        engine = self.use_database()
        _bulk, members = database.accept(20)
        first, second, others = members[0], members[1], members[2:]
        calls = []
        move = db_transitions._move

        def counted(*args, **kwargs):
            calls.append(args)
            return move(*args, **kwargs)

        self.useFixture(
            fixtures.MockPatchObject(db_transitions, '_move', counted)
        )
        table = Member.__table__
        thread = threading.Thread(
            target=lambda: results.append(
                db_transitions.move_members(
                    [first, second], MemberState.PLACED
                )
            ),
            daemon=True,
        )
        results = []
        with engine.begin() as connection:
            self.prefer(connection)
            # The server gives up the transaction that has changed less.
            for member in [second, *others]:
                connection.execute(
                    sa.update(table)
                    .where(table.c.id == member.id)
                    .values(name='other')
                )
            thread.start()
            self.wait_for_lock(engine)
            connection.execute(
                sa.update(table)
                .where(table.c.id == first.id)
                .values(name='other')
            )
        thread.join(60)

        self.assertEqual([[first, second]], results)
        self.assertEqual(2, len(calls))
        self.assertEqual(
            [(MemberState.PLACED, 1, 'other')] * 2,
            [
                (m.state, m.epoch, m.name)
                for m in db_members.list_members(first.bulk_id, limit=2)
            ],
        )

    def wait_for_lock(self, engine):
        """Wait until some transaction waits for another one."""
        for _attempt in range(240):
            # InnoDB renews what it tells of transactions only when nobody
            # has asked for a tenth of a second.
            time.sleep(0.25)
            with engine.connect() as connection:
                if connection.exec_driver_sql(self.WAITING).scalar():
                    return
        self.fail('nothing waits for a lock')


if not servers.MariaDB.missing():

    class TestMariaDB(DatabaseTests, base.BaseTestCase):
        server_class = servers.MariaDB
        WAITING = (
            "SELECT COUNT(*) FROM information_schema.innodb_trx "
            "WHERE trx_state = 'LOCK WAIT'"
        )

        def prefer(self, connection):
            """It has changed more rows: enough here."""

        def test_members_are_counted_by_an_index_alone(self):
            engine = self.use_database()
            bulk, _members = database.accept(1000)
            asked = []
            sa.event.listen(
                engine,
                'before_cursor_execute',
                lambda _connection, _cursor, *statement_and_rest: asked.append(
                    statement_and_rest[:2]
                ),
            )
            counts = db_counts.count_members([bulk.id])
            self.assertEqual({MemberState.QUEUED: 1000}, counts[bulk.id])

            (statement, parameters) = asked[-1]
            with engine.connect() as connection:
                (plan,) = connection.exec_driver_sql(
                    'EXPLAIN ' + statement, parameters
                ).mappings()
            self.assertEqual('zun_bulk_member_count_idx', plan['key'])
            self.assertIn('Using index', plan['Extra'])


if not servers.PostgreSQL.missing():

    class TestPostgreSQL(DatabaseTests, base.BaseTestCase):
        server_class = servers.PostgreSQL
        WAITING = 'SELECT COUNT(*) FROM pg_locks WHERE NOT granted'

        def tables_of_zun(self):
            # Names of constraints are unique there, and this one has that of
            # another table.
            return [
                table
                for table in super().tables_of_zun()
                if table.name != 'volume_mapping'
            ]

        def prefer(self, connection):
            # Who looks for a deadlock first gives up; the other one looks
            # after a second.
            connection.exec_driver_sql("SET LOCAL deadlock_timeout = '60s'")


for _server in (servers.MariaDB, servers.PostgreSQL):
    if _server.missing():
        print(
            'Left out: the tests on %s, for want of %s'
            % (_server.__name__, ' and '.join(_server.missing())),
            file=sys.stderr,
        )
