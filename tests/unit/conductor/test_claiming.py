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
from unittest import mock

import fixtures
from oslo_utils import timeutils
import sqlalchemy as sa
from zun import objects
from zun.db.sqlalchemy import models as zun_models

from tests.unit.conductor import base
from zun_bulk import disclosure
from zun_bulk.conductor import claiming
from zun_bulk.conductor import clearing
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import history as db_history
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.scheduler import hosts
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState
from zun_bulk.volume import volumes


class TestClaim(base.ConductorTestCase):
    NO_ROOM = 'There are not enough hosts available: ' + disclosure.mark(
        '3 of 5 fit: VCPU on host-1 and host-2', '3 of 5 fit'
    )

    def test_hosts_get_their_part_of_what_is_free(self):
        self.room = {'host-1': 90, 'host-2': 30}
        self.accept(40)
        self.cycle()
        self.assertEqual(
            {'host-1': {'placed': 30}, 'host-2': {'placed': 10}},
            db_counts.count_by_host(self.bulk.id),
        )

    def test_all_or_none(self):
        self.accept(5)
        self.room = {'host-1': 2, 'host-2': 1}
        self.assertEqual(BulkStatus.ERROR, self.cycle().status)
        self.assertEqual({'failed': 5}, self.states())
        self.assertEqual(
            [('capacity', self.NO_ROOM, 5)],
            db_counts.list_failures(self.bulk.id, 9),
        )
        self.assertEqual({}, self.placement.claimed)
        # A retry looks anew, with all the room that there is then.
        db_bulks.retry_bulk(self.bulk.id)
        self.room = {'host-1': 3, 'host-2': 2}
        self.cycle()
        self.assertEqual({'placed': 5}, self.states())

    def test_all_or_none_where_others_are_faster(self):
        self.conf.config(group='zun_bulk', claim_batch=2)
        self.accept(5)
        claim = self.placement.claim

        def claim_the_last(claims, *args):
            claim(claims, *args)
            self.room = {'host-1': 0, 'host-2': 1}
            self.placement.full = 1

        self.placement.claim = claim_the_last
        self.cycle()
        self.assertEqual({'failed': 5}, self.states())
        self.assertEqual({}, self.placement.claimed)
        self.assertEqual({None}, {m.host for m in self.members()})
        self.wake.assert_not_called()

    def test_what_was_claimed_before_others_were_faster_counts(self):
        self.conf.config(group='zun_bulk', claim_batch=1)
        self.accept(2, placement={'policy': 'anti-affinity'})
        claim = self.placement.claim

        def claim_the_first(claims, *args):
            claim(claims, *args)
            self.placement.claim = claim
            self.placement.full = 1

        self.placement.claim = claim_the_first
        self.cycle()
        self.assertEqual(
            {'host-1', 'host-2'}, {m.host for m in self.members()}
        )

    def test_claims_that_were_not_noted_are_released(self):
        self.accept(4)
        self.room = {'host-1': 4}
        with mock.patch.object(
            db_transitions, 'claim_members', side_effect=RuntimeError('killed')
        ):
            self.cycle()
        self.assertEqual(4, len(self.placement.claimed))
        self.conductor._leases.release()
        # The claims of the one that died have taken the room.
        self.passing.side_effect = lambda *_args: (
            {}
            if self.placement.claimed
            else {'host-1': hosts.Host('host-1', 4, {}, {'host-1': {}})},
            {},
        )
        self.cycle()
        self.assertEqual({'placed': 4}, self.states())

    def test_a_placement_that_goes_away_meanwhile(self):
        self.conf.config(group='zun_bulk', claim_batch=2)
        self.accept(4)
        self.room = {'host-1': 4}
        claim = self.placement.claim

        def claim_once(claims, *args):
            claim(claims, *args)
            self.placement.claim = mock.Mock(side_effect=OSError('no answer'))

        self.placement.claim = claim_once
        self.cycle()
        self.assertEqual({'queued': 4}, self.states())
        self.assertEqual({None}, {m.host for m in self.members()})
        self.assertEqual(2, len(self.placement.claimed))
        self.placement.claim = claim
        # What it has claimed takes the room of the very members.
        self.passing.side_effect = lambda *_args: (
            {
                'host-1': hosts.Host(
                    'host-1',
                    4 - len(self.placement.claimed),
                    {},
                    {'host-1': {}},
                )
            },
            {},
        )
        self.cycle()
        self.assertEqual({'placed': 4}, self.states())

    def test_what_is_added_and_does_not_fit_fails_alone(self):
        self.accept(4)
        self.room = {'host-1': 4}
        # They wait for their ports.
        self.ports.refusal = OSError('no answer')
        self.cycle()
        self.room = {'host-1': 1}
        self.grow(2)
        self.ports.refusal = None
        self.cycle()
        self.assertEqual({'placed': 4, 'failed': 2}, self.states())
        self.assertEqual(
            [
                (
                    'capacity',
                    'There are not enough hosts available: 1 of 2 fit: '
                    'VCPU on host-1',
                    2,
                )
            ],
            [
                (kind, disclosure.render(reason), number)
                for kind, reason, number in db_counts.list_failures(
                    self.bulk.id, 9
                )
            ],
        )

    def test_a_policy(self):
        self.accept(4, placement={'policy': 'affinity'})
        self.room = {'host-1': 9, 'host-2': 3}
        self.cycle()
        self.assertEqual({'host-1'}, {m.host for m in self.members()})

    def test_what_does_not_fit_fails_and_says_so(self):
        self.accept(5, placement={'policy': 'spread', 'allow_partial': True})
        self.room = {'host-1': 2, 'host-2': 1}
        self.cycle()
        self.assertEqual({'placed': 3, 'failed': 2}, self.states())
        left = self.members(state='failed')
        self.assertEqual(
            {('capacity', self.NO_ROOM)},
            {(member.reason_class, member.reason) for member in left},
        )
        rows = zun_rows.container_states([m.container_uuid for m in left])
        # Zun shows it to their owner.
        self.assertEqual(
            {('Error', 'There are not enough hosts available: 3 of 5 fit')},
            {row[:2] for row in rows.values()},
        )
        self.assertEqual(
            {m.container_uuid for m in left}, set(self.placement.released)
        )

    def test_room_that_others_took_is_looked_up_again(self):
        self.accept(2)
        self.placement.full = 2
        self.cycle()
        self.assertEqual({'placed': 2}, self.states())

    def test_no_room_at_all(self):
        self.accept(2)
        self.placement.full = 99
        bulk = self.cycle()
        self.assertEqual(
            (BulkStatus.ERROR, '2 of 2 members failed'),
            (bulk.status, bulk.status_reason),
        )

    def test_a_container_deleted_before_it_is_placed(self):
        first = self.accept(3)[0].container_uuid
        table = zun_models.Container.__table__
        with db_base.writer() as session:
            session.execute(sa.delete(table).where(table.c.uuid == first))
        self.cycle()
        self.assertEqual({'placed': 2, 'failed': 1}, self.states())
        self.assertEqual(
            [('deleted', clearing.CONTAINER_GONE, 1)],
            db_counts.list_failures(self.bulk.id, 9),
        )
        self.assertNotIn(first, self.placement.claimed)


