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

import collections
import copy
import datetime
import threading
import time
from unittest import mock

import fixtures
from keystoneauth1 import exceptions as ks_exc
from oslo_config import fixture as config_fixture
from oslo_utils import timeutils
from oslotest import base
import sqlalchemy as sa
from zun import objects
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk import disclosure
from zun_bulk.conductor import claiming
from zun_bulk.conductor import clearing
from zun_bulk.conductor import conductor
from zun_bulk.conductor import leases
from zun_bulk.conductor import placing
from zun_bulk.conf import CONF
from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db import history as db_history
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.network import errors
from zun_bulk.scheduler import hosts
from zun_bulk.scheduler import placement
from zun_bulk.volume import mounts
from zun_bulk.volume import volumes


class TestLeases(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        self.bulk, _members = database.accept(1)
        self.first = leases.Leases('first', 15)
        self.second = leases.Leases('second', 15)

    def epoch(self, leases, now):
        return leases.epoch(db_bulks.get_bulk(self.bulk.uuid), now)

    def test_a_free_bulk_is_taken_once(self):
        self.assertEqual(1, self.epoch(self.first, 0))
        self.assertEqual(1, self.epoch(self.first, 1))
        self.assertIsNone(self.epoch(self.second, 1))

    def test_one_that_is_renewed_is_not_taken(self):
        self.epoch(self.first, 0)
        for now in range(0, 100, 10):
            self.first.renew()
            self.assertIsNone(self.epoch(self.second, now))

    def test_one_that_stands_still_is_taken(self):
        self.epoch(self.first, 0)
        self.assertIsNone(self.epoch(self.second, 100))
        self.assertIsNone(self.epoch(self.second, 114))
        self.assertEqual(2, self.epoch(self.second, 116))
        # The first one wakes up late.
        self.assertIsNone(self.epoch(self.first, 116))
        self.first.renew()
        self.assertEqual(2, self.epoch(self.second, 117))

    def test_report(self):
        self.assertEqual({}, self.first.report())
        self.epoch(self.first, 0)
        self.assertEqual({self.bulk.uuid: 1}, self.first.report())
        self.first.retain_only([])
        self.assertEqual({}, self.first.report())

    def test_only_one_of_two_takes_it(self):
        seen = db_bulks.get_bulk(self.bulk.uuid)
        self.assertEqual(1, self.first.epoch(seen, 0))
        self.assertIsNone(self.second.epoch(seen, 0))

    def test_one_that_is_released_is_taken_at_once(self):
        self.epoch(self.first, 0)
        self.first.release()
        self.assertEqual(2, self.epoch(self.second, 1))
        # What it has not any more it cannot release.
        self.first.release()
        self.assertEqual(
            'second', db_bulks.get_bulk(self.bulk.uuid).lease_owner
        )

    def test_a_lease_lost_to_a_delete_is_noticed(self):
        self.epoch(self.first, 0)
        db_bulks.mark_bulk_deleting(self.bulk.id)
        # What it had under way may come late: others have to wait for that.
        self.assertIsNone(self.epoch(self.second, 1))
        self.assertEqual(3, self.epoch(self.first, 1))

    def test_a_lease_lost_to_a_delete_and_by_death(self):
        self.epoch(self.first, 0)
        self.assertIsNone(self.epoch(self.second, 0))
        db_bulks.mark_bulk_deleting(self.bulk.id)
        # The time begins anew.
        self.assertIsNone(self.epoch(self.second, 14))
        self.assertIsNone(self.epoch(self.second, 28))
        self.assertEqual(3, self.epoch(self.second, 30))

    def test_a_bulk_that_was_changed_is_released(self):
        self.epoch(self.first, 0)
        db_bulks.pause_bulk(self.bulk.id, 'because')
        self.first.release()
        db_bulks.resume_bulk(self.bulk.id)
        self.assertEqual(4, self.epoch(self.second, 0))


class FakePlacement:
    def __init__(self):
        self.claimed = {}
        self.full = 0
        self.released = []

    def claim(self, claims, project_id, user_id):
        if self.full:
            self.full -= 1
            raise placement.Full('no room')
        self.claimed.update(claims)

    def claimed_hosts(self):
        return [host for claim in self.claimed.values() for host in claim]

    def release(self, uuids, providers):
        self.released.extend(uuids)
        found = [uuid for uuid in uuids if uuid in self.claimed]
        for uuid in found:
            del self.claimed[uuid]
        return len(found)


class FakePorts:
    """A Neutron with one network.

    :ivar refusal: what is raised of all.
    :ivar refused: {container uuid: reason} of those who get none.
    :ivar room: how many addresses are left.
    :ivar bears: for how many members a call may be.
    :ivar silent: how many calls get no answer.
    :ivar asked: {bulk id: how often its defaults were asked for}.
    """

    DEFAULTS = {'net': {'fixed_ips': []}}

    def __init__(self):
        self.made = {}
        self.swept = []
        self.refusal = None
        self.refused = {}
        self.room = 10000
        self.bears = 10000
        self.silent = 0
        self.sizes = []
        self.asked = collections.Counter()

    def find(self, uuids):
        return {
            (uuid, 'net'): {'id': 'port'}
            for uuid in uuids
            if uuid in self.made
        }

    def has_extension(self, alias):
        return False

    def defaults(self, bulk):
        self.asked[bulk.id] += 1
        return self.DEFAULTS

    def ensure(self, bulk, placements, known, defaults, own):
        assert defaults == self.DEFAULTS
        if self.refusal:
            raise self.refusal
        lacking = [
            pair
            for pair in placements
            if (pair[0].container_uuid, 'net') not in known
        ]
        if lacking:
            self._make(lacking)
        return {
            member.id: [{'network': 'net', 'port': 'port'}]
            for member, _host in placements
        }

    def _make(self, placements):
        self.sizes.append(len(placements))
        if len(placements) > self.bears:
            raise errors.Busy('Neutron: busy')
        for member, _host in placements:
            if member.container_uuid in self.refused:
                raise errors.Refused(self.refused[member.container_uuid])
        if len(placements) > self.room:
            raise errors.Refused('Neutron: no more', errors.Kind.QUOTA)
        self.room -= len(placements)
        for member, host in placements:
            assert member.container_uuid not in self.made
            self.made[member.container_uuid] = host
        if self.silent:
            self.silent -= 1
            raise errors.Busy('Neutron: no answer')

    def sweep(self, bulk, uuids):
        self.swept.extend(uuids)
        return 0


class ConductorTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        self.conf = self.useFixture(config_fixture.Config(CONF))
        # A database in memory is for one thread at a time.
        self.conf.config(group='zun_bulk', port_calls=1)
        self.conductor = conductor.Conductor()
        self.placement = self.conductor._services._placement = FakePlacement()
        self.ports = self.conductor._services._ports = FakePorts()
        self.room = {'host-1': 100, 'host-2': 100}
        self.passing = self.useFixture(
            fixtures.MockPatchObject(
                hosts,
                '_passing',
                side_effect=lambda *_args: (
                    {
                        name: hosts.Host(
                            name, room, {'cpu': 4}, {name: {}}, 'VCPU'
                        )
                        for name, room in self.room.items()
                    },
                    {},
                ),
            )
        ).mock
        self.useFixture(
            fixtures.MockPatch(
                'zun.objects.Container.get_by_uuid',
                side_effect=lambda _context, uuid: mock.Mock(uuid=uuid),
            )
        )
        self.useFixture(
            fixtures.MockPatch('zun.objects.ComputeNode.list', return_value=[])
        )
        self.useFixture(
            fixtures.MockPatch(
                'zun.objects.ZunService.list_by_binary', return_value=[]
            )
        )
        self.wake = self.useFixture(
            fixtures.MockPatch('zun_bulk.rpc.wake_host')
        ).mock

    def turn(self):
        """Have the conductor look until it would wait."""
        self.conductor.look_after_bulks()
        while not self.conductor._patience:
            self.conductor.look_after_bulks()
        return db_bulks.get_bulk(self.bulk.uuid)

    def accept(self, count, **values):
        self.bulk, members = database.accept(count, **values)
        return members

    def grow(self, number):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        last = db_accepting.last_index_of(bulk) + number
        _bulk, members, containers, actions = database.rows(number)
        for index, member in enumerate(members, last - number + 1):
            member['member_index'] = index
        self.assertTrue(
            db_accepting.grow_bulk(bulk, last, members, containers, actions)
        )

    def states(self):
        return db_counts.count_members([self.bulk.id])[self.bulk.id]

    def members(self, **filters):
        return db_members.list_members(self.bulk.id, filters)


class FakeVolumes:
    """Volumes that are there two looks after they were made."""

    def __init__(self):
        self.made = {}
        self.refused = set()
        self.broken = set()
        self.busy = False
        self.swept = []
        self.swept_all = False

    def look(self, bulk, members):
        found = volumes.Found([], [], [], {})
        for member in members:
            uuid = member.container_uuid
            if uuid in self.broken:
                found.failed.setdefault('broken', []).append(member)
            elif uuid not in self.made:
                found.missing.append((member, '0', 1))
                found.waiting.append(member)
            elif self.made[uuid]:
                self.made[uuid] -= 1
                found.waiting.append(member)
            else:
                found.ready.append(
                    (member, mounts.noted(member, {'0': 'of-' + uuid}))
                )
        return found

    def make(self, bulk, missing):
        refused = {}
        for member, _number, _size in missing:
            if member.container_uuid in self.refused:
                refused.setdefault('quota', []).append(member)
            else:
                self.made[member.container_uuid] = 1
        return refused

    def sweep(self, bulk, uuids):
        if uuids is None:
            self.swept_all = True
        else:
            self.swept += uuids
        if self.busy:
            raise volumes.Busy('volume (creating)')
        return 0


class TestVolumes(ConductorTestCase):
    def setUp(self):
        super().setUp()
        self.volumes = self.conductor._services._volumes = FakeVolumes()
        self.forget = self.useFixture(
            fixtures.MockPatch('zun_bulk.volume.trusts.delete')
        ).mock

    def accept(self, count):
        return super().accept(
            count,
            spec={
                'mounts': [{'size': 1}],
                'trust_id': 'trust',
                'requested_networks': [],
            },
        )

    def test_members_wait_for_them(self):
        self.accept(3)
        for _made_or_waited_for in range(2):
            self.turn()
            self.assertEqual({'queued': 3}, self.states())
            self.assertEqual(conductor.LOOK_AGAIN, self.conductor._patience)
        self.turn()
        self.assertEqual({'placed': 3}, self.states())
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._patience)
        for member in self.members():
            self.assertFalse(mounts.lacks(self.bulk, member))
            self.assertEqual(
                {'0': 'of-' + member.container_uuid}, mounts.volume_ids(member)
            )

    def test_others_do_not_wait_for_long(self):
        self.conf.config(group='zun_bulk', claim_batch=2)
        self.accept(3)
        self.turn()
        self.assertEqual(2, len(self.volumes.made))
        self.turn()
        self.assertEqual(3, len(self.volumes.made))

    def test_refused_or_broken(self):
        first, second, _third = self.accept(3)
        self.volumes.refused = {first.container_uuid}
        self.volumes.broken = {second.container_uuid}
        for _cycle in range(3):
            self.turn()
        self.assertEqual({'failed': 2, 'placed': 1}, self.states())
        self.assertEqual(
            {('volume', 'quota', 1), ('volume', 'broken', 1)},
            set(db_counts.list_failures(self.bulk.id, 9)),
        )
        self.assertEqual(
            {first.container_uuid, second.container_uuid},
            set(self.volumes.swept),
        )

    def test_a_bulk_goes_once_its_volumes_have(self):
        self.accept(2)
        self.turn()
        self.volumes.busy = True
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.turn()
        self.assertEqual(conductor.LOOK_AGAIN, self.conductor._patience)
        self.forget.assert_not_called()
        self.volumes.busy = False
        self.assertFalse(self.volumes.swept_all)
        self.conductor.look_after_bulks()
        self.assertTrue(self.volumes.swept_all)
        self.forget.assert_called_with('trust')
        self.assertEqual([], db_bulks.list_bulks())

    def test_a_bulk_goes_once_its_trust_has(self):
        self.accept(1)
        self.turn()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.forget.side_effect = ks_exc.ConnectFailure()
        self.assertEqual(BulkStatus.DELETING, self.turn().status)
        self.forget.side_effect = None
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())

    def test_deleted_while_they_are_made(self):
        members = self.accept(2)
        make = self.volumes.make

        def make_late(bulk, missing):
            db_bulks.mark_bulk_deleting(bulk.id)
            return make(bulk, missing)

        self.volumes.make = make_late
        self.turn()
        self.assertEqual(
            {member.container_uuid for member in members},
            set(self.volumes.swept),
        )


