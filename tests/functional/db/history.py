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

"""Histories of bulks, on every server."""

import fixtures
import sqlalchemy as sa

from tests import database
from tests.threads import at_once
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import history as db_history
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.states import MemberState


THREADS = 8


class HistoryTests:
    """Histories of bulks, for a DatabaseTestCase."""

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
            event_values={'host': 'host-1', 'reason': reason},
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
            self.events(bulk),
        )
        self.assertEqual(
            {None, *(member.container_uuid for member in members)},
            {row.container_uuid for row in db_history.list_events(bulk.id)},
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
            list(range(1, 41)), sorted(row[1] for row in self.events(bulk)[1:])
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
        last = {row[1]: row[0] for row in self.events(bulk) if row[1]}
        self.assertEqual(
            {
                m.member_index: m.state
                for m in db_members.list_members(bulk.id)
            },
            last,
        )
        found = self.events(bulk)
        self.assertEqual(len(set(found)), len(found))

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
            found = self.events(bulk)
            self.assertEqual(
                [('placed', 50), ('failed', 50)],
                [
                    (state, sum(row[0] == state for row in found))
                    for state in ('placed', 'failed')
                ],
            )
        newest = db_history.newest_events(0)
        self.assertEqual({bulk.id for bulk in bulks}, newest.keys())
        self.assertEqual({}, db_history.newest_events(max(newest.values())))
