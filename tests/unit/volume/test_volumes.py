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

import contextlib
import itertools

from cinderclient import exceptions
import fixtures
from keystoneauth1 import exceptions as ks_exc
from oslo_db import exception as db_exc
from oslo_utils import fixture as utils_fixture
from oslo_utils import uuidutils
from oslotest import base
import sqlalchemy as sa
from zun import objects
from zun.common import context as zun_context

from tests import cinder_fixture
from tests import database
from tests import zun_fixtures
from tests.emulators import server
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import trusts as db_trusts
from zun_bulk.db import zun_rows
from zun_bulk.volume import mounts
from zun_bulk.volume import trusts
from zun_bulk.volume import volumes


NEW = {'type': 'volume', 'size': 2, 'destination': '/data'}


class VolumesTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(zun_fixtures.Config())
        self.useFixture(zun_fixtures.Database())
        self.cloud = self.useFixture(cinder_fixture.Cinder())
        self.accept(2)
        self.volumes = volumes.Volumes()

    def accept(self, count, *more):
        uuid = uuidutils.generate_uuid()
        self.bulk, self.members = database.accept(
            count,
            uuid=uuid,
            project_id=cinder_fixture.DEMO,
            spec={
                'mounts': [{'type': 'bind', 'destination': '/b'}, NEW, *more],
                'trust_id': trusts.create(self.cloud.context(), uuid),
            },
        )

    def look(self):
        self.cloud.volumes()
        return self.volumes.look(self.bulk, self.members)

    def make(self):
        refused = self.volumes.make(self.bulk, self.look().missing)
        return refused, self.cloud.volumes()

    def uuids(self):
        return [member.container_uuid for member in self.members]


