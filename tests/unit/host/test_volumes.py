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
from zun.common import exception
from zun.common import utils

from tests.unit.host import base
from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base
from zun_bulk.db import models
from zun_bulk.db import transitions as db_transitions
from zun_bulk.host import in_flight
from zun_bulk.host import starting
from zun_bulk.volume import mounts


class TestVolumes(base.AgentTestCase):
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
        volumes = mounts.noted(self.member(uuid), {'2': self.NEW})
        with db_base.writer() as session:
            table = models.Member.__table__
            session.execute(
                table.update()
                .where(table.c.container_uuid == uuid)
                .values(volumes=volumes)
            )

    def test_volumes_of_the_create(self):
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
        self.cycle()
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
        self.cycle()
        self.assertEqual([], self.compute.created)
        self.assertEqual({'queued': 1}, self.states())
        self.wake.assert_called()

    def test_each_attempt_detaches_volumes(self):
        uuid = self.accept()
        self.cycle()
        self.break_row(uuid, 'context deadline exceeded')
        self.cycle()
        self.cycle(starting.RETRY_MAX)
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual([uuid], self.forgotten)
        member = self.member(uuid)
        self.assertEqual(('queued', 'host-1'), (member.state, member.host))
        # As conductors do.
        self.note(uuid)
        db_transitions.move_members([self.member(uuid)], 'placed')
        self.agent.wake()
        self.cycle()
        self.assertEqual([uuid, uuid], self.compute.created)

    def fail_once(self, count=1):
        """Starts with the shared one fail, and are to be tried again."""
        mount = {'type': 'volume', 'source': self.SHARED, 'destination': '/s'}
        uuids = super().accept(count, spec={'mounts': [mount]})
        self.cycle()
        for uuid in uuids:
            self.break_row(uuid, 'context deadline exceeded')
        self.cycle()
        return uuids

    def test_none_is_taken_from_a_start_that_lives(self):
        (uuid,) = self.fail_once()

        @utils.synchronized(uuid)
        def live():
            self.cycle(starting.RETRY_MAX)

        live()
        self.assertEqual([], self.forgotten)
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(
            starting.VOLUMES_RETRY_DELAY,
            self.agent._starting._delayed[0][0] - self.now,
        )
        self.cycle(starting.VOLUMES_RETRY_DELAY)
        self.assertEqual([uuid], self.forgotten)
        self.assertEqual({'starting': 1}, self.states())

    def test_none_is_taken_from_a_container_that_runs(self):
        (uuid,) = self.fail_once()
        # A start that was given up has come late.
        self.docker[uuid] = base.running()
        self.cycle(starting.RETRY_MAX)
        self.assertEqual([], self.forgotten)
        self.cycle(CONF.zun_bulk.settle_time + 1)
        self.assertEqual({'running': 1}, self.states())
        self.assertEqual([uuid], self.compute.created)

    def test_what_cannot_be_detached_is_tried_again(self):
        def refuse(container_uuid):
            raise exception.ZunException('Cinder is away')

        uuids = self.fail_once(2)
        self.engine.forget_volumes = refuse
        self.cycle(starting.RETRY_MAX)
        self.agent._seconds_to_wait(self.now)
        self.assertEqual({'placed': 2}, self.states())
        self.engine.forget_volumes = self.forgotten.append
        self.cycle(starting.VOLUMES_RETRY_DELAY)
        self.assertEqual(set(uuids), set(self.forgotten))
        self.assertEqual({'starting': 2}, self.states())

    def test_a_start_after_slow_volumes_is_not_lost_at_once(self):
        (uuid,) = self.fail_once()
        clock = self.useFixture(fixtures.MockPatch('time.monotonic')).mock
        clock.return_value = 50.0

        def forget(container_uuid):
            clock.return_value += 2 * in_flight.LOST

        self.engine.forget_volumes = forget
        self.cycle(starting.RETRY_MAX)
        self.cycle(2 * in_flight.LOST + 1)
        self.assertEqual([uuid, uuid], self.compute.created)
        self.assertEqual({'starting': 1}, self.states())