class TestBuild(ConductorTestCase):
    def test_places_claims_and_wakes(self):
        self.accept(30)
        self.assertEqual(BulkStatus.BUILDING, self.turn().status)
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

    def test_hosts_get_their_part_of_what_is_free(self):
        self.room = {'host-1': 90, 'host-2': 30}
        self.accept(40)
        self.turn()
        self.assertEqual(
            {'host-1': {'placed': 30}, 'host-2': {'placed': 10}},
            db_counts.count_by_host(self.bulk.id),
        )

    def test_does_it_once(self):
        self.accept(4)
        self.turn()
        before = [(m.state, m.epoch) for m in self.members()]
        self.placement.claim = mock.Mock(side_effect=AssertionError)
        self.turn()
        self.assertEqual(before, [(m.state, m.epoch) for m in self.members()])

    def test_a_wake_up_that_is_lost_is_no_matter(self):
        self.accept(2)
        self.wake.side_effect = Exception('no broker')
        self.turn()
        self.assertEqual({'placed': 2}, self.states())

    NO_ROOM = 'There are not enough hosts available: ' + disclosure.mark(
        '3 of 5 fit: VCPU on host-1 and host-2', '3 of 5 fit'
    )

    def test_all_or_none(self):
        self.accept(5)
        self.room = {'host-1': 2, 'host-2': 1}
        self.assertEqual(BulkStatus.ERROR, self.turn().status)
        self.assertEqual({'failed': 5}, self.states())
        self.assertEqual(
            [('capacity', self.NO_ROOM, 5)],
            db_counts.list_failures(self.bulk.id, 9),
        )
        self.assertEqual({}, self.placement.claimed)
        # A retry looks anew, with all the room that there is then.
        db_bulks.retry_bulk(self.bulk.id)
        self.room = {'host-1': 3, 'host-2': 2}
        self.turn()
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
        self.turn()
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
        self.turn()
        self.assertEqual(
            {'host-1', 'host-2'}, {m.host for m in self.members()}
        )

    def test_claims_that_were_not_noted_are_released(self):
        self.accept(4)
        self.room = {'host-1': 4}
        with mock.patch.object(
            db_transitions, 'claim_members', side_effect=RuntimeError('killed')
        ):
            self.turn()
        self.assertEqual(4, len(self.placement.claimed))
        self.conductor._leases.release()
        # The claims of the one that died have taken the room.
        self.passing.side_effect = lambda *_args: (
            {}
            if self.placement.claimed
            else {'host-1': hosts.Host('host-1', 4, {}, {'host-1': {}})},
            {},
        )
        self.turn()
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
        self.turn()
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
        self.turn()
        self.assertEqual({'placed': 4}, self.states())

    def test_what_is_added_and_does_not_fit_fails_alone(self):
        self.accept(4)
        self.room = {'host-1': 4}
        # They wait for their ports.
        self.ports.refusal = OSError('no answer')
        self.turn()
        self.room = {'host-1': 1}
        self.grow(2)
        self.ports.refusal = None
        self.turn()
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
        self.turn()
        self.assertEqual({'host-1'}, {m.host for m in self.members()})

    def test_what_does_not_fit_fails_and_says_so(self):
        self.accept(5, placement={'policy': 'spread', 'allow_partial': True})
        self.room = {'host-1': 2, 'host-2': 1}
        self.turn()
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

    def test_more_port_calls_only_while_hosts_run_dry(self):
        self.accept(30)
        self.turn()
        self.conf.config(group='zun_bulk', port_calls=3)
        self.assertEqual(1, placing._port_calls(self.bulk))
        db_transitions.start_members(self.members(host='host-1'))
        self.assertEqual(3, placing._port_calls(self.bulk))

    def test_neutron_is_left_alone_that_cannot(self):
        self.accept(4)
        self.ports.refusal = Exception('503: Service Unavailable')
        for _ in range(5):
            self.turn()
        self.assertEqual({'queued': 4}, self.states())
        shown = self.conductor._placing.calls.show(time.monotonic())
        self.assertEqual(
            ('open', 5), (shown['breaker'], shown['ended']['hard'])
        )

    def test_room_that_others_took_is_looked_up_again(self):
        self.accept(2)
        self.placement.full = 2
        self.turn()
        self.assertEqual({'placed': 2}, self.states())

    def test_no_room_at_all(self):
        self.accept(2)
        self.placement.full = 99
        bulk = self.turn()
        self.assertEqual(
            (BulkStatus.ERROR, '2 of 2 members failed'),
            (bulk.status, bulk.status_reason),
        )

    def test_a_container_deleted_before_it_is_placed(self):
        first = self.accept(3)[0].container_uuid
        table = zun_models.Container.__table__
        with db_base.writer() as session:
            session.execute(sa.delete(table).where(table.c.uuid == first))
        self.turn()
        self.assertEqual({'placed': 2, 'failed': 1}, self.states())
        self.assertEqual(
            [('deleted', clearing.CONTAINER_GONE, 1)],
            db_counts.list_failures(self.bulk.id, 9),
        )
        self.assertNotIn(first, self.placement.claimed)

    def test_ports_that_neutron_refuses(self):
        self.accept(2)
        self.ports.refusal = errors.Refused('Neutron: no more addresses')
        self.turn()
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
        self.turn()
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
            bulk = self.turn()
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
        self.turn()
        self.assertEqual({'placed': 6, 'queued': 4}, self.states())
        db_bulks.resume_bulk(self.bulk.id)
        bulk = self.turn()
        self.assertEqual('paused', bulk.status)
        self.assertIn(': 1 of 10 containers', bulk.status_reason)
        self.ports.room = 1
        db_bulks.resume_bulk(self.bulk.id)
        self.assertEqual('building', self.turn().status)
        self.assertEqual({'placed': 10}, self.states())

    def test_one_who_lost_the_bulk_does_not_pause_it(self):
        self.accept(2)
        self.ports.room = 0
        pause = db_bulks.pause_bulk

        def be_late(*args):
            db_leases.take_lease(db_bulks.get_bulk(self.bulk.uuid), 'another')
            return pause(*args)

        with mock.patch.object(db_bulks, 'pause_bulk', side_effect=be_late):
            self.assertEqual('building', self.turn().status)

    def test_a_busy_neutron_is_asked_for_less(self):
        self.useFixture(fixtures.MockPatchObject(placing, 'BUSY_WAIT', 0))
        self.accept(30)
        self.ports.bears = 3
        self.turn()
        self.assertEqual({'placed': 30}, self.states())
        self.assertEqual([4, 2], self.ports.sizes[:2])
        # Now and then it tries a little more.
        self.assertEqual(4, max(self.ports.sizes))
        # It is better again.
        self.ports.bears, self.ports.sizes = 99, []
        self.accept(200)
        self.turn()
        self.assertEqual(20, max(self.ports.sizes))
        self.assertEqual({'placed': 200}, self.states())

    def test_one_that_is_too_busy_is_left_alone_for_now(self):
        self.useFixture(fixtures.MockPatchObject(placing, 'BUSY_WAIT', 0))
        self.accept(30)
        self.ports.bears = 0
        self.assertEqual('building', self.turn().status)
        self.assertEqual([4, 2, 1], self.ports.sizes)
        self.assertEqual({'queued': 30}, self.states())
        self.ports.bears = 99
        self.turn()
        self.assertEqual({'placed': 30}, self.states())

    def test_ports_of_a_lost_answer_are_looked_for(self):
        self.useFixture(fixtures.MockPatchObject(placing, 'BUSY_WAIT', 0))
        self.accept(6)
        self.ports.silent = 1
        self.turn()
        self.assertEqual({'placed': 6}, self.states())
        self.assertEqual([4, 2], self.ports.sizes)

    def test_a_neutron_that_is_down_is_asked_again(self):
        self.accept(2)
        self.ports.refusal = OSError('connection refused')
        self.assertEqual(BulkStatus.BUILDING, self.turn().status)
        self.assertEqual({'queued': 2}, self.states())
        self.ports.refusal = None
        self.turn()
        self.assertEqual({'placed': 2}, self.states())

    def test_one_who_lost_the_bulk_places_nothing(self):
        self.accept(2)
        ensure = self.ports.ensure

        def be_slow(bulk, *args):
            db_leases.take_lease(db_bulks.get_bulk(bulk.uuid), 'another')
            return ensure(bulk, *args)

        self.ports.ensure = be_slow
        self.turn()
        self.assertEqual({'queued': 2}, self.states())

    def test_finishes(self):
        for state, status in (
            (MemberState.RUNNING, BulkStatus.READY),
            (MemberState.FAILED, BulkStatus.ERROR),
        ):
            database.put(self.accept(2), state)
            bulk = self.turn()
            self.assertEqual(status, bulk.status)
            self.assertIsNotNone(bulk.finished_at)
            self.assertIsNone(bulk.lease_owner)

    def test_its_end_is_told(self):
        db_transitions.move_members(self.accept(3)[:1], MemberState.FAILED)
        database.put(self.members()[1:], MemberState.RUNNING)
        with mock.patch('zun_bulk.notifications.send') as send:
            for _time in range(2):
                self.turn()
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
        self.turn()
        self.assertEqual({'placed': 1}, self.states())


