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
import os

from cinderclient import exceptions
import fixtures
from oslo_utils import uuidutils
from oslotest import base
from zun import objects
from zun.common import context as zun_context
from zun.common import exception
from zun.compute import manager
from zun.container import driver as zun_driver

from tests import cinder_fixture
from tests import zun_fixtures
from tests.emulators import server
from zun_bulk.conf import CONF
from zun_bulk.pacing import failures
from zun_bulk.volume import attaching


class Agent:
    def working(self, container_uuid):
        return contextlib.nullcontext()


class Driver(attaching.Attaching, zun_driver.BaseDriver):
    """What of Zun's driver has to do with volumes."""

    _agent = Agent()


class Connector:
    """In the place of os-brick's, without a block device."""

    def connect_volume(self, connection_properties):
        return {'path': '/dev/a'}

    def disconnect_volume(self, connection_properties, device_info):
        """Do nothing."""


class AttachingTestCase(base.BaseTestCase):
    """Zun's own drivers of volumes, and an emulated Cinder."""

    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(zun_fixtures.Config())
        self.useFixture(zun_fixtures.Database())
        self.directory = self.useFixture(fixtures.TempDir()).path
        self.conf.config(group='volume', volume_dir=self.directory)
        self.conf.config(host='host-1')
        self.cloud = self.useFixture(cinder_fixture.Cinder())
        for name, value in (
            ('volume.cinder_workflow.get_volume_connector', self.connector),
            (
                'volume.cinder_workflow.get_volume_connector_properties',
                lambda: {'host': CONF.host},
            ),
            ('common.mount.do_mount', self.mount),
            ('common.mount.do_unmount', self.unmount),
        ):
            self.useFixture(fixtures.MonkeyPatch('zun.' + name, value))
        for name in ('TIMEOUT', 'LOOK_AGAIN'):
            self.useFixture(fixtures.MockPatchObject(attaching, name, 0.01))
        self.mounted = []
        self.busy = False
        self.container = uuidutils.generate_uuid()
        self.context = zun_context.get_admin_context(all_projects=True)
        self.driver = Driver()

    def connector(self, *args, **kwargs):
        return Connector()

    def mount(self, device, mountpoint, fstype):
        self.mounted.append(mountpoint)

    def unmount(self, mountpoint):
        if self.busy:
            raise exception.UnmountException('target is busy')
        if mountpoint in self.mounted:
            self.mounted.remove(mountpoint)

    def map(self, volume, container=None, created=True, **values):
        """What zun-compute writes down before it attaches a volume."""
        values = {
            'cinder_volume_id': volume and volume['id'],
            'volume_provider': 'cinder' if volume else 'local',
            'contents': None if volume else 'YQ==',
            'auto_remove': False,
            'project_id': cinder_fixture.DEMO,
            'user_id': 'user',
            **values,
        }
        row = objects.Volume(self.context, **values)
        row.create(self.context)
        mapping = objects.VolumeMapping(
            self.context,
            volume_id=row.id,
            container_uuid=container or self.container,
            container_path='/data',
            **values,
        )
        if created:
            mapping.create(self.context)
        return mapping

    def attach(self, volume, *args, **values):
        mapping = self.map(volume, *args, **values)
        self.driver.attach_volume(self.context, mapping)
        return mapping

    def mappings(self):
        return [
            mapping.uuid
            for mapping in objects.VolumeMapping.list_by_container(
                self.context, self.container
            )
        ]

    def fail(self, action):
        self.cloud.cinder.faults.append(
            server.Fault(
                'volume_action', name=action, status=503, message='down'
            )
        )

    def forget(self):
        self.driver.forget_volumes(self.container)

    def assert_forgotten(self, volume, status='available'):
        self.forget()
        self.assertEqual(
            (status, [], [], []),
            (
                volume['status'],
                self.mappings(),
                self.mounted,
                os.listdir(self.directory),
            ),
        )


