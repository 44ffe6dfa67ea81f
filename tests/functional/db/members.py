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

"""Changes of members, leases, hosts and trusts, on every server."""

import datetime
import threading

import fixtures
from oslo_utils import fixture as utils_fixture
import sqlalchemy as sa
from zun.common import consts
from zun.db.sqlalchemy import models as zun_models

from tests import database
from tests.threads import at_once
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import trusts
from zun_bulk.db import zun_rows
from zun_bulk.db.models import Member
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


THREADS = 8


class MembersTests:
    """Changes of members, leases, hosts and trusts, for a DatabaseTestCase."""

    def test_a_trust_that_is_left_is_taken_once(self):
        self.use_database()
        bulk, _members = database.accept(1)
        time = self.useFixture(utils_fixture.TimeFixture())
        for trust_id, uuid in (('used', bulk.uuid), ('left', 'gone')):
            trusts.record(trust_id, uuid)
        self.assertEqual([], trusts.claim_leftover(9))
        time.advance_time_seconds(trusts.MIN_AGE + 1)
        self.assertEqual(['left'], trusts.claim_leftover(9))
        self.assertEqual([], trusts.claim_leftover(9))
        time.advance_time_seconds(trusts.RETRY_INTERVAL + 1)
        self.assertEqual(['left'], trusts.claim_leftover(9))
        trusts.remove('left')
        time.advance_time_seconds(trusts.RETRY_INTERVAL + 1)
        self.assertEqual([], trusts.claim_leftover(9))

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
            db_hosts.list_container_usage(),
        )
        self.assertEqual(['host-2'], db_hosts.list_shared_hosts())
        self.assertEqual(
            {bulk.uuid: {'host-1'}},
            db_hosts.hosts_of_bulks([bulk.uuid, 'none'], bulk.project_id),
        )

    def test_rates_and_names(self):
        self.use_database()
        bulk, members = database.accept(12, name='Web_1')
        start = datetime.datetime(2030, 1, 2, 3, 4, 5)

        def after(seconds):
            return start + datetime.timedelta(seconds=seconds)

        for seconds, member in enumerate(members):
            database.put(
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