class TestMake(VolumesTestCase):
    def test_one_for_each(self):
        found = self.look()
        self.assertEqual(
            [(member, '1', 2) for member in self.members], found.missing
        )
        self.assertEqual(([], 2), (found.ready, len(found.waiting)))
        refused, made = self.make()
        self.assertEqual({}, refused)
        self.assertEqual(
            {
                (
                    cinder_fixture.DEMO,
                    self.bulk.uuid,
                    member.container_uuid,
                    '1',
                    member.name + '-1',
                    2,
                )
                for member in self.members
            },
            {
                (
                    volume['os-vol-tenant-attr:tenant_id'],
                    volume['metadata'][volumes.BULK],
                    volume['metadata'][volumes.CONTAINER],
                    volume['metadata'][volumes.MOUNT],
                    volume['name'],
                    volume['size'],
                )
                for volume in made
            },
        )
        found = self.look()
        self.assertEqual(([], []), (found.missing, found.waiting))
        ids = {volume['id'] for volume in made}
        self.assertEqual(
            ids, {noted['ids']['1'] for _member, noted in found.ready}
        )

    def test_what_is_noted_is_good_for_one_start(self):
        self.make()
        self.assertTrue(mounts.lacks(self.bulk, self.members[0]))
        epoch = db_leases.take_lease(
            db_bulks.get_bulk(self.bulk.uuid), 'conductor'
        )
        noted = db_transitions.record_volumes(
            self.bulk.id, epoch, self.look().ready
        )
        self.assertEqual([member.id for member in self.members], noted)
        member = db_members.list_members(self.bulk.id)[0]
        self.assertFalse(mounts.lacks(self.bulk, member))
        member.attempt += 1
        self.assertTrue(mounts.lacks(self.bulk, member))

    def test_who_lost_the_bulk_notes_nothing(self):
        self.make()
        ready = self.look().ready
        epoch = db_leases.take_lease(
            db_bulks.get_bulk(self.bulk.uuid), 'conductor'
        )
        self.assertIsNone(
            db_transitions.record_volumes(self.bulk.id, epoch - 1, ready)
        )
        self.assertIsNone(db_members.list_members(self.bulk.id)[0].volumes)

    def test_one_that_another_project_has_marked_is_not_taken(self):
        self.cloud.make(
            'other',
            metadata={
                volumes.BULK: self.bulk.uuid,
                volumes.CONTAINER: self.members[0].container_uuid,
                volumes.MOUNT: '1',
            },
        )
        self.assertEqual(2, len(self.look().missing))
        self.volumes.sweep(self.bulk, self.uuids())
        self.assertEqual(1, len(self.cloud.volumes()))

    def test_one_that_a_user_has_restored_is_his(self):
        self.make()
        self.look()
        first, second = self.cloud.volumes()
        self.assertEqual(first['id'], first['metadata'][volumes.VOLUME])
        calls = dict(self.cloud.cinder.calls)
        self.look()
        self.assertEqual(
            dict(calls, volume_list=3), dict(self.cloud.cinder.calls)
        )
        # As Cinder restores a backup to a new volume.
        restored = self.cloud.make(
            name=first['name'], metadata=dict(first['metadata'])
        )
        self.volumes.sweep(self.bulk, self.uuids())
        self.assertEqual([restored], self.cloud.volumes())

    def test_refused(self):
        self.cloud.cinder.quotas[cinder_fixture.DEMO] = {'gigabytes': 1}
        refused, made = self.make()
        ((reason, members),) = refused.items()
        self.assertIn('exceeds allowed gigabytes quota', reason)
        self.assertEqual((2, []), (len(members), made))

    def test_refused_for_one_reason(self):
        self.accept(2, NEW)
        error = self.cloud.cinder.error
        requests = itertools.count()

        def with_request_id(status, message):
            response = error(status, message)
            response.headers['x-compute-request-id'] = str(next(requests))
            return response

        self.cloud.cinder.error = with_request_id
        self.cloud.cinder.faults.append(
            server.Fault('volume_create', status=413, message='no', count=4)
        )
        self.assertEqual({'Cinder: no': self.members}, self.make()[0])
        self.assertEqual(4, next(requests))

    def test_what_a_failed_member_lacks_is_not_made(self):
        self.accept(1, NEW)
        self.cloud.make(
            metadata={
                volumes.BULK: self.bulk.uuid,
                volumes.CONTAINER: self.members[0].container_uuid,
                volumes.MOUNT: '2',
            }
        )['status'] = 'error'
        found = self.look()
        self.assertEqual([], found.missing)
        self.assertEqual([self.members], list(found.failed.values()))

    def test_the_trust_is_no_good_any_more(self):
        self.accept(2, NEW)
        missing = self.look().missing
        self.cloud.keystone.trusts.clear()
        before = self.cloud.keystone.calls['token_issue']
        self.assertEqual(
            {volumes.NO_TRUST: self.members},
            self.volumes.make(self.bulk, missing),
        )
        # By the trust, and whether it is the trust.
        self.assertEqual(before + 2, self.cloud.keystone.calls['token_issue'])

    def test_zun_itself_cannot_log_in(self):
        missing = self.look().missing
        self.cloud.keystone.faults.append(
            server.Fault('token_issue', status=401, count=9)
        )
        self.assertRaises(
            ks_exc.Unauthorized, self.volumes.make, self.bulk, missing
        )

    def test_cinder_is_out_of_order(self):
        self.cloud.cinder.faults.append(
            server.Fault('volume_create', status=503, message='down')
        )
        missing = self.look().missing
        self.assertRaises(
            exceptions.ClientException, self.volumes.make, self.bulk, missing
        )
        # What could be made is not made again.
        self.assertEqual(1, len(self.look().missing))

    def test_ended_in_error(self):
        self.cloud.cinder.faults.append(
            server.Fault('volume_create', kind='broken')
        )
        self.make()
        found = self.look()
        self.assertEqual(1, len(found.ready))
        self.assertEqual(
            ['Cinder: creating a volume of 2 GB failed'], list(found.failed)
        )

    def test_two_of_a_lost_answer(self):
        missing = self.look().missing
        self.volumes.make(self.bulk, missing + missing[:1])
        self.assertEqual(3, len(self.cloud.volumes()))
        self.assertEqual(2, len(self.look().ready))
        self.volumes.sweep(self.bulk, self.uuids())
        self.assertEqual([], self.cloud.volumes())


