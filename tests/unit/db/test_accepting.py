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

import ddt
from oslo_db import exception as db_exc
from oslo_utils import fixture as utils_fixture
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import database
from tests.unit.db import base
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


@ddt.ddt
class TestAccept(base.DatabaseTestCase):
    def test_writes_all_rows(self):
        now = datetime.datetime(2030, 1, 2, 3, 4, 5)
        self.useFixture(utils_fixture.TimeFixture(now))
        bulk, members = database.accept(3)

        self.assertEqual(3, bulk.count)
        self.assertEqual({'policy': 'spread'}, bulk.placement)
        self.assertEqual('web-{index}', bulk.template['name'])
        self.assertEqual(
            (0, 0, None), (bulk.epoch, bulk.heartbeat, bulk.lease_owner)
        )
        self.assertEqual((now, None), (bulk.created_at, bulk.finished_at))
        self.assertEqual([1, 2, 3], [m.member_index for m in members])
        self.assertEqual(
            {(MemberState.QUEUED, 0, 0, None, now)},
            {
                (m.state, m.epoch, m.attempt, m.host, m.created_at)
                for m in members
            },
        )

        uuids = [m.container_uuid for m in members]
        rows = self.dump()
        self.assertEqual(uuids, [row.uuid for row in rows['container']])
        self.assertEqual(
            {('Creating', None, now)},
            {
                (row.status, row.host, row.created_at)
                for row in rows['container']
            },
        )
        self.assertEqual(
            [('create', uuid, 'req-1', now) for uuid in uuids],
            [
                (
                    row.action,
                    row.container_uuid,
                    row.request_id,
                    row.start_time,
                )
                for row in rows['container_actions']
            ],
        )

    def test_rows_read_as_objects_of_zun(self):
        # Zun's columns of JSON are of its own types, which make an empty list
        # or dict of None: the inserts must not go round them.
        rows = database.rows(1)
        rows[2][0].update(labels=None, command=None, environment={'A': 'b'})
        db_accepting.accept_bulk(*rows)
        with db_base.reader() as session:
            container = session.scalars(sa.select(zun_models.Container)).one()
        self.assertEqual(
            ({}, [], {'A': 'b'}),
            (container.labels, container.command, container.environment),
        )
        self.assertEqual('shared', container.cpu_policy)

    @ddt.data(0, 1, 2, 3)
    def test_leaves_nothing_when_one_row_fails(self, which):
        database.accept(2)
        before = self.dump()
        rows = database.rows(3)
        broken = [rows[0], rows[1][-1], rows[2][-1], rows[3][-1]][which]
        broken.update(
            [
                {'uuid': before['zun_bulk_bulk'][0].uuid},
                {'member_index': 1},
                {'uuid': before['container'][0].uuid},
                {'container_uuid': None},
            ][which]
        )

        self.assertRaises(db_exc.DBError, db_accepting.accept_bulk, *rows)
        self.assertEqual(before, self.dump())

    def test_a_token_is_taken_once_in_a_project(self):
        bulk, _members = database.accept(1, client_token='once')
        before = self.dump()
        self.assertRaises(
            db_exc.DBDuplicateEntry, database.accept, 2, client_token='once'
        )
        self.assertEqual(before, self.dump())
        other, _members = database.accept(
            1, client_token='once', project_id='project-2'
        )
        database.accept(1)
        database.accept(1)
        for project, ident in (
            ('project-1', bulk.id),
            ('project-2', other.id),
        ):
            self.assertEqual(
                ident, db_bulks.get_bulk_by_client_token(project, 'once').id
            )
        self.assertIsNone(
            db_bulks.get_bulk_by_client_token('project-3', 'once')
        )

    def test_a_token_goes_with_its_bulk(self):
        bulk, members = database.accept(1, client_token='once')
        db_bulks.mark_bulk_deleting(bulk.id)
        self.assertEqual(
            bulk.id, db_bulks.get_bulk_by_client_token('project-1', 'once').id
        )
        epoch = self.owned(bulk)
        db_transitions.move_members(
            db_members.list_members(bulk.id), MemberState.DELETED
        )
        self.assertTrue(db_bulks.destroy_bulk(bulk.id, epoch))
        self.assertIsNone(
            db_bulks.get_bulk_by_client_token('project-1', 'once')
        )
        database.accept(1, client_token='once')


