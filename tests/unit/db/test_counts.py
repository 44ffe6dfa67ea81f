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

from tests import database
from tests.unit.db import base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.states import MemberState


class TestCounts(base.DatabaseTestCase):
    def test_counts_add_up_to_the_count(self):
        first, members = database.accept(5)
        second, _members = database.accept(2)
        placed = self.place(first, members[:3], ('host-1', 'host-2'))
        db_transitions.start_members(placed[:2])

        counts = db_counts.count_members([first.id, second.id])
        self.assertEqual(
            {
                MemberState.QUEUED: 2,
                MemberState.PLACED: 1,
                MemberState.STARTING: 2,
            },
            counts[first.id],
        )
        self.assertEqual({MemberState.QUEUED: 2}, counts[second.id])
        for bulk in (first, second):
            self.assertEqual(bulk.count, sum(counts[bulk.id].values()))
        self.assertEqual(
            {
                'host-1': {MemberState.STARTING: 1, MemberState.PLACED: 1},
                'host-2': {MemberState.STARTING: 1},
            },
            db_counts.count_by_host(first.id),
        )

    def test_counts_of_nothing(self):
        self.assertEqual({}, db_counts.count_members([]))
        self.assertEqual({}, db_bulks.get_bulks_by_id([]))
        self.assertEqual({}, zun_rows.container_states([]))

    def test_failures_most_common_first(self):
        bulk, members = database.accept(7)
        for some, kind, reason in (
            (members[:1], 'image', 'no such image'),
            (members[1:4], 'start', 'exited'),
            (members[4:6], 'image', 'timeout'),
        ):
            db_transitions.move_members(
                some, MemberState.FAILED, reason_class=kind, reason=reason
            )
        # A reason stays after a failed attempt: this one does not count.
        db_transitions.move_members(
            members[6:],
            MemberState.PLACED,
            reason_class='start',
            reason='exited',
        )
        self.assertEqual(
            [
                ('start', 'exited', 3),
                ('image', 'timeout', 2),
                ('image', 'no such image', 1),
            ],
            db_counts.list_failures(bulk.id, 10),
        )
        self.assertEqual(
            [('start', 'exited', 3)], db_counts.list_failures(bulk.id, 1)
        )

    def test_counts_by_time(self):
        start = datetime.datetime(2030, 1, 2, 3, 4, 5)

        def after(seconds):
            return start + datetime.timedelta(seconds=seconds)

        bulk, members = database.accept(12)
        _other, others = database.accept(1)
        for seconds, member in enumerate(members[:10]):
            database.put(
                [member],
                MemberState.FAILED if seconds == 7 else MemberState.RUNNING,
                finished_at=after(seconds),
            )
        database.put(others, MemberState.RUNNING, finished_at=after(1))
        # It ended later, which is not the end of its start.
        db_transitions.move_members(members[:1], MemberState.STOPPED)
        # This one is on its way again, and this one was cancelled.
        db_transitions.move_members(members[1:2], MemberState.PLACED)
        db_transitions.move_members(
            members[10:11], MemberState.CANCELLED, finished_at=after(1)
        )
        self.assertEqual(
            {
                (0, 'stopped'): 1,
                (0, 'running'): 2,
                (1, 'running'): 3,
                (1, 'failed'): 1,
                # What came after the last is of it.
                (2, 'running'): 2,
            },
            db_counts.count_by_time(bulk.id, [after(4), after(8), after(9)]),
        )
        self.assertEqual(
            {(0, 'failed'): 1, (0, 'running'): 3},
            db_counts.count_by_time(bulk.id, [after(12)], after(6)),
        )
        # Each in its own, however many there are.
        for number in (10, 11, 59, 60):
            ends = [after(second + 1) for second in range(number)]
            self.assertEqual(
                [0, 2, 3, 4, 5, 6, 7, 8, 9],
                sorted(
                    step for step, _ in db_counts.count_by_time(bulk.id, ends)
                ),
            )