class TestSweep(VolumesTestCase):
    def attach(self, volume, uuid):
        client = self.volumes._client
        client.volumes.reserve(volume['id'])
        client.volumes.attach(volume['id'], uuid, '/dev/x')

    def test_attached_to_a_server_of_the_users(self):
        _refused, made = self.make()
        self.attach(made[0], 'server')
        found = self.look()
        ((reason, (member,)),) = found.failed.items()
        self.assertEqual(
            (
                made[0]['metadata'][volumes.CONTAINER],
                'Cinder: volume %s is in-use and cannot be detached'
                % made[0]['id'],
            ),
            (member.container_uuid, reason),
        )
        self.volumes.sweep(self.bulk, self.uuids())
        (left,) = self.cloud.volumes()
        self.assertEqual(made[0]['id'], left['id'])
        self.assertEqual(1, len(left['attachments']))

    def test_what_cinder_does_not_delete_stays(self):
        self.make()
        self.cloud.cinder.faults += [
            server.Fault('volume_delete', status=400, message='snapshots')
        ]
        self.assertEqual(2, self.volumes.sweep(self.bulk, self.uuids()))
        self.assertEqual(1, len(self.cloud.volumes()))
        self.cloud.cinder.faults += [server.Fault('volume_delete', status=503)]
        self.assertRaises(
            exceptions.ClientException,
            self.volumes.sweep,
            self.bulk,
            self.uuids(),
        )

    def test_what_cinder_does_not_detach_stays(self):
        for status in 400, 404, 409:
            _refused, (volume, _other) = self.make()
            self.attach(volume, volume['metadata'][volumes.CONTAINER])
            self.cloud.cinder.faults += [
                server.Fault('volume_action', status=status, message='no')
            ]
            with contextlib.suppress(volumes.Busy):
                self.volumes.sweep(self.bulk, self.uuids())
            self.assertEqual([volume], self.cloud.volumes())
            self.volumes.sweep(self.bulk, self.uuids())

    def test_one_that_is_not_detached_at_once(self):
        _refused, (volume, _other) = self.make()
        self.attach(volume, volume['metadata'][volumes.CONTAINER])
        self.cloud.cinder.faults += [
            server.Fault('volume_delete', status=400, name=volume['id'])
        ]
        self.assertRaises(
            volumes.Busy, self.volumes.sweep, self.bulk, self.uuids()
        )
        self.volumes.sweep(self.bulk, self.uuids())
        self.assertEqual([], self.cloud.volumes())

    def test_of_some(self):
        self.make()
        first, second = self.uuids()
        self.volumes.sweep(self.bulk, [first])
        (left,) = self.cloud.volumes()
        self.assertEqual(second, left['metadata'][volumes.CONTAINER])

    def test_of_all(self):
        self.make()
        self.cloud.make(
            metadata={
                volumes.BULK: self.bulk.uuid,
                volumes.CONTAINER: 'forgotten',
                volumes.MOUNT: '1',
            }
        )
        self.assertEqual(3, self.volumes.sweep(self.bulk))
        self.assertEqual([], self.cloud.volumes())

    def test_one_that_cinder_is_at_work_on(self):
        _refused, (volume, _other) = self.make()
        volume['status'] = 'backing-up'
        found = self.look()
        self.assertEqual(
            ([], 1, 1), (found.missing, len(found.waiting), len(found.ready))
        )
        self.assertRaises(volumes.Busy, self.volumes.sweep, self.bulk)
        self.assertEqual([volume], self.cloud.volumes())

    def test_attached_to_what_no_host_has(self):
        _refused, made = self.make()
        self.attach(made[0], made[0]['metadata'][volumes.CONTAINER])
        self.volumes.sweep(self.bulk, self.uuids())
        self.assertEqual([], self.cloud.volumes())

    def test_what_zun_knows_as_attached_is_left(self):
        _refused, made = self.make()
        self.attach(made[0], made[0]['metadata'][volumes.CONTAINER])
        context = zun_context.get_admin_context()
        mapping = objects.VolumeMapping(
            context,
            cinder_volume_id=made[0]['id'],
            volume_provider='cinder',
            container_path='/data',
            container_uuid=made[0]['metadata'][volumes.CONTAINER],
            user_id='user',
            project_id=cinder_fixture.DEMO,
        )
        mapping.create(context)
        self.volumes.sweep(self.bulk, self.uuids())
        (left,) = self.cloud.volumes()
        self.assertEqual(
            ('in-use', made[0]['id']), (left['status'], left['id'])
        )
        zun_rows.delete_mounts([mapping.container_uuid])
        self.volumes.sweep(self.bulk, self.uuids())
        self.assertEqual([], self.cloud.volumes())

    def test_one_that_is_being_made(self):
        self.cloud.cinder.delay = 60.0
        self.volumes.make(self.bulk, self.look().missing[:1])
        error = self.assertRaises(
            volumes.Busy, self.volumes.sweep, self.bulk, self.uuids()
        )
        self.assertIn('(creating)', str(error))

    def test_attached_by_a_start_that_was_cut_short(self):
        _refused, made = self.make()
        for volume in made:
            self.attach(volume, volume['metadata'][volumes.CONTAINER])
        self.assertEqual([], self.look().ready)
        self.assertEqual(2, len(self.look().ready))


