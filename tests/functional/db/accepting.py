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

"""Accepting and scaling bulks at once, on every server."""

from oslo_db import exception as db_exc
import sqlalchemy as sa
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from tests import database
from tests.threads import at_once
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db.models import Member
from zun_bulk.states import MemberState


THREADS = 8


class AcceptingTests:
    """Accepting and scaling bulks at once, for a DatabaseTestCase."""

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
            """Check that the numbers of a view always add up."""
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