class TestForget(AttachingTestCase):
    def test_attached(self):
        volume = self.cloud.make()
        self.attach(volume)
        self.attach(None)
        self.assertEqual(
            ('in-use', 2), (volume['status'], len(self.mappings()))
        )
        self.assert_forgotten(volume)

    def test_reserved(self):
        volume = self.cloud.make()
        self.map(volume)
        self.map(None)
        volume['status'] = 'attaching'
        self.assert_forgotten(volume)

    def test_attached_and_never_mounted(self):
        volume = self.cloud.make()
        mapping = self.attach(volume)
        self.mounted.clear()
        os.rmdir(os.path.join(self.directory, mapping.volume.uuid))
        self.assert_forgotten(volume)

    def test_detaching(self):
        volume = self.cloud.make()
        self.attach(volume)
        volume['status'] = 'detaching'
        self.assert_forgotten(volume)

    def test_gone(self):
        volume = self.cloud.make()
        self.attach(volume)
        del self.cloud.cinder.volumes[volume['id']]
        self.assert_forgotten(volume, 'in-use')

    def test_cinder_is_out_of_order(self):
        for action in ('os-begin_detaching', 'os-detach'):
            volume = self.cloud.make()
            self.attach(volume)
            self.fail(action)
            self.assertRaises(exceptions.ClientException, self.forget)
            self.assertEqual(1, len(self.mappings()))
            self.assert_forgotten(volume)

    def test_what_is_busy_stays_attached(self):
        volume = self.cloud.make()
        self.attach(volume)
        self.busy = True
        self.assertRaises(exception.UnmountException, self.forget)
        self.assertEqual('in-use', volume['status'])
        self.busy = False
        self.assert_forgotten(volume)

    def test_of_others(self):
        volume = self.cloud.make(volume_type='multiattach')
        self.attach(volume, uuidutils.generate_uuid())
        self.map(volume)
        self.forget()
        self.assertEqual(
            ('in-use', 1), (volume['status'], len(volume['attachments']))
        )
        self.assertEqual(([], 1), (self.mappings(), len(self.mounted)))

    def test_of_another_host(self):
        volume = self.cloud.make()
        mapping = self.attach(volume)
        self.conf.config(host='host-2')
        self.forget()
        self.assertEqual('in-use', volume['status'])
        self.assertEqual([mapping.uuid], self.mappings())


class TestOwner(AttachingTestCase):
    def setUp(self):
        super().setUp()
        self.volume = self.cloud.make()

    def give_away(self):
        self.volume['os-vol-tenant-attr:tenant_id'] = 'another'

    def create(self, **values):
        """Attach it as zun-compute does."""
        container = objects.Container(uuid=self.container)
        mapping = self.map(self.volume, created=False, **values)
        zun = manager.Manager.__new__(manager.Manager)
        zun.host, zun.driver = 'host-1', self.driver
        self.useFixture(fixtures.MockPatchObject(container, 'save'))
        zun._attach_volumes(
            self.context, container, {self.container: [mapping]}
        )

    def test_its_own(self):
        self.create()
        self.assertEqual('in-use', self.volume['status'])

    def test_given_away(self):
        self.give_away()
        for auto_remove in (False, True):
            error = self.assertRaises(
                exception.VolumeNotUsable, self.create, auto_remove=auto_remove
            )
            self.assertIn(self.volume['id'], str(error))
            self.assertIs(
                failures.FailureClass.PERMANENT, failures.classify(str(error))
            )
            self.assertEqual(
                ('available', []), (self.volume['status'], self.mappings())
            )

    def test_attached_anew_after_a_reboot(self):
        mapping = self.attach(self.volume)
        self.mounted.clear()
        self.give_away()
        self.driver.attach_volume(self.context, mapping)
        self.assertEqual(1, len(self.mounted))


class TestTurn(AttachingTestCase):
    def test_zun_unmounts_though_cinder_is_away(self):
        mapping = self.attach(self.cloud.make())
        self.cloud.cinder.faults.append(
            server.Fault('volume_show', status=503, message='down', count=9)
        )
        self.fail('os-begin_detaching')
        self.assertRaises(
            exceptions.ClientException,
            self.driver.detach_volume,
            self.context,
            mapping,
        )
        self.assertEqual([], self.mounted)
