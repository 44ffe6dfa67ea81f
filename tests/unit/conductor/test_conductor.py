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

import threading
from unittest import mock

import fixtures
import sqlalchemy as sa
from zun.common import exception

from tests import database
from tests.unit.conductor import base
from zun_bulk.conductor import conductor
from zun_bulk.conductor import leases
from zun_bulk.conductor import placing
from zun_bulk.conf import CONF
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db import history as db_history
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import transitions as db_transitions
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


class TestBuild(base.ConductorTestCase):
    def test_places_claims_and_wakes(self):
        self.accept(30)
        self.assertEqual(BulkStatus.BUILDING, self.cycle().status)
        self.assertEqual(
            {'host-1': {'placed': 15}, 'host-2': {'placed': 15}},
            db_counts.count_by_host(self.bulk.id),
        )
        members = self.members()
        self.assertEqual(
            {m.container_uuid: {m.host: {}} for m in members},
            self.placement.claimed,
        )
        self.assertEqual(
            {m.container_uuid: m.host for m in members}, self.ports.made
        )
        self.assertEqual(
            ({'cpu': 4}, 'port'),
            (members[0].limits, members[0].networks[0]['port']),
        )
        self.assertEqual(
            {'host-1', 'host-2'},
            {call.args[1] for call in self.wake.mock_calls},
        )

    def test_does_it_once(self):
        self.accept(4)
        self.cycle()
        before = [(m.state, m.epoch) for m in self.members()]
        self.placement.claim = mock.Mock(side_effect=AssertionError)
        self.cycle()
        self.assertEqual(before, [(m.state, m.epoch) for m in self.members()])

    def test_finishes(self):
        for state, status in (
            (MemberState.RUNNING, BulkStatus.READY),
            (MemberState.FAILED, BulkStatus.ERROR),
        ):
            database.put(self.accept(2), state)
            bulk = self.cycle()
            self.assertEqual(status, bulk.status)
            self.assertIsNotNone(bulk.finished_at)
            self.assertIsNone(bulk.lease_owner)

    def test_its_end_is_told(self):
        db_transitions.move_members(self.accept(3)[:1], MemberState.FAILED)
        database.put(self.members()[1:], MemberState.RUNNING)
        with mock.patch('zun_bulk.notifications.send') as send:
            for _time in range(2):
                self.cycle()
        (call,) = send.mock_calls
        self.assertEqual(
            ('end', self.bulk.uuid), (call.args[0], call.args[1].uuid)
        )
        self.assertEqual(
            ('error', '1 of 3 members failed', 2, 1, 0),
            (
                call.kwargs['status'],
                call.kwargs['status_reason'],
                *[
                    call.kwargs['members'][state]
                    for state in ('running', 'failed', 'queued')
                ],
            ),
        )
        self.assertEqual(
            ('error', None, '1 of 3 members failed'),
            [
                (row.event, row.member_index, row.reason)
                for row in db_history.list_events(self.bulk.id)
            ][-1],
        )

    def test_one_bulk_in_trouble_does_not_hold_the_others(self):
        self.accept(1)
        first = self.bulk
        self.accept(1)
        survey = self.conductor._claiming.survey

        def fail_for_the_first(bulk, *args):
            if bulk.id == first.id:
                raise RuntimeError('trouble')
            return survey(bulk, *args)

        self.conductor._claiming.survey = fail_for_the_first
        self.cycle()
        self.assertEqual({'placed': 1}, self.states())


class TestSlices(base.ConductorTestCase):
    """A large bulk, for which others do not wait."""

    def setUp(self):
        super().setUp()
        self.conf.config(group='zun_bulk', claim_batch=2)
        self.large, _members = database.accept(5)
        self.accept(1)

    def look(self):
        """Return how many of the large bulk are placed after a cycle."""
        self.conductor.look_after_bulks()
        counts = db_counts.count_members([self.large.id])[self.large.id]
        return counts.get(MemberState.PLACED, 0)

    def test_one_after_the_other(self):
        self.assertEqual(2, self.look())
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(0, self.conductor._delay)
        # One that comes meanwhile.
        self.accept(1)
        self.assertEqual(4, self.look())
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(0, self.conductor._delay)
        self.assertEqual(5, self.look())
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._delay)
        # Nothing is looked up anew for the second and the third slice.
        self.assertEqual(1, self.ports.asked[self.large.id])

    def test_nobody_waits_between_them(self):
        waits = []

        def wait(seconds):
            waits.append(seconds)
            if seconds:
                raise SystemExit

        self.conductor._woken = mock.Mock(wait=wait)
        self.assertRaises(SystemExit, self.conductor._run)
        self.assertEqual([0, 0, CONF.zun_bulk.poll_interval], waits)
        self.assertEqual(5, self.look())

    def test_paused_and_resumed_meanwhile(self):
        self.look()
        db_bulks.pause_bulk(self.large.id, 'because')
        db_bulks.resume_bulk(self.large.id)
        # Whatever it was begun with, it is looked at anew.
        self.look()
        self.assertEqual(2, self.ports.asked[self.large.id])

    def test_deleted_meanwhile(self):
        self.look()
        db_bulks.mark_bulk_deleting(self.large.id)
        self.assertEqual(0, self.look())
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._delay)
        self.look()
        self.assertEqual({}, self.conductor._building)

    def test_lost_to_another_conductor(self):
        self.look()
        self.conductor._leases.release()
        other = leases.Leases('other', 15)
        other.acquire(db_bulks.get_bulk(self.large.uuid), 0)
        self.assertEqual(2, self.look())
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._delay)
        other.release()
        for _cycle in range(3):
            self.look()
        self.assertEqual(5, self.look())

    def test_one_that_fails(self):
        self.look()
        with mock.patch.object(
            self.conductor._placing, '_place_part', side_effect=OSError
        ):
            self.assertEqual(2, self.look())
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._delay)
        self.assertEqual(4, self.look())
        self.assertEqual(5, self.look())