class TestMarked(VolumesTestCase):
    def test_marked(self):
        self.make()
        for volume in self.cloud.volumes():
            volume['metadata'].pop('zun_bulk_volume', None)
        restored = self.cloud.make(
            metadata={
                'zun_bulk': 'uuid',
                'zun_bulk_container': 'uuid',
                'zun_bulk_volume': 'of another',
            }
        )
        self.cloud.make(metadata={'zun_bulk': 'a note'})
        self.cloud.make()
        found = self.volumes.marked()
        self.assertEqual(
            sorted(self.uuids()),
            sorted(one.metadata['zun_bulk_container'] for one in found),
        )
        self.assertNotIn(restored['id'], [one.id for one in found])

    def test_a_cloud_without_cinder(self):
        del self.cloud.keystone.services['volumev3']
        self.assertEqual([], volumes.Volumes().marked())

    def test_delete(self):
        self.make()
        first, second = self.volumes.marked()
        self.assertFalse(volumes.is_held(first))
        self.assertTrue(self.volumes.delete(first))
        # It is gone already.
        self.cloud.volumes()
        self.assertTrue(self.volumes.delete(first))
        self.cloud.cinder.faults.append(
            server.Fault('volume_delete', status=400, message='snapshots')
        )
        self.assertFalse(self.volumes.delete(second))


class TestDetach(VolumesTestCase):
    def test_what_was_given(self):
        shared = self.cloud.make(volume_type='multiattach')
        own = self.cloud.make()
        client = self.volumes._client
        for volume, uuid in (
            (shared, self.members[0].container_uuid),
            (shared, self.members[1].container_uuid),
            (own, self.members[0].container_uuid),
        ):
            client.volumes.reserve(volume['id'])
            client.volumes.attach(volume['id'], uuid, '/dev/x')
        self.bulk.spec.mounts = [
            {'type': 'volume', 'source': shared['id']},
            {'type': 'bind', 'source': 'YQ=='},
        ]
        self.members[0].wanted.mounts = [
            {'type': 'volume', 'source': own['id']},
            {'type': 'volume', 'source': 'deleted'},
        ]
        self.volumes.detach(self.bulk, self.members[:1])
        self.assertEqual(
            (['in-use'], 'available'),
            (
                [shared['status'] for _left in shared['attachments']],
                own['status'],
            ),
        )
        self.assertEqual(
            self.members[1].container_uuid,
            shared['attachments'][0]['server_id'],
        )