class TestTurns(ConductorTestCase):
    """A large bulk, for which others do not wait."""

    def setUp(self):
        super().setUp()
        self.conf.config(group='zun_bulk', claim_batch=2)
        self.large, _members = database.accept(5)
        self.accept(1)

    def look(self):
        """:returns: how many of the large bulk are placed, after a look."""
        self.conductor.look_after_bulks()
        counts = db_counts.count_members([self.large.id])[self.large.id]
        return counts.get(MemberState.PLACED, 0)

    def test_one_after_the_other(self):
        self.assertEqual(2, self.look())
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(0, self.conductor._patience)
        # One that comes meanwhile.
        self.accept(1)
        self.assertEqual(4, self.look())
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(0, self.conductor._patience)
        self.assertEqual(5, self.look())
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._patience)
        # Nothing is looked up anew for the second turn and the third.
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
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._patience)
        self.look()
        self.assertEqual({}, self.conductor._building)

    def test_lost_to_another_conductor(self):
        self.look()
        self.conductor._leases.release()
        other = leases.Leases('other', 15)
        other.epoch(db_bulks.get_bulk(self.large.uuid), 0)
        self.assertEqual(2, self.look())
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._patience)
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
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._patience)
        self.assertEqual(4, self.look())
        self.assertEqual(5, self.look())


