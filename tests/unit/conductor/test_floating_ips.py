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

from oslo_config import fixture as config_fixture
from oslotest import base

from tests import database
from tests import emulated_neutron
from zun_bulk.conductor import floating_ips
from zun_bulk.conductor import leases
from zun_bulk.conf import CONF
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db.specs import MemberSpec
from zun_bulk.network import requested
from zun_bulk.states import BulkStatus
from zun_bulk.states import FloatingIpState
from zun_bulk.states import MemberState


class FloatingIpsTestCase(base.BaseTestCase):
    """The loop cycle by cycle, with a database and an emulated Neutron."""

    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        conf = self.useFixture(config_fixture.Config(CONF))
        # A database in memory is for one thread at a time.
        conf.config(group='zun_bulk', floating_ip_calls=1)
        self.neutron = self.useFixture(
            emulated_neutron.EmulatedNeutron(
                cidr='10.1.0.0/24', public_cidr='172.24.0.0/29'
            )
        )
        self.leases = leases.Leases('me', 15)
        self.settled = mock.Mock()
        self.loop = floating_ips.FloatingIps(self.leases, self.settled)

    def accept(self, count, given=(), on_delete='release', **values):
        """Accept a bulk whose members want floating IPs.

        :param given: addresses of the first members' floating IPs.
        """
        self.bulk = db_bulks.get_bulk(
            self._accept(count, given, on_delete, values)
        )
        self.take()
        return self.bulk

    def _accept(self, count, given, on_delete, values):
        written = database.rows(
            count,
            project_id=self.neutron.project,
            spec={
                'requested_networks': [{'network': 'lab', 'port': ''}],
                'floating_ips': {
                    'network_id': self.neutron.network_id('public'),
                    'network': 'public',
                    'on_delete': on_delete,
                    'pool': [],
                },
            },
            **values,
        )
        for number, member in enumerate(written[1]):
            member['floating_ip_state'] = FloatingIpState.WANTED
            if number < len(given):
                member['wanted'] = MemberSpec(floating_ip=given[number])
        db_accepting.accept_bulk(*written)
        return written[0]['uuid']

    def take(self):
        """Take the bulk's lease, as the loop that plans does."""
        self.bulk = db_bulks.get_bulk(self.bulk.uuid)
        self.epoch = self.leases.acquire(self.bulk, 0)
        self.bulk = db_bulks.get_bulk(self.bulk.uuid)

    def members(self, **filters):
        return db_members.list_members(self.bulk.id, filters)

    def place(self, *members):
        """Give members a host and a port each."""
        placements = []
        for member in members or self.members():
            port = self.neutron.port(member.container_uuid)
            network = {
                'network': port['network_id'],
                'port': port['id'],
                requested.PORT: {
                    'id': port['id'],
                    'addresses': [
                        {
                            'addr': port['fixed_ips'][0]['ip_address'],
                            'version': 4,
                        }
                    ],
                },
            }
            placements.append((member, 'host-1', [network], {}))
        database.place(self.bulk.id, self.epoch, placements)

    def move(self, state, members=None, **values):
        database.put(
            self.members() if members is None else members, state, **values
        )

    def cycle(self, number=1):
        for _cycle in range(number):
            wait = self.loop.look_after_bulks()
        return wait

    def state(self):
        """Return [(index, state, address)] of the floating IPs."""
        return [
            (m.member_index, m.floating_ip_state, m.floating_ip)
            for m in db_members.list_members(self.bulk.id, with_removed=True)
        ]

    def made(self):
        return sorted(self.neutron.floating_ips())

    def assert_bound(self, *indexes):
        """These members have floating IPs, and Neutron says so too."""
        there = self.neutron.floating_ips()
        bound = []
        for member in self.members():
            if member.floating_ip_state == FloatingIpState.BOUND:
                bound.append(member.member_index)
                self.assertEqual(
                    member.networks[0]['port'],
                    there.pop(member.floating_ip)['port_id'],
                )
        self.assertEqual(list(indexes), bound)
        self.assertEqual({}, there)

    def settle(self):
        return self.loop.settle(db_bulks.get_bulk(self.bulk.uuid), self.epoch)


