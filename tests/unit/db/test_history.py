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
from oslo_utils import fixture as utils_fixture

from tests import database
from tests.unit.db import base
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import history as db_history
from zun_bulk.db import members as db_members
from zun_bulk.db import transitions as db_transitions
from zun_bulk.states import MemberState


class TestHistory(base.DatabaseTestCase):
    def events(self, bulk, **kwargs):
        return [
            (row.event, row.member_index, row.host, row.attempt, row.reason)
            for row in db_history.list_events(bulk.id, **kwargs)
        ]

    def end(self, bulk, status, reason=None):
        self.assertTrue(
            db_bulks.set_bulk_status(
                bulk.id,
                self.owned(bulk),
                db_bulks.get_bulk(bulk.uuid).status,
                status,
                reason=reason,
                finished=True,
            )
        )

    def test_of_members(self):
        now = datetime.datetime(2030, 1, 2, 3, 4, 5)
        self.useFixture(utils_fixture.TimeFixture(now))
        bulk, members = database.accept(3)
        # It tells nothing that its start does not.
        members = self.place(bulk, members, ('host-1', 'host-2'))
        members = db_transitions.start_members(members)
        db_transitions.move_members(
            members[:1], 'placed', reason='host-1: busy'
        )
        db_transitions.move_members(members[1:2], 'running', reason=None)
        db_transitions.move_members(
            members[1:2], 'stopped', reason='host-2: stopped'
        )
        db_transitions.start_members(members[:1])
        db_transitions.move_members(members[:1], 'failed', reason='host-1: no')
        expected = [
            ('starting', 1, 'host-1', 1, None),
            ('starting', 2, 'host-2', 1, None),
            ('starting', 3, 'host-1', 1, None),
            ('placed', 1, 'host-1', 1, 'host-1: busy'),
            ('running', 2, 'host-2', 1, None),
            ('stopped', 2, 'host-2', 1, 'host-2: stopped'),
            ('starting', 1, 'host-1', 2, None),
            ('failed', 1, 'host-1', 2, 'host-1: no'),
        ]
        self.assertEqual(expected, self.events(bulk)[1:])
        for row in db_history.list_events(bulk.id)[1:]:
            member = members[row.member_index - 1]
            self.assertEqual(member.container_uuid, row.container_uuid)
            self.assertEqual(now, row.created_at)

    def test_of_the_bulk(self):
        bulk, members = database.accept(2)
        members = self.place(bulk, members)
        db_bulks.pause_bulk(bulk.id, 'why')
        db_bulks.pause_bulk(bulk.id, 'why')
        db_bulks.resume_bulk(bulk.id)
        db_transitions.move_members(members, 'failed', reason='no')
        self.end(bulk, 'error', '2 of 2 members failed')
        db_bulks.retry_bulk(bulk.id)
        db_bulks.retry_bulk(bulk.id)
        members = db_members.list_members(bulk.id)
        database.put(members, 'running', reason=None)
        self.end(bulk, 'ready')
        db_transitions.move_members(members[:1], 'failed', reason='died')
        db_bulks.review_bulk(bulk.id)
        db_bulks.review_bulk(bulk.id)
        db_transitions.move_members(members[:1], 'running', reason=None)
        db_bulks.review_bulk(bulk.id)
        db_accepting.shrink_bulk(db_bulks.get_bulk(bulk.uuid), members[1:])
        db_bulks.cancel_bulk(bulk.id)
        self.end(bulk, 'cancelled')
        db_bulks.mark_bulk_deleting(bulk.id)
        db_bulks.mark_bulk_deleting(bulk.id)
        self.assertEqual(
            [
                ('accepted', '2 members'),
                ('paused', 'why'),
                ('resumed', None),
                ('error', '2 of 2 members failed'),
                ('retried', '2 members'),
                ('ready', None),
                ('error', 'Members failed after they had run.'),
                ('ready', None),
                ('scaled', 'from 2 to 1 member'),
                ('cancelling', None),
                ('cancelled', None),
                ('deleting', None),
            ],
            [
                (row.event, row.reason)
                for row in db_history.list_events(
                    bulk.id, filters={'member_index': None}
                )
            ],
        )

    def test_grown(self):
        bulk, _members = database.accept(2)
        _bulk, *rows = database.rows(3)
        for index, member in enumerate(rows[0], 3):
            member['member_index'] = index
        self.assertTrue(db_accepting.grow_bulk(bulk, 5, *rows))
        self.assertFalse(db_accepting.grow_bulk(bulk, 5, *rows))
        self.assertEqual(
            [('scaled', None, None, None, 'from 2 to 5 members')],
            self.events(bulk)[1:],
        )

    def test_only_of_those_that_moved(self):
        bulk, members = database.accept(3)
        stale = db_members.list_members(bulk.id)
        db_transitions.move_members(members[1:2], 'failed', reason='no')
        database.put(stale, 'running')
        database.put(stale, 'running')
        self.assertEqual(
            [('failed', 2), ('running', 1), ('running', 3)],
            [row[:2] for row in self.events(bulk)[1:]],
        )

    def test_nothing_of_those_that_stay_as_they_are(self):
        bulk, members = database.accept(2)
        db_transitions.move_members(members, 'cancelled')
        db_transitions.move_members(members, 'cancelled', host=None)
        database.put(members, 'deleted')
        self.assertEqual(3, len(self.events(bulk)))

    def test_what_is_told_otherwise(self):
        bulk, members = database.accept(2)
        members = self.place(bulk, members)
        db_transitions.move_members(
            members,
            'queued',
            event_values={'host': 'host-1', 'reason': 'down\0'},
            host=None,
        )
        self.assertEqual(
            [
                ('queued', 1, 'host-1', 0, 'down?'),
                ('queued', 2, 'host-1', 0, 'down?'),
            ],
            self.events(bulk)[1:],
        )

    def test_cancelled(self):
        bulk, members = database.accept(1201)
        tried, *_others = self.place(bulk, members[:2])
        db_transitions.start_members([tried])
        (tried,) = db_members.list_members_by_state('starting')
        db_transitions.move_members([tried], 'placed', reason='busy')
        db_bulks.cancel_bulk(bulk.id)
        epoch = self.owned(bulk)
        db_transitions.cancel_members(bulk.id, epoch)
        db_transitions.cancel_members(bulk.id, epoch)
        found = self.events(bulk)[4:]
        self.assertEqual(('deleting', 1, 'host-1', 1, 'busy'), found[0])
        self.assertEqual(('cancelled', 2, 'host-1', 0, None), found[1])
        self.assertEqual(
            [('cancelled', index) for index in range(2, 1202)],
            [row[:2] for row in found[1:]],
        )

    def test_all_or_nothing(self):
        bulk, members = database.accept(2)
        before = self.dump()
        with mock.patch.object(
            db_history, 'record_members', side_effect=KeyError
        ):
            self.assertRaises(
                KeyError,
                db_transitions.move_members,
                members,
                MemberState.FAILED,
            )
        with mock.patch.object(db_history, 'record', side_effect=KeyError):
            self.assertRaises(KeyError, db_bulks.pause_bulk, bulk.id, 'why')
            self.assertRaises(KeyError, db_bulks.mark_bulk_deleting, bulk.id)
            self.assertRaises(KeyError, database.accept)
        self.assertEqual(before, self.dump())

    def test_list(self):
        other, _members = database.accept(1)
        bulk, members = database.accept(2)
        for member in members:
            db_transitions.move_members([member], 'failed')
            db_transitions.move_members([member], 'running')
        rows = db_history.list_events(bulk.id)
        ids = [row.id for row in rows]
        self.assertEqual(5, len(ids))
        self.assertEqual(sorted(ids), ids)

        def listed(**kwargs):
            return [
                row.id for row in db_history.list_events(bulk.id, **kwargs)
            ]

        self.assertEqual(ids[::-1], listed(sort_dir='desc'))
        self.assertEqual(ids[2:4], listed(marker=ids[1], limit=2))
        self.assertEqual(ids[1::-1], listed(marker=ids[2], sort_dir='desc'))
        self.assertEqual(ids[3:], listed(filters={'member_index': 2}))
        self.assertEqual(
            ids[2:3], listed(filters={'member_index': 1, 'event': 'running'})
        )

    def test_trim(self):
        self.useFixture(fixtures.MockPatchObject(db_history, 'TRIM_BATCH', 10))
        bulks = [database.accept(99)[0] for _number in range(2)]
        for bulk in bulks:
            database.put(db_members.list_members(bulk.id), 'running')
        kept = self.events(bulks[0])
        for keep, left in ((200, 100), (100, 100), (99, 99), (42, 42), (0, 0)):
            db_history.trim_events(bulks[0].id, keep)
            self.assertEqual(kept[100 - left :], self.events(bulks[0]))
        self.assertEqual(100, len(self.events(bulks[1])))

    def test_newest(self):
        self.assertEqual({}, db_history.newest_events(0))
        one, other = [database.accept(1)[0] for _number in range(2)]
        newest = {
            bulk.id: db_history.list_events(bulk.id)[-1].id
            for bulk in (one, other)
        }
        self.assertEqual(newest, db_history.newest_events(0))
        db_bulks.pause_bulk(one.id, 'why')
        self.assertEqual(
            [one.id], list(db_history.newest_events(newest[other.id]))
        )

    def test_goes_with_its_bulk(self):
        bulk, members = database.accept(2)
        other, _members = database.accept(1)
        db_bulks.mark_bulk_deleting(bulk.id)
        epoch = self.owned(bulk)
        db_transitions.move_members(
            db_members.list_members(bulk.id), MemberState.DELETED
        )
        self.assertTrue(db_bulks.destroy_bulk(bulk.id, epoch))
        self.assertEqual([], self.events(bulk))
        self.assertEqual(1, len(self.events(other)))
