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
import datetime
from unittest import mock

import ddt
import fixtures
from oslo_db import exception as db_exc
from oslo_utils import fixture as utils_fixture
from oslo_utils import uuidutils
from oslotest import base
import sqlalchemy as sa
from zun.common import consts
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import history as db_history
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.db import zun_rows as db_zun_rows
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Event
from zun_bulk.db.models import Member


TABLES = (
    Bulk,
    Member,
    Event,
    zun_models.Container,
    zun_models.ContainerAction,
)


class DatabaseTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(database.Database()).engine

    def dump(self):
        """Every row of every table that zun_bulk writes to."""
        with self.engine.connect() as connection:
            return {
                model.__tablename__: connection.execute(
                    sa.select(model.__table__)
                ).all()
                for model in TABLES
            }

    def owned(self, bulk, owner='host-1:1'):
        """Take the bulk's lease. Returns the epoch."""
        return db_leases.take_lease(db_bulks.get_bulk(bulk.uuid), owner)

    def place(self, bulk, members, hosts=('host-1',)):
        """Place members, hosts in turn. Returns them as they are then."""
        epoch = self.owned(bulk)
        database.place(
            bulk.id,
            epoch,
            [
                (
                    member,
                    hosts[number % len(hosts)],
                    [{'port': member.name}],
                    {},
                )
                for number, member in enumerate(members)
            ],
        )
        ids = {member.id for member in members}
        return [
            member
            for member in db_members.list_members(bulk.id)
            if member.id in ids
        ]


@ddt.ddt
class TestAccept(DatabaseTestCase):
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


class TestUsage(DatabaseTestCase):
    def used(self, project_id='project-1', count=1):
        """Accept a bulk. Returns what it was told is used before."""
        used = []
        db_accepting.accept_bulk(
            *database.rows(count, project_id=project_id), used.append
        )
        return used[0]

    def test_of_a_project(self):
        self.assertEqual(
            {'containers': 0, 'cpu': 0, 'memory': 0, 'disk': 0}, self.used()
        )
        rows = database.rows(2)
        for row in rows[2]:
            row.update(cpu=0.5, memory='128', disk=3)
        db_accepting.accept_bulk(*rows)
        # The first one's says nothing but that it is there.
        self.assertEqual(
            {'containers': 3, 'cpu': 1.0, 'memory': 256, 'disk': 6},
            self.used(),
        )
        self.assertEqual(0, self.used('project-2')['containers'])
        self.assertEqual(4, self.used()['containers'])

    def test_counts_containers_only(self):
        with db_base.writer() as session:
            session.execute(
                sa.insert(zun_models.Container.__table__),
                [
                    {'uuid': str(kind), 'container_type': kind, 'cpu': 1.0}
                    | {'project_id': 'project-1'}
                    for kind in (
                        consts.TYPE_CAPSULE,
                        consts.TYPE_CAPSULE_CONTAINER,
                    )
                ],
            )
        self.assertEqual(0, self.used()['containers'])

    def test_what_is_refused_leaves_nothing(self):
        database.accept(1)
        before = self.dump()
        self.assertRaises(
            exception.OverQuota,
            db_accepting.accept_bulk,
            *database.rows(2),
            mock.Mock(side_effect=exception.OverQuota(overs='cpu')),
        )
        self.assertEqual(before, self.dump())

    def test_a_project_has_one_row(self):
        for _number in range(3):
            self.used()
        self.used('project-2')
        with self.engine.connect() as connection:
            self.assertEqual(
                [('project-1', 3), ('project-2', 1)],
                connection.execute(
                    sa.select(
                        models.Project.project_id, models.Project.accepted
                    ).order_by(models.Project.id)
                ).all(),
            )


