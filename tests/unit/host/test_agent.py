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

import types
from unittest import mock

import fixtures
from oslotest import base
from zun.common import exception
from zun.common import utils
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk import disclosure
from zun_bulk.conf import CONF
from zun_bulk.consts import MemberState
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import history as db_history
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.db.models import Member
from zun_bulk.host import agent
from zun_bulk.host import engine
from zun_bulk.host import gates
from zun_bulk.host import in_flight
from zun_bulk.host import starting
from zun_bulk.volume import mounts


def running(restarts=0, **state):
    return {
        'State': dict(
            {'Running': True, 'Pid': 1, 'Status': 'running', 'ExitCode': 0},
            **state,
        ),
        'RestartCount': restarts,
    }


class FakeCompute:
    """What was cast to zun-compute, which the test then plays."""

    def __init__(self, context):
        self._context = context
        self.created = []
        self.deleted = []
        self.volumes = {}
        self.limits = None

    def container_create(
        self,
        context,
        host,
        container,
        limits,
        networks,
        volumes,
        run,
        pci_requests,
    ):
        self.created.append(container.uuid)
        self.limits = limits
        self.networks = networks
        self.volumes.update(volumes)
        self.context = context

    def container_delete_on(self, context, host, container):
        self.deleted.append(container.uuid)


class AgentTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        for name, value, group in (
            ('mode', 'fixed', 'zun_bulk_pacing'),
            ('max_in_flight', 4, 'zun_bulk_pacing'),
            ('settle_time', 5.0, 'zun_bulk'),
        ):
            CONF.set_override(name, value, group)
            self.addCleanup(CONF.clear_override, name, group)
        self.docker = {}
        self.stuck = False
        self.compute = FakeCompute(mock.sentinel.context)
        self.useFixture(
            fixtures.MockPatch(
                'zun_bulk.rpc.ComputeAPI', side_effect=self.compute_for
            )
        )
        self.wake = self.useFixture(
            fixtures.MockPatch('zun_bulk.rpc.wake_conductors')
        ).mock
        self.useFixture(
            fixtures.MockPatch(
                'zun.objects.Container.list', side_effect=self.containers
            )
        )
        self.now = 1000.0
        self.agent = self.new_agent()
        self.agent._changes.subscribed(0.0)

    def compute_for(self, context):
        self.compute._context = context
        return self.compute

    def containers(self, context, filters):
        return [
            types.SimpleNamespace(uuid=uuid)
            for uuid in zun_rows.container_states(filters['uuid'])
        ]

    def new_agent(self):
        self.engine = engine.Engine(
            self.docker.get,
            self.remove,
            list_states=lambda: {
                uuid: found['State']['Status']
                for uuid, found in self.docker.items()
            },
        )
        return agent.HostAgent('host-1', self.engine)

    def remove(self, uuid):
        if self.stuck:
            raise exception.DockerError(error_msg='device or resource busy')
        del self.docker[uuid]

    def accept(self, count, host='host-1', **values):
        self.bulk, members = database.accept(count, **values)
        epoch = db_leases.take_lease(
            db_bulks.get_bulk(self.bulk.uuid), 'conductor'
        )
        database.place(
            self.bulk.id,
            epoch,
            [
                (member, host, [{'network': 'net', 'port': 'p'}], {'cpu': 4})
                for member in members
            ],
        )
        return [member.container_uuid for member in members]

    def turn(self, seconds=1.0):
        self.now += seconds
        self.agent._cycle(self.now)

    def start(self, uuids, **state):
        """Play zun-compute: Docker starts these."""
        for uuid in uuids:
            self.docker[uuid] = running(**state)
            self.agent.started(uuid)

    def break_row(self, uuid, reason, task_state=None):
        """Play zun-compute: it gives a container up."""
        with db_base.writer() as session:
            table = zun_models.Container.__table__
            session.execute(
                table.update()
                .where(table.c.uuid == uuid)
                .values(
                    status='Error', status_reason=reason, task_state=task_state
                )
            )

    def states(self):
        return db_counts.count_members([self.bulk.id])[self.bulk.id]

    def member(self, uuid):
        return next(
            member
            for member in db_members.list_members(self.bulk.id)
            if member.container_uuid == uuid
        )