class TestScale(base.DatabaseTestCase):
    def grow(self, bulk, number):
        """Add members to a bulk.

        :param bulk: the Bulk as it was read.
        """
        last = db_accepting.last_index_of(bulk) + number
        _bulk, members, containers, actions = database.rows(
            number, name=bulk.name
        )
        for index, member in enumerate(members, last - number + 1):
            member['member_index'] = index
        return db_accepting.grow_bulk(bulk, last, members, containers, actions)

    def shrink(self, bulk, number):
        return db_accepting.shrink_bulk(
            bulk, db_members.list_last_members(bulk.id, number)
        )

    def seen(self, bulk):
        bulk = db_bulks.get_bulk(bulk.uuid)
        indexes = [m.member_index for m in db_members.list_members(bulk.id)]
        self.assertEqual(bulk.count, len(indexes))
        self.assertEqual(
            bulk.count,
            sum(db_counts.count_members([bulk.id])[bulk.id].values()),
        )
        return indexes

    def test_up_and_down_and_up(self):
        bulk, _members = database.accept(3)
        self.assertIsNone(bulk.last_index)
        self.assertTrue(self.grow(bulk, 2))
        self.assertEqual([1, 2, 3, 4, 5], self.seen(bulk))
        self.assertTrue(self.shrink(db_bulks.get_bulk(bulk.uuid), 3))
        self.assertEqual([1, 2], self.seen(bulk))
        self.assertTrue(self.grow(db_bulks.get_bulk(bulk.uuid), 1))
        self.assertEqual([1, 2, 6], self.seen(bulk))
        self.assertEqual(6, db_bulks.get_bulk(bulk.uuid).last_index)
        self.assertEqual(
            6, len(db_members.list_members(bulk.id, with_removed=True))
        )

    def test_of_two_who_scale_it_the_second_changes_nothing(self):
        for first in (self.grow, self.shrink):
            for second in (self.grow, self.shrink):
                bulk, _members = database.accept(4)
                self.assertTrue(first(bulk, 2))
                before = self.dump()
                self.assertFalse(second(bulk, 2))
                self.assertEqual(before, self.dump())

    def test_back_to_the_same_count_it_is_not_the_same(self):
        bulk, _members = database.accept(4)
        self.shrink(bulk, 2)
        self.grow(db_bulks.get_bulk(bulk.uuid), 2)
        self.assertEqual(4, db_bulks.get_bulk(bulk.uuid).count)
        self.assertFalse(self.grow(bulk, 2))
        self.assertFalse(db_accepting.shrink_bulk(bulk, _members[:1]))

    def test_a_bulk_that_is_about_to_end(self):
        for status in BulkStatus.ALL:
            bulk, _members = database.accept(2, status=status)
            scalable = status in BulkStatus.SCALABLE
            self.assertEqual(scalable, self.shrink(bulk, 1))
            self.assertEqual(
                scalable, self.grow(db_bulks.get_bulk(bulk.uuid), 1)
            )

    def test_all_or_nothing(self):
        bulk, _members = database.accept(2)
        rows = database.rows(2)
        before = self.dump()
        # Their indexes are taken.
        self.assertRaises(
            db_exc.DBDuplicateEntry, db_accepting.grow_bulk, bulk, 4, *rows[1:]
        )
        self.assertEqual(before, self.dump())

    def test_stops_conductor_and_agent(self):
        bulk, members = database.accept(3)
        placed = self.place(bulk, members[1:])
        epoch = self.owned(bulk)
        self.shrink(db_bulks.get_bulk(bulk.uuid), 1)
        self.assertFalse(
            db_bulks.set_bulk_status(bulk.id, epoch, 'building', 'ready')
        )
        self.assertIsNone(
            database.place(bulk.id, epoch, [(members[0], 'h', [], {})])
        )
        self.assertEqual(placed[:1], db_transitions.start_members(placed))

    def test_the_lease_stays_with_its_owner(self):
        bulk, _members = database.accept(2)
        self.owned(bulk)
        owner = db_bulks.get_bulk(bulk.uuid).lease_owner
        self.grow(db_bulks.get_bulk(bulk.uuid), 1)
        self.assertEqual(
            (owner, 2),
            (
                db_bulks.get_bulk(bulk.uuid).lease_owner,
                db_bulks.get_bulk(bulk.uuid).epoch,
            ),
        )

    def test_a_paused_bulk_is_work_as_long_as_something_is_left(self):
        bulk, members = database.accept(2)
        other, _members = database.accept(2)
        for one in (bulk, other):
            db_bulks.pause_bulk(one.id, 'why')
        self.shrink(db_bulks.get_bulk(bulk.uuid), 1)
        paused = db_bulks.get_bulk(bulk.uuid)
        self.assertEqual(
            ('paused', 'why'), (paused.status, paused.status_reason)
        )
        self.assertEqual(
            [bulk.id], [one.id for one in db_leases.list_bulks_with_work()]
        )
        epoch = self.owned(bulk)
        left = db_members.list_removed(bulk.id, ('deleting',))
        self.assertEqual([2], [member.member_index for member in left])
        # Not before it is gone.
        self.assertTrue(db_transitions.remove_members(bulk.id, epoch, left))
        self.assertEqual(
            1, len(db_members.list_removed(bulk.id, ('deleting',)))
        )
        db_transitions.move_members(left, MemberState.DELETED)
        self.assertFalse(
            db_transitions.remove_members(bulk.id, epoch - 1, left)
        )
        self.assertEqual(1, len(db_leases.list_bulks_with_work()))
        self.assertTrue(db_transitions.remove_members(bulk.id, epoch, left))
        self.assertEqual([], db_leases.list_bulks_with_work())
        self.assertEqual(
            1, len(db_members.list_members(bulk.id, with_removed=True))
        )

    def test_what_is_removed_is_counted_for_hosts_only(self):
        bulk, members = database.accept(4)
        self.place(bulk, members, ('host-1', 'host-2'))
        self.shrink(db_bulks.get_bulk(bulk.uuid), 3)
        self.assertEqual(
            {'host-1': {'placed': 1}}, db_counts.count_by_host(bulk.id)
        )
        self.assertEqual(
            {
                'host-1': {'placed': 1, 'deleting': 1},
                'host-2': {'deleting': 2},
            },
            db_counts.count_by_host(bulk.id, with_removed=True),
        )
        self.assertEqual({'deleting': 2}, db_hosts.count_members_on('host-2'))
        self.assertEqual(
            [4, 2],
            [
                m.member_index
                for m in db_members.list_members(
                    bulk.id,
                    {'host': 'host-2'},
                    sort_dir='desc',
                    with_removed=True,
                )
            ],
        )
        self.assertEqual(
            [], db_members.list_members(bulk.id, {'host': 'host-2'})
        )

    def test_those_at_indexes(self):
        bulk, _members = database.accept(1200)
        database.accept(5)
        self.assertEqual([], db_members.list_members_by_index(bulk.id, [1201]))
        self.assertEqual(
            list(range(1, 1101)),
            sorted(
                m.member_index
                for m in db_members.list_members_by_index(
                    bulk.id, list(range(1, 1101))
                )
            ),
        )
        self.shrink(bulk, 1190)
        self.assertEqual(
            [9, 10],
            [
                m.member_index
                for m in db_members.list_members_by_index(bulk.id, [9, 10, 11])
            ],
        )
        self.assertEqual(list(range(1, 11)), self.seen(bulk))

    def test_and_then_deleted(self):
        bulk, members = database.accept(3)
        self.place(bulk, members)
        self.shrink(db_bulks.get_bulk(bulk.uuid), 1)
        db_bulks.mark_bulk_deleting(bulk.id)
        self.assertEqual(
            {'deleting': 2}, db_counts.count_members([bulk.id])[bulk.id]
        )
        epoch = self.owned(bulk)
        kept = db_members.list_members(bulk.id)
        db_transitions.move_members(kept, MemberState.DELETED)
        # One that was scaled away is not gone yet.
        self.assertFalse(db_bulks.destroy_bulk(bulk.id, epoch))
        db_transitions.move_members(
            db_members.list_removed(bulk.id), MemberState.DELETED
        )
        self.assertTrue(db_bulks.destroy_bulk(bulk.id, epoch))
        self.assertEqual([], self.dump()['zun_bulk_member'])