class TestReport(ConductorTestCase):
    def test_while_it_places_members(self):
        self.accept(3)
        found = []
        make = self.ports.ensure

        def ensure(*args, **kwargs):
            found.append(self.conductor.report())
            return make(*args, **kwargs)

        self.ports.ensure = ensure
        self.turn()
        report = found[0]
        self.assertEqual({self.bulk.uuid: 1}, report['leases'])
        self.assertEqual(self.bulk.uuid, report['at']['bulk'])
        self.assertEqual('building', report['at']['status'])
        self.assertLess(report['at']['seconds'], 60)
        self.assertIn(CONF.host, report['owner'])
        self.assertEqual(1, report['port_calls']['limit'])
        self.assertEqual(4, report['floating_ip_calls']['limit'])
        self.assertIsNone(self.conductor.report()['at'])


class TestTidy(ConductorTestCase):
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


class TestTrim(ConductorTestCase):
    def number(self, bulk):
        return len(db_history.list_events(bulk.id))

    def test_the_oldest_go_of_any_bulk(self):
        self.conf.config(group='zun_bulk', max_events=100)
        self.accept(99)
        other = self.bulk
        database.put(self.members(), MemberState.RUNNING)
        self.turn()
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
        self.turn()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        db_transitions.move_members(self.members(), MemberState.DELETED)
        with mock.patch('zun_bulk.notifications.send') as send:
            self.conductor.look_after_bulks()
        self.assertEqual(0, self.number(self.bulk))
        self.assertEqual(
            ['deleted'], [call.args[0] for call in send.mock_calls]
        )