class TestRead(DatabaseTestCase):
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

    def test_counts_add_up_to_the_count(self):
        first, members = database.accept(5)
        second, _members = database.accept(2)
        placed = self.place(first, members[:3], ('host-1', 'host-2'))
        db_transitions.start_members(placed[:2])

        counts = db_counts.count_members([first.id, second.id])
        self.assertEqual(
            {
                MemberState.QUEUED: 2,
                MemberState.PLACED: 1,
                MemberState.STARTING: 2,
            },
            counts[first.id],
        )
        self.assertEqual({MemberState.QUEUED: 2}, counts[second.id])
        for bulk in (first, second):
            self.assertEqual(bulk.count, sum(counts[bulk.id].values()))
        self.assertEqual(
            {
                'host-1': {MemberState.STARTING: 1, MemberState.PLACED: 1},
                'host-2': {MemberState.STARTING: 1},
            },
            db_counts.count_by_host(first.id),
        )

    def test_counts_of_nothing(self):
        self.assertEqual({}, db_counts.count_members([]))
        self.assertEqual({}, db_bulks.get_bulks_by_id([]))
        self.assertEqual({}, zun_rows.container_states([]))

    def test_failures_most_common_first(self):
        bulk, members = database.accept(7)
        for some, kind, reason in (
            (members[:1], 'image', 'no such image'),
            (members[1:4], 'start', 'exited'),
            (members[4:6], 'image', 'timeout'),
        ):
            db_transitions.move_members(
                some, MemberState.FAILED, reason_class=kind, reason=reason
            )
        # A reason stays after a failed attempt: this one does not count.
        db_transitions.move_members(
            members[6:],
            MemberState.PLACED,
            reason_class='start',
            reason='exited',
        )
        self.assertEqual(
            [
                ('start', 'exited', 3),
                ('image', 'timeout', 2),
                ('image', 'no such image', 1),
            ],
            db_counts.list_failures(bulk.id, 10),
        )
        self.assertEqual(
            [('start', 'exited', 3)], db_counts.list_failures(bulk.id, 1)
        )

    def test_counts_by_time(self):
        start = datetime.datetime(2030, 1, 2, 3, 4, 5)

        def after(seconds):
            return start + datetime.timedelta(seconds=seconds)

        bulk, members = database.accept(12)
        _other, others = database.accept(1)
        for seconds, member in enumerate(members[:10]):
            database.put(
                [member],
                MemberState.FAILED if seconds == 7 else MemberState.RUNNING,
                finished_at=after(seconds),
            )
        database.put(others, MemberState.RUNNING, finished_at=after(1))
        # It ended later, which is not the end of its start.
        db_transitions.move_members(members[:1], MemberState.STOPPED)
        # This one is on its way again, and this one was cancelled.
        db_transitions.move_members(members[1:2], MemberState.PLACED)
        db_transitions.move_members(
            members[10:11], MemberState.CANCELLED, finished_at=after(1)
        )
        self.assertEqual(
            {
                (0, 'stopped'): 1,
                (0, 'running'): 2,
                (1, 'running'): 3,
                (1, 'failed'): 1,
                # What came after the last is of it.
                (2, 'running'): 2,
            },
            db_counts.count_by_time(bulk.id, [after(4), after(8), after(9)]),
        )
        self.assertEqual(
            {(0, 'failed'): 1, (0, 'running'): 3},
            db_counts.count_by_time(bulk.id, [after(12)], after(6)),
        )
        # Each in its own, however many there are.
        for number in (10, 11, 59, 60):
            ends = [after(second + 1) for second in range(number)]
            self.assertEqual(
                [0, 2, 3, 4, 5, 6, 7, 8, 9],
                sorted(
                    step for step, _ in db_counts.count_by_time(bulk.id, ends)
                ),
            )

    def test_members_by_name(self):
        bulk, _members = database.accept(12, name='Web_1')
        database.accept(12, name='Web_1')

        def indexes(name, **kwargs):
            return [
                member.member_index
                for member in db_members.list_members(
                    bulk.id, name=name, **kwargs
                )
            ]

        self.assertEqual([1, 10, 11, 12], indexes('eb_1-1'))
        self.assertEqual([11], indexes('WEB_1-11'))
        self.assertEqual([1, 10], indexes('1-1', limit=2))
        self.assertEqual([11, 12], indexes('1-1', limit=2, marker=10))
        self.assertEqual([12], indexes('1-1', limit=1, sort_dir='desc'))
        # They stand for nothing else.
        for name in ('web%', 'w_b', '/', '\\'):
            self.assertEqual([], indexes(name))

    def test_pages_of_members(self):
        bulk, members = database.accept(5)
        database.accept(5)

        def indexes(**kwargs):
            return [
                m.member_index
                for m in db_members.list_members(bulk.id, **kwargs)
            ]

        self.assertEqual([1, 2, 3, 4, 5], indexes())
        self.assertEqual([1, 2], indexes(limit=2))
        self.assertEqual([3, 4], indexes(limit=2, marker=2))
        self.assertEqual([5], indexes(limit=2, marker=4))
        self.assertEqual([], indexes(marker=5))
        self.assertEqual([5, 4], indexes(limit=2, sort_dir='desc'))
        self.assertEqual([2, 1], indexes(marker=3, sort_dir='desc'))

        self.place(bulk, [members[0], members[3]], ('host-1', 'host-2'))
        self.assertEqual(
            [1, 4], indexes(filters={'state': MemberState.PLACED})
        )
        self.assertEqual([4], indexes(filters={'host': 'host-2'}))
        self.assertEqual(
            [4], indexes(marker=1, filters={'state': MemberState.PLACED})
        )

    def test_members_in_a_state(self):
        first, members = database.accept(4)
        second, others = database.accept(2)
        self.place(first, members[:3], ('host-1', 'host-2'))
        self.place(second, others[:1])

        def ids(state, **kwargs):
            return [
                m.id for m in db_members.list_members_by_state(state, **kwargs)
            ]

        self.assertEqual(
            [members[3].id, others[1].id], ids(MemberState.QUEUED)
        )
        self.assertEqual(
            [members[0].id, members[2].id, others[0].id],
            ids(MemberState.PLACED, host='host-1'),
        )
        self.assertEqual(
            [others[0].id], ids(MemberState.PLACED, bulk_id=second.id)
        )
        self.assertEqual([], ids(MemberState.PLACED, host=''))
        self.assertEqual(
            [members[3].id], ids(MemberState.QUEUED, host='', bulk_id=first.id)
        )

    def test_members_in_turn(self):
        first, of_first = database.accept(4)
        second, of_second = database.accept(2)
        other, of_other = database.accept(2, project_id='project-2')
        for bulk, members in (
            (first, of_first[:3]),
            (second, of_second),
            (other, of_other),
        ):
            self.place(bulk, members)
        elsewhere, of_elsewhere = database.accept(1, project_id='project-3')
        self.place(elsewhere, of_elsewhere, ('host-2',))
        # Of the one project, of the other one, and so on.
        order = [
            of_first[0],
            of_other[0],
            of_second[0],
            of_other[1],
            of_first[1],
            of_second[1],
            of_first[2],
        ]
        for limit in (1, 4, 7, 9):
            self.assertEqual(
                [member.id for member in order[:limit]],
                [
                    member.id
                    for member in db_members.list_members_in_fair_order(
                        MemberState.PLACED, 'host-1', limit
                    )
                ],
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

    def test_existing_container_names(self):
        database.accept(2, name='Web')
        database.accept(1, name='other', project_id='project-2')
        wanted = ['wEb-1', 'web-3', 'other-1']
        self.assertEqual(
            {'web-1', 'other-1'}, db_zun_rows.existing_container_names(wanted)
        )
        self.assertEqual(
            {'web-1'},
            db_zun_rows.existing_container_names(wanted, 'project-1'),
        )
        many = ['name-%d' % number for number in range(2500)]
        self.assertEqual(
            {'web-2'}, db_zun_rows.existing_container_names(many + ['web-2'])
        )


class TestLease(DatabaseTestCase):
    def test_one_of_two_takes_it(self):
        bulk, _members = database.accept(1)
        seen = [db_bulks.get_bulk(bulk.uuid) for _contender in range(2)]
        self.assertEqual(1, db_leases.take_lease(seen[0], 'host-1'))
        self.assertIsNone(db_leases.take_lease(seen[1], 'host-2'))
        bulk = db_bulks.get_bulk(bulk.uuid)
        self.assertEqual(('host-1', 1), (bulk.lease_owner, bulk.epoch))

    def test_sign_of_life_keeps_it(self):
        bulk, _members = database.accept(1)
        epoch = self.owned(bulk, 'host-1')
        seen = db_bulks.get_bulk(bulk.uuid)
        self.assertTrue(db_leases.renew_lease(bulk.id, epoch))
        self.assertGreater(
            db_bulks.get_bulk(bulk.uuid).heartbeat, seen.heartbeat
        )
        self.assertIsNone(db_leases.take_lease(seen, 'host-2'))
        self.assertEqual('host-1', db_bulks.get_bulk(bulk.uuid).lease_owner)

    def test_work_is_a_sign_of_life(self):
        bulk, members = database.accept(1)
        epoch = self.owned(bulk, 'host-1')
        seen = db_bulks.get_bulk(bulk.uuid)
        database.place(bulk.id, epoch, [(members[0], 'host-1', [], {})])
        self.assertIsNone(db_leases.take_lease(seen, 'host-2'))

    def test_lost_owner_can_do_nothing(self):
        bulk, members = database.accept(1)
        old = self.owned(bulk, 'host-1')
        new = self.owned(bulk, 'host-2')
        self.assertEqual(old + 1, new)
        before = self.dump()

        self.assertFalse(db_leases.renew_lease(bulk.id, old))
        db_leases.release_lease(bulk.id, old)
        self.assertFalse(
            db_bulks.set_bulk_status(
                bulk.id, old, BulkStatus.BUILDING, BulkStatus.READY
            )
        )
        self.assertIsNone(
            database.place(bulk.id, old, [(members[0], 'host-1', [], {})])
        )
        self.assertFalse(db_bulks.destroy_bulk(bulk.id, old))
        self.assertEqual(before, self.dump())

        self.assertTrue(db_leases.renew_lease(bulk.id, new))

    def test_release(self):
        bulk, _members = database.accept(1)
        db_leases.release_lease(bulk.id, self.owned(bulk, 'host-1'))
        self.assertIsNone(db_bulks.get_bulk(bulk.uuid).lease_owner)
        self.assertEqual(2, self.owned(bulk, 'host-2'))

    def test_bulks_with_work(self):
        by_status = {
            status: database.accept(1, status=status)[0].id
            for status in BulkStatus.ALL
        }
        self.assertEqual(
            [
                by_status[BulkStatus.BUILDING],
                by_status[BulkStatus.CANCELLING],
                by_status[BulkStatus.DELETING],
            ],
            [bulk.id for bulk in db_leases.list_bulks_with_work()],
        )


class TestCourse(DatabaseTestCase):
    """What users do to a bulk on its way."""

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


class TestScale(DatabaseTestCase):
    def grow(self, bulk, number):
        """:param bulk: as it was seen."""
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
        self.assertTrue(db_transitions.forget_members(bulk.id, epoch, left))
        self.assertEqual(
            1, len(db_members.list_removed(bulk.id, ('deleting',)))
        )
        db_transitions.move_members(left, MemberState.DELETED)
        self.assertFalse(
            db_transitions.forget_members(bulk.id, epoch - 1, left)
        )
        self.assertEqual(1, len(db_leases.list_bulks_with_work()))
        self.assertTrue(db_transitions.forget_members(bulk.id, epoch, left))
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


class TestChanges(DatabaseTestCase):
    def test_bulk_status(self):
        now = datetime.datetime(2030, 1, 2, 3, 4, 5)
        self.useFixture(utils_fixture.TimeFixture(now))
        bulk, _members = database.accept(1)
        epoch = self.owned(bulk)
        self.assertTrue(
            db_bulks.set_bulk_status(
                bulk.id,
                epoch,
                BulkStatus.BUILDING,
                BulkStatus.ERROR,
                reason='1 failed',
                finished=True,
            )
        )
        bulk = db_bulks.get_bulk(bulk.uuid)
        self.assertEqual(
            (BulkStatus.ERROR, '1 failed', now, now),
            (
                bulk.status,
                bulk.status_reason,
                bulk.finished_at,
                bulk.updated_at,
            ),
        )

        # It is not building any more.
        before = self.dump()
        self.assertFalse(
            db_bulks.set_bulk_status(
                bulk.id, epoch, BulkStatus.BUILDING, BulkStatus.READY
            )
        )
        self.assertEqual(before, self.dump())

    def test_reason_that_no_database_takes(self):
        bulk, members = database.accept(1)
        db_transitions.move_members(
            members,
            MemberState.FAILED,
            reason_class='start',
            reason='a\0b\udcff' + 'x' * 5000,
        )
        reason = db_members.list_members(bulk.id)[0].reason
        self.assertEqual('a?b?xxx', reason[:7])
        self.assertEqual(4000, len(reason))

    def test_place_nothing(self):
        bulk, _members = database.accept(1)
        self.assertEqual([], database.place(bulk.id, self.owned(bulk), []))
        self.assertIsNone(database.place(bulk.id, 0, []))

    def test_place(self):
        bulk, members = database.accept(3)
        epoch = self.owned(bulk)
        # One has been deleted since it was read.
        database.put(
            db_members.list_members(bulk.id)[1:2], MemberState.DELETED
        )
        networks = [{'network': 'net-1', 'port': 'port-1'}]
        placed = database.place(
            bulk.id,
            epoch,
            [
                (
                    member,
                    'host-%d' % member.member_index,
                    networks,
                    {'cpu': 2.0},
                )
                for member in members
            ],
        )
        self.assertEqual([members[0].id, members[2].id], placed)
        after = db_members.list_members(bulk.id)
        self.assertEqual(
            [
                (MemberState.PLACED, 'host-1', 2),
                (MemberState.DELETED, None, 1),
                (MemberState.PLACED, 'host-3', 2),
            ],
            [(m.state, m.host, m.epoch) for m in after],
        )
        self.assertEqual(
            (networks, {'cpu': 2.0}), (after[0].networks, after[0].limits)
        )
        self.assertIsNotNone(after[0].placed_at)

    def test_one_of_two_moves_a_member(self):
        bulk, _members = database.accept(1)
        seen = [db_members.list_members(bulk.id) for _contender in range(2)]
        self.assertEqual(
            seen[0],
            db_transitions.move_members(
                seen[0], MemberState.FAILED, reason='first'
            ),
        )
        self.assertEqual(
            [],
            db_transitions.move_members(
                seen[1], MemberState.CANCELLED, reason='second'
            ),
        )
        (member,) = db_members.list_members(bulk.id)
        self.assertEqual(
            (MemberState.FAILED, 'first', 1),
            (member.state, member.reason, member.epoch),
        )

    def test_same_state_but_older_epoch(self):
        bulk, (member,) = database.accept(1)
        stale = db_members.list_members(bulk.id)
        db_transitions.move_members([member], MemberState.PLACED)
        db_transitions.move_members([member], MemberState.QUEUED)
        self.assertEqual(
            stale[0].state, db_members.list_members(bulk.id)[0].state
        )
        self.assertEqual(
            [], db_transitions.move_members(stale, MemberState.PLACED)
        )
        self.assertEqual(2, db_members.list_members(bulk.id)[0].epoch)

    def test_moves_those_that_are_as_they_were_seen(self):
        bulk, _members = database.accept(1100)
        stale = db_members.list_members(bulk.id)
        # Read at different epochs and in different states.
        db_transitions.move_members(stale[:3], MemberState.PLACED)
        members = db_members.list_members(bulk.id)
        changed = [members[number] for number in (0, 5, 700)]
        db_transitions.move_members(
            [
                member
                for member in db_members.list_members(bulk.id)
                if member.id in {other.id for other in changed}
            ],
            MemberState.CANCELLED,
        )

        moved = db_transitions.move_members(members[::-1], MemberState.FAILED)
        self.assertEqual(1097, len(moved))
        self.assertEqual(
            set(),
            {member.id for member in moved}
            & {member.id for member in changed},
        )
        counts = db_counts.count_members([bulk.id])[bulk.id]
        self.assertEqual(
            {MemberState.FAILED: 1097, MemberState.CANCELLED: 3}, counts
        )
        self.assertEqual(
            {member.id: member.epoch for member in moved},
            {
                member.id: member.epoch
                for member in db_members.list_members(bulk.id)
                if member.state == MemberState.FAILED
            },
        )

    def test_moves_many_by_few_statements(self):
        bulk, members = database.accept(1000)
        statements = []
        sa.event.listen(
            self.engine,
            'before_cursor_execute',
            lambda *args: statements.append(args[2]),
        )
        self.assertEqual(members, database.put(members, MemberState.DELETED))
        self.assertLess(len(statements), 10)

    def test_a_change_and_what_is_told_of_it_are_two_statements(self):
        bulk, members = database.accept(20)
        members = self.place(bulk, members)
        statements = []
        sa.event.listen(
            self.engine,
            'before_cursor_execute',
            lambda *args: statements.append(args[2]),
        )
        for change in (
            lambda: db_transitions.start_members(members),
            lambda: db_transitions.move_members(members, MemberState.RUNNING),
        ):
            statements.clear()
            change()
            self.assertEqual(
                ['BEGIN', 'UPDATE', 'INSERT'],
                [statement.split()[0] for statement in statements],
            )

    def test_moves_none(self):
        self.assertEqual(
            [], db_transitions.move_members([], MemberState.DELETED)
        )

    def test_moved_members_are_up_to_date(self):
        bulk, members = database.accept(2)
        for state in (
            MemberState.PLACED,
            MemberState.STARTING,
            MemberState.RUNNING,
        ):
            self.assertEqual(
                members, db_transitions.move_members(members, state)
            )
        self.assertEqual(
            [
                (m.id, m.state, m.epoch)
                for m in db_members.list_members(bulk.id)
            ],
            [(m.id, m.state, m.epoch) for m in members],
        )

    def test_start_counts_the_attempt(self):
        bulk, members = database.accept(2)
        database.put(members[:1], MemberState.PLACED)
        db_transitions.move_members(members[1:], MemberState.FAILED)
        moved = db_transitions.start_members(
            db_members.list_members(bulk.id)[:1]
        )
        self.assertEqual([members[0].id], [m.id for m in moved])
        self.assertEqual(1, moved[0].attempt)
        after = db_members.list_members(bulk.id)
        self.assertEqual(
            [(MemberState.STARTING, 1), (MemberState.FAILED, 0)],
            [(m.state, m.attempt) for m in after],
        )
        self.assertIsNotNone(after[0].started_at)

    def test_deadlock_is_tried_again(self):
        bulk, members = database.accept(1)
        attempts = []

        def fail_twice(*args, **kwargs):
            attempts.append(args)
            if len(attempts) < 3:
                raise db_exc.DBDeadlock()
            return move(*args, **kwargs)

        move = db_transitions._move
        with (
            mock.patch.object(db_transitions, '_move', side_effect=fail_twice),
            mock.patch('time.sleep'),
        ):
            moved = db_transitions.move_members(members, MemberState.PLACED)
        self.assertEqual((members, 3), (moved, len(attempts)))
        self.assertEqual(1, db_members.list_members(bulk.id)[0].epoch)


class TestHistory(DatabaseTestCase):
    def told(self, bulk, **kwargs):
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
        self.assertEqual(expected, self.told(bulk)[1:])
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
            self.told(bulk)[1:],
        )

    def test_only_of_those_that_moved(self):
        bulk, members = database.accept(3)
        stale = db_members.list_members(bulk.id)
        db_transitions.move_members(members[1:2], 'failed', reason='no')
        database.put(stale, 'running')
        database.put(stale, 'running')
        self.assertEqual(
            [('failed', 2), ('running', 1), ('running', 3)],
            [row[:2] for row in self.told(bulk)[1:]],
        )

    def test_nothing_of_those_that_stay_as_they_are(self):
        bulk, members = database.accept(2)
        db_transitions.move_members(members, 'cancelled')
        db_transitions.move_members(members, 'cancelled', host=None)
        database.put(members, 'deleted')
        self.assertEqual(3, len(self.told(bulk)))

    def test_what_is_told_otherwise(self):
        bulk, members = database.accept(2)
        members = self.place(bulk, members)
        db_transitions.move_members(
            members,
            'queued',
            told={'host': 'host-1', 'reason': 'down\0'},
            host=None,
        )
        self.assertEqual(
            [
                ('queued', 1, 'host-1', 0, 'down?'),
                ('queued', 2, 'host-1', 0, 'down?'),
            ],
            self.told(bulk)[1:],
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
        told = self.told(bulk)[4:]
        self.assertEqual(('deleting', 1, 'host-1', 1, 'busy'), told[0])
        self.assertEqual(('cancelled', 2, 'host-1', 0, None), told[1])
        self.assertEqual(
            [('cancelled', index) for index in range(2, 1202)],
            [row[:2] for row in told[1:]],
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
        kept = self.told(bulks[0])
        for keep, left in ((200, 100), (100, 100), (99, 99), (42, 42), (0, 0)):
            db_history.trim_events(bulks[0].id, keep)
            self.assertEqual(kept[100 - left :], self.told(bulks[0]))
        self.assertEqual(100, len(self.told(bulks[1])))

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
        self.assertEqual([], self.told(bulk))
        self.assertEqual(1, len(self.told(other)))


class TestDelete(DatabaseTestCase):
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


class TestZunRows(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        _bulk, members = database.accept(3)
        self.uuids = [member.container_uuid for member in members]
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(zun_models.Container.__table__).values(
                    status='Error',
                    status_reason='broken',
                    task_state='container_creating',
                    host='host-1',
                )
            )

    def test_states(self):
        state = ('Error', 'broken', 'container_creating', 'host-1')
        self.assertEqual(
            dict.fromkeys(self.uuids[:2], state),
            zun_rows.container_states(self.uuids[:2] + ['unknown']),
        )

    def test_fail(self):
        zun_rows.fail_containers(self.uuids[:1], 'no room\0')
        states = zun_rows.container_states(self.uuids)
        self.assertEqual(('Error', 'no room?'), states[self.uuids[0]][:2])
        self.assertEqual(('Error', 'broken'), states[self.uuids[1]][:2])

    def test_reset(self):
        zun_rows.reset_containers(self.uuids[:1])
        states = zun_rows.container_states(self.uuids)
        self.assertEqual(('Creating', None, None, None), states[self.uuids[0]])
        self.assertEqual(
            collections.Counter(['Creating', 'Error', 'Error']),
            collections.Counter(state[0] for state in states.values()),
        )

    def test_delete(self):
        _bulk, others = database.accept(1200, name='many')
        zun_rows.delete_containers(
            self.uuids[:2] + [member.container_uuid for member in others]
        )
        rows = self.dump()
        self.assertEqual(
            self.uuids[2:], [row.uuid for row in rows['container']]
        )
        self.assertEqual(
            self.uuids[2:],
            [row.container_uuid for row in rows['container_actions']],
        )


class TestConfigure(base.BaseTestCase):
    def test_called_again(self):
        self.useFixture(database.Database(tables=False))
        engine = db_base.get_engine()
        db_base.configure()
        self.assertIs(engine, db_base.get_engine())

    def test_without_migrations(self):
        self.useFixture(database.Database(tables=False))
        db_base.create_tables()
        self.assertLessEqual(
            set(models.Base.metadata.tables),
            set(sa.inspect(db_base.get_engine()).get_table_names()),
        )


class TestHosts(DatabaseTestCase):
    def test_added_once(self):
        db_hosts.add_host('host-1')
        row = db_hosts.get_host('host-1')
        db_hosts.change_host(row, held=True)
        db_hosts.add_host('host-1')
        self.assertEqual((row.id, True), self.seen('id', 'held'))

    def seen(self, *names):
        row = db_hosts.get_host('host-1')
        return tuple(getattr(row, name) for name in names)

    def test_as_it_begins(self):
        db_hosts.add_host('host-1')
        self.assertEqual(
            (0, False, None, None, None, None, None, None),
            self.seen(
                'epoch',
                'held',
                'held_reason',
                'mode',
                'max_in_flight',
                'start_interval',
                'report',
                'reported_at',
            ),
        )

    def test_unknown(self):
        error = self.assertRaises(
            exception.ResourceNotFound, db_hosts.get_host, 'host-9'
        )
        self.assertIn('host-9', str(error))
        db_hosts.report_host('host-9', {})
        self.assertEqual([], db_hosts.list_hosts())

    def test_list(self):
        for name in ('host-2', 'host-3', 'host-1'):
            db_hosts.add_host(name)
        self.assertEqual(
            ['host-1', 'host-2', 'host-3'],
            [row.host for row in db_hosts.list_hosts()],
        )
        self.assertEqual(
            ['host-2'],
            [
                row.host
                for row in db_hosts.list_hosts(limit=1, marker='host-1')
            ],
        )

    def test_of_two_who_change_it_the_second_changes_nothing(self):
        db_hosts.add_host('host-1')
        row = db_hosts.get_host('host-1')
        self.assertTrue(
            db_hosts.change_host(row, held=True, held_reason='disk')
        )
        self.assertFalse(db_hosts.change_host(row, held=False))
        self.assertEqual(
            (1, True, 'disk'), self.seen('epoch', 'held', 'held_reason')
        )
        self.assertTrue(
            db_hosts.change_host(
                db_hosts.get_host('host-1'), mode='fixed', start_interval=0.5
            )
        )
        self.assertEqual(
            (2, True, 'fixed', 0.5),
            self.seen('epoch', 'held', 'mode', 'start_interval'),
        )

    def test_a_report_is_no_change(self):
        db_hosts.add_host('host-1')
        row = db_hosts.get_host('host-1')
        db_hosts.report_host('host-1', {'queued': 3})
        self.assertEqual(
            (0, {'queued': 3}, None),
            self.seen('epoch', 'report', 'updated_at'),
        )
        self.assertIsNotNone(db_hosts.get_host('host-1').reported_at)
        self.assertTrue(db_hosts.change_host(row, held=True))
        self.assertEqual({'queued': 3}, db_hosts.get_host('host-1').report)

    def test_count_members(self):
        bulk, members = database.accept(5)
        members = self.place(bulk, members, ('host-1', 'host-2'))
        db_transitions.start_members(members[:1])
        self.assertEqual({'placed': 2}, db_hosts.count_members_on('host-1'))
        db_bulks.pause_bulk(bulk.id, 'why not')
        self.assertEqual({}, db_hosts.count_members_on('host-1'))
        db_bulks.mark_bulk_deleting(bulk.id)
        self.assertEqual({'deleting': 3}, db_hosts.count_members_on('host-1'))
        self.assertEqual({}, db_hosts.count_members_on('host-3'))
