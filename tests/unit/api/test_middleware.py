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

"""The filter itself: what is whose, who is let in, how errors look."""

from unittest import mock

import ddt
import fixtures
import webob
from zun.common import exception

from tests.unit.api import base
from zun_bulk.api import middleware
from zun_bulk.db import base as db_base
from zun_bulk.db import models
from zun_bulk.db import tables


VERSION = 'OpenStack-API-Version'
MINIMUM = 'OpenStack-API-Minimum-Version'
MAXIMUM = 'OpenStack-API-Maximum-Version'


@ddt.ddt
class TestPassing(base.ApiTestCase):
    @ddt.data(
        '/',
        '/v1',
        '/v1/containers',
        '/v1/bulksome',
        '/v1/bulks.json',
        '/v1/bulk_hosts.json',
        '/v1/bulk_host',
        '//v1/bulks',
        '/v1//bulks',
        '/V1/bulks',
        '/v2/bulks',
        '/bulks',
    )
    def test_others_paths(self, path):
        response = self.request(path, status=200)
        self.assertEqual('passed through', response.text)
        self.assertNotIn(MINIMUM, response.headers)

    def test_others_paths_need_nothing_of_ours(self):
        response = webob.Request.blank('/v1/containers').get_response(self.app)
        self.assertEqual('passed through', response.text)

    @ddt.data(
        '/v1/bulks/',
        '/v1/bulks/a/',
        '/v1/bulks/a/b',
        '/v1/bulks/a/members/1',
        '/v1/bulks//members',
    )
    def test_nothing_there(self, path):
        error = self.request(path, status=404).json['errors'][0]
        self.assertEqual('container.http-not-found', error['code'])

    @ddt.data(
        ('/v1/bulks', 'PUT', 'GET, POST'),
        ('/v1/bulks', 'DELETE', 'GET, POST'),
        ('/v1/bulks/a', 'POST', 'DELETE, GET'),
        ('/v1/bulks/a', 'NONSENSE', 'DELETE, GET'),
        ('/v1/bulks/a/members', 'DELETE', 'GET'),
    )
    @ddt.unpack
    def test_method(self, path, method, allowed):
        response = self.request(path, method, status=405)
        self.assertEqual(allowed, response.headers['Allow'])
        self.assertIn(method, response.json['errors'][0]['detail'])

    def test_below_a_mount(self):
        response = self.request(
            '/v1/bulks',
            'POST',
            {'count': 1, 'template': {'image': 'busybox'}},
            status=202,
            environ={'SCRIPT_NAME': '/container'},
        )
        self.assertTrue(
            response.location.startswith(
                'http://localhost/container/v1/bulks/'
            )
        )


@ddt.ddt
class TestAuthentication(base.ApiTestCase):
    FORGED = {
        'X-Identity-Status': 'Confirmed',
        'X-Project-Id': 'project-1',
        'X-User-Id': 'user-1',
        'X-Roles': 'admin',
        'X-Auth-Token': 'made-up',
        'keystone.token_info': '1',
    }

    @ddt.data(
        '/v1/bulks',
        '/v1/bulks/web',
        '/v1/bulks/web/members',
        '/v1/bulks/none/such/path',
    )
    def test_forged_headers_without_authtoken(self, path):
        for method in ('GET', 'POST', 'DELETE', 'PUT'):
            req = webob.Request.blank(path, method=method, headers=self.FORGED)
            response = req.get_response(self.app)
            self.assertEqual(401, response.status_int)
            self.assertEqual(
                'container.http-unauthorized',
                response.json['errors'][0]['code'],
            )

    @ddt.data('Invalid', 'confirmed', '')
    def test_authtoken_leaves_the_decision(self, value):
        # That is its option delay_auth_decision.
        self.request(
            '/v1/bulks', status=401, headers={'X-Identity-Status': value}
        )

    @ddt.data(None, {})
    def test_no_token_info(self, value):
        self.request(
            '/v1/bulks', status=401, environ={'keystone.token_info': value}
        )

    @ddt.data('member', 'admin')
    def test_token_without_a_project(self, role):
        self.create()
        self.request('/v1/bulks', status=403, project='', roles=role)
        self.request(
            '/v1/bulks?all_projects=1', status=403, project='', roles=role
        )

    def test_context_is_zuns(self):
        seen = []
        with mock.patch.object(
            self.app,
            '_dispatch',
            side_effect=lambda req, mapper: (
                seen.append(req.context) or webob.Response()
            ),
        ):
            self.request(
                '/v1/bulks',
                roles='member,reader',
                headers={
                    'X-User-Name': 'jane',
                    'X-Project-Name': 'web',
                    'X-User-Domain-Id': 'd',
                    'X-User-Domain-Name': 'Default',
                },
            )
        (context,) = seen
        self.assertEqual(
            (
                'user-1',
                'jane',
                'project-1',
                'web',
                'd',
                'Default',
                ['member', 'reader'],
                'token',
                False,
                'req-' + 36 * '1',
                {'token': {}},
            ),
            (
                context.user_id,
                context.user_name,
                context.project_id,
                context.project_name,
                context.domain_id,
                context.domain_name,
                context.roles,
                context.auth_token,
                context.is_admin,
                context.request_id,
                context.auth_token_info,
            ),
        )