class TestHostDown(ConductorTestCase):
    def setUp(self):
        super().setUp()
        self.services = self.useFixture(
            fixtures.MockPatch(
                'zun.objects.ZunService.list_by_binary', return_value=[]
            )
        ).mock
        self.accept(6)
        self.turn()
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
        self.turn()
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
        self.turn()
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
        self.turn()
        self.assertEqual({'host-2': {'placed': 6}}, self.hosts())
        self.assertEqual(
            ('Creating', None, None, None),
            zun_rows.container_states([uuid])[uuid],
        )

    def test_as_many_as_others_have_room_for(self):
        self.goes_down()
        self.room['host-2'] = 2
        self.turn()
        self.assertEqual(
            {'host-1': {'placed': 1}, 'host-2': {'placed': 5}}, self.hosts()
        )
        self.room.clear()
        self.turn()
        self.assertEqual({'placed': 6}, self.states())

    def test_not_by_one_who_lost_the_bulk(self):
        members = self.members(host='host-1')
        held = db_leases.is_held(
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
        self.turn()
        self.assertEqual(3, len(db_members.list_removed(self.bulk.id)))
        self.goes_down(forced=True)
        self.turn()
        self.assertEqual([], db_members.list_removed(self.bulk.id))
        self.assertEqual({'host-2': {'placed': 3}}, self.hosts())
        self.assertEqual({'host-2'}, set(self.placement.claimed_hosts()))

    def test_one_that_is_deleted_waits_for_its_host(self):
        db_transitions.start_members(self.members())
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.goes_down()
        self.turn()
        self.assertEqual({'deleting': 6}, self.states())
        self.goes_down(forced=True)
        self.turn()
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
        self.turn()
        db_transitions.start_members(self.members())
        self.goes_down()
        self.turn()
        fake.detach.assert_not_called()
        return fake.detach, {m.id for m in self.members(host='host-1')}

    def test_what_was_given_is_detached_before_another_start(self):
        detach, there = self.accept_with_volume()
        detach.side_effect = ValueError
        self.goes_down(forced=True)
        self.turn()
        self.assertEqual({'starting': 4}, self.states())
        detach.side_effect = None
        self.turn()
        _bulk, members = detach.call_args[0]
        self.assertEqual(there, {member.id for member in members})
        self.assertEqual({'starting': 2, 'placed': 2}, self.states())

    def test_what_was_given_is_detached_before_its_container_goes(self):
        detach, there = self.accept_with_volume()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.goes_down(forced=True)
        self.turn()
        _bulk, members = detach.call_args[0]
        self.assertEqual(there, {member.id for member in members})
        self.assertEqual({'deleting': 2, 'deleted': 2}, self.states())


class TestStop(ConductorTestCase):
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
        return FakePorts.ensure(self.ports, *args)

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
            fixtures.MockPatchObject(conductor, 'SERVER_PATIENCE', 0)
        )
        self.server.stop.side_effect = lambda: self.answer.wait(60)
        self.accept(1)
        self.conductor.start()
        self.assertTrue(self.conductor.stop(60))


