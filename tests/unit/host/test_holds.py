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

from tests.unit.host import base
from zun_bulk.conf import CONF
from zun_bulk.db import bulks as db_bulks
from zun_bulk.host import agent
from zun_bulk.host import engine
from zun_bulk.host import gates


class TestHeld(base.AgentTestCase):
    """Readings of a host without room."""

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
            self.cycle()
        self.assertEqual([], self.compute.created)
        self.assertEqual({'placed': 6}, self.states())
        self.assertEqual({0}, {self.member(uuid).attempt for uuid in uuids})
        self.assertEqual(['mounts'], list(self.agent._holds.gates))
        self.use(10)
        self.cycle(5.0)
        self.assertEqual(uuids[:4], self.compute.created)
        self.assertEqual({}, self.agent._holds.gates)
        self.assertEqual(1, self.member(uuids[0]).attempt)

    def test_an_engine_that_does_not_answer(self):
        self.accept(1)
        self.readings = gates.Readings(ping=None)
        self.cycle()
        self.assertEqual([], self.compute.created)
        self.assertEqual({}, self.agent._holds.gates)
        self.readings = engine.UNREAD()
        self.cycle(60.0)
        self.assertEqual(1, len(self.compute.created))

    def test_single_containers_are_held_too(self):
        self.accept(1)
        self.use(80)
        self.cycle()
        self.assertEqual(0, self.agent.starts.room(self.now))
        self.assertIsNone(self.agent.starts.wait(self.now))

    def test_goes_on_holding_just_below_the_limit(self):
        self.accept(1)
        self.use(80)
        self.cycle()
        self.use(79)
        self.cycle(5.0)
        self.assertEqual([], self.compute.created)
        self.use(78)
        self.cycle(5.0)
        self.assertEqual(1, len(self.compute.created))

    def test_while_some_are_starting(self):
        uuids = self.accept(6)
        self.cycle()
        self.use(80)
        self.start(uuids[:4])
        self.cycle(5.0)
        self.cycle(6.0)
        self.assertEqual(uuids[:4], self.compute.created)
        self.assertEqual({'running': 4, 'placed': 2}, self.states())

    def test_a_retry_is_held_too(self):
        (uuid,) = self.accept(1)
        self.cycle()
        self.break_row(uuid, 'Docker timed out')
        self.use(80)
        self.cycle()
        self.cycle(10.0)
        self.assertEqual([uuid], self.compute.created)
        self.assertEqual(1, self.member(uuid).attempt)
        self.use(0)
        self.cycle(5.0)
        self.assertEqual([uuid] * 2, self.compute.created)

    def test_deletes_go_on(self):
        uuids = self.accept(2)
        self.use(80)
        self.cycle()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.agent.wake()
        self.cycle()
        self.assertEqual(uuids, self.compute.deleted)

    def test_looks_only_with_something_to_start(self):
        self.cycle()
        self.accept(2, host='host-2')
        self.cycle(10.0)
        self.probe.assert_not_called()

    def test_looks_at_most_every_probe_interval(self):
        self.accept(20)
        self.cycle()
        self.cycle(4.0)
        self.assertEqual(1, self.probe.call_count)
        self.cycle(1.0)
        self.assertEqual(2, self.probe.call_count)

    def test_is_back_in_time_to_look_again(self):
        CONF.set_override('poll_interval', 300.0, 'zun_bulk')
        self.addCleanup(CONF.clear_override, 'poll_interval', 'zun_bulk')
        self.accept(1)
        self.use(80)
        self.cycle()
        self.assertEqual(3.0, self.agent._seconds_to_wait(self.now + 2.0))

    def test_says_when_it_begins_and_ends(self):
        self.accept(1)
        self.use(80)
        self.cycle()
        self.use(90)
        self.cycle(5.0)
        self.assertEqual(1, self.log.output.count('starts no more'))
        self.assertIn('80 % of mounts used', self.log.output)
        self.assertNotIn('no longer held', self.log.output)
        self.use(10)
        self.cycle(5.0)
        self.assertEqual(
            1, self.log.output.count('Gate mounts no longer holds')
        )
