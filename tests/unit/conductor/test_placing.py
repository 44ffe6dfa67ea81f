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

import time
from unittest import mock

import fixtures

from tests.unit.conductor import base
from zun_bulk.conductor import placing
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import history as db_history
from zun_bulk.db import leases as db_leases
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.network import errors
from zun_bulk.states import BulkStatus


class TestPlace(base.ConductorTestCase):
    def test_more_port_calls_only_while_hosts_run_dry(self):
        self.accept(30)
        self.cycle()
        self.conf.config(group='zun_bulk', port_calls=3)
        self.assertEqual(1, placing._port_calls(self.bulk))
        db_transitions.start_members(self.members(host='host-1'))
        self.assertEqual(3, placing._port_calls(self.bulk))

    def test_neutron_is_left_alone_that_cannot(self):
        self.accept(4)
        self.ports.refusal = Exception('503: Service Unavailable')
        for _ in range(5):
            self.cycle()
        self.assertEqual({'queued': 4}, self.states())
        shown = self.conductor._placing.calls.show(time.monotonic())
        self.assertEqual(
            ('open', 5), (shown['breaker'], shown['ended']['hard'])
        )

    def test_ports_that_neutron_refuses(self):
        self.accept(2)
        self.ports.refusal = errors.Refused('Neutron: no more addresses')
        self.cycle()
        self.assertEqual(
            [('network', 'Neutron: no more addresses', 2)],
            db_counts.list_failures(self.bulk.id, 9),
        )

    def test_each_that_neutron_refuses_by_its_own_reason(self):
        members = self.accept(5)
        self.ports.refused = {
            members[1].container_uuid: 'taken: a',
            members[3].container_uuid: 'taken: b',
        }
        self.cycle()
        self.assertEqual({'placed': 3, 'failed': 2}, self.states())
        self.assertEqual(
            [('network', 'taken: a', 1), ('network', 'taken: b', 1)],
            db_counts.list_failures(self.bulk.id, 9),
        )
        gone = set(self.ports.refused)
        self.assertEqual(gone, set(self.placement.released))
        self.assertEqual(gone, set(self.ports.swept))
        rows = zun_rows.container_states(sorted(gone))
        self.assertEqual(
            {'taken: a', 'taken: b'}, {row[1] for row in rows.values()}
        )

    def test_no_address_is_left(self):
        self.conf.config(group='zun_bulk', claim_batch=4)
        self.accept(10)
        self.ports.room = 6
        with mock.patch('zun_bulk.notifications.send') as send:
            bulk = self.cycle()
        why = 'Neutron: no more: 4 of 10 containers wait for an address'
        self.assertEqual(('paused', why), (bulk.status, bulk.status_reason))
        self.assertEqual({'placed': 6, 'queued': 4}, self.states())
        # The first have them, and the others keep their claims.
        self.assertEqual(
            [1, 2, 3, 4, 5, 6],
            [member.member_index for member in self.members(state='placed')],
        )
        self.assertEqual(10, len(self.placement.claimed))
        self.assertEqual(
            [('pause', 'paused', why)],
            [
                (
                    call.args[0],
                    call.kwargs['status'],
                    call.kwargs['status_reason'],
                )
                for call in send.mock_calls
            ],
        )
        self.assertEqual(
            'paused', db_history.list_events(self.bulk.id)[-1].event
        )

        # Nothing is done until its user wants it.
        self.ports.room = 3
        self.cycle()
        self.assertEqual({'placed': 6, 'queued': 4}, self.states())
        db_bulks.resume_bulk(self.bulk.id)
        bulk = self.cycle()
        self.assertEqual('paused', bulk.status)
        self.assertIn(': 1 of 10 containers', bulk.status_reason)
        self.ports.room = 1
        db_bulks.resume_bulk(self.bulk.id)
        self.assertEqual('building', self.cycle().status)
        self.assertEqual({'placed': 10}, self.states())

    def test_one_who_lost_the_bulk_does_not_pause_it(self):
        self.accept(2)
        self.ports.room = 0
        pause = db_bulks.pause_bulk

        def be_late(*args):
            db_leases.take_lease(db_bulks.get_bulk(self.bulk.uuid), 'another')
            return pause(*args)

        with mock.patch.object(db_bulks, 'pause_bulk', side_effect=be_late):
            self.assertEqual('building', self.cycle().status)

    def test_a_busy_neutron_is_asked_for_less(self):
        self.useFixture(fixtures.MockPatchObject(placing, 'BUSY_WAIT', 0))
        self.accept(30)
        self.ports.bears = 3
        self.cycle()
        self.assertEqual({'placed': 30}, self.states())
        self.assertEqual([4, 2], self.ports.sizes[:2])
        # Now and then it tries a little more.
        self.assertEqual(4, max(self.ports.sizes))
        # It is better again.
        self.ports.bears, self.ports.sizes = 99, []
        self.accept(200)
        self.cycle()
        self.assertEqual(20, max(self.ports.sizes))
        self.assertEqual({'placed': 200}, self.states())

    def test_one_that_is_too_busy_is_left_alone_for_now(self):
        self.useFixture(fixtures.MockPatchObject(placing, 'BUSY_WAIT', 0))
        self.accept(30)
        self.ports.bears = 0
        self.assertEqual('building', self.cycle().status)
        self.assertEqual([4, 2, 1], self.ports.sizes)
        self.assertEqual({'queued': 30}, self.states())
        self.ports.bears = 99
        self.cycle()
        self.assertEqual({'placed': 30}, self.states())

    def test_ports_of_a_lost_answer_are_looked_for(self):
        self.useFixture(fixtures.MockPatchObject(placing, 'BUSY_WAIT', 0))
        self.accept(6)
        self.ports.silent = 1
        self.cycle()
        self.assertEqual({'placed': 6}, self.states())
        self.assertEqual([4, 2], self.ports.sizes)

    def test_a_neutron_that_is_down_is_asked_again(self):
        self.accept(2)
        self.ports.refusal = OSError('connection refused')
        self.assertEqual(BulkStatus.BUILDING, self.cycle().status)
        self.assertEqual({'queued': 2}, self.states())
        self.ports.refusal = None
        self.cycle()
        self.assertEqual({'placed': 2}, self.states())

    def test_one_who_lost_the_bulk_places_nothing(self):
        self.accept(2)
        ensure = self.ports.ensure

        def be_slow(bulk, *args):
            db_leases.take_lease(db_bulks.get_bulk(bulk.uuid), 'another')
            return ensure(bulk, *args)

        self.ports.ensure = be_slow
        self.cycle()
        self.assertEqual({'queued': 2}, self.states())
