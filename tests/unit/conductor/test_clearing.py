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

import copy
from unittest import mock

from tests import database
from tests.unit.conductor import base
from zun_bulk.conductor import conductor
from zun_bulk.conductor import leases
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.states import MemberState


class TestCancel(base.ConductorTestCase):
    def test_clears_what_waits_and_keeps_what_runs(self):
        members = self.accept(6)
        self.cycle()
        placed = self.members(state='placed')
        (running,) = db_transitions.start_members(placed[:1])
        db_bulks.cancel_bulk(self.bulk.id)
        self.assertEqual('cancelling', self.cycle().status)
        self.assertEqual({'starting': 1, 'cancelled': 5}, self.states())
        left = {m.container_uuid for m in members[1:]}
        self.assertEqual(left, set(self.placement.released))
        self.assertEqual(left, set(self.ports.swept))
        rows = zun_rows.container_states([m.container_uuid for m in members])
        self.assertEqual({running.container_uuid}, set(rows))
        self.assertEqual(
            {None}, {m.host for m in self.members(state='cancelled')}
        )
        # A failed start is not tried again, and its host has to clear it.
        db_transitions.move_members(
            [running], MemberState.PLACED, reason='busy'
        )
        self.assertEqual('cancelling', self.cycle().status)
        self.assertEqual({'deleting': 1, 'cancelled': 5}, self.states())
        zun_rows.delete_containers([running.container_uuid])
        db_transitions.move_members(
            self.members(state='deleting'), MemberState.DELETED
        )
        bulk = self.cycle()
        self.assertEqual({'cancelled': 6}, self.states())
        self.assertEqual(
            {m.container_uuid for m in members}, set(self.placement.released)
        )
        self.assertEqual(
            ('cancelled', '6 of 6 members were cancelled'),
            (bulk.status, bulk.status_reason),
        )
        self.assertIsNotNone(bulk.finished_at)

    def test_before_anything_was_placed(self):
        self.accept(3)
        db_bulks.cancel_bulk(self.bulk.id)
        self.assertEqual('cancelled', self.cycle().status)
        self.assertEqual({'cancelled': 3}, self.states())

    def test_one_that_stops_halfway_is_done_again(self):
        self.accept(3)
        self.cycle()
        db_bulks.cancel_bulk(self.bulk.id)
        release, self.placement.release = (
            self.placement.release,
            mock.Mock(side_effect=Exception('Placement is down')),
        )
        self.assertEqual('cancelling', self.cycle().status)
        self.placement.release = release
        self.assertEqual('cancelled', self.cycle().status)
        self.assertEqual(3, len(set(self.placement.released)))

    def test_and_then_deleted(self):
        self.accept(2)
        self.cycle()
        db_bulks.cancel_bulk(self.bulk.id)
        self.cycle()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())