class TestHeldHosts(ConductorTestCase):
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
        self.turn()
        self.assertEqual({'host-2': 10}, self.placed())

    def test_what_fits_nowhere_else_waits(self):
        self.room = {'host-1': 4, 'host-2': 3}
        self.accept(10, placement={'policy': 'spread', 'allow_partial': True})
        self.hold('host-1')
        self.assertEqual('building', self.turn().status)
        self.assertEqual({'host-2': 3}, self.placed())
        # Three would not fit on both.
        self.assertEqual(
            {'placed': 3, 'queued': 4, 'failed': 3}, self.states()
        )
        self.hold('host-1', False)
        self.room = {'host-1': 4, 'host-2': 0}
        self.turn()
        self.assertEqual({'host-1': 4, 'host-2': 3}, self.placed())

    def test_nothing_is_done_again_and_again_for_those_that_wait(self):
        self.conf.config(group='zun_bulk', claim_batch=10)
        self.accept(100)
        for name in self.room:
            self.hold(name)
        self.turn()
        self.assertEqual(1, self.passing.call_count)
        self.assertEqual({'queued': 100}, self.states())


class TestCancel(ConductorTestCase):
    def test_clears_what_waits_and_keeps_what_runs(self):
        members = self.accept(6)
        self.turn()
        placed = self.members(state='placed')
        (running,) = db_transitions.start_members(placed[:1])
        db_bulks.cancel_bulk(self.bulk.id)
        self.assertEqual('cancelling', self.turn().status)
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
        self.assertEqual('cancelling', self.turn().status)
        self.assertEqual({'deleting': 1, 'cancelled': 5}, self.states())
        zun_rows.delete_containers([running.container_uuid])
        db_transitions.move_members(
            self.members(state='deleting'), MemberState.DELETED
        )
        bulk = self.turn()
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
        self.assertEqual('cancelled', self.turn().status)
        self.assertEqual({'cancelled': 3}, self.states())

    def test_one_that_stops_halfway_is_done_again(self):
        self.accept(3)
        self.turn()
        db_bulks.cancel_bulk(self.bulk.id)
        release, self.placement.release = (
            self.placement.release,
            mock.Mock(side_effect=Exception('Placement is down')),
        )
        self.assertEqual('cancelling', self.turn().status)
        self.placement.release = release
        self.assertEqual('cancelled', self.turn().status)
        self.assertEqual(3, len(set(self.placement.released)))

    def test_and_then_deleted(self):
        self.accept(2)
        self.turn()
        db_bulks.cancel_bulk(self.bulk.id)
        self.turn()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())


