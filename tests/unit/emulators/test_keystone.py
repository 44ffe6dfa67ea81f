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

from keystoneauth1 import exceptions
from keystoneauth1 import session
from keystoneauth1.identity import v3
from keystonemiddleware import auth_token
from oslotest import base
import webob

from tests.emulators import keystone
from tests.emulators import server


class TestKeystone(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.server = server.Server(
            keystone.Keystone({'container': 'http://zun/v1'})
        )
        self.server.start()
        self.addCleanup(self.server.stop)
        self.auth_url = self.server.url + '/v3'

    def session(self, user='demo', **kwargs):
        kwargs = {
            'username': user,
            'password': user,
            'project_name': user,
            'user_domain_id': 'default',
            'project_domain_id': 'default',
            **kwargs,
        }
        return session.Session(v3.Password(self.auth_url, **kwargs))

    def test_token_and_catalogue(self):
        client = self.session()
        self.assertTrue(client.get_token())
        self.assertEqual(
            keystone.identifier('project', 'demo'), client.get_project_id()
        )
        self.assertEqual(
            keystone.identifier('user', 'demo'), client.get_user_id()
        )
        self.assertEqual(
            'http://zun/v1', client.get_endpoint(service_type='container')
        )
        self.assertEqual(
            self.auth_url,
            client.get_endpoint(service_type='identity', interface='admin'),
        )

    def test_a_token_from_a_token(self):
        token = self.session().get_token()
        client = session.Session(
            v3.Token(
                self.auth_url,
                token,
                project_name='demo',
                project_domain_id='default',
            )
        )
        self.assertEqual(
            keystone.identifier('user', 'demo'), client.get_user_id()
        )

    def test_a_login_as_horizon_does_it(self):
        unscoped = v3.Password(
            self.auth_url,
            username='demo',
            password='demo',
            user_domain_id='default',
            unscoped=True,
        )
        access = unscoped.get_access(session.Session())
        self.assertFalse(access.scoped)
        self.assertFalse(access.has_service_catalog())

        client = session.Session(unscoped)
        (project,) = client.get(
            f'{self.auth_url}/users/{access.user_id}/projects'
        ).json()['projects']
        self.assertEqual('demo', project['name'])
        scoped = v3.Token(
            self.auth_url, access.auth_token, project_id=project['id']
        )
        self.assertTrue(scoped.get_access(client).has_service_catalog())

        no_domain = v3.Token(
            self.auth_url, access.auth_token, domain_name='Default'
        )
        self.assertRaises(
            exceptions.Unauthorized, no_domain.get_access, client
        )

    def test_wrong_password_user_or_project(self):
        for wrong in (
            {'password': 'wrong'},
            {'username': 'nobody'},
            {'project_name': 'admin'},
        ):
            self.assertRaises(
                exceptions.Unauthorized, self.session(**wrong).get_token
            )

    def test_a_revoked_token_is_gone(self):
        client = self.session()
        token = client.get_token()
        other = self.session('admin').get_token()
        headers = {'X-Auth-Token': other, 'X-Subject-Token': token}
        for method, expected in (
            ('GET', 200),
            ('HEAD', 200),
            ('DELETE', 204),
            ('GET', 404),
        ):
            status, _answer, _headers = server.call(
                self.auth_url, method, '/auth/tokens', headers=headers
            )
            self.assertEqual(expected, status)

    def test_projects(self):
        response = self.session('admin').get(
            self.auth_url + '/projects?name=other'
        )
        self.assertEqual(
            ['other'],
            [project['name'] for project in response.json()['projects']],
        )

    def test_keystonemiddleware(self):
        seen = []

        def application(environ, start_response):
            seen.append(environ['HTTP_X_PROJECT_ID'])
            return webob.Response('fine')(environ, start_response)

        middleware = auth_token.AuthProtocol(
            application,
            {
                # Of its own: it adds options that other tests have not.
                'oslo_config_project': 'test',
                'auth_type': 'password',
                'auth_url': self.auth_url,
                'www_authenticate_uri': self.auth_url,
                'username': 'zun',
                'password': 'zun',
                'project_name': 'service',
                'user_domain_id': 'default',
                'project_domain_id': 'default',
            },
        )
        request = webob.Request.blank(
            '/', headers={'X-Auth-Token': self.session().get_token()}
        )
        self.assertEqual(200, request.get_response(middleware).status_int)
        self.assertEqual([keystone.identifier('project', 'demo')], seen)

        for headers in (
            {},
            {'X-Auth-Token': 'forged'},
            {'X-Project-Id': 'forged'},
        ):
            request = webob.Request.blank('/', headers=headers)
            self.assertEqual(401, request.get_response(middleware).status_int)
        self.assertEqual(1, len(seen))