class TestVolumes(AgentTestCase):
    """Of members that are to have new ones, and one that they share."""

    SHARED = '00000000-0000-4000-8000-000000000001'
    NEW = '00000000-0000-4000-8000-000000000002'

    def setUp(self):
        super().setUp()
        self.forgotten = []
        self.engine.forget_volumes = self.forgotten.append
        self.useFixture(
            fixtures.MockPatch(
                'zun.objects.Volume', return_value=mock.Mock(id=1)
            )
        )

    def accept(self, noted=True):
        (uuid,) = super().accept(
            1,
            spec={
                'mounts': [
                    {'type': 'bind', 'source': 'YQ==', 'destination': '/f'},
                    {
                        'type': 'volume',
                        'source': self.SHARED,
                        'destination': '/s',
                    },
                    {'type': 'volume', 'size': 1, 'destination': '/n'},
                ]
            },
        )
        if noted:
            self.note(uuid)
        return uuid

    def note(self, uuid):
        wanted = mounts.noted(self.member(uuid), {'2': self.NEW})
        with db_base.writer() as session:
            table = models.Member.__table__
            session.execute(
                table.update()
                .where(table.c.container_uuid == uuid)
                .values(wanted=wanted)
            )

    def test_what_zun_compute_is_told(self):
        made = []
        self.useFixture(
            fixtures.MockPatch(
                'zun.objects.Volume',
                side_effect=lambda context, **values: (
                    made.append(values) or mock.Mock(id=len(made))
                ),
            )
        )
        uuid = self.accept()
        self.turn()
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual(
            [
                ('local', None, False, '/f', 'YQ=='),
                ('cinder', self.SHARED, False, '/s', None),
                ('cinder', self.NEW, True, '/n', None),
            ],
            [
                (
                    mapping.volume_provider,
                    mapping.cinder_volume_id,
                    mapping.auto_remove,
                    mapping.container_path,
                    mapping.contents,
                )
                for mapping in self.compute.volumes[uuid]
            ],
        )
        self.assertEqual([], self.forgotten)

    def test_without_its_own_it_goes_back_to_the_conductor(self):
        self.accept(noted=False)
        self.turn()
        self.assertEqual([], self.compute.created)
        self.assertEqual({'queued': 1}, self.states())
        self.wake.assert_called()

    def test_each_start_needs_a_look(self):
        uuid = self.accept()
        self.turn()
        self.break_row(uuid, 'context deadline exceeded')
        self.turn()
        self.turn(starting.RETRY_MAX)
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual([uuid], self.forgotten)
        member = self.member(uuid)
        self.assertEqual(('queued', 'host-1'), (member.state, member.host))
        # As conductors do.
        self.note(uuid)
        db_transitions.move_members([self.member(uuid)], 'placed')
        self.agent.wake()
        self.turn()
        self.assertEqual([uuid, uuid], self.compute.created)

    def fail_once(self, count=1):
        """Starts with the shared one fail, and are to be tried again."""
        mount = {'type': 'volume', 'source': self.SHARED, 'destination': '/s'}
        uuids = super().accept(count, spec={'mounts': [mount]})
        self.turn()
        for uuid in uuids:
            self.break_row(uuid, 'context deadline exceeded')
        self.turn()
        return uuids

    def test_none_is_taken_from_a_start_that_lives(self):
        (uuid,) = self.fail_once()

        @utils.synchronized(uuid)
        def live():
            self.turn(starting.RETRY_MAX)

        live()
        self.assertEqual([], self.forgotten)
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(
            starting.VOLUMES_RETRY_DELAY,
            self.agent._starting._delayed[0][0] - self.now,
        )
        self.turn(starting.VOLUMES_RETRY_DELAY)
        self.assertEqual([uuid], self.forgotten)
        self.assertEqual({'starting': 1}, self.states())

    def test_none_is_taken_from_a_container_that_runs(self):
        (uuid,) = self.fail_once()
        # A start that was given up has come late.
        self.docker[uuid] = running()
        self.turn(starting.RETRY_MAX)
        self.assertEqual([], self.forgotten)
        self.turn(CONF.zun_bulk.settle_time + 1)
        self.assertEqual({'running': 1}, self.states())
        self.assertEqual([uuid], self.compute.created)

    def test_what_cannot_be_detached_is_tried_again(self):
        def refuse(container_uuid):
            raise exception.ZunException('Cinder is away')

        uuids = self.fail_once(2)
        self.engine.forget_volumes = refuse
        self.turn(starting.RETRY_MAX)
        self.agent._seconds_to_wait(self.now)
        self.assertEqual({'placed': 2}, self.states())
        self.engine.forget_volumes = self.forgotten.append
        self.turn(starting.VOLUMES_RETRY_DELAY)
        self.assertEqual(set(uuids), set(self.forgotten))
        self.assertEqual({'starting': 2}, self.states())

    def test_a_start_after_slow_volumes_is_not_lost_at_once(self):
        (uuid,) = self.fail_once()
        clock = self.useFixture(fixtures.MockPatch('time.monotonic')).mock
        clock.return_value = 50.0

        def forget(container_uuid):
            clock.return_value += 2 * in_flight.LOST

        self.engine.forget_volumes = forget
        self.turn(starting.RETRY_MAX)
        self.turn(2 * in_flight.LOST + 1)
        self.assertEqual([uuid, uuid], self.compute.created)
        self.assertEqual({'starting': 1}, self.states())