class TestScale(base.ConductorTestCase):
    def shrink(self, number):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        self.assertTrue(
            db_accepting.shrink_bulk(
                bulk, db_members.list_last_members(bulk.id, number)
            )
        )

    def run_placed(self):
        """Play the hosts: what is placed runs, what is deleting is gone."""
        database.put(
            db_members.list_members_by_state('placed', bulk_id=self.bulk.id),
            'running',
        )
        gone = [
            member
            for member in db_members.list_members_by_state(
                'deleting', bulk_id=self.bulk.id
            )
            if member.host
        ]
        zun_rows.delete_containers([member.container_uuid for member in gone])
        db_transitions.move_members(gone, 'deleted')

    def left(self):
        return len(db_members.list_members(self.bulk.id, with_removed=True))

    def test_up_when_ready(self):
        self.accept(2)
        self.cycle()
        self.run_placed()
        self.assertEqual('ready', self.cycle().status)
        self.grow(3)
        self.assertEqual('building', self.cycle().status)
        self.assertEqual({'running': 2, 'placed': 3}, self.states())
        # Evenly with those that there were.
        self.assertEqual(
            [2, 3],
            sorted(
                sum(states.values())
                for states in db_counts.count_by_host(self.bulk.id).values()
            ),
        )
        self.run_placed()
        bulk = self.cycle()
        self.assertEqual(('ready', 5), (bulk.status, bulk.count))
        self.assertIsNotNone(bulk.finished_at)

    def test_down_when_ready_waits_for_the_hosts(self):
        members = self.accept(4)
        self.cycle()
        self.run_placed()
        self.cycle()
        self.shrink(3)
        for _time in range(2):
            self.assertEqual('building', self.cycle().status)
        self.assertEqual({'running': 1}, self.states())
        self.assertEqual(4, self.left())
        self.run_placed()
        bulk = self.cycle()
        self.assertEqual(('ready', 1), (bulk.status, bulk.count))
        self.assertEqual(1, self.left())
        uuids = {m.container_uuid for m in members[1:]}
        self.assertEqual(uuids, set(self.placement.released))
        self.assertEqual(uuids, set(self.ports.swept))

    def test_down_before_anything_was_placed(self):
        members = self.accept(5)
        self.shrink(3)
        self.cycle()
        self.assertEqual({'placed': 2}, self.states())
        self.assertEqual(2, self.left())
        self.assertEqual(
            {m.container_uuid for m in members[:2]},
            set(
                zun_rows.container_states([m.container_uuid for m in members])
            ),
        )

    def test_down_of_what_has_failed(self):
        self.accept(3, placement={'policy': 'spread', 'allow_partial': True})
        self.room = {'host-1': 2}
        self.cycle()
        self.run_placed()
        self.assertEqual('error', self.cycle().status)
        self.shrink(1)
        self.assertEqual('ready', self.cycle().status)
        self.assertEqual(2, self.left())

    def test_of_a_paused_bulk(self):
        self.accept(4)
        self.cycle()
        db_bulks.pause_bulk(self.bulk.id, 'why')
        self.shrink(2)
        self.grow(1)
        self.assertEqual('paused', self.cycle().status)
        self.assertEqual(5, self.left())
        self.run_placed()
        self.assertEqual('paused', self.cycle().status)
        self.assertEqual(3, self.left())
        self.assertEqual({'running': 2, 'queued': 1}, self.states())
        db_bulks.resume_bulk(self.bulk.id)
        self.cycle()
        self.run_placed()
        self.assertEqual('ready', self.cycle().status)

    def test_cancelled_before_it_is_done(self):
        self.accept(4)
        self.cycle()
        self.run_placed()
        self.shrink(1)
        self.grow(2)
        db_bulks.cancel_bulk(self.bulk.id)
        self.assertEqual('cancelling', self.cycle().status)
        self.run_placed()
        self.assertEqual('cancelled', self.cycle().status)
        self.assertEqual({'running': 3, 'cancelled': 2}, self.states())

    def test_deleted_before_it_is_done(self):
        self.accept(4)
        self.cycle()
        self.shrink(2)
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.assertEqual('deleting', self.cycle().status)
        db_transitions.move_members(self.members(), MemberState.DELETED)
        # Hosts still have those that were scaled away.
        self.assertEqual('deleting', self.cycle().status)
        self.run_placed()
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())

    def test_one_that_stops_halfway_is_done_again(self):
        self.accept(3)
        self.shrink(2)
        release, self.placement.release = (
            self.placement.release,
            mock.Mock(side_effect=Exception('Placement is down')),
        )
        for _time in range(2):
            self.cycle()
            self.assertEqual(3, self.left())
            self.assertEqual({'queued': 1}, self.states())
        self.placement.release = release
        self.cycle()
        self.assertEqual(1, self.left())

    def test_many_at_a_time(self):
        self.accept(250)
        self.shrink(249)
        self.cycle()
        self.assertEqual(1, self.left())
        self.assertEqual({'placed': 1}, self.states())

    def test_while_it_is_being_planned(self):
        """What the loser makes too late nobody else would clear."""
        self.accept(4)
        ensure, other = self.ports.ensure, conductor.Conductor()
        other._services._placement, other._services._ports = (
            base.FakePlacement(),
            base.FakePorts(),
        )
        # It does not wait for a sign of life of the first.
        other._leases = leases.Leases('other', -1)

        def be_late(*args):
            self.ports.ensure = ensure
            self.shrink(3)
            other.look_after_bulks()
            other.look_after_bulks()
            return ensure(*args)

        self.ports.ensure = be_late
        self.cycle()
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(1, self.left())
        (kept,) = self.members()
        self.assertEqual({kept.container_uuid}, set(self.placement.claimed))
        self.assertEqual(3, len(set(self.ports.swept)))
        self.assertNotIn(kept.container_uuid, self.ports.swept)


class TestDelete(base.ConductorTestCase):
    def test_what_never_reached_a_host(self):
        members = self.accept(3)
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.conductor.look_after_bulks()
        uuids = [member.container_uuid for member in members]
        self.assertEqual({}, zun_rows.container_states(uuids))
        self.assertEqual([], db_bulks.list_bulks())
        self.assertTrue(set(uuids) <= set(self.ports.swept))

    def test_waits_for_the_hosts(self):
        self.accept(2)
        self.cycle()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.wake.reset_mock()
        self.cycle()
        self.assertEqual({'deleting': 2}, self.states())
        self.assertEqual(
            {'host-1', 'host-2'},
            {call.args[1] for call in self.wake.mock_calls},
        )
        db_transitions.move_members(self.members(), MemberState.DELETED)
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())

    def test_of_a_bulk_that_is_being_planned(self):
        self.accept(2)
        ensure = self.ports.ensure

        def be_deleted(bulk, *args):
            db_bulks.mark_bulk_deleting(bulk.id)
            return ensure(bulk, *args)

        self.ports.ensure = be_deleted
        self.cycle()
        self.assertEqual({'deleting': 2}, self.states())
        claimed = copy.copy(self.placement.claimed)
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())
        self.assertTrue(set(claimed) <= set(self.placement.released))
