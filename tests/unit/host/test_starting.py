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

from unittest import mock

import fixtures
from zun.common import utils
from zun.db.sqlalchemy import models as zun_models

from tests.unit.host import base
from zun_bulk import disclosure
from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import history as db_history
from zun_bulk.db import models
from zun_bulk.db import zun_rows
from zun_bulk.db.specs import MemberSpec
from zun_bulk.host import in_flight
from zun_bulk.host import starting


class TestStart(base.AgentTestCase):
    def test_bulks_in_fair_order(self):
        large = self.accept(60)
        self.cycle()
        small = self.accept(2)
        self.assertEqual(large[:4], self.compute.created)
        while not set(small) <= set(self.compute.created):
            self.start(self.compute.created[-4:])
            self.cycle()
        # After what was in hand already.
        self.assertLessEqual(
            len(self.compute.created), 4 + starting.READ_AHEAD + 4
        )

    def test_at_most_max_in_flight(self):
        uuids = self.accept(10)
        self.cycle()
        self.assertEqual(uuids[:4], self.compute.created)
        self.cycle()
        self.assertEqual(uuids[:4], self.compute.created)
        self.start(uuids[:2])
        self.cycle()
        self.assertEqual(uuids[:6], self.compute.created)
        self.assertEqual({'starting': 6, 'placed': 4}, self.states())

    def test_arguments_of_the_create(self):
        self.accept(1, request_id='req-7', user_id='user-7')
        self.cycle()
        self.assertEqual({'cpu': 4}, self.compute.limits)
        self.assertEqual('p', self.compute.networks[0]['port'])
        context = self.compute.context
        self.assertEqual(
            ('req-7', 'project-1', 'user-7', True, None),
            (
                context.request_id,
                context.project_id,
                context.user_id,
                context.is_admin,
                context.auth_token,
            ),
        )

    def test_mounts_of_all_and_of_its_own(self):
        def mount(name):
            return {'type': 'bind', 'source': name, 'destination': '/' + name}

        def create(volume, context):
            volume.id = 7

        self.useFixture(
            fixtures.MonkeyPatch('zun.objects.Volume.create', create)
        )
        first, second = self.accept(2, spec={'mounts': [mount('all')]})
        with db_base.writer() as session:
            session.get(
                models.Member, self.member(second).id
            ).wanted = MemberSpec(mounts=[mount('one'), mount('two')])
        self.cycle()
        self.assertEqual(
            {
                first: [('/all', 'all')],
                second: [('/all', 'all'), ('/one', 'one'), ('/two', 'two')],
            },
            {
                uuid: [(m.container_path, m.contents) for m in mappings]
                for uuid, mappings in self.compute.volumes.items()
            },
        )

    def test_runs_once_it_has_settled(self):
        uuids = self.accept(3)
        self.cycle()
        self.start(uuids)
        self.cycle()
        self.cycle(4.0)
        self.assertEqual({'starting': 3}, self.states())
        self.cycle(1.5)
        self.assertEqual({'running': 3}, self.states())
        self.assertEqual(1, self.member(uuids[0]).attempt)
        self.wake.assert_called()

    def test_read_before_its_bulk_was_deleted(self):
        self.accept(1)
        self.agent._starting.read_ahead()
        with db_base.writer() as session:
            for model in (models.Member, models.Bulk):
                session.execute(model.__table__.delete())
        self.cycle()
        self.assertEqual([], self.compute.created)

    def test_settling_holds_no_place(self):
        uuids = self.accept(8)
        self.cycle()
        self.start(uuids[:4])
        self.cycle()
        self.assertEqual(uuids, self.compute.created)

    def test_of_other_hosts_it_takes_none(self):
        self.accept(3, host='host-2')
        self.cycle()
        self.assertEqual([], self.compute.created)

    def test_exits_while_it_settles(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.start([uuid])
        self.cycle()
        self.docker[uuid] = base.running(
            Running=False, Status='exited', ExitCode=3, Pid=0
        )
        self.cycle(6.0)
        member = self.member(uuid)
        self.assertEqual(
            ('failed', 'application'), (member.state, member.reason_class)
        )
        self.assertEqual(
            'host-1: the container exited with code 3',
            disclosure.render(member.reason),
        )

    def test_engine_is_down_when_it_has_settled(self):
        uuid = self.accept(1)[0]
        self.cycle()
        self.start([uuid])
        self.cycle()
        inspect = self.engine.inspect
        self.engine.inspect = mock.Mock(side_effect=OSError('refused'))
        self.cycle(5)
        self.assertEqual({'starting': 1}, self.states())
        self.engine.inspect = inspect
        self.cycle()
        self.assertEqual({'running': 1}, self.states())

    def test_is_restarted_by_docker_while_it_settles(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.start([uuid])
        self.cycle()
        self.docker[uuid] = base.running(restarts=1)
        self.cycle(6.0)
        self.assertEqual({'failed': 1}, self.states())

    def test_one_that_is_only_to_be_created(self):
        (uuid,) = self.accept(1, run=False)
        self.cycle()
        self.docker[uuid] = base.running(
            Running=False, Status='created', Pid=0
        )
        self.agent.created(uuid)
        self.cycle()
        self.cycle(6.0)
        self.assertEqual({'running': 1}, self.states())

    def test_a_created_one_that_is_to_run_is_not_done(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.docker[uuid] = base.running(
            Running=False, Status='created', Pid=0
        )
        self.agent.created(uuid)
        self.cycle()
        self.cycle(6.0)
        self.assertEqual({'starting': 1}, self.states())

    def test_only_the_first_attempt_is_new(self):
        (uuid,) = self.accept(1)
        self.assertFalse(self.agent.is_new(uuid))
        self.cycle()
        self.assertTrue(self.agent.is_new(uuid))
        self.break_row(uuid, 'Docker timed out')
        self.cycle()
        self.cycle(5.0)
        self.assertEqual([uuid] * 2, self.compute.created)
        self.assertFalse(self.agent.is_new(uuid))

    def test_a_container_of_nobody_is_no_matter(self):
        self.accept(1)
        self.cycle()
        self.agent.started('foreign')
        self.cycle()
        self.assertEqual({'starting': 1}, self.states())


class TestFailures(base.AgentTestCase):
    REFUSED = 'Insufficient compute resources: Free vcpu 0.00 VCPU.'

    def test_a_claim_that_is_refused_is_made_elsewhere(self):
        (uuid,) = self.accept(1, max_attempts=2)
        self.cycle()
        self.break_row(uuid, self.REFUSED)
        self.cycle(2.0)
        # Zun may not have taken the old claim away yet.
        self.assertEqual({'starting': 1}, self.states())
        self.cycle(5.0)
        member = self.member(uuid)
        self.assertEqual(
            ('queued', None, 1, 'transient', 'host-1: ' + self.REFUSED),
            (
                member.state,
                member.host,
                member.attempt,
                member.reason_class,
                disclosure.render(member.reason),
            ),
        )
        self.assertEqual(
            ('Creating', None, None, None),
            zun_rows.container_states([uuid])[uuid],
        )
        self.assertEqual([uuid], self.compute.created)

    def test_a_claim_that_is_always_refused(self):
        (uuid,) = self.accept(1, max_attempts=1)
        self.cycle()
        self.break_row(uuid, self.REFUSED)
        self.cycle(2.0)
        self.cycle(5.0)
        member = self.member(uuid)
        # A retry has to find a host again.
        self.assertEqual(('failed', None), (member.state, member.host))

    def test_is_tried_again_and_then_fails(self):
        (uuid,) = self.accept(1, max_attempts=2)
        self.cycle()
        self.break_row(uuid, 'Docker timed out')
        self.cycle()
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(
            ('Creating', None, None, None),
            zun_rows.container_states([uuid])[uuid],
        )
        self.cycle(5.0)
        self.assertEqual({'starting': 1}, self.states())
        self.break_row(uuid, 'Docker timed out')
        self.cycle()
        member = self.member(uuid)
        self.assertEqual(
            ('failed', 2, 'transient', 'host-1: Docker timed out'),
            (
                member.state,
                member.attempt,
                member.reason_class,
                disclosure.render(member.reason),
            ),
        )
        self.assertEqual(
            [
                ('starting', 'host-1', 1, None),
                ('placed', 'host-1', 1, 'host-1: Docker timed out'),
                ('starting', 'host-1', 2, None),
                ('failed', 'host-1', 2, 'host-1: Docker timed out'),
            ],
            [
                (
                    row.event,
                    row.host,
                    row.attempt,
                    disclosure.render(row.reason),
                )
                for row in db_history.list_events(self.bulk.id)[1:]
            ],
        )

    def test_waits_until_zun_compute_has_let_go(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.break_row(uuid, 'Docker timed out', 'container_creating')
        self.cycle()
        self.assertEqual({'starting': 1}, self.states())

    def test_a_permanent_failure_is_tried_once(self):
        log = self.useFixture(fixtures.FakeLogger('zun_bulk.host'))
        (uuid,) = self.accept(1)
        self.cycle()
        self.break_row(uuid, '404 ("No such image: nothing:1")')
        self.cycle()
        member = self.member(uuid)
        self.assertEqual(
            ('failed', 1, 'permanent'),
            (member.state, member.attempt, member.reason_class),
        )
        self.assertIn('No such image: nothing:1', member.reason)
        self.assertIn(
            'Container %s of bulk %s failed: host-1: 404'
            % (uuid, self.bulk.uuid),
            log.output,
        )

    def test_one_that_may_be_broken_is_made_anew(self):
        uuids = self.accept(2)
        self.cycle()
        for uuid, reason in zip(
            uuids, ('task 1fe1: already exists', 'Docker timed out')
        ):
            self.docker[uuid] = base.running(Running=False, Status='created')
            self.break_row(uuid, reason)
        self.cycle()
        self.assertEqual({'placed': 2}, self.states())
        self.assertEqual(uuids[1:], list(self.docker))

    def test_what_fails_for_all_pauses_the_bulk(self):
        uuids = self.accept(10)
        self.cycle()
        for uuid in uuids[:4]:
            self.break_row(uuid, 'No such image: x:1')
        send = self.useFixture(
            fixtures.MockPatch('zun_bulk.notifications.send')
        ).mock
        for _ in range(3):
            self.cycle()
        # The first window, and no more.
        self.assertEqual(uuids[:4], self.compute.created)
        self.assertEqual({'failed': 4, 'placed': 6}, self.states())
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        self.assertEqual('paused', bulk.status)
        self.assertEqual(
            (
                'the others would fail the same way: host-1: No such '
                'image: x:1',
                'the others would fail the same way: No such image: x:1',
            ),
            tuple(
                disclosure.render(bulk.status_reason, hosts)
                for hosts in (True, False)
            ),
        )
        self.assertEqual(
            [
                mock.call(
                    'pause',
                    mock.ANY,
                    status='paused',
                    status_reason=bulk.status_reason,
                )
            ],
            send.mock_calls,
        )

    def test_resumed_it_goes_on(self):
        uuids = self.accept(5)
        db_bulks.pause_bulk(self.bulk.id, 'asked')
        self.cycle()
        self.assertEqual([], self.compute.created)
        db_bulks.resume_bulk(self.bulk.id)
        self.agent.wake()
        self.cycle()
        self.assertEqual(uuids[:4], self.compute.created)

    def test_a_retry_of_a_paused_bulk_waits_too(self):
        (uuid, *_others) = self.accept(1)
        self.cycle()
        self.break_row(uuid, 'device or resource busy')
        self.cycle()
        db_bulks.pause_bulk(self.bulk.id, 'asked')
        self.cycle(60)
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual([uuid], self.compute.created)

    def test_tried_again_by_its_user_it_is_not_new(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.assertTrue(self.agent.is_new(uuid))
        self.break_row(uuid, 'No such image: nothing:1')
        self.cycle()
        db_bulks.retry_bulk(self.bulk.id)
        self.agent.wake()
        self.cycle()
        self.assertEqual([uuid, uuid], self.compute.created)
        self.assertFalse(self.agent.is_new(uuid))

    def test_a_failure_makes_room(self):
        uuids = self.accept(5, on_failure='continue')
        self.cycle()
        self.break_row(uuids[0], 'no such image')
        self.cycle()
        self.assertEqual(uuids, self.compute.created)

    def test_deleted_by_its_user_before_and_while_it_starts(self):
        uuids = self.accept(2)
        zun_rows.delete_containers(uuids[:1])
        self.cycle()
        self.assertEqual(uuids[1:], self.compute.created)
        zun_rows.delete_containers(uuids)
        self.cycle()
        self.assertEqual(
            [('deleted', 'failed')] * 2,
            [
                (self.member(uuid).reason_class, self.member(uuid).state)
                for uuid in uuids
            ],
        )

    def test_a_create_that_was_lost(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.cycle(CONF.zun_bulk.create_timeout + 1)
        self.cycle()
        self.assertEqual([uuid] * 2, self.compute.created)

    def be_in(self, **values):
        with db_base.writer() as session:
            table = zun_models.Container.__table__
            session.execute(table.update().values(**values))

    def lose(self, **values):
        """Zun's thread ends of an error that it cannot write down."""
        (uuid,) = self.accept(1)
        self.cycle()
        self.be_in(**values)
        self.cycle(in_flight.LOST + 1)
        self.cycle()
        self.assertEqual([uuid] * 2, self.compute.created)

    def test_a_start_that_was_lost_once_it_was_created(self):
        self.lose(status='Created')

    def test_a_start_that_was_lost_while_it_was_created(self):
        self.lose(task_state='container_creating')

    def test_a_slow_create_is_not_started_twice(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.be_in(task_state='container_creating')
        with self.agent.working(uuid):
            for _time in range(3):
                self.cycle(CONF.zun_bulk.create_timeout + 1)
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual({'starting': 1}, self.states())

    def test_a_slow_pull_is_not_started_twice(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.be_in(task_state='container_creating')

        # As Zun's thread, which holds it until the container runs.
        @utils.synchronized(uuid)
        def pull():
            for _time in range(3):
                self.cycle(CONF.zun_bulk.create_timeout + 1)

        pull()
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual({'starting': 1}, self.states())

    def test_a_start_whose_answer_was_lost(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.docker[uuid] = base.running()
        self.cycle(CONF.zun_bulk.create_timeout + 1)
        self.cycle()
        self.cycle(6.0)
        self.assertEqual({'running': 1}, self.states())
        self.assertEqual([uuid], self.compute.created)


class TestRecovery(base.AgentTestCase):
    def test_takes_up_what_the_last_life_left(self):
        uuids = self.accept(3)
        self.cycle()
        self.docker[uuids[0]] = base.running()
        self.docker[uuids[1]] = base.running(Running=False, Status='created')
        self.compute.created.clear()
        self.agent = self.new_agent()
        self.agent._recover(self.now)
        self.cycle()
        self.assertEqual(set(uuids[1:]), set(self.compute.created))
        self.cycle(6.0)
        self.assertEqual({'running': 1, 'starting': 2}, self.states())

    def test_takes_up_what_a_turn_that_failed_had_in_hand(self):
        uuids = self.accept(3)
        self.cycle()
        self.start(uuids[:2])
        self.cycle()
        with mock.patch(
            'zun_bulk.db.transitions.move_members',
            side_effect=OSError('no database'),
        ):
            self.assertRaises(OSError, self.cycle, 6.0)
        self.agent._recover(self.now)
        self.cycle(6.0)
        self.assertEqual({'running': 2, 'starting': 1}, self.states())
        self.assertEqual(uuids, self.compute.created)