class TestHostDown(base.ConductorTestCase):
    def setUp(self):
        super().setUp()
        self.services = self.useFixture(
            fixtures.MockPatch(
                'zun.objects.ZunService.list_by_binary', return_value=[]
            )
        ).mock
        self.accept(6)
        self.cycle()
        self.assertEqual(
            {'host-1': {'placed': 3}, 'host-2': {'placed': 3}}, self.hosts()
        )

    def hosts(self):
        return db_counts.count_by_host(self.bulk.id)

    def goes_down(self, forced=False):
        self.services.return_value = [
            objects.ZunService(
                host=host,
                forced_down=forced and host == 'host-1',
                last_seen_up=timeutils.utcnow()
                - datetime.timedelta(seconds=seconds),
            )
            for host, seconds in (('host-1', 1000), ('host-2', 1))
        ]
        self.room.pop('host-1', None)
        self.conductor._services._down_seen = float('-inf')

    def test_what_waits_there_goes_elsewhere(self):
        before = self.members(host='host-1')
        self.goes_down()
        self.cycle()
        self.assertEqual({'host-2': {'placed': 6}}, self.hosts())
        for member in before:
            # Its claim is the new host's, and the old one cannot begin it.
            self.assertEqual(
                {'host-2': {}}, self.placement.claimed[member.container_uuid]
            )
        self.assertEqual([], db_transitions.start_members(before))
        self.assertEqual(
            [
                ('queued', member.member_index, 'host-1', claiming.HOST_DOWN)
                for member in before
            ],
            [
                (row.event, row.member_index, row.host, row.reason)
                for row in db_history.list_events(self.bulk.id)[1:]
            ],
        )

    def test_what_was_begun_stays(self):
        db_transitions.start_members(self.members(host='host-1')[:1])
        again = self.members(host='host-1', state='placed')[:1]
        db_transitions.move_members(
            again, MemberState.PLACED, reason='it was busy'
        )
        self.goes_down()
        self.cycle()
        self.assertEqual(
            {'host-1': {'starting': 1, 'placed': 1}, 'host-2': {'placed': 4}},
            self.hosts(),
        )

    def test_all_goes_once_an_operator_forces_it_down(self):
        begun = self.members(host='host-1')
        db_transitions.start_members(begun[:2])
        uuid = begun[0].container_uuid
        with db_base.writer() as session:
            table = zun_models.Container.__table__
            session.execute(
                sa.update(table)
                .where(table.c.uuid == uuid)
                .values(host='host-1', task_state='container_creating')
            )
        self.goes_down(forced=True)
        self.cycle()
        self.assertEqual({'host-2': {'placed': 6}}, self.hosts())
        self.assertEqual(
            ('Creating', None, None, None),
            zun_rows.container_states([uuid])[uuid],
        )

    def test_as_many_as_others_have_room_for(self):
        self.goes_down()
        self.room['host-2'] = 2
        self.cycle()
        self.assertEqual(
            {'host-1': {'placed': 1}, 'host-2': {'placed': 5}}, self.hosts()
        )
        self.room.clear()
        self.cycle()
        self.assertEqual({'placed': 6}, self.states())

    def test_not_by_one_who_lost_the_bulk(self):
        members = self.members(host='host-1')
        held = db_leases.lease_condition(
            self.bulk.id, db_bulks.get_bulk(self.bulk.uuid).epoch - 1
        )
        self.assertEqual(
            [],
            db_transitions.move_members(
                members, MemberState.QUEUED, only_if=held, host=None
            ),
        )

    def test_one_that_is_scaled_away_waits_for_its_host(self):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        db_accepting.shrink_bulk(bulk, self.members(host='host-1'))
        self.goes_down()
        self.cycle()
        self.assertEqual(3, len(db_members.list_removed(self.bulk.id)))
        self.goes_down(forced=True)
        self.cycle()
        self.assertEqual([], db_members.list_removed(self.bulk.id))
        self.assertEqual({'host-2': {'placed': 3}}, self.hosts())
        self.assertEqual({'host-2'}, set(self.placement.claimed_hosts()))

    def test_one_that_is_deleted_waits_for_its_host(self):
        db_transitions.start_members(self.members())
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.goes_down()
        self.cycle()
        self.assertEqual({'deleting': 6}, self.states())
        self.goes_down(forced=True)
        self.cycle()
        self.assertEqual({'deleting': 3, 'deleted': 3}, self.states())
        self.assertEqual({'host-2'}, set(self.placement.claimed_hosts()))

    def accept_with_volume(self):
        self.accept(
            4,
            spec={
                'mounts': [{'type': 'volume', 'source': 'given'}],
                'requested_networks': [],
            },
        )
        self.conductor._services._volumes = fake = mock.Mock(
            spec=volumes.Volumes
        )
        self.cycle()
        db_transitions.start_members(self.members())
        self.goes_down()
        self.cycle()
        fake.detach.assert_not_called()
        return fake.detach, {m.id for m in self.members(host='host-1')}

    def test_what_was_given_is_detached_before_another_start(self):
        detach, there = self.accept_with_volume()
        detach.side_effect = ValueError
        self.goes_down(forced=True)
        self.cycle()
        self.assertEqual({'starting': 4}, self.states())
        detach.side_effect = None
        self.cycle()
        _bulk, members = detach.call_args[0]
        self.assertEqual(there, {member.id for member in members})
        self.assertEqual({'starting': 2, 'placed': 2}, self.states())

    def test_what_was_given_is_detached_before_its_container_goes(self):
        detach, there = self.accept_with_volume()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.goes_down(forced=True)
        self.cycle()
        _bulk, members = detach.call_args[0]
        self.assertEqual(there, {member.id for member in members})
        self.assertEqual({'deleting': 2, 'deleted': 2}, self.states())