class TestReport(base.ConductorTestCase):
    def test_while_it_places_members(self):
        self.accept(3)
        found = []
        make = self.ports.ensure

        def ensure(*args, **kwargs):
            found.append(self.conductor.report())
            return make(*args, **kwargs)

        self.ports.ensure = ensure
        self.cycle()
        report = found[0]
        self.assertEqual({self.bulk.uuid: 1}, report['leases'])
        self.assertEqual(self.bulk.uuid, report['at']['bulk'])
        self.assertEqual('building', report['at']['status'])
        self.assertLess(report['at']['seconds'], 60)
        self.assertIn(CONF.host, report['owner'])
        self.assertEqual(1, report['port_calls']['limit'])
        self.assertEqual(4, report['floating_ip_calls']['limit'])
        self.assertIsNone(self.conductor.report()['at'])


class TestTidy(base.ConductorTestCase):
    def test_each_in_turn_whatever_becomes_of_the_others(self):
        self.conductor._stopped = mock.Mock()
        self.conductor._stopped.wait.side_effect = [False, False, True]
        with (
            mock.patch.object(
                self.conductor, 'trim_events', side_effect=RuntimeError('no')
            ) as trim,
            mock.patch('zun_bulk.volume.trusts.delete_left') as delete,
        ):
            self.conductor._tidy()
        self.assertEqual((2, 2), (trim.call_count, delete.call_count))


class TestTrim(base.ConductorTestCase):
    def number(self, bulk):
        return len(db_history.list_events(bulk.id))

    def test_the_oldest_go_of_any_bulk(self):
        self.conf.config(group='zun_bulk', max_events=100)
        self.accept(99)
        other = self.bulk
        database.put(self.members(), MemberState.RUNNING)
        self.cycle()
        self.assertEqual(101, self.number(other))
        self.accept(2)
        self.conductor.trim_events()
        self.assertEqual(
            [100, 1], [self.number(b) for b in (other, self.bulk)]
        )
        self.assertEqual('running', db_history.list_events(other.id)[0].event)

        # Of one that is finished, too.
        (member,) = db_members.list_members(other.id, limit=1)
        db_transitions.move_members([member], MemberState.STOPPED)
        self.assertEqual(101, self.number(other))
        self.conductor.trim_events()
        self.assertEqual(100, self.number(other))
        self.assertEqual('stopped', db_history.list_events(other.id)[-1].event)

    def test_what_has_nothing_new_is_left_alone(self):
        self.accept(1)
        self.conductor.trim_events()
        with mock.patch('zun_bulk.db.history.trim_events') as trim:
            self.conductor.trim_events()
            self.assertEqual([], trim.mock_calls)
            db_bulks.pause_bulk(self.bulk.id, 'why')
            trim.side_effect = RuntimeError('deadlock')
            self.assertRaises(RuntimeError, self.conductor.trim_events)
            trim.side_effect = None
            self.conductor.trim_events()
            self.conductor.trim_events()
        self.assertEqual([mock.call(self.bulk.id, 20000)] * 2, trim.mock_calls)

    def test_one_that_is_deleted(self):
        self.accept(2)
        self.cycle()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        db_transitions.move_members(self.members(), MemberState.DELETED)
        with mock.patch('zun_bulk.notifications.send') as send:
            self.conductor.look_after_bulks()
        self.assertEqual(0, self.number(self.bulk))
        self.assertEqual(
            ['deleted'], [call.args[0] for call in send.mock_calls]
        )