class TestScale(ConductorTestCase):
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
        self.turn()
        self.run_placed()
        self.assertEqual('ready', self.turn().status)
        self.grow(3)
        self.assertEqual('building', self.turn().status)
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
        bulk = self.turn()
        self.assertEqual(('ready', 5), (bulk.status, bulk.count))
        self.assertIsNotNone(bulk.finished_at)

    def test_down_when_ready_waits_for_the_hosts(self):
        members = self.accept(4)
        self.turn()
        self.run_placed()
        self.turn()
        self.shrink(3)
        for _time in range(2):
            self.assertEqual('building', self.turn().status)
        self.assertEqual({'running': 1}, self.states())
        self.assertEqual(4, self.left())
        self.run_placed()
        bulk = self.turn()
        self.assertEqual(('ready', 1), (bulk.status, bulk.count))
        self.assertEqual(1, self.left())
        uuids = {m.container_uuid for m in members[1:]}
        self.assertEqual(uuids, set(self.placement.released))
        self.assertEqual(uuids, set(self.ports.swept))

    def test_down_before_anything_was_placed(self):
        members = self.accept(5)
        self.shrink(3)
        self.turn()
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
        self.turn()
        self.run_placed()
        self.assertEqual('error', self.turn().status)
        self.shrink(1)
        self.assertEqual('ready', self.turn().status)
        self.assertEqual(2, self.left())

    def test_of_a_paused_bulk(self):
        self.accept(4)
        self.turn()
        db_bulks.pause_bulk(self.bulk.id, 'why')
        self.shrink(2)
        self.grow(1)
        self.assertEqual('paused', self.turn().status)
        self.assertEqual(5, self.left())
        self.run_placed()
        self.assertEqual('paused', self.turn().status)
        self.assertEqual(3, self.left())
        self.assertEqual({'running': 2, 'queued': 1}, self.states())
        db_bulks.resume_bulk(self.bulk.id)
        self.turn()
        self.run_placed()
        self.assertEqual('ready', self.turn().status)

    def test_cancelled_before_it_is_done(self):
        self.accept(4)
        self.turn()
        self.run_placed()
        self.shrink(1)
        self.grow(2)
        db_bulks.cancel_bulk(self.bulk.id)
        self.assertEqual('cancelling', self.turn().status)
        self.run_placed()
        self.assertEqual('cancelled', self.turn().status)
        self.assertEqual({'running': 3, 'cancelled': 2}, self.states())

    def test_deleted_before_it_is_done(self):
        self.accept(4)
        self.turn()
        self.shrink(2)
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.assertEqual('deleting', self.turn().status)
        db_transitions.move_members(self.members(), MemberState.DELETED)
        # Hosts still have those that were scaled away.
        self.assertEqual('deleting', self.turn().status)
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
            self.turn()
            self.assertEqual(3, self.left())
            self.assertEqual({'queued': 1}, self.states())
        self.placement.release = release
        self.turn()
        self.assertEqual(1, self.left())

    def test_many_at_a_time(self):
        self.accept(250)
        self.shrink(249)
        self.turn()
        self.assertEqual(1, self.left())
        self.assertEqual({'placed': 1}, self.states())

    def test_while_it_is_being_planned(self):
        """What the loser makes too late nobody else would clear."""
        self.accept(4)
        ensure, other = self.ports.ensure, conductor.Conductor()
        other._services._placement, other._services._ports = (
            FakePlacement(),
            FakePorts(),
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
        self.turn()
        self.assertEqual({'placed': 1}, self.states())
        self.assertEqual(1, self.left())
        (kept,) = self.members()
        self.assertEqual({kept.container_uuid}, set(self.placement.claimed))
        self.assertEqual(3, len(set(self.ports.swept)))
        self.assertNotIn(kept.container_uuid, self.ports.swept)


class TestDelete(ConductorTestCase):
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
        self.turn()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.wake.reset_mock()
        self.turn()
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
        self.turn()
        self.assertEqual({'deleting': 2}, self.states())
        claimed = copy.copy(self.placement.claimed)
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())
        self.assertTrue(set(claimed) <= set(self.placement.released))