class TestBind(FloatingIpsTestCase):
    def test_those_that_have_ports(self):
        self.accept(3)
        self.assertEqual(floating_ips.LOOK_AGAIN, self.cycle())
        first, second, _third = self.members()
        self.place(first, second)
        self.assertEqual(0, self.cycle())
        self.assert_bound(1, 2)
        # The third one has no port yet, and is not waited for by this loop.
        self.settled.assert_called_with()
        self.assertEqual(floating_ips.LOOK_AGAIN, self.cycle())
        self.place(*self.members(state=MemberState.QUEUED))
        self.move(MemberState.RUNNING)
        self.assertIsNone(self.settle())
        self.cycle()
        self.assert_bound(1, 2, 3)
        self.assertEqual(0, self.settle())

    def test_one_call_for_each_and_one_for_all(self):
        self.accept(4)
        self.place()
        calls = self.neutron.emulator.calls
        before = calls['create'], calls['list'], calls['update']
        self.cycle()
        self.assertEqual(
            (before[0] + 4, before[1] + 1, before[2]),
            (calls['create'], calls['list'], calls['update']),
        )

    def test_starts_come_first(self):
        self.accept(2)
        first, _second = self.members()
        self.place(first)
        pool = mock.patch.object(
            floating_ips.futures,
            'ThreadPoolExecutor',
            wraps=floating_ips.futures.ThreadPoolExecutor,
        )
        with pool as made:
            self.cycle()
        made.assert_called_once_with(1)
        self.place(*self.members(state=MemberState.QUEUED))
        self.move(MemberState.RUNNING)
        with pool as made:
            self.cycle()
        made.assert_called_once_with(CONF.zun_bulk.floating_ip_calls)
        self.assert_bound(1, 2)

    def test_given_ones(self):
        given = [
            self.neutron.floating_ip()['floating_ip_address']
            for _number in range(2)
        ]
        self.accept(2, given[::-1])
        self.place()
        self.cycle()
        self.assert_bound(1, 2)
        self.assertEqual(given[::-1], [m.floating_ip for m in self.members()])

    def test_only_of_bulks_that_are_held_and_being_built(self):
        self.accept(1)
        self.place()
        db_bulks.pause_bulk(self.bulk.id, 'because')
        # Its lease is that of before.
        self.cycle()
        self.take()
        self.cycle()
        self.assertEqual([], self.made())
        db_bulks.resume_bulk(self.bulk.id)
        self.take()
        self.cycle()
        self.assert_bound(1)

    def test_an_answer_that_is_lost(self):
        self.accept(2)
        self.place()
        self.neutron.order_fault('create', 'drop')
        self.assertGreater(self.cycle(), 0)
        self.cycle()
        self.assert_bound(1, 2)
        self.assertEqual(2, len(self.made()))

    def test_neutron_is_down_for_a_while(self):
        self.accept(1)
        self.place()
        self.neutron.order_fault('create', count=3, status=503, message='no')
        self.assertGreater(self.cycle(3), 0)
        self.assertEqual([(1, 'wanted', None)], self.state())
        self.assertEqual(0, self.cycle())
        self.assert_bound(1)

    def test_one_pass_does_not_wait_for_neutron_to_come_back(self):
        self.accept(20)
        self.place()
        self.neutron.order_fault('create', count=99, status=503, message='no')
        before = self.neutron.emulator.calls['create']
        self.assertGreater(self.cycle(), 0)
        self.assertGreaterEqual(
            before + CONF.zun_bulk.floating_ip_calls,
            self.neutron.emulator.calls['create'],
        )

    def test_it_fails_in_ways_that_may_pass(self):
        self.accept(1)
        self.place()
        self.neutron.order_fault('create', count=99, status=500, message='oh')
        with mock.patch.object(self.loop, '_calls'):
            self.cycle(floating_ips.ATTEMPTS)
        self.assertEqual([(1, 'failed', None)], self.state())
        self.assertIn('oh', self.members()[0].floating_ip_reason)

    def test_one_that_others_have_taken(self):
        row = self.neutron.floating_ip(port_id=self.neutron.port()['id'])
        self.accept(2, [row['floating_ip_address']])
        self.place()
        self.move(MemberState.RUNNING)
        self.cycle()
        self.assertEqual(
            [(1, 'failed', None), (2, 'bound', '172.24.0.3')], self.state()
        )
        self.assertIn('outside the bulk', self.members()[0].floating_ip_reason)
        self.assertEqual(1, self.settle())
        # It is free now.
        self.neutron.client.update_floatingip(
            row['id'], {'floatingip': {'port_id': None}}
        )
        db_bulks.set_bulk_status(
            self.bulk.id, self.epoch, BulkStatus.BUILDING, BulkStatus.ERROR
        )
        self.assertEqual(1, db_bulks.retry_bulk(self.bulk.id))
        self.take()
        self.cycle()
        self.assert_bound(1, 2)
        self.assertEqual(
            ['running'] * 2, [member.state for member in self.members()]
        )

    def test_there_are_no_more(self):
        self.accept(7)
        self.place()
        self.cycle()
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        self.assertEqual(BulkStatus.PAUSED, bulk.status)
        self.assertIn(
            'no more floating IPs of network public: 2 of 7 members have '
            'none yet. Neutron: No more IP addresses',
            bulk.status_reason,
        )
        self.assert_bound(1, 2, 3, 4, 5)
        # It is resumed to no avail, and once there are some more.
        for room in (0, 2):
            self._make_room(room)
            db_bulks.resume_bulk(self.bulk.id)
            self.take()
            self.cycle()
        self.assertEqual(
            BulkStatus.BUILDING, db_bulks.get_bulk(self.bulk.uuid).status
        )
        self.assert_bound(1, 2, 3, 4, 5, 6, 7)

    def _make_room(self, number):
        network = self.neutron.network_id('public')
        if number:
            self.neutron.client.create_subnet(
                {
                    'subnet': {
                        'network_id': network,
                        'cidr': '172.25.0.0/24',
                        'ip_version': 4,
                    }
                }
            )

    def test_there_are_no_more_of_the_quota(self):
        self.neutron.client.update_quota(
            self.neutron.project, {'quota': {'floatingip': 1}}
        )
        self.accept(2)
        self.place()
        self.cycle()
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        self.assertEqual(BulkStatus.PAUSED, bulk.status)
        self.assertIn(
            "1 of 2 members have none yet. Neutron: Quota exceeded for "
            "resources: ['floatingip']",
            bulk.status_reason,
        )

    def test_a_bulk_that_never_pauses(self):
        self.accept(6, on_failure='continue')
        self.place()
        self.cycle()
        self.assert_bound(1, 2, 3, 4, 5)
        self.assertEqual((6, 'failed', None), self.state()[-1])
        self.assertEqual(
            BulkStatus.BUILDING, db_bulks.get_bulk(self.bulk.uuid).status
        )

    def test_one_that_is_deleted_while_it_is_made(self):
        self.accept(1)
        self.place()
        create = self.neutron.client.create_floatingip

        def delete_first(body):
            db_bulks.mark_bulk_deleting(self.bulk.id)
            return create(body)

        with mock.patch.object(
            self.neutron.client, 'create_floatingip', delete_first
        ):
            self.cycle()
        self.assertEqual(1, len(self.made()))
        self.take()
        self.cycle()
        self.assertEqual([(1, None, None)], self.state())
        self.assertEqual([], self.made())

    def test_one_that_comes_after_the_next_conductor_has_looked(self):
        self.accept(1)
        self.place()
        create = self.neutron.client.create_floatingip

        def forget_first(body):
            db_bulks.mark_bulk_deleting(self.bulk.id)
            bulk = db_bulks.get_bulk(self.bulk.uuid)
            epoch = db_leases.take_lease(bulk, 'another')
            db_floating_ips.clear_floating_ips(bulk.id, epoch, self.members())
            return create(body)

        with mock.patch.object(
            self.neutron.client, 'create_floatingip', forget_first
        ):
            self.cycle()
        self.assertEqual([], self.made())

    def test_none_is_made_once_the_bulk_is_deleted(self):
        self.accept(1)
        self.place()
        find = self.neutron.client.list_floatingips

        def delete_first(**filters):
            db_bulks.mark_bulk_deleting(self.bulk.id)
            return find(**filters)

        with mock.patch.object(
            self.neutron.client, 'list_floatingips', delete_first
        ):
            self.cycle()
        self.assertEqual([], self.made())


