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


from oslo_utils import uuidutils
import sqlalchemy as sa
from zun.common import exception

from tests import database
from tests.unit.db import base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


class TestRead(base.DatabaseTestCase):
    def test_by_uuid_and_by_name(self):
        bulk, _members = database.accept(1, name='one')
        database.accept(1, name='two')
        self.assertEqual(bulk.id, db_bulks.get_bulk(bulk.uuid).id)
        self.assertEqual(bulk.id, db_bulks.get_bulk('one').id)
        self.assertEqual(bulk.id, db_bulks.get_bulk('one', 'project-1').id)

    def test_not_found(self):
        bulk, _members = database.accept(1)
        for ident, project in (
            (uuidutils.generate_uuid(), None),
            ('none', None),
            (bulk.uuid, 'project-2'),
            (bulk.name, 'project-2'),
        ):
            error = self.assertRaises(
                exception.ResourceNotFound, db_bulks.get_bulk, ident, project
            )
            self.assertEqual(404, error.code)

    def test_name_that_is_not_unique(self):
        database.accept(1, project_id='project-1')
        bulk, _members = database.accept(1, project_id='project-2')
        error = self.assertRaises(exception.Conflict, db_bulks.get_bulk, 'web')
        self.assertEqual(409, error.code)
        self.assertIn('uuid', str(error))
        self.assertEqual(bulk.id, db_bulks.get_bulk('web', 'project-2').id)

    def test_list_newest_first(self):
        ids = [database.accept(1)[0].id for _number in range(3)]
        self.assertEqual(
            ids[::-1], [bulk.id for bulk in db_bulks.list_bulks()]
        )

    def test_list_of_a_project_and_filtered(self):
        one, _members = database.accept(1, name='one')
        database.accept(1, name='two', project_id='project-2')
        three, _members = database.accept(
            1, name='three', status=BulkStatus.READY
        )

        def ids(*args):
            return [bulk.id for bulk in db_bulks.list_bulks(*args)]

        self.assertEqual([three.id, one.id], ids('project-1'))
        self.assertEqual(
            [three.id], ids('project-1', {'status': BulkStatus.READY})
        )
        self.assertEqual([one.id], ids(None, {'name': 'one'}))
        self.assertEqual([], ids('project-2', {'name': 'one'}))

    def test_pages_of_bulks_have_no_gap(self):
        # Names repeat, so that pages end within a name.
        for number in range(7):
            database.accept(1, name='name-%d' % (number // 3))
        for key in ('id', 'name', 'created_at'):
            for direction in ('asc', 'desc'):
                pages, marker = [], None
                while True:
                    page = db_bulks.list_bulks(
                        limit=2,
                        marker=marker,
                        sort_key=key,
                        sort_dir=direction,
                    )
                    if not page:
                        break
                    pages.append([bulk.id for bulk in page])
                    marker = page[-1].uuid
                whole = db_bulks.list_bulks(sort_key=key, sort_dir=direction)
                self.assertEqual(7, len(whole))
                values = [getattr(bulk, key) for bulk in whole]
                self.assertEqual(
                    sorted(values, reverse=direction == 'desc'), values
                )
                self.assertEqual([2, 2, 2, 1], [len(page) for page in pages])
                self.assertEqual([bulk.id for bulk in whole], sum(pages, []))

    def test_marker_of_another_project(self):
        bulk, _members = database.accept(1)
        self.assertRaises(
            exception.ResourceNotFound,
            db_bulks.list_bulks,
            'project-2',
            marker=bulk.uuid,
        )

    def test_bulks_by_id(self):
        ids = [database.accept(1)[0].id for _number in range(3)]
        found = db_bulks.get_bulks_by_id(ids[:2] + [1000])
        self.assertEqual(set(ids[:2]), set(found))
        self.assertEqual(ids[0], found[ids[0]].id)

    def test_objects_can_be_used_after_their_session(self):
        bulk, members = database.accept(1)
        for thing in (
            bulk,
            members[0],
            db_bulks.list_bulks()[0],
            db_leases.list_bulks_with_work()[0],
            db_bulks.get_bulks_by_id([bulk.id])[bulk.id],
            db_members.list_members_by_state(MemberState.QUEUED)[0],
        ):
            columns = [
                attribute.key
                for attribute in sa.inspect(thing).mapper.column_attrs
            ]
            self.assertEqual(set(), sa.inspect(thing).unloaded)
            self.assertEqual(
                columns, [key for key in columns if hasattr(thing, key)]
            )


class TestCourse(base.DatabaseTestCase):
    """Users' actions on a bulk that is being built."""

    def states(self, bulk):
        return db_counts.count_members([bulk.id])[bulk.id]

    def fail(self, members, kind='permanent'):
        db_transitions.move_members(
            members, MemberState.FAILED, reason='no', reason_class=kind
        )

    def test_nothing_of_a_paused_bulk_is_started(self):
        bulk, members = database.accept(2)
        members = self.place(bulk, members)
        self.assertTrue(db_bulks.pause_bulk(bulk.id, 'why'))
        self.assertFalse(db_bulks.pause_bulk(bulk.id, 'another'))
        paused = db_bulks.get_bulk(bulk.uuid)
        self.assertEqual(
            ('paused', 'why'), (paused.status, paused.status_reason)
        )
        self.assertEqual([], db_transitions.start_members(members))
        self.assertEqual(
            [],
            db_members.list_members_in_fair_order(
                'placed', 'host-1', 9, building=True
            ),
        )
        self.assertEqual(
            2,
            len(db_members.list_members_in_fair_order('placed', 'host-1', 9)),
        )
        self.assertEqual([], db_leases.list_bulks_with_work())
        self.assertTrue(db_bulks.resume_bulk(bulk.id))
        self.assertFalse(db_bulks.resume_bulk(bulk.id))
        self.assertEqual(members, db_transitions.start_members(members))

    def test_the_conductor_that_plans_it_is_stopped(self):
        bulk, members = database.accept(1)
        epoch = self.owned(bulk)
        db_bulks.pause_bulk(bulk.id, 'why')
        self.assertIsNone(
            database.place(bulk.id, epoch, [(members[0], 'h', [], {})])
        )

    def test_what_failed_before_it_is_resumed_is_borne(self):
        bulk, members = database.accept(4)
        self.fail(members[:2])
        self.fail(members[2:3], 'capacity')
        db_bulks.pause_bulk(bulk.id, 'why')
        db_bulks.resume_bulk(bulk.id)
        self.assertEqual(2, db_bulks.get_bulk(bulk.uuid).tolerated)

    def test_cancel(self):
        bulk, members = database.accept(5)
        placed = self.place(bulk, members[:3])
        (running,) = db_transitions.start_members(placed[:1])
        (again,) = db_transitions.start_members(placed[1:2])
        db_transitions.move_members([again], MemberState.PLACED, reason='busy')
        self.assertTrue(db_bulks.cancel_bulk(bulk.id))
        self.assertFalse(db_bulks.cancel_bulk(bulk.id))
        self.assertFalse(db_transitions.cancel_members(bulk.id, 1))
        epoch = self.owned(bulk)
        self.assertTrue(db_transitions.cancel_members(bulk.id, epoch))
        # What was tried may have left something behind.
        self.assertEqual(
            {'starting': 1, 'deleting': 1, 'cancelled': 3}, self.states(bulk)
        )
        self.assertEqual(
            [m.id for m in members[2:]],
            [
                m.id
                for m in db_members.list_cancelled_with_container(bulk.id, 10)
            ],
        )
        zun_rows.delete_containers([m.container_uuid for m in members[2:4]])
        self.assertEqual(
            [members[4].id],
            [
                m.id
                for m in db_members.list_cancelled_with_container(bulk.id, 10)
            ],
        )

    def test_retry(self):
        bulk, members = database.accept(4)
        placed = self.place(bulk, members[:2])
        self.fail(db_transitions.start_members(placed))
        self.fail(members[2:], 'capacity')
        zun_rows.fail_containers([m.container_uuid for m in members], 'no')
        zun_rows.delete_containers([members[3].container_uuid])
        epoch = self.owned(bulk)
        db_bulks.set_bulk_status(
            bulk.id, epoch, 'building', 'error', finished=True
        )
        self.assertEqual(3, db_bulks.retry_bulk(bulk.id))
        self.assertEqual(0, db_bulks.retry_bulk(bulk.id))
        again = db_bulks.get_bulk(bulk.uuid)
        self.assertEqual(
            ('building', None, 0),
            (again.status, again.finished_at, again.tolerated),
        )
        self.assertEqual(
            [
                ('placed', 'host-1', 0, 'no'),
                ('placed', 'host-1', 0, 'no'),
                ('queued', None, 0, 'no'),
                # Its user has deleted it.
                ('failed', None, 0, 'no'),
            ],
            [
                (m.state, m.host, m.attempt, m.reason)
                for m in db_members.list_members(bulk.id)
            ],
        )
        rows = zun_rows.container_states([m.container_uuid for m in members])
        self.assertEqual({('Creating', None, None, None)}, set(rows.values()))

    def test_no_retry_of_what_is_on_its_way_out(self):
        bulk, members = database.accept(1)
        self.fail(members)
        db_bulks.cancel_bulk(bulk.id)
        self.assertEqual(0, db_bulks.retry_bulk(bulk.id))
        self.assertEqual({'failed': 1}, self.states(bulk))


class TestDelete(base.DatabaseTestCase):
    def test_marks_all_members(self):
        bulk, members = database.accept(len(MemberState.ALL))
        for member, state in zip(members, MemberState.ALL, strict=True):
            database.put([member], state)
        other, _members = database.accept(2)

        db_bulks.mark_bulk_deleting(bulk.id)
        self.assertEqual(
            BulkStatus.DELETING, db_bulks.get_bulk(bulk.uuid).status
        )
        self.assertEqual(
            {
                MemberState.DELETING: len(MemberState.ALL) - 1,
                MemberState.DELETED: 1,
            },
            db_counts.count_members([bulk.id])[bulk.id],
        )
        self.assertEqual(
            {MemberState.QUEUED: 2},
            db_counts.count_members([other.id])[other.id],
        )
        self.assertEqual(
            BulkStatus.BUILDING, db_bulks.get_bulk(other.uuid).status
        )

    def test_asked_again_it_changes_nothing(self):
        bulk, members = database.accept(2)
        db_bulks.mark_bulk_deleting(bulk.id)
        db_transitions.move_members(
            db_members.list_members(bulk.id)[:1], MemberState.DELETED
        )
        before = self.dump()
        db_bulks.mark_bulk_deleting(bulk.id)
        self.assertEqual(before, self.dump())

    def test_stops_conductor_and_agent(self):
        bulk, members = database.accept(2)
        placed = self.place(bulk, members[:1])
        epoch = db_bulks.get_bulk(bulk.uuid).epoch
        db_bulks.mark_bulk_deleting(bulk.id)
        self.assertIsNone(
            database.place(bulk.id, epoch, [(members[1], 'host-1', [], {})])
        )
        self.assertEqual([], db_transitions.start_members(placed))
        self.assertFalse(
            db_bulks.set_bulk_status(
                bulk.id, epoch, BulkStatus.BUILDING, BulkStatus.READY
            )
        )
        self.assertEqual(
            {MemberState.DELETING: 2},
            db_counts.count_members([bulk.id])[bulk.id],
        )

    def test_destroy_refuses_while_members_are_left(self):
        bulk, members = database.accept(3)
        epoch = self.owned(bulk)
        database.put(members[:2], MemberState.DELETED)
        self.assertFalse(db_bulks.destroy_bulk(bulk.id, epoch))
        self.assertEqual(3, len(db_members.list_members(bulk.id)))

        database.put(members[2:], MemberState.DELETED)
        self.assertTrue(db_bulks.destroy_bulk(bulk.id, epoch))
        self.assertRaises(
            exception.ResourceNotFound, db_bulks.get_bulk, bulk.uuid
        )
        self.assertEqual([], db_members.list_members(bulk.id))

    def test_destroy_leaves_other_bulks(self):
        bulk, members = database.accept(1)
        database.accept(2)
        database.put(members, MemberState.DELETED)
        self.assertTrue(db_bulks.destroy_bulk(bulk.id, self.owned(bulk)))
        self.assertEqual(2, len(self.dump()['zun_bulk_member']))
        self.assertEqual(1, len(self.dump()['zun_bulk_bulk']))