class TestStart(AgentTestCase):
    def test_bulks_take_turns(self):
        large = self.accept(60)
        self.turn()
        small = self.accept(2)
        self.assertEqual(large[:4], self.compute.created)
        while not set(small) <= set(self.compute.created):
            self.start(self.compute.created[-4:])
            self.turn()
        # After what was in hand already.
        self.assertLessEqual(
            len(self.compute.created), 4 + starting.READ_AHEAD + 4
        )

    def test_at_most_max_in_flight(self):
        uuids = self.accept(10)
        self.turn()
        self.assertEqual(uuids[:4], self.compute.created)
        self.turn()
        self.assertEqual(uuids[:4], self.compute.created)
        self.start(uuids[:2])
        self.turn()
        self.assertEqual(uuids[:6], self.compute.created)
        self.assertEqual({'starting': 6, 'placed': 4}, self.states())

    def test_what_zun_compute_is_told(self):
        self.accept(1, request_id='req-7', user_id='user-7')
        self.turn()
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
            session.get(models.Member, self.member(second).id).wanted = {
                'mounts': [mount('one'), mount('two')]
            }
        self.turn()
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
        self.turn()
        self.start(uuids)
        self.turn()
        self.turn(4.0)
        self.assertEqual({'starting': 3}, self.states())
        self.turn(1.5)
        self.assertEqual({'running': 3}, self.states())
        self.assertEqual(1, self.member(uuids[0]).attempt)
        self.wake.assert_called()

    def test_read_before_its_bulk_was_deleted(self):
        self.accept(1)
        self.agent._starting.read_ahead()
        with db_base.writer() as session:
            for model in (models.Member, models.Bulk):
                session.execute(model.__table__.delete())
        self.turn()
        self.assertEqual([], self.compute.created)

    def test_settling_holds_no_place(self):
        uuids = self.accept(8)
        self.turn()
        self.start(uuids[:4])
        self.turn()
        self.assertEqual(uuids, self.compute.created)

    def test_of_other_hosts_it_takes_none(self):
        self.accept(3, host='host-2')
        self.turn()
        self.assertEqual([], self.compute.created)

    def test_exits_while_it_settles(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.start([uuid])
        self.turn()
        self.docker[uuid] = running(
            Running=False, Status='exited', ExitCode=3, Pid=0
        )
        self.turn(6.0)
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
        self.turn()
        self.start([uuid])
        self.turn()
        inspect = self.engine.inspect
        self.engine.inspect = mock.Mock(side_effect=OSError('refused'))
        self.turn(5)
        self.assertEqual({'starting': 1}, self.states())
        self.engine.inspect = inspect
        self.turn()
        self.assertEqual({'running': 1}, self.states())

    def test_is_restarted_by_docker_while_it_settles(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.start([uuid])
        self.turn()
        self.docker[uuid] = running(restarts=1)
        self.turn(6.0)
        self.assertEqual({'failed': 1}, self.states())

    def test_one_that_is_only_to_be_created(self):
        (uuid,) = self.accept(1, run=False)
        self.turn()
        self.docker[uuid] = running(Running=False, Status='created', Pid=0)
        self.agent.created(uuid)
        self.turn()
        self.turn(6.0)
        self.assertEqual({'running': 1}, self.states())

    def test_a_created_one_that_is_to_run_is_not_done(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.docker[uuid] = running(Running=False, Status='created', Pid=0)
        self.agent.created(uuid)
        self.turn()
        self.turn(6.0)
        self.assertEqual({'starting': 1}, self.states())

    def test_only_the_first_try_needs_no_look(self):
        (uuid,) = self.accept(1)
        self.assertFalse(self.agent.is_new(uuid))
        self.turn()
        self.assertTrue(self.agent.is_new(uuid))
        self.break_row(uuid, 'Docker timed out')
        self.turn()
        self.turn(5.0)
        self.assertEqual([uuid] * 2, self.compute.created)
        self.assertFalse(self.agent.is_new(uuid))

    def test_a_container_of_nobody_is_no_matter(self):
        self.accept(1)
        self.turn()
        self.agent.started('foreign')
        self.turn()
        self.assertEqual({'starting': 1}, self.states())


class TestHeld(AgentTestCase):
    """The host has no room, which the readings say."""

    def setUp(self):
        super().setUp()
        self.log = self.useFixture(fixtures.FakeLogger('zun_bulk.host'))

    def new_agent(self):
        self.readings = engine.UNREAD()
        self.probe = mock.Mock(side_effect=lambda: self.readings)
        return agent.HostAgent(
            'host-1', engine.Engine(self.docker.get, self.remove, self.probe)
        )

    def use(self, mounts):
        self.readings = engine.UNREAD(mounts=gates.Usage(mounts, 100))

    def test_starts_none_and_charges_none(self):
        uuids = self.accept(6)
        self.use(80)
        for _time in range(20):
            self.turn()
        self.assertEqual([], self.compute.created)
        self.assertEqual({'placed': 6}, self.states())
        self.assertEqual({0}, {self.member(uuid).attempt for uuid in uuids})
        self.assertEqual(['mounts'], list(self.agent._holds.gates))
        self.use(10)
        self.turn(5.0)
        self.assertEqual(uuids[:4], self.compute.created)
        self.assertEqual({}, self.agent._holds.gates)
        self.assertEqual(1, self.member(uuids[0]).attempt)

    def test_an_engine_that_does_not_answer(self):
        self.accept(1)
        self.readings = gates.Readings(ping=None)
        self.turn()
        self.assertEqual([], self.compute.created)
        self.assertEqual({}, self.agent._holds.gates)
        self.readings = engine.UNREAD()
        self.turn(60.0)
        self.assertEqual(1, len(self.compute.created))

    def test_single_containers_are_held_too(self):
        self.accept(1)
        self.use(80)
        self.turn()
        self.assertEqual(0, self.agent.starts.room(self.now))
        self.assertIsNone(self.agent.starts.wait(self.now))

    def test_goes_on_holding_just_below_the_limit(self):
        self.accept(1)
        self.use(80)
        self.turn()
        self.use(79)
        self.turn(5.0)
        self.assertEqual([], self.compute.created)
        self.use(78)
        self.turn(5.0)
        self.assertEqual(1, len(self.compute.created))

    def test_while_some_are_starting(self):
        uuids = self.accept(6)
        self.turn()
        self.use(80)
        self.start(uuids[:4])
        self.turn(5.0)
        self.turn(6.0)
        self.assertEqual(uuids[:4], self.compute.created)
        self.assertEqual({'running': 4, 'placed': 2}, self.states())

    def test_a_retry_is_held_too(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.break_row(uuid, 'Docker timed out')
        self.use(80)
        self.turn()
        self.turn(10.0)
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual(1, self.member(uuid).attempt)
        self.use(0)
        self.turn(5.0)
        self.assertEqual([uuid] * 2, self.compute.created)

    def test_deletes_go_on(self):
        uuids = self.accept(2)
        self.use(80)
        self.turn()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.agent.wake()
        self.turn()
        self.assertEqual(uuids, self.compute.deleted)

    def test_looks_only_with_something_to_start(self):
        self.turn()
        self.accept(2, host='host-2')
        self.turn(10.0)
        self.probe.assert_not_called()

    def test_looks_at_most_every_probe_interval(self):
        self.accept(20)
        self.turn()
        self.turn(4.0)
        self.assertEqual(1, self.probe.call_count)
        self.turn(1.0)
        self.assertEqual(2, self.probe.call_count)

    def test_is_back_in_time_to_look_again(self):
        CONF.set_override('poll_interval', 300.0, 'zun_bulk')
        self.addCleanup(CONF.clear_override, 'poll_interval', 'zun_bulk')
        self.accept(1)
        self.use(80)
        self.turn()
        self.assertEqual(3.0, self.agent._seconds_to_wait(self.now + 2.0))

    def test_says_when_it_begins_and_ends(self):
        self.accept(1)
        self.use(80)
        self.turn()
        self.use(90)
        self.turn(5.0)
        self.assertEqual(1, self.log.output.count('starts no more'))
        self.assertIn('80 % of mounts used', self.log.output)
        self.assertNotIn('no longer held', self.log.output)
        self.use(10)
        self.turn(5.0)
        self.assertEqual(1, self.log.output.count('no longer held by mounts'))


class TestSince(AgentTestCase):
    """What containers do once they have run."""

    def run_all(self, count, **values):
        uuids = self.accept(count, **values)
        self.turn()
        self.start(uuids)
        for uuid in uuids:
            self.set_row(uuid, status='Running')
        self.turn()
        self.turn(6)
        self.assertEqual({'running': count}, self.states())
        return uuids

    def set_row(self, uuid, **values):
        with db_base.writer() as session:
            table = zun_models.Container.__table__
            session.execute(
                table.update().where(table.c.uuid == uuid).values(**values)
            )

    def end(self, uuid, code, tell=True, at='2026-01-02T03:04:05Z'):
        self.docker[uuid] = running(
            Running=False, Pid=0, Status='exited', ExitCode=code, FinishedAt=at
        )
        if tell:
            self.agent._changes.add('die', uuid)
            self.turn(0.1)

    def set_status(self, status):
        epoch = db_leases.take_lease(
            db_bulks.get_bulk(self.bulk.uuid), 'conductor'
        )
        db_bulks.set_bulk_status(self.bulk.id, epoch, 'building', status)

    def test_one_that_dies(self):
        log = self.useFixture(fixtures.FakeLogger('zun_bulk.host'))
        uuids = self.run_all(3)
        self.set_status('ready')
        self.end(uuids[1], 3)
        self.assertIn(
            'Container %s of bulk %s has ended: host-1: the container'
            % (uuids[1], self.bulk.uuid),
            log.output,
        )
        member = self.member(uuids[1])
        self.assertEqual(
            ('failed', 'application'), (member.state, member.reason_class)
        )
        self.assertIn(
            'host-1: the container exited with code 3',
            disclosure.render(member.reason),
        )
        self.assertEqual({'running': 2, 'failed': 1}, self.states())
        self.assertEqual('error', db_bulks.get_bulk(self.bulk.uuid).status)
        row = zun_rows.container_states([uuids[1]])[uuids[1]]
        self.assertEqual('Stopped', row[0])
        # Zun shows it to its owner.
        self.assertTrue(
            row[1].startswith('the container exited with code 3'), row[1]
        )

        # Its user starts it again.
        self.docker[uuids[1]] = running()
        self.agent._changes.add('start', uuids[1])
        self.turn(0.1)
        self.assertEqual({'running': 3}, self.states())
        self.assertEqual('ready', db_bulks.get_bulk(self.bulk.uuid).status)

    def test_one_that_is_done(self):
        (uuid,) = self.run_all(1)
        self.set_status('ready')
        self.end(uuid, 0)
        self.assertEqual({'stopped': 1}, self.states())
        self.assertEqual('ready', db_bulks.get_bulk(self.bulk.uuid).status)

    def test_one_that_its_user_stops(self):
        (uuid,) = self.run_all(1)
        self.set_row(uuid, task_state='container_stopping')
        self.end(uuid, 137)
        self.assertEqual({'running': 1}, self.states())
        self.set_row(uuid, status='Stopped', task_state=None)
        self.turn(1.1)
        self.assertEqual({'stopped': 1}, self.states())

    def test_one_that_dies_while_it_settles(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.start([uuid])
        self.turn()
        self.end(uuid, 1)
        self.assertEqual({'failed': 1}, self.states())

    def test_the_start_of_a_member_is_no_news(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.agent._changes.add('start', uuid)
        self.start([uuid])
        self.turn()
        self.agent._changes.add('start', uuid)
        self.assertFalse(self.agent._changes._changed)

    def test_deaths_that_nobody_saw(self):
        uuids = self.run_all(4)
        self.set_status('ready')
        for uuid in uuids[:2]:
            self.end(uuid, 3, tell=False)
        self.agent._changes.subscribed(0.0)
        self.turn(0.1)
        self.assertEqual({'running': 2, 'failed': 2}, self.states())

    def test_what_ends_with_its_engine_is_started_again(self):
        uuids = self.run_all(3)
        for uuid in uuids[:2]:
            self.end(uuid, 137, tell=False, at='1970-01-01T00:00:10Z')
        self.end(uuids[2], 3, tell=False, at='1970-01-01T00:00:10Z')
        self.agent._changes.subscribed(20.0)
        self.turn(0.1)
        self.assertEqual({'starting': 2, 'failed': 1}, self.states())
        self.assertEqual(uuids + uuids[:2], self.compute.created)
        self.start(uuids[:2])
        self.turn()
        self.turn(6)
        self.assertEqual({'running': 2, 'failed': 1}, self.states())

    def test_but_not_of_a_finished_bulk(self):
        (uuid,) = self.run_all(1)
        self.set_status('ready')
        self.end(uuid, 137, tell=False, at='1970-01-01T00:00:10Z')
        self.agent._changes.subscribed(20.0)
        self.turn(0.1)
        self.assertEqual({'failed': 1}, self.states())

    def test_what_settles_and_ends_with_its_engine_is_started_again(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.start([uuid])
        self.turn()
        self.end(uuid, 137, tell=False, at='1970-01-01T00:00:10Z')
        self.agent._changes.subscribed(20.0)
        self.turn(6)
        self.assertEqual({'starting': 1}, self.states())
        self.assertEqual([uuid, uuid], self.compute.created)

    def test_an_engine_that_does_not_answer(self):
        uuids = self.run_all(2)
        more = self.accept(1)
        self.agent.wake()
        inspect, self.engine.inspect = (
            self.engine.inspect,
            mock.Mock(side_effect=OSError('refused')),
        )
        self.end(uuids[0], 3)
        # Nothing else waits for it.
        self.assertEqual(uuids + more, self.compute.created)
        self.engine.inspect = inspect
        self.turn(1.1)
        self.assertEqual(
            'failed', db_members.list_members_by_container(uuids[:1])[0].state
        )

    def test_nor_as_often_as_it_ends(self):
        (uuid,) = self.accept(1, max_attempts=2)
        self.agent._changes.unsubscribed()
        for _ in range(2):
            self.turn()
            self.start([uuid])
            self.turn()
            self.end(uuid, 137, tell=False)
            self.turn(6)
        self.assertEqual([uuid, uuid], self.compute.created)
        self.assertEqual({'failed': 1}, self.states())

    def test_a_container_of_nobody(self):
        self.agent._changes.add('die', 'uuid')
        self.turn()
        self.assertEqual({}, self.agent._changes._looks)


class TestStrays(AgentTestCase):
    def test_one_that_has_gone_to_another_host(self):
        uuids = self.accept(3)
        for uuid in uuids:
            self.docker[uuid] = running()
        with db_base.writer() as session:
            table = Member.__table__
            for uuid, host in zip(uuids, ('host-2', None), strict=False):
                session.execute(
                    table.update()
                    .where(table.c.container_uuid == uuid)
                    .values(host=host)
                )
        self.docker['nobodys'] = running()
        self.turn()
        # What Zun does not know may be wanted yet.
        self.assertEqual({uuids[2], 'nobodys'}, set(self.docker))
        # Only when the engine is heard of again.
        self.docker[uuids[0]] = running()
        self.turn()
        self.assertIn(uuids[0], self.docker)
        self.agent._changes.subscribed(self.now)
        self.turn()
        self.assertNotIn(uuids[0], self.docker)


class TestFailures(AgentTestCase):
    REFUSED = 'Insufficient compute resources: Free vcpu 0.00 VCPU.'

    def test_a_claim_that_is_refused_is_made_elsewhere(self):
        (uuid,) = self.accept(1, max_attempts=2)
        self.turn()
        self.break_row(uuid, self.REFUSED)
        self.turn(2.0)
        # Zun may not have taken the old claim away yet.
        self.assertEqual({'starting': 1}, self.states())
        self.turn(5.0)
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
        self.turn()
        self.break_row(uuid, self.REFUSED)
        self.turn(2.0)
        self.turn(5.0)
        member = self.member(uuid)
        # A retry has to find a host anew.
        self.assertEqual(('failed', None), (member.state, member.host))

    def test_is_tried_again_and_then_fails(self):
        (uuid,) = self.accept(1, max_attempts=2)
        self.turn()
        self.break_row(uuid, 'Docker timed out')
        self.turn()
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(
            ('Creating', None, None, None),
            zun_rows.container_states([uuid])[uuid],
        )
        self.turn(5.0)
        self.assertEqual({'starting': 1}, self.states())
        self.break_row(uuid, 'Docker timed out')
        self.turn()
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
        self.turn()
        self.break_row(uuid, 'Docker timed out', 'container_creating')
        self.turn()
        self.assertEqual({'starting': 1}, self.states())

    def test_a_permanent_failure_is_tried_once(self):
        log = self.useFixture(fixtures.FakeLogger('zun_bulk.host'))
        (uuid,) = self.accept(1)
        self.turn()
        self.break_row(uuid, '404 ("No such image: nothing:1")')
        self.turn()
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
        self.turn()
        for uuid, reason in zip(
            uuids, ('task 1fe1: already exists', 'Docker timed out')
        ):
            self.docker[uuid] = running(Running=False, Status='created')
            self.break_row(uuid, reason)
        self.turn()
        self.assertEqual({'placed': 2}, self.states())
        self.assertEqual(uuids[1:], list(self.docker))

    def test_what_fails_for_all_pauses_the_bulk(self):
        uuids = self.accept(10)
        self.turn()
        for uuid in uuids[:4]:
            self.break_row(uuid, 'No such image: x:1')
        send = self.useFixture(
            fixtures.MockPatch('zun_bulk.notifications.send')
        ).mock
        for _ in range(3):
            self.turn()
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
        self.turn()
        self.assertEqual([], self.compute.created)
        db_bulks.resume_bulk(self.bulk.id)
        self.agent.wake()
        self.turn()
        self.assertEqual(uuids[:4], self.compute.created)

    def test_a_retry_of_a_paused_bulk_waits_too(self):
        (uuid, *_others) = self.accept(1)
        self.turn()
        self.break_row(uuid, 'device or resource busy')
        self.turn()
        db_bulks.pause_bulk(self.bulk.id, 'asked')
        self.turn(60)
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual([uuid], self.compute.created)

    def test_tried_again_by_its_user_it_is_not_new(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.assertTrue(self.agent.is_new(uuid))
        self.break_row(uuid, 'No such image: nothing:1')
        self.turn()
        db_bulks.retry_bulk(self.bulk.id)
        self.agent.wake()
        self.turn()
        self.assertEqual([uuid, uuid], self.compute.created)
        self.assertFalse(self.agent.is_new(uuid))

    def test_a_failure_makes_room(self):
        uuids = self.accept(5, on_failure='continue')
        self.turn()
        self.break_row(uuids[0], 'no such image')
        self.turn()
        self.assertEqual(uuids, self.compute.created)

    def test_deleted_by_its_user_before_and_while_it_starts(self):
        uuids = self.accept(2)
        zun_rows.delete_containers(uuids[:1])
        self.turn()
        self.assertEqual(uuids[1:], self.compute.created)
        zun_rows.delete_containers(uuids)
        self.turn()
        self.assertEqual(
            [('deleted', 'failed')] * 2,
            [
                (self.member(uuid).reason_class, self.member(uuid).state)
                for uuid in uuids
            ],
        )

    def test_a_create_that_was_lost(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.turn(CONF.zun_bulk.create_timeout + 1)
        self.turn()
        self.assertEqual([uuid] * 2, self.compute.created)

    def be_in(self, **values):
        with db_base.writer() as session:
            table = zun_models.Container.__table__
            session.execute(table.update().values(**values))

    def lose(self, **values):
        """Zun's thread ends of an error that it cannot write down."""
        (uuid,) = self.accept(1)
        self.turn()
        self.be_in(**values)
        self.turn(in_flight.LOST + 1)
        self.turn()
        self.assertEqual([uuid] * 2, self.compute.created)

    def test_a_start_that_was_lost_once_it_was_created(self):
        self.lose(status='Created')

    def test_a_start_that_was_lost_while_it_was_created(self):
        self.lose(task_state='container_creating')

    def test_a_slow_create_is_not_started_twice(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.be_in(task_state='container_creating')
        with self.agent.working(uuid):
            for _time in range(3):
                self.turn(CONF.zun_bulk.create_timeout + 1)
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual({'starting': 1}, self.states())

    def test_a_slow_pull_is_not_started_twice(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.be_in(task_state='container_creating')

        # As Zun's thread, which holds it until the container runs.
        @utils.synchronized(uuid)
        def pull():
            for _time in range(3):
                self.turn(CONF.zun_bulk.create_timeout + 1)

        pull()
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual({'starting': 1}, self.states())

    def test_a_start_whose_answer_was_lost(self):
        (uuid,) = self.accept(1)
        self.turn()
        self.docker[uuid] = running()
        self.turn(CONF.zun_bulk.create_timeout + 1)
        self.turn()
        self.turn(6.0)
        self.assertEqual({'running': 1}, self.states())
        self.assertEqual([uuid], self.compute.created)


class TestRecovery(AgentTestCase):
    def test_takes_up_what_the_last_life_left(self):
        uuids = self.accept(3)
        self.turn()
        self.docker[uuids[0]] = running()
        self.docker[uuids[1]] = running(Running=False, Status='created')
        self.compute.created.clear()
        self.agent = self.new_agent()
        self.agent._recover(self.now)
        self.turn()
        self.assertEqual(set(uuids[1:]), set(self.compute.created))
        self.turn(6.0)
        self.assertEqual({'running': 1, 'starting': 2}, self.states())

    def test_takes_up_what_a_turn_that_failed_had_in_hand(self):
        uuids = self.accept(3)
        self.turn()
        self.start(uuids[:2])
        self.turn()
        with mock.patch(
            'zun_bulk.db.transitions.move_members',
            side_effect=OSError('no database'),
        ):
            self.assertRaises(OSError, self.turn, 6.0)
        self.agent._recover(self.now)
        self.turn(6.0)
        self.assertEqual({'running': 2, 'starting': 1}, self.states())
        self.assertEqual(uuids, self.compute.created)


class TestDelete(AgentTestCase):
    def delete(self):
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.agent.wake()

    def test_paced_and_to_the_end(self):
        uuids = self.accept(6)
        self.delete()
        self.turn()
        self.assertEqual(uuids[:4], self.compute.deleted)
        zun_rows.delete_containers(uuids[:4])
        self.turn()
        self.assertEqual(uuids, self.compute.deleted)
        zun_rows.delete_containers(uuids)
        self.turn()
        self.assertEqual({'deleted': 6}, self.states())
        self.wake.assert_called()

    def test_bulks_take_turns(self):
        large = self.accept(6)
        self.delete()
        self.turn()
        small = self.accept(2)
        self.delete()
        for number in range(2):
            self.turn()
            self.assertEqual(large[:4] + small[:number], self.compute.deleted)
            zun_rows.delete_containers([large[number]])
        self.turn()
        self.assertEqual(large[:4] + small, self.compute.deleted)

    def test_asks_again_for_one_that_stays(self):
        (uuid,) = self.accept(1)
        self.delete()
        self.turn()
        self.turn(in_flight.LOST + 1)
        self.turn()
        self.assertEqual([uuid] * 2, self.compute.deleted)

    def test_one_that_zun_forgot_and_docker_did_not(self):
        (uuid,) = self.accept(1)
        self.docker[uuid] = running()
        self.delete()
        self.turn()
        zun_rows.delete_containers([uuid])
        self.stuck = True
        self.turn()
        self.assertEqual({'deleting': 1}, self.states())
        self.stuck = False
        self.turn()
        self.assertEqual(({}, {'deleted': 1}), (self.docker, self.states()))

    def test_one_that_its_user_deleted(self):
        uuids = self.accept(1)
        zun_rows.delete_containers(uuids)
        self.delete()
        self.turn()
        self.turn()
        self.assertEqual([], self.compute.deleted)
        self.assertEqual({'deleted': 1}, self.states())

    def test_of_a_bulk_that_is_being_started(self):
        uuids = self.accept(6)
        self.turn()
        self.delete()
        self.start(uuids[:4])
        self.turn()
        self.turn(6.0)
        self.assertEqual(uuids[:4], self.compute.created)
        self.assertEqual({'deleting': 6}, self.states())
        self.assertNotIn(MemberState.RUNNING, self.states())


class TestScaledDown(AgentTestCase):
    def shrink(self, number):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        db_accepting.shrink_bulk(
            bulk, db_members.list_last_members(bulk.id, number)
        )
        self.agent.wake()

    def removed(self):
        return {
            member.state: member.container_uuid
            for member in db_members.list_members(
                self.bulk.id, with_removed=True
            )
            if member.removed
        }

    def test_deletes_it_and_leaves_the_others(self):
        uuids = self.accept(3)
        self.turn()
        self.start(uuids)
        self.turn()
        self.turn(6.0)
        self.shrink(1)
        self.assertEqual({'running': 2}, self.states())
        self.turn()
        self.assertEqual(uuids[2:], self.compute.deleted)
        # zun-compute removes it, and then its row.
        del self.docker[uuids[2]]
        zun_rows.delete_containers(uuids[2:])
        self.turn()
        self.assertEqual({'deleted': uuids[2]}, self.removed())
        self.assertEqual({'running': 2}, self.states())
        self.wake.assert_called()

    def test_one_that_waits_is_not_started(self):
        uuids = self.accept(6)
        self.turn()
        self.shrink(1)
        self.start(uuids[:4])
        self.turn()
        self.assertEqual(uuids[:5], self.compute.created)
        self.assertEqual(uuids[5:], self.compute.deleted)

    def test_one_that_is_being_started(self):
        uuids = self.accept(2)
        self.turn()
        self.shrink(1)
        self.start(uuids)
        self.turn()
        self.assertEqual(uuids[1:], self.compute.deleted)
        del self.docker[uuids[1]]
        zun_rows.delete_containers(uuids[1:])
        self.turn(6.0)
        self.turn()
        self.assertEqual({'running': 1}, self.states())
        self.assertEqual({'deleted': uuids[1]}, self.removed())

    def test_paced(self):
        uuids = self.accept(9)
        self.shrink(8)
        self.turn()
        self.assertEqual(uuids[1:5], self.compute.deleted)

    def test_of_a_paused_bulk(self):
        uuids = self.accept(3)
        db_bulks.pause_bulk(self.bulk.id, 'why')
        self.shrink(2)
        self.turn()
        self.assertEqual([], self.compute.created)
        self.assertEqual(uuids[1:], self.compute.deleted)


class TestOperator(AgentTestCase):
    """What the operator wishes, as the host's row says."""

    def wish(self, **wishes):
        """Write wishes as the API does, and send its message."""
        self.assertTrue(
            db_hosts.change_host(db_hosts.get_host('host-1'), **wishes)
        )
        self.agent.wake()

    def test_makes_its_row(self):
        self.turn()
        self.assertFalse(db_hosts.get_host('host-1').held)

    def test_a_hold_and_its_end(self):
        self.turn()
        self.wish(held=True, held_reason='a new disk')
        uuids = self.accept(3)
        self.turn()
        self.turn(300)
        self.assertEqual([], self.compute.created)
        self.assertEqual({'placed': 3}, self.states())
        shown = self.agent.show()
        self.assertEqual({'operator': 'a new disk'}, shown['held_by'])
        self.assertEqual(3, shown['queued'])
        self.wish(held=False, held_reason=None)
        self.turn()
        self.assertEqual(uuids, self.compute.created)
        self.assertEqual(1, self.member(uuids[0]).attempt)
        self.assertEqual({}, self.agent.show()['held_by'])

    def test_what_starts_goes_on_while_it_is_held(self):
        uuids = self.accept(6)
        self.turn()
        self.wish(held=True)
        self.start(uuids[:4])
        self.turn()
        self.turn(6)
        self.assertEqual({'running': 4, 'placed': 2}, self.states())
        self.assertEqual(
            {'operator': 'no reason given'}, self.agent.show()['held_by']
        )

    def test_deletes_go_on_while_it_is_held(self):
        uuids = self.accept(2)
        self.turn()
        self.wish(held=True)
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.turn()
        self.assertEqual(uuids, self.compute.deleted)

    def test_a_hold_survives_a_restart(self):
        self.turn()
        self.wish(held=True, held_reason='a new disk')
        self.accept(1)
        self.agent = self.new_agent()
        self.turn()
        self.assertEqual([], self.compute.created)
        self.assertEqual(
            {'operator': 'a new disk'}, self.agent.show()['held_by']
        )

    def test_a_hold_beside_a_gate(self):
        full = gates.Readings(memory_available=0, memory_total=1, ping=0.0)
        self.accept(1)
        with mock.patch.object(self.engine, 'probe', lambda: full):
            self.turn()
            self.wish(held=True, held_reason='a new disk')
            self.turn()
            self.assertEqual(
                {'memory', 'operator'}, set(self.agent.show()['held_by'])
            )
        self.turn(10)
        self.assertEqual(
            {'operator': 'a new disk'}, self.agent.show()['held_by']
        )
        self.assertEqual([], self.compute.created)

    def test_without_a_message_it_looks_once_a_minute(self):
        self.turn()
        db_hosts.change_host(db_hosts.get_host('host-1'), held=True)
        self.turn(59)
        self.assertEqual({}, self.agent.show()['held_by'])
        self.turn(1)
        self.assertEqual({'operator'}, set(self.agent.show()['held_by']))

    def test_another_pace(self):
        uuids = self.accept(10)
        self.turn()
        self.wish(max_in_flight=6)
        self.turn()
        self.assertEqual(uuids[:6], self.compute.created)
        shown = self.agent.show()
        self.assertEqual(
            (6, 6), (shown['starts']['limit'], shown['starts']['in_flight'])
        )
        self.assertEqual(6, shown['deletes']['limit'])
        self.assertEqual(
            {'mode': 'fixed', 'max_in_flight': 6, 'start_interval': 0.0},
            shown['settings'],
        )
        self.wish(max_in_flight=None, mode='adaptive')
        self.turn()
        self.assertEqual(
            (2, 6),
            tuple(
                self.agent.show()['starts'][name]
                for name in ('limit', 'in_flight')
            ),
        )

    def test_an_interval_leaves_the_limit(self):
        self.turn()
        limit = self.agent.starts._pacer._limit
        self.wish(start_interval=30.0)
        uuids = self.accept(2)
        self.turn()
        self.turn(29)
        self.assertEqual(uuids[:1], self.compute.created)
        self.turn()
        self.assertEqual(uuids, self.compute.created)
        self.assertIs(limit, self.agent.starts._pacer._limit)

    def test_a_row_that_cannot_be_read_is_read_again(self):
        self.turn()
        with mock.patch.object(db_hosts, 'get_host', side_effect=OSError):
            self.assertRaises(OSError, self.broken_turn)
        self.agent._recover(self.now)
        db_hosts.change_host(db_hosts.get_host('host-1'), held=True)
        self.turn()
        self.assertEqual({'operator'}, set(self.agent.show()['held_by']))

    def broken_turn(self):
        self.agent.wake()
        self.turn()


class TestGuruReport(AgentTestCase):
    def test_what_is_in_hand(self):
        uuids = self.accept(6)
        self.turn()
        self.start(uuids[:1])
        self.turn()
        with self.agent.working(uuids[1]):
            report = self.agent.report()
        self.assertEqual(4, report['starts']['limit'])
        self.assertEqual(4, report['starts']['in_flight'])
        self.assertEqual({}, report['held_by'])
        self.assertEqual(1, report['settling'])
        self.assertEqual(3, report['pulls']['limit'])
        self.assertEqual(set(uuids[1:5]), set(report['starting']))
        found = report['starting'][uuids[1]]
        self.assertEqual(
            ('web-2', self.bulk.uuid, 1, True),
            (
                found['name'],
                found['bulk'],
                found['attempt'],
                found['driver_is_at_it'],
            ),
        )
        self.assertFalse(report['starting'][uuids[2]]['driver_is_at_it'])
        self.assertEqual({}, report['being_deleted'])

    def test_no_database(self):
        with mock.patch.object(db_base, 'reader', side_effect=OSError):
            self.assertEqual({}, self.agent.report()['starting'])


class TestReport(AgentTestCase):
    """What the host's row tells of the host."""

    def setUp(self):
        super().setUp()
        self.reports = []
        write = db_hosts.report_host
        self.useFixture(
            fixtures.MockPatchObject(
                db_hosts,
                'report_host',
                side_effect=lambda host, report: (
                    self.reports.append((self.now, report)),
                    write(host, report),
                ),
            )
        )

    def times(self):
        return [now for now, _report in self.reports]

    def test_at_rest_once(self):
        for _cycle in range(20):
            self.turn()
        self.assertEqual([1001.0], self.times())
        self.assertEqual(
            self.reports[0][1], db_hosts.get_host('host-1').report
        )

    def test_at_work_every_five_seconds(self):
        self.accept(1)
        for _cycle in range(11):
            self.turn()
        self.assertEqual([1001.0, 1006.0, 1011.0], self.times())
        self.assertEqual(1, self.reports[-1][1]['starts']['in_flight'])

    def test_never_twice_a_second(self):
        uuids = self.accept(40)
        self.turn()
        for number in range(40):
            self.start(uuids[number : number + 1])
            self.turn(0.05)
        times = self.times()
        self.assertLessEqual(len(times), 3)
        for before, after in zip(times, times[1:], strict=False):
            self.assertGreaterEqual(after - before, 0.999)

    def test_the_last_one_is_of_a_host_at_rest(self):
        uuids = self.accept(2)
        self.turn()
        self.start(uuids)
        self.turn(0.1)
        self.turn(5.0)
        self.assertEqual({'running': 2}, self.states())
        # Whatever was too early for a report is made up for.
        wait = self.agent._seconds_to_wait(self.now)
        self.turn(wait)
        _now, report = self.reports[-1]
        self.assertEqual(
            (0, 0), (report['queued'], report['starts']['in_flight'])
        )
        self.assertAlmostEqual(2 / 60, report['starts']['per_second'])
        self.assertAlmostEqual(5.0, report['settle']['median'])
        count = len(self.reports)
        for _cycle in range(80):
            self.turn()
        # One more: a minute later there is no rate any more.
        self.assertEqual(count + 1, len(self.reports))
        self.assertEqual(0.0, self.reports[-1][1]['starts']['per_second'])

    def test_what_waits_at_a_held_host_is_told(self):
        self.turn()
        db_hosts.change_host(db_hosts.get_host('host-1'), held=True)
        self.agent.wake()
        self.turn()
        self.accept(3)
        self.agent.wake()
        self.turn(0.1)
        self.assertEqual(0, self.reports[-1][1]['queued'])
        # Not counted more than once a second; seen at the next look.
        self.turn(1)
        self.assertEqual(3, self.reports[-1][1]['queued'])
        count = len(self.reports)
        for _cycle in range(20):
            self.turn()
        self.assertEqual(count, len(self.reports))

    def test_a_hold_is_told(self):
        self.turn()
        db_hosts.change_host(
            db_hosts.get_host('host-1'), held=True, held_reason='why'
        )
        self.agent.wake()
        self.turn()
        self.assertEqual(
            {'operator': 'why'}, db_hosts.get_host('host-1').report['held_by']
        )


class TestWakeUps(AgentTestCase):
    """What the agent tells conductors."""

    def test_at_most_one_a_second_and_the_last_one(self):
        for _member in range(3):
            (uuid,) = self.accept(1)
            self.agent.wake()
            self.turn(0.01)
            self.start([uuid])
            self.turn(0.01)
            self.turn(5.0)
        self.assertEqual(3, self.wake.call_count)
        CONF.set_override('settle_time', 0.0, 'zun_bulk')
        for _member in range(5):
            (uuid,) = self.accept(1)
            self.agent.wake()
            self.turn(0.01)
            self.start([uuid])
            self.turn(0.01)
            self.turn(0.01)
            self.assertEqual({'running': 1}, self.states())
        self.assertEqual(3, self.wake.call_count)
        wait = self.agent._seconds_to_wait(self.now)
        self.assertLess(wait, 1.0)
        self.turn(wait)
        self.assertEqual(4, self.wake.call_count)
        self.turn(5)
        self.assertEqual(4, self.wake.call_count)