class TestStop(base.ConductorTestCase):
    def setUp(self):
        super().setUp()
        # A file, as each thread would have an SQLite in memory of its own.
        self.useFixture(database.Database(self.new_url()))
        self.server = self.useFixture(
            fixtures.MockPatch('zun_bulk.rpc.serve')
        ).mock.return_value
        CONF.set_override('port_calls', 1, 'zun_bulk')
        self.addCleanup(CONF.clear_override, 'port_calls', 'zun_bulk')
        self.called, self.answer = threading.Event(), threading.Event()
        self.addCleanup(self.answer.set)

    def new_url(self):
        path = self.useFixture(fixtures.TempDir()).path
        return 'sqlite:///%s/db' % path

    def be_slow(self, *args):
        self.called.set()
        self.answer.wait(60)
        return base.FakePorts.ensure(self.ports, *args)

    def lease_owner(self):
        return db_bulks.get_bulk(self.bulk.uuid).lease_owner

    def start_slow_one(self):
        """Start the conductor, and stop it while it makes ports."""
        self.accept(30)
        self.ports.ensure = self.be_slow
        self.conductor.start()
        self.assertTrue(self.called.wait(60))
        self.assertIsNotNone(self.lease_owner())

    def test_what_is_under_way_is_done_and_nothing_more(self):
        self.start_slow_one()
        threading.Timer(0.2, self.answer.set).start()
        self.assertTrue(self.conductor.stop(60))
        self.assertEqual(
            {'placed': placing.FIRST_PORTS, 'queued': 26}, self.states()
        )
        self.assertIsNone(self.lease_owner())
        self.server.stop.assert_called_once_with()

    def test_a_call_that_takes_too_long(self):
        self.start_slow_one()
        self.assertFalse(self.conductor.stop(0.1))
        # Another one goes on after its time, as the call may take effect.
        self.assertIsNotNone(self.lease_owner())
        self.assertEqual(
            2, db_leases.take_lease(db_bulks.get_bulk(self.bulk.uuid), 'b')
        )
        self.answer.set()
        self.conductor._planning.join(60)
        self.assertEqual({'queued': 30}, self.states())

    def test_at_rest(self):
        self.accept(1)
        self.conductor.start()
        self.conductor.stop(60)
        self.assertFalse(self.conductor._planning.is_alive())
        self.assertIsNone(self.lease_owner())

    def test_before_it_has_begun(self):
        self.accept(1)
        self.assertTrue(self.conductor.stop(60))
        self.conductor.start()
        self.conductor._planning.join(60)
        self.assertEqual({'queued': 1}, self.states())

    def test_without_a_broker(self):
        self.useFixture(
            fixtures.MockPatchObject(conductor, 'SERVER_TIMEOUT', 0)
        )
        self.server.stop.side_effect = lambda: self.answer.wait(60)
        self.accept(1)
        self.conductor.start()
        self.assertTrue(self.conductor.stop(60))


class TestFloatingIps(base.ConductorTestCase):
    """What waits for floating IPs; see test_floating_ips for the rest."""

    def setUp(self):
        super().setUp()
        self.accept(2)
        with db_base.writer() as session:
            session.execute(
                sa.update(models.Member).values(floating_ip_state='wanted')
            )
        self.bulk = self.cycle()
        database.put(self.members(), MemberState.RUNNING)

    def set(self, state, *members):
        for member in members:
            self.assertTrue(
                db_floating_ips.set_floating_ip(member, self.bulk.epoch, state)
            )

    def test_a_bulk_is_finished_once_all_have_theirs(self):
        first, second = self.members()
        self.set('bound', first)
        self.assertEqual(BulkStatus.BUILDING, self.cycle().status)
        self.set('bound', second)
        self.assertEqual(BulkStatus.READY, self.cycle().status)

    def test_a_bulk_is_in_error_if_one_cannot_have_it(self):
        first, second = self.members()
        self.set('bound', first)
        self.set('failed', second)
        bulk = self.cycle()
        self.assertEqual(
            (BulkStatus.ERROR, '1 of 2 members have no floating IP'),
            (bulk.status, bulk.status_reason),
        )

    def test_a_bulk_is_gone_once_all_are_released(self):
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.cycle()
        db_transitions.move_members(self.members(), MemberState.DELETED)
        bulk = self.cycle()
        self.assertEqual(BulkStatus.DELETING, bulk.status)
        db_floating_ips.clear_floating_ips(bulk.id, bulk.epoch, self.members())
        self.assertRaises(exception.ResourceNotFound, self.cycle)

    def test_what_was_scaled_away_is_gone_once_it_is_released(self):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        self.assertTrue(db_accepting.shrink_bulk(bulk, self.members()[1:]))
        removed = db_members.list_removed(bulk.id)
        db_transitions.move_members(removed, MemberState.DELETED)
        bulk = self.cycle()
        self.assertEqual(1, len(db_members.list_removed(bulk.id)))
        db_floating_ips.clear_floating_ips(bulk.id, bulk.epoch, removed)
        self.cycle()
        self.assertEqual([], db_members.list_removed(bulk.id))