class TestHeldHosts(base.ConductorTestCase):
    def hold(self, name, held=True):
        db_hosts.add_host(name)
        db_hosts.change_host(
            db_hosts.get_host(name), held=held, held_reason='new disk'
        )

    def placed(self):
        hosts = [member.host for member in self.members(state='placed')]
        return {name: hosts.count(name) for name in set(hosts)}

    def test_gets_none(self):
        self.accept(10)
        self.hold('host-1')
        self.cycle()
        self.assertEqual({'host-2': 10}, self.placed())

    def test_what_fits_nowhere_else_waits(self):
        self.room = {'host-1': 4, 'host-2': 3}
        self.accept(10, placement={'policy': 'spread', 'allow_partial': True})
        self.hold('host-1')
        self.assertEqual('building', self.cycle().status)
        self.assertEqual({'host-2': 3}, self.placed())
        # Three would not fit on both.
        self.assertEqual(
            {'placed': 3, 'queued': 4, 'failed': 3}, self.states()
        )
        self.hold('host-1', False)
        self.room = {'host-1': 4, 'host-2': 0}
        self.cycle()
        self.assertEqual({'host-1': 4, 'host-2': 3}, self.placed())

    def test_nothing_is_done_again_and_again_for_those_that_wait(self):
        self.conf.config(group='zun_bulk', claim_batch=10)
        self.accept(100)
        for name in self.room:
            self.hold(name)
        self.cycle()
        self.assertEqual(1, self.passing.call_count)
        self.assertEqual({'queued': 100}, self.states())
