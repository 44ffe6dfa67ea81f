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

from tests.lab.real import labapi
from tests.real import base


class TestAuth(base.RealTestCase):
    """Who may see a bulk, asked of the real API and the real Keystone."""

    def setUp(self):
        super().setUp()
        # Nothing of it needs to be placed.
        status, self.bulk, _seconds = self.post_bulk(
            2, {'availability_zone': 'nowhere'}
        )
        self.assertEqual(202, status, self.bulk)
        self.paths = [
            '/bulks',
            f'/bulks/{self.bulk["uuid"]}',
            f'/bulks/{self.bulk["uuid"]}/members',
        ]

    def test_forged_identity_without_a_token(self):
        forged = {
            'X-Auth-Token': None,
            'X-Identity-Status': 'Confirmed',
            'X-Project-Id': self.bulk['project_id'],
            'X-User-Id': self.bulk['user_id'],
            'X-Roles': 'admin',
        }
        body = {
            'count': 1,
            'template': labapi.container_body('forged', self.network),
        }
        for method, path, content in (
            ('POST', '/bulks', body),
            ('DELETE', self.paths[1], None),
            *(('GET', path, None) for path in self.paths),
        ):
            status, answer = self.zun.request(method, path, content, forged)
            self.assertEqual(401, status, f'{method} {path}: {answer}')
        # Neither was made, nor was the other one deleted.
        bulks = self.zun.request('GET', '/bulks')[1]['bulks']
        self.assertEqual([self.bulk['uuid']], [bulk['uuid'] for bulk in bulks])
        self.assertNotEqual('deleting', bulks[0]['status'])

    def test_invalid_token(self):
        for path in self.paths:
            status, _answer = self.zun.request(
                'GET', path, headers={'X-Auth-Token': 'invalid'}
            )
            self.assertEqual(401, status, path)

    def test_another_project(self):
        # A plain member of another project.
        other = labapi.Zun(labapi.login('other', 'other', 'other'))
        status, answer = other.request('GET', '/bulks')
        self.assertEqual((200, []), (status, answer['bulks']))
        for path in self.paths[1:] + [f'/bulks/{self.bulk["name"]}']:
            status, answer = other.request('GET', path)
            self.assertEqual(404, status, f'{path}: {answer}')
        status, answer = other.request('DELETE', self.paths[1])
        self.assertEqual(404, status, answer)
        status, answer = other.request('GET', '/bulks?all_projects=true')
        self.assertEqual(403, status, answer)
        self.assertNotEqual(
            'deleting', self.zun.request('GET', self.paths[1])[1]['status']
        )
