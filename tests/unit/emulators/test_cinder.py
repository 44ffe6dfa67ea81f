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

from cinderclient import client as cinder_client
from cinderclient import exceptions
import fixtures
from keystoneauth1 import session
from keystoneauth1.identity import v3
from oslotest import base

from tests.emulators import cinder
from tests.emulators import keystone
from tests.emulators import server


class TestCinder(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.keystone = keystone.Keystone()
        self.auth_url = self.serve(self.keystone) + '/v3'
        self.cinder = cinder.Cinder(self.auth_url, delay=0.0)
        self.url = self.serve(self.cinder)
        self.keystone.services['volumev3'] = self.url + '/v3/%(project_id)s'
        self.admin, self.demo = self.connect('admin'), self.connect('demo')

    def serve(self, emulator):
        served = server.Server(emulator)
        served.start()
        self.addCleanup(served.stop)
        return served.url

    def connect(self, user):
        auth = v3.Password(
            self.auth_url,
            username=user,
            password=user,
            project_name=user,
            user_domain_id='default',
            project_domain_id='default',
        )
        return cinder_client.Client('3', session=session.Session(auth))

    def refuse(self, text, call, *args, kind=exceptions.BadRequest):
        self.assertIn(text, str(self.assertRaises(kind, call, *args)))

    def test_a_life(self):
        self.cinder.delay = 60.0
        volume = self.demo.volumes.create(1, name='a')
        self.assertEqual('creating', volume.status)
        self.refuse('must be available', self.demo.volumes.delete, volume.id)
        self.cinder._due[volume.id] = (0.0, 'available')
        self.assertEqual('available', self.demo.volumes.get(volume.id).status)
        self.cinder.delay = 0.0
        self.demo.volumes.delete(volume.id)
        self.assertRaises(
            exceptions.NotFound, self.demo.volumes.get, volume.id
        )

    def test_whose(self):
        volume = self.demo.volumes.create(1)
        self.assertEqual([], self.admin.volumes.list())
        self.assertEqual(
            [volume.id],
            [
                found.id
                for found in self.admin.volumes.list(
                    search_opts={'all_tenants': 1}
                )
            ],
        )
        self.assertEqual(volume.id, self.admin.volumes.get(volume.id).id)
        self.assertRaises(
            exceptions.NotFound, self.connect('other').volumes.get, volume.id
        )

    def test_no_project_but_the_tokens(self):
        """Not even for an admin: it is why there are trusts."""
        status, body, _headers = server.call(
            self.url,
            'POST',
            '/v3/%s/volumes' % keystone.identifier('project', 'demo'),
            {'volume': {'size': 1}},
            {'X-Auth-Token': self.admin.client.session.get_token()},
        )
        self.assertEqual(
            (400, 'Malformed request url'),
            (status, body['badRequest']['message']),
        )

    def test_pages(self):
        for number in range(5):
            self.demo.volumes.create(1, metadata={'n': str(number % 2)})
        self.useFixture(fixtures.MockPatchObject(cinder, 'MAX_LIMIT', 2))
        self.assertEqual(5, len(self.demo.volumes.list()))
        self.assertEqual(
            3,
            len(self.demo.volumes.list(search_opts={'metadata': {'n': '0'}})),
        )

    def attach(self, volume, server_id):
        self.demo.volumes.reserve(volume.id)
        self.demo.volumes.attach(volume.id, server_id, '/dev/x')

    def test_a_single_one_has_one_attachment(self):
        volume = self.demo.volumes.create(1)
        self.demo.volumes.list()
        self.attach(volume, 'one')
        self.refuse('in-use', self.demo.volumes.reserve, volume.id)
        self.refuse('attached', self.demo.volumes.delete, volume.id)
        self.demo.volumes.begin_detaching(volume.id)
        self.refuse(
            'Unable to detach', self.demo.volumes.begin_detaching, volume.id
        )
        self.demo.volumes.detach(volume.id)
        self.assertEqual('available', self.demo.volumes.get(volume.id).status)

    def test_a_shared_one_takes_one_at_a_time(self):
        volume = self.demo.volumes.create(1, volume_type='multiattach')
        self.demo.volumes.list()
        self.attach(volume, 'one')
        self.demo.volumes.reserve(volume.id)
        self.refuse('attaching', self.demo.volumes.reserve, volume.id)
        self.demo.volumes.attach(volume.id, 'two', '/dev/x')
        self.demo.volumes.begin_detaching(volume.id)
        self.refuse('More than one', self.demo.volumes.detach, volume.id)
        first, _second = self.demo.volumes.get(volume.id).attachments
        self.demo.volumes.detach(volume.id, first['attachment_id'])
        (left,) = self.demo.volumes.get(volume.id).attachments
        self.assertEqual('two', left['server_id'])

    def test_quota(self):
        self.cinder.quotas[keystone.identifier('project', 'demo')] = {
            'volumes': 1
        }
        self.demo.volumes.create(1)
        self.refuse(
            'Maximum number of volumes',
            self.demo.volumes.create,
            1,
            kind=exceptions.OverLimit,
        )
        limits = {
            limit.name: limit.value
            for limit in self.demo.limits.get().absolute
        }
        self.assertEqual(
            (1, 1), (limits['maxTotalVolumes'], limits['totalVolumesUsed'])
        )
