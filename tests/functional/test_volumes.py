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

"""Cinder volumes of a bulk's members, with Cinder and os-brick emulated."""

import signal

from tests.emulators import keystone
from tests.emulators import server
from tests.functional import base


class VolumeTestCase(base.FunctionalTestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.order_cinder, 'DELETE')

    def order_cinder(self, method, fault=None):
        server.call(self.lab.cinder_url, method, '/_emulator/faults', fault)

    def new_volumes(self, size=1):
        return self.template(
            mounts=[{'type': 'volume', 'size': size, 'destination': '/data'}]
        )

    def attached(self):
        """Return {container uuid: volume} of the new volumes in use."""
        found = {}
        for volume in self.lab.made_volumes():
            self.assertEqual('in-use', volume['status'], volume)
            (attachment,) = volume['attachments']
            found[attachment['server_id']] = volume
        return found

    def wait_for_none(self):
        self.wait_for(
            'the volumes are gone',
            lambda: not self.lab.made_volumes(),
            timeout=20,
        )


class TestNew(VolumeTestCase):
    def test_one_for_each(self):
        # None is made twice for that.
        self.order_cinder(
            'POST', {'operation': 'volume_create', 'kind': 'drop', 'count': 2}
        )
        ident = self.create_bulk(6, 'demo', self.new_volumes())
        self.assertEqual('ready', self.wait_for_end(ident, 'demo')['status'])
        members = self.ask('GET', '/bulks/%s/members' % ident, user='demo')[
            'members'
        ]
        volumes = self.attached()
        self.assertEqual(
            {member['container_uuid'] for member in members}, set(volumes)
        )
        self.assertEqual(6, len({one['id'] for one in volumes.values()}))
        # They are the user's own, and count for him.
        self.assertEqual(
            {keystone.identifier('project', 'demo')},
            {
                volume['os-vol-tenant-attr:tenant_id']
                for volume in volumes.values()
            },
        )
        binds = self.inspect(members[0]['container_uuid'])['HostConfig'][
            'Binds'
        ]
        self.assertTrue(binds[0].split(':')[1] == '/data', binds)

        # Its user deletes one as any other container.
        gone = members[0]['container_uuid']
        self.ask(
            'DELETE',
            '/containers/%s?stop=true' % gone,
            user='demo',
            status=204,
        )
        self.wait_for(
            'its volume is gone', lambda: len(self.lab.made_volumes()) == 5
        )
        self.delete_bulk(ident, 'demo')
        self.wait_for_none()
        self.assertEqual(
            [(0,)], self.lab.rows('SELECT count(*) FROM volume_mapping')
        )

    def test_members_of_their_own(self):
        mounts = [{'type': 'volume', 'size': '2', 'destination': '/own'}]
        ident = self.create_bulk(
            2, 'demo', self.template(), members=[{'mounts': mounts}, {}]
        )
        self.assertEqual('ready', self.wait_for_end(ident, 'demo')['status'])
        first, _second = self.ask(
            'GET', '/bulks/%s/members' % ident, user='demo'
        )['members']
        ((uuid, volume),) = self.attached().items()
        self.assertEqual((first['container_uuid'], 2), (uuid, volume['size']))
        self.delete_bulk(ident, 'demo')
        self.wait_for_none()

    def test_volumes_and_starts_that_fail(self):
        """Zun deletes the volume of a start that fails, so each has a new."""
        self.order_cinder(
            'POST', {'operation': 'volume_create', 'kind': 'broken'}
        )
        self.lab.control(
            'POST',
            '/faults',
            {
                'operation': 'container_start',
                'kind': 'error',
                'status': 500,
                'message': 'context deadline exceeded',
            },
        )
        ident = self.create_bulk(3, template=self.new_volumes())
        bulk = self.wait_for_end(ident)
        self.assertEqual(
            (2, 1), (bulk['members']['running'], bulk['members']['failed'])
        )
        (failed,) = self.members(ident, '?state=failed')
        self.assertIn(
            'Cinder: creating a volume of 1 GB failed', failed['reason']
        )
        running = self.members(ident, '?state=running')
        self.assertEqual([1, 2], sorted(one['attempt'] for one in running))
        self.wait_for(
            'nothing is left of what failed',
            lambda: len(self.lab.made_volumes()) == 2,
            timeout=20,
        )
        self.assertEqual(
            {member['container_uuid'] for member in running},
            set(self.attached()),
        )

    def test_zun_killed_in_the_middle(self):
        ident = self.create_bulk(3, template=self.new_volumes())
        self.wait_for(
            'some are attached',
            lambda: any(
                volume['attachments'] for volume in self.lab.made_volumes()
            ),
        )
        self.lab.kill('zun', signal.SIGKILL)
        self.lab.start_zun()
        self.assert_all_running(ident, 3)
        self.assertEqual(3, len(self.attached()))


class TestShared(VolumeTestCase):
    def make(self, **values):
        volume = self.lab.cinder(
            'POST', '/volumes', {'volume': {'size': 1, **values}}
        )['volume']
        self.addCleanup(self.lab.cinder, 'DELETE', '/volumes/' + volume['id'])
        self.wait_for(
            'it is available',
            lambda: self.show(volume)['status'] == 'available',
        )
        return volume

    def show(self, volume):
        return self.lab.cinder('GET', '/volumes/' + volume['id'])['volume']

    def template_with(self, source):
        return self.template(
            mounts=[{'source': source, 'destination': '/shared'}]
        )

    def test_one_for_all(self):
        volume = self.make(name='common', volume_type='multiattach')
        ident = self.create_bulk(3, template=self.template_with('common'))
        members = self.assert_all_running(ident, 3)
        self.assertEqual(
            {member['container_uuid'] for member in members},
            {one['server_id'] for one in self.show(volume)['attachments']},
        )
        self.delete_bulk(ident)
        self.wait_for(
            'it is detached, and there',
            lambda: self.show(volume)['status'] == 'available',
            timeout=20,
        )
