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

from tests.unit.host import base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import hosts as db_hosts
from zun_bulk.host import gates


class TestOperator(base.AgentTestCase):
    """What the operator has set in the host's row."""

    def change(self, **values):
        """Write values as the API does, and send its hint."""
        self.assertTrue(
            db_hosts.change_host(db_hosts.get_host('host-1'), **values)
        )
        self.agent.wake()

    def test_makes_its_row(self):
        self.cycle()
        self.assertFalse(db_hosts.get_host('host-1').held)

    def test_a_hold_and_its_end(self):
        self.cycle()
        self.change(held=True, held_reason='a new disk')
        uuids = self.accept(3)
        self.cycle()
        self.cycle(300)
        self.assertEqual([], self.compute.created)
        self.assertEqual({'placed': 3}, self.states())
        shown = self.agent.show()
        self.assertEqual({'operator': 'a new disk'}, shown['held_by'])
        self.assertEqual(3, shown['queued'])
        self.change(held=False, held_reason=None)
        self.cycle()
        self.assertEqual(uuids, self.compute.created)
        self.assertEqual(1, self.member(uuids[0]).attempt)
        self.assertEqual({}, self.agent.show()['held_by'])

    def test_what_starts_goes_on_while_it_is_held(self):
        uuids = self.accept(6)
        self.cycle()
        self.change(held=True)
        self.start(uuids[:4])
        self.cycle()
        self.cycle(6)
        self.assertEqual({'running': 4, 'placed': 2}, self.states())
        self.assertEqual(
            {'operator': 'no reason given'}, self.agent.show()['held_by']
        )

    def test_deletes_go_on_while_it_is_held(self):
        uuids = self.accept(2)
        self.cycle()
        self.change(held=True)
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.cycle()
        self.assertEqual(uuids, self.compute.deleted)

    def test_a_hold_survives_a_restart(self):
        self.cycle()
        self.change(held=True, held_reason='a new disk')
        self.accept(1)
        self.agent = self.new_agent()
        self.cycle()
        self.assertEqual([], self.compute.created)
        self.assertEqual(
            {'operator': 'a new disk'}, self.agent.show()['held_by']
        )

    def test_a_hold_beside_a_gate(self):
        full = gates.Readings(memory_available=0, memory_total=1, ping=0.0)
        self.accept(1)
        with mock.patch.object(self.engine, 'probe', lambda: full):
            self.cycle()
            self.change(held=True, held_reason='a new disk')
            self.cycle()
            self.assertEqual(
                {'memory', 'operator'}, set(self.agent.show()['held_by'])
            )
        self.cycle(10)
        self.assertEqual(
            {'operator': 'a new disk'}, self.agent.show()['held_by']
        )
        self.assertEqual([], self.compute.created)

    def test_without_a_hint_the_row_is_read_once_a_minute(self):
        self.cycle()
        db_hosts.change_host(db_hosts.get_host('host-1'), held=True)
        self.cycle(59)
        self.assertEqual({}, self.agent.show()['held_by'])
        self.cycle(1)
        self.assertEqual({'operator'}, set(self.agent.show()['held_by']))

    def test_another_pace(self):
        uuids = self.accept(10)
        self.cycle()
        self.change(max_in_flight=6)
        self.cycle()
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
        self.change(max_in_flight=None, mode='adaptive')
        self.cycle()
        self.assertEqual(
            (2, 6),
            tuple(
                self.agent.show()['starts'][name]
                for name in ('limit', 'in_flight')
            ),
        )

    def test_an_interval_leaves_the_limit(self):
        self.cycle()
        limit = self.agent.starts._pacer._limit
        self.change(start_interval=30.0)
        uuids = self.accept(2)
        self.cycle()
        self.cycle(29)
        self.assertEqual(uuids[:1], self.compute.created)
        self.cycle()
        self.assertEqual(uuids, self.compute.created)
        self.assertIs(limit, self.agent.starts._pacer._limit)

    def test_a_row_that_cannot_be_read_is_read_again(self):
        self.cycle()
        with mock.patch.object(db_hosts, 'get_host', side_effect=OSError):
            self.assertRaises(OSError, self.broken_cycle)
        self.agent._recover(self.now)
        db_hosts.change_host(db_hosts.get_host('host-1'), held=True)
        self.cycle()
        self.assertEqual({'operator'}, set(self.agent.show()['held_by']))

    def broken_cycle(self):
        self.agent.wake()
        self.cycle()
