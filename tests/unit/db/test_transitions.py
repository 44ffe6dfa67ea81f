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

import datetime
from unittest import mock

from oslo_db import exception as db_exc
from oslo_utils import fixture as utils_fixture
import sqlalchemy as sa

from tests import database
from tests.unit.db import base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


class TestChanges(base.DatabaseTestCase):
    def test_bulk_status(self):
        now = datetime.datetime(2030, 1, 2, 3, 4, 5)
        self.useFixture(utils_fixture.TimeFixture(now))
        bulk, _members = database.accept(1)
        epoch = self.owned(bulk)
        self.assertTrue(
            db_bulks.set_bulk_status(
                bulk.id,
                epoch,
                BulkStatus.BUILDING,
                BulkStatus.ERROR,
                reason='1 failed',
                finished=True,
            )
        )
        bulk = db_bulks.get_bulk(bulk.uuid)
        self.assertEqual(
            (BulkStatus.ERROR, '1 failed', now, now),
            (
                bulk.status,
                bulk.status_reason,
                bulk.finished_at,
                bulk.updated_at,
            ),
        )

        # It is not building any more.
        before = self.dump()
        self.assertFalse(
            db_bulks.set_bulk_status(
                bulk.id, epoch, BulkStatus.BUILDING, BulkStatus.READY
            )
        )
        self.assertEqual(before, self.dump())

    def test_reason_that_no_database_takes(self):
        bulk, members = database.accept(1)
        db_transitions.move_members(
            members,
            MemberState.FAILED,
            reason_class='start',
            reason='a\0b\udcff' + 'x' * 5000,
        )
        reason = db_members.list_members(bulk.id)[0].reason
        self.assertEqual('a?b?xxx', reason[:7])
        self.assertEqual(4000, len(reason))

    def test_place_nothing(self):
        bulk, _members = database.accept(1)
        self.assertEqual([], database.place(bulk.id, self.owned(bulk), []))
        self.assertIsNone(database.place(bulk.id, 0, []))

    def test_place(self):
        bulk, members = database.accept(3)
        epoch = self.owned(bulk)
        # One has been deleted since it was read.
        database.put(
            db_members.list_members(bulk.id)[1:2], MemberState.DELETED
        )
        networks = [{'network': 'net-1', 'port': 'port-1'}]
        placed = database.place(
            bulk.id,
            epoch,
            [
                (
                    member,
                    'host-%d' % member.member_index,
                    networks,
                    {'cpu': 2.0},
                )
                for member in members
            ],
        )
        self.assertEqual([members[0].id, members[2].id], placed)
        after = db_members.list_members(bulk.id)
        self.assertEqual(
            [
                (MemberState.PLACED, 'host-1', 2),
                (MemberState.DELETED, None, 1),
                (MemberState.PLACED, 'host-3', 2),
            ],
            [(m.state, m.host, m.epoch) for m in after],
        )
        self.assertEqual(
            (networks, {'cpu': 2.0}), (after[0].networks, after[0].limits)
        )
        self.assertIsNotNone(after[0].placed_at)

    def test_one_of_two_moves_a_member(self):
        bulk, _members = database.accept(1)
        seen = [db_members.list_members(bulk.id) for _contender in range(2)]
        self.assertEqual(
            seen[0],
            db_transitions.move_members(
                seen[0], MemberState.FAILED, reason='first'
            ),
        )
        self.assertEqual(
            [],
            db_transitions.move_members(
                seen[1], MemberState.CANCELLED, reason='second'
            ),
        )
        (member,) = db_members.list_members(bulk.id)
        self.assertEqual(
            (MemberState.FAILED, 'first', 1),
            (member.state, member.reason, member.epoch),
        )

    def test_same_state_but_older_epoch(self):
        bulk, (member,) = database.accept(1)
        stale = db_members.list_members(bulk.id)
        db_transitions.move_members([member], MemberState.PLACED)
        db_transitions.move_members([member], MemberState.QUEUED)
        self.assertEqual(
            stale[0].state, db_members.list_members(bulk.id)[0].state
        )
        self.assertEqual(
            [], db_transitions.move_members(stale, MemberState.PLACED)
        )
        self.assertEqual(2, db_members.list_members(bulk.id)[0].epoch)

    def test_moves_those_that_are_as_they_were_seen(self):
        bulk, _members = database.accept(1100)
        stale = db_members.list_members(bulk.id)
        # Read at different epochs and in different states.
        db_transitions.move_members(stale[:3], MemberState.PLACED)
        members = db_members.list_members(bulk.id)
        changed = [members[number] for number in (0, 5, 700)]
        db_transitions.move_members(
            [
                member
                for member in db_members.list_members(bulk.id)
                if member.id in {other.id for other in changed}
            ],
            MemberState.CANCELLED,
        )

        moved = db_transitions.move_members(members[::-1], MemberState.FAILED)
        self.assertEqual(1097, len(moved))
        self.assertEqual(
            set(),
            {member.id for member in moved}
            & {member.id for member in changed},
        )
        counts = db_counts.count_members([bulk.id])[bulk.id]
        self.assertEqual(
            {MemberState.FAILED: 1097, MemberState.CANCELLED: 3}, counts
        )
        self.assertEqual(
            {member.id: member.epoch for member in moved},
            {
                member.id: member.epoch
                for member in db_members.list_members(bulk.id)
                if member.state == MemberState.FAILED
            },
        )

    def test_moves_many_by_few_statements(self):
        bulk, members = database.accept(1000)
        statements = []
        sa.event.listen(
            self.engine,
            'before_cursor_execute',
            lambda *args: statements.append(args[2]),
        )
        self.assertEqual(members, database.put(members, MemberState.DELETED))
        self.assertLess(len(statements), 10)

    def test_a_change_and_what_is_told_of_it_are_two_statements(self):
        bulk, members = database.accept(20)
        members = self.place(bulk, members)
        statements = []
        sa.event.listen(
            self.engine,
            'before_cursor_execute',
            lambda *args: statements.append(args[2]),
        )
        for change in (
            lambda: db_transitions.start_members(members),
            lambda: db_transitions.move_members(members, MemberState.RUNNING),
        ):
            statements.clear()
            change()
            self.assertEqual(
                ['BEGIN', 'UPDATE', 'INSERT'],
                [statement.split()[0] for statement in statements],
            )

    def test_moves_none(self):
        self.assertEqual(
            [], db_transitions.move_members([], MemberState.DELETED)
        )

    def test_moved_members_are_up_to_date(self):
        bulk, members = database.accept(2)
        for state in (
            MemberState.PLACED,
            MemberState.STARTING,
            MemberState.RUNNING,
        ):
            self.assertEqual(
                members, db_transitions.move_members(members, state)
            )
        self.assertEqual(
            [
                (m.id, m.state, m.epoch)
                for m in db_members.list_members(bulk.id)
            ],
            [(m.id, m.state, m.epoch) for m in members],
        )

    def test_start_counts_the_attempt(self):
        bulk, members = database.accept(2)
        database.put(members[:1], MemberState.PLACED)
        db_transitions.move_members(members[1:], MemberState.FAILED)
        moved = db_transitions.start_members(
            db_members.list_members(bulk.id)[:1]
        )
        self.assertEqual([members[0].id], [m.id for m in moved])
        self.assertEqual(1, moved[0].attempt)
        after = db_members.list_members(bulk.id)
        self.assertEqual(
            [(MemberState.STARTING, 1), (MemberState.FAILED, 0)],
            [(m.state, m.attempt) for m in after],
        )
        self.assertIsNotNone(after[0].started_at)

    def test_deadlock_is_tried_again(self):
        bulk, members = database.accept(1)
        attempts = []

        def fail_twice(*args, **kwargs):
            attempts.append(args)
            if len(attempts) < 3:
                raise db_exc.DBDeadlock()
            return move(*args, **kwargs)

        move = db_transitions._move
        with (
            mock.patch.object(db_transitions, '_move', side_effect=fail_twice),
            mock.patch('time.sleep'),
        ):
            moved = db_transitions.move_members(members, MemberState.PLACED)
        self.assertEqual((members, 3), (moved, len(attempts)))
        self.assertEqual(1, db_members.list_members(bulk.id)[0].epoch)
