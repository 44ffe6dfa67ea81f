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
from zun.db.sqlalchemy import models as zun_models

from tests.unit.host import base
from zun_bulk import disclosure
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import zun_rows
from zun_bulk.db.models import Member


class TestSince(base.AgentTestCase):
    """What containers do once they have run."""

    def run_all(self, count, **values):
        uuids = self.accept(count, **values)
        self.cycle()
        self.start(uuids)
        for uuid in uuids:
            self.set_row(uuid, status='Running')
        self.cycle()
        self.cycle(6)
        self.assertEqual({'running': count}, self.states())
        return uuids

    def set_row(self, uuid, **values):
        with db_base.writer() as session:
            table = zun_models.Container.__table__
            session.execute(
                table.update().where(table.c.uuid == uuid).values(**values)
            )

    def end(self, uuid, code, report=True, at='2026-01-02T03:04:05Z'):
        self.docker[uuid] = base.running(
            Running=False, Pid=0, Status='exited', ExitCode=code, FinishedAt=at
        )
        if report:
            self.agent._changes.add('die', uuid)
            self.cycle(0.1)

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
        self.docker[uuids[1]] = base.running()
        self.agent._changes.add('start', uuids[1])
        self.cycle(0.1)
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
        self.cycle(1.1)
        self.assertEqual({'stopped': 1}, self.states())

    def test_one_that_dies_while_it_settles(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.start([uuid])
        self.cycle()
        self.end(uuid, 1)
        self.assertEqual({'failed': 1}, self.states())

    def test_the_start_of_a_member_is_no_news(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.agent._changes.add('start', uuid)
        self.start([uuid])
        self.cycle()
        self.agent._changes.add('start', uuid)
        self.assertFalse(self.agent._changes._changed)

    def test_deaths_that_nobody_saw(self):
        uuids = self.run_all(4)
        self.set_status('ready')
        for uuid in uuids[:2]:
            self.end(uuid, 3, report=False)
        self.agent._changes.subscribed(0.0)
        self.cycle(0.1)
        self.assertEqual({'running': 2, 'failed': 2}, self.states())

    def test_what_ends_with_its_engine_is_started_again(self):
        uuids = self.run_all(3)
        for uuid in uuids[:2]:
            self.end(uuid, 137, report=False, at='1970-01-01T00:00:10Z')
        self.end(uuids[2], 3, report=False, at='1970-01-01T00:00:10Z')
        self.agent._changes.subscribed(20.0)
        self.cycle(0.1)
        self.assertEqual({'starting': 2, 'failed': 1}, self.states())
        self.assertEqual(uuids + uuids[:2], self.compute.created)
        self.start(uuids[:2])
        self.cycle()
        self.cycle(6)
        self.assertEqual({'running': 2, 'failed': 1}, self.states())

    def test_but_not_of_a_finished_bulk(self):
        (uuid,) = self.run_all(1)
        self.set_status('ready')
        self.end(uuid, 137, report=False, at='1970-01-01T00:00:10Z')
        self.agent._changes.subscribed(20.0)
        self.cycle(0.1)
        self.assertEqual({'failed': 1}, self.states())

    def test_what_settles_and_ends_with_its_engine_is_started_again(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.start([uuid])
        self.cycle()
        self.end(uuid, 137, report=False, at='1970-01-01T00:00:10Z')
        self.agent._changes.subscribed(20.0)
        self.cycle(6)
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
        self.cycle(1.1)
        self.assertEqual(
            'failed', db_members.list_members_by_container(uuids[:1])[0].state
        )

    def test_nor_as_often_as_it_ends(self):
        (uuid,) = self.accept(1, max_attempts=2)
        self.agent._changes.unsubscribed()
        for _ in range(2):
            self.cycle()
            self.start([uuid])
            self.cycle()
            self.end(uuid, 137, report=False)
            self.cycle(6)
        self.assertEqual([uuid, uuid], self.compute.created)
        self.assertEqual({'failed': 1}, self.states())

    def test_a_container_without_a_member(self):
        self.agent._changes.add('die', 'uuid')
        self.cycle()
        self.assertEqual({}, self.agent._changes._due)


class TestStrays(base.AgentTestCase):
    def test_one_that_has_gone_to_another_host(self):
        uuids = self.accept(3)
        for uuid in uuids:
            self.docker[uuid] = base.running()
        with db_base.writer() as session:
            table = Member.__table__
            for uuid, host in zip(uuids, ('host-2', None), strict=False):
                session.execute(
                    table.update()
                    .where(table.c.container_uuid == uuid)
                    .values(host=host)
                )
        self.docker['nobodys'] = base.running()
        self.cycle()
        # What Zun does not know may be wanted yet.
        self.assertEqual({uuids[2], 'nobodys'}, set(self.docker))
        # Only when the engine is heard of again.
        self.docker[uuids[0]] = base.running()
        self.cycle()
        self.assertIn(uuids[0], self.docker)
        self.agent._changes.subscribed(self.now)
        self.cycle()
        self.assertNotIn(uuids[0], self.docker)