@ddt.ddt
class TestVersion(base.ApiTestCase):
    @ddt.data(
        ({}, '1.0'),
        ({VERSION: 'container-bulk 1.0'}, '1.0'),
        ({VERSION: 'container-bulk 1.1'}, '1.1'),
        ({VERSION: 'container-bulk latest'}, '1.1'),
        ({VERSION: 'container 1.40'}, '1.0'),
        ({VERSION: 'container 1.40, container-bulk 1.0'}, '1.0'),
    )
    @ddt.unpack
    def test_supported(self, headers, version):
        response = self.request('/v1/bulks', status=200, headers=headers)
        self.assertEqual(
            'container-bulk ' + version, response.headers[VERSION]
        )
        self.assertEqual('container-bulk 1.0', response.headers[MINIMUM])
        self.assertEqual('container-bulk 1.1', response.headers[MAXIMUM])
        self.assertEqual(VERSION, response.headers['Vary'])

    @ddt.data('0.9', '1.2', '2.0')
    def test_not_supported(self, version):
        response = self.request(
            '/v1/bulks',
            status=406,
            headers={VERSION: 'container-bulk ' + version},
        )
        self.assertIn(version, response.json['errors'][0]['detail'])
        self.assertIn(
            VERSION,
            response.json['errors'][0]['detail'].replace(
                'openstack-api-version', VERSION
            ),
        )
        self.assertEqual('container-bulk 1.1', response.headers[MAXIMUM])
        self.assertNotIn(VERSION, response.headers)

    @ddt.data('x', '1', '1.0.0', '1.x')
    def test_not_a_version(self, version):
        self.request(
            '/v1/bulks',
            status=400,
            headers={VERSION: 'container-bulk ' + version},
        )

    def test_errors_have_it_too(self):
        response = self.request('/v1/bulks/none', status=404)
        self.assertEqual('container-bulk 1.0', response.headers[VERSION])


class TestErrors(base.ApiTestCase):
    def _fail(self, exc, status):
        with mock.patch('zun_bulk.db.bulks.get_bulk', side_effect=exc):
            response = self.request('/v1/bulks/web', status=status)
        self.assertEqual('application/json', response.content_type)
        (error,) = response.json['errors']
        self.assertEqual(
            {'request_id', 'code', 'status', 'title', 'detail', 'links'},
            set(error),
        )
        self.assertEqual(status, error['status'])
        self.assertEqual('req-' + 36 * '1', error['request_id'])
        return error

    def test_zuns_own(self):
        error = self._fail(exception.ContainerNotFound(container='x'), 404)
        self.assertEqual('container.container-not-found', error['code'])
        self.assertEqual('Container x could not be found.', error['detail'])

    def test_server_errors_say_nothing(self):
        for exc in (
            RuntimeError('secret'),
            exception.ConnectionFailed(message='secret'),
        ):
            error = self._fail(exc, 500)
            self.assertNotIn('secret', str(error))
            self.assertNotIn('Traceback', str(error))
            self.assertIn('Error Correlation id', error['detail'])

    def test_no_tables_yet(self):
        reporter = tables.MissingTablesReporter()
        self.useFixture(
            fixtures.MockPatchObject(
                tables, 'report_missing', reporter.report_missing
            )
        )
        models.Base.metadata.drop_all(db_base.get_engine())
        for method, body in (
            ('GET', None),
            ('POST', {'count': 1, 'template': {'image': 'busybox'}}),
        ):
            error = self.request('/v1/bulks', method, body, status=503).json
            self.assertIn('to be upgraded', error['errors'][0]['detail'])
        self.assertEqual(1, self.log.output.count('zun-bulk-db-manage'))
        self.assertNotIn('Traceback', self.log.output)


class TestFactory(base.ApiTestCase):
    def test_twice(self):
        """Two pipelines of one process, or a reload."""
        middleware.filter_factory({})
        middleware.filter_factory({})

    def test_database_is_configured_once(self):
        with mock.patch('zun_bulk.db.base.configure') as configure:
            middleware.filter_factory({})
            self.assertEqual(1, configure.call_count)
            self.request('/v1/bulks', status=200)
            middleware.filter_factory({})
            self.assertEqual(1, configure.call_count)