class TestFloatingIps(ConductorTestCase):
    """What waits for floating IPs; see test_floating_ips for the rest."""

    def setUp(self):
        super().setUp()
        self.accept(2)
        with db_base.writer() as session:
            session.execute(
                sa.update(models.Member).values(floating_ip_state='wanted')
            )
        self.bulk = self.turn()
        database.put(self.members(), MemberState.RUNNING)

    def set(self, state, *members):
        for member in members:
            self.assertTrue(
                db_floating_ips.set_floating_ip(member, self.bulk.epoch, state)
            )

    def test_a_bulk_is_finished_once_all_have_theirs(self):
        first, second = self.members()
        self.set('bound', first)
        self.assertEqual(BulkStatus.BUILDING, self.turn().status)
        self.set('bound', second)
        self.assertEqual(BulkStatus.READY, self.turn().status)

    def test_a_bulk_is_in_error_if_one_cannot_have_it(self):
        first, second = self.members()
        self.set('bound', first)
        self.set('failed', second)
        bulk = self.turn()
        self.assertEqual(
            (BulkStatus.ERROR, '1 of 2 members have no floating IP'),
            (bulk.status, bulk.status_reason),
        )

    def test_a_bulk_is_gone_once_all_are_released(self):
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.turn()
        db_transitions.move_members(self.members(), MemberState.DELETED)
        bulk = self.turn()
        self.assertEqual(BulkStatus.DELETING, bulk.status)
        db_floating_ips.clear_floating_ips(bulk.id, bulk.epoch, self.members())
        self.assertRaises(exception.ResourceNotFound, self.turn)

    def test_what_was_scaled_away_is_gone_once_it_is_released(self):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        self.assertTrue(db_accepting.shrink_bulk(bulk, self.members()[1:]))
        removed = db_members.list_removed(bulk.id)
        db_transitions.move_members(removed, MemberState.DELETED)
        bulk = self.turn()
        self.assertEqual(1, len(db_members.list_removed(bulk.id)))
        db_floating_ips.clear_floating_ips(bulk.id, bulk.epoch, removed)
        self.turn()
        self.assertEqual([], db_members.list_removed(bulk.id))