class TestRelease(FloatingIpsTestCase):
    def bound(self, count=2, **values):
        self.accept(count, **values)
        self.place()
        self.cycle()

    def delete(self):
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.take()

    def test_with_the_bulk(self):
        self.bound()
        self.delete()
        self.move(MemberState.DELETED)
        # Its rows stay as long as there is something in Neutron.
        self.assertFalse(db_bulks.destroy_bulk(self.bulk.id, self.epoch))
        self.neutron.order_fault('delete', status=503, message='busy')
        self.cycle(2)
        self.assertEqual([], self.made())
        self.settled.assert_called_with()
        self.assertTrue(db_bulks.destroy_bulk(self.bulk.id, self.epoch))

    def test_what_was_not_noted(self):
        self.accept(1)
        self.place()
        self.neutron.order_fault('create', 'drop')
        self.cycle()
        self.delete()
        self.cycle()
        self.assertEqual([], self.made())
        self.assertEqual([(1, None, None)], self.state())

    def test_kept_ones(self):
        self.bound(on_delete='keep')
        self.delete()
        self.cycle()
        self.assertEqual(
            {None},
            {r['port_id'] for r in self.neutron.floating_ips().values()},
        )
        self.assertEqual(2, len(self.made()))
        self.assertEqual([(1, None, None), (2, None, None)], self.state())

    def test_given_ones(self):
        row = self.neutron.floating_ip(description='mine')
        self.accept(1, [row['floating_ip_address']])
        self.place()
        self.cycle()
        self.delete()
        self.cycle()
        (left,) = self.neutron.floating_ips().values()
        self.assertEqual(
            (None, 'mine'), (left['port_id'], left['description'])
        )

    def test_of_those_that_are_scaled_away(self):
        self.bound(3)
        members = self.members()
        db_accepting.shrink_bulk(self.bulk, members[1:2])
        self.take()
        removed = db_members.list_removed(self.bulk.id)
        self.move(MemberState.DELETED, removed)
        removed = db_members.list_removed(self.bulk.id)
        self.assertEqual(
            [], db_members.list_removed(self.bulk.id, with_floating_ip=False)
        )
        self.assertTrue(
            db_transitions.remove_members(self.bulk.id, self.epoch, removed)
        )
        self.assertEqual(1, len(db_members.list_removed(self.bulk.id)))
        self.cycle()
        self.assert_bound(1, 3)
        db_transitions.remove_members(self.bulk.id, self.epoch, removed)
        self.assertEqual([], db_members.list_removed(self.bulk.id))

    def test_of_those_that_are_cancelled(self):
        self.bound(2)
        first, second = self.members()
        self.move(MemberState.RUNNING, [first])
        db_bulks.cancel_bulk(self.bulk.id)
        self.take()
        db_transitions.cancel_members(self.bulk.id, self.epoch)
        self.assertIsNone(self.settle())
        self.cycle()
        self.assertEqual(0, self.settle())
        self.assert_bound(1)
        self.assertEqual((2, None, None), self.state()[1])

    def test_a_cancelled_bulk_waits_for_none(self):
        self.accept(2)
        self.place()
        self.move(MemberState.RUNNING)
        db_bulks.pause_bulk(self.bulk.id, 'there are no more')
        db_bulks.cancel_bulk(self.bulk.id)
        self.take()
        self.assertEqual(2, self.settle())
        self.cycle()
        self.assertEqual([], self.made())
        self.assertEqual(
            floating_ips.GIVEN_UP, self.members()[0].floating_ip_reason
        )

    def test_of_those_that_fail(self):
        self.bound(3)
        first, second, third = self.members()
        self.move(MemberState.RUNNING, [first])
        self.move(MemberState.FAILED, [second], reason_class='transient')
        # This one has run, and may run again.
        self.move(MemberState.FAILED, [third], reason_class='application')
        self.assertIsNone(self.settle())
        self.cycle()
        self.assertEqual(0, self.settle())
        self.assert_bound(1, 3)
        # Should it run by itself, there is something to be tried.
        self.assertEqual((2, 'failed', None), self.state()[1])
        self.assertEqual(0, self.settle())
        db_bulks.retry_bulk(self.bulk.id)
        self.take()
        self.cycle()
        self.assert_bound(1, 2, 3)

    def test_one_that_is_retried_while_it_is_released(self):
        self.bound(1)
        self.move(MemberState.FAILED, reason_class='transient')
        delete = self.neutron.client.delete_floatingip

        def retry_first(ident):
            db_bulks.retry_bulk(self.bulk.id)
            delete(ident)

        with mock.patch.object(
            self.neutron.client, 'delete_floatingip', retry_first
        ):
            self.cycle()
        self.assertEqual([], self.made())
        self.take()
        self.cycle()
        self.assert_bound(1)

    def test_one_that_is_retried_before_it_is_released(self):
        self.bound(1)
        self.move(MemberState.FAILED, reason_class='transient')
        find = self.neutron.client.list_floatingips

        def retry_first(**filters):
            db_bulks.retry_bulk(self.bulk.id)
            return find(**filters)

        with mock.patch.object(
            self.neutron.client, 'list_floatingips', retry_first
        ):
            self.cycle()
        self.assert_bound(1)


class TestThread(FloatingIpsTestCase):
    def test_ends(self):
        with mock.patch.object(self.loop, 'look_after_bulks') as look:
            look.side_effect = [RuntimeError('no database'), 60]
            self.loop.start()
            self.loop.wake()
            self.assertTrue(self.loop.stop(10))

    def test_was_not_begun(self):
        self.assertTrue(self.loop.stop(0))


class TestReview(FloatingIpsTestCase):
    def test_a_bulk_without_its_floating_ips_is_not_ready(self):
        self.accept(1)
        self.place()
        self.move(MemberState.RUNNING)
        (member,) = self.members()
        db_floating_ips.set_floating_ip(
            member, self.epoch, FloatingIpState.FAILED, reason='taken'
        )
        db_bulks.set_bulk_status(
            self.bulk.id, self.epoch, BulkStatus.BUILDING, BulkStatus.ERROR
        )
        db_bulks.review_bulk(self.bulk.id)
        self.assertEqual(
            BulkStatus.ERROR, db_bulks.get_bulk(self.bulk.uuid).status
        )
        self.assertEqual(FloatingIpState.FAILED, self.state()[0][1])