class TestTrusts(VolumesTestCase):
    def setUp(self):
        super().setUp()
        self.trust_id = self.bulk.spec.trust_id
        self.time = self.useFixture(utils_fixture.TimeFixture())

    def left(self):
        """Return the trusts left in Keystone after a conductor cleaned up."""
        trusts.delete_left()
        return list(self.cloud.keystone.trusts)

    def noted(self):
        with db_base.reader() as session:
            return session.scalars(sa.select(models.Trust.trust_id)).all()

    def order(self, operation, status):
        self.cloud.keystone.faults = [
            server.Fault(operation, status=status, count=9)
        ]

    def test_delete(self):
        self.assertEqual([self.trust_id], list(self.cloud.keystone.trusts))
        self.assertEqual([self.trust_id], self.noted())
        trusts.delete(self.trust_id)
        self.assertEqual({}, self.cloud.keystone.trusts)
        self.assertEqual([], self.noted())
        # It is gone already.
        trusts.delete(self.trust_id)

    def test_keystone_is_out_of_order(self):
        for operation in 'token_issue', 'trust_delete':
            self.order(operation, 500)
            self.assertRaises(
                ks_exc.InternalServerError, trusts.delete, self.trust_id
            )
            trusts.discard(self.trust_id)
        self.assertEqual([self.trust_id], self.noted())
        self.cloud.keystone.faults.clear()
        trusts.delete(self.trust_id)
        self.assertEqual({}, self.cloud.keystone.trusts)

    def test_one_that_is_of_no_use_for_now(self):
        for operation, status in (
            ('token_issue', 401),
            ('token_issue', 403),
            ('trust_delete', 403),
        ):
            self.order(operation, status)
            trusts.delete(self.trust_id)
            self.assertEqual([self.trust_id], self.noted())

    def test_that_of_a_bulk_is_left_alone(self):
        self.time.advance_time_seconds(10 * db_trusts.RETRY_INTERVAL)
        self.assertEqual([self.trust_id], self.left())

    def test_a_bulk_was_never_written(self):
        trust_id = trusts.create(self.cloud.context(), 'another')
        # It may be just about to be.
        self.time.advance_time_seconds(db_trusts.MIN_AGE - 1)
        self.assertIn(trust_id, self.left())
        self.time.advance_time_seconds(2)
        self.assertEqual([self.trust_id], self.left())
        self.assertEqual([self.trust_id], self.noted())

    def test_a_bulk_went_while_keystone_was_down(self):
        db_bulks.mark_bulk_deleting(self.bulk.id)
        db_transitions.move_members(
            db_members.list_members(self.bulk.id), 'deleted'
        )
        epoch = db_leases.take_lease(db_bulks.get_bulk(self.bulk.uuid), 'me')
        self.assertTrue(db_bulks.destroy_bulk(self.bulk.id, epoch))
        self.order('token_issue', 503)
        self.time.advance_time_seconds(db_trusts.MIN_AGE + 1)
        self.assertEqual([self.trust_id], self.left())
        calls = self.cloud.keystone.calls['token_issue']
        # Nobody else tries just now.
        self.assertEqual([self.trust_id], self.left())
        self.assertEqual(calls, self.cloud.keystone.calls['token_issue'])

        self.cloud.keystone.faults.clear()
        self.time.advance_time_seconds(db_trusts.RETRY_INTERVAL + 1)
        self.assertEqual([], self.left())
        self.assertEqual([], self.noted())

    def test_one_that_is_deleted_already(self):
        trusts.create(self.cloud.context(), 'another')
        self.cloud.keystone.trusts.clear()
        self.time.advance_time_seconds(db_trusts.MIN_AGE + 1)
        self.assertEqual([], self.left())
        self.assertEqual([self.trust_id], self.noted())

    def test_the_database_cannot_note_it(self):
        self.useFixture(
            fixtures.MockPatchObject(
                db_trusts, 'record', side_effect=db_exc.DBConnectionError()
            )
        )
        self.assertRaises(
            db_exc.DBConnectionError,
            trusts.create,
            self.cloud.context(),
            'another',
        )
        self.assertEqual([self.trust_id], list(self.cloud.keystone.trusts))
