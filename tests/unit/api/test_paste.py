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

"""The shipped paste file, loaded as zun-api loads it.

authtoken and Zun's own application are real; Keystone's answers are canned.
"""

import os
import pathlib
import time

import ddt
from keystoneauth1 import fixture as keystone_fixture
from keystoneauth1 import loading
from keystonemiddleware import auth_token  # noqa: F401 (registers options)
from oslotest import base
from osprofiler import _utils as osprofiler_utils
from osprofiler import notifier
from osprofiler import profiler
from osprofiler import web
from paste import deploy
from requests_mock.contrib import fixture as requests_fixture
import webob
from zun.common import profiler as zun_profiler
from zun.db.sqlalchemy import models as zun_models

from tests import zun_fixtures
from zun_bulk import rpc
from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks


PASTE = pathlib.Path(__file__).parents[3] / 'etc/zun_bulk/api-paste.ini'
KEYSTONE = 'http://keystone.example/v3'
CONFIG = """
[keystone_authtoken]
auth_type = password
auth_url = %(url)s
www_authenticate_uri = %(url)s
username = zun
password = secret
project_name = service
user_domain_id = default
project_domain_id = default

[quota]
driver = zun.common.quota.NoopQuotaDriver
""" % {'url': KEYSTONE}

PROFILER = """
[profiler]
enabled = true
trace_sqlalchemy = true
hmac_keys = key
"""

FORGED = {
    'X-Identity-Status': 'Confirmed',
    'X-Service-Identity-Status': 'Confirmed',
    'X-Project-Id': 'project-1',
    'X-Tenant-Id': 'project-1',
    'X-User-Id': 'user-1',
    'X-Roles': 'admin',
    'X-Role': 'admin',
}
BASE_ID = '00000000-0000-4000-8000-000000000001'
BODY = b'{"count": 1, "template": {"image": "busybox"}}'


class PasteTestCase(base.BaseTestCase):
    paste = None
    config = CONFIG

    def setUp(self):
        super().setUp()
        self.addCleanup(self._forget_options)
        self.useFixture(zun_fixtures.Config(self.config))
        self.useFixture(zun_fixtures.Policy())
        self.useFixture(zun_fixtures.Database())
        self.useFixture(zun_fixtures.Neutron())
        self._start_keystone()
        path = str(PASTE)
        if self.paste:
            text = PASTE.read_text()
            changed = text.replace(*self.paste)
            self.assertNotEqual(text, changed)
            path = os.path.join(
                self.create_tempfiles([('paste', changed)], '.ini')[0]
            )
        self.app = deploy.loadapp('config:' + path)

    def _forget_options(self):
        # authtoken adds them as it starts, some as required.
        CONF.unregister_opts(
            loading.get_auth_plugin_conf_options('password'),
            'keystone_authtoken',
        )

    def _start_keystone(self):
        requests = self.useFixture(requests_fixture.Fixture())
        requests.get(
            KEYSTONE, json={'version': keystone_fixture.V3Discovery(KEYSTONE)}
        )
        service = keystone_fixture.V3Token()
        service.set_project_scope()
        service.add_service('identity').add_standard_endpoints(
            public=KEYSTONE, internal=KEYSTONE, admin=KEYSTONE
        )
        requests.post(
            KEYSTONE + '/auth/tokens',
            json=service,
            headers={'X-Subject-Token': 'service-token'},
        )
        requests.get(KEYSTONE + '/auth/tokens', json=self._validate)

    def _validate(self, request, context):
        if request.headers['X-Subject-Token'] != 'good':
            context.status_code = 404
            return {}
        token = keystone_fixture.V3Token(user_id='user-of-token')
        token.set_project_scope(id='project-of-token')
        token.add_role('member')
        return token

    def request(self, path, method='GET', body=None, headers=None):
        req = webob.Request.blank('/', method=method, headers=headers or {})
        # As a server hands it over, without any clean-up.
        req.environ['PATH_INFO'] = path
        if body:
            req.content_type = 'application/json'
            req.body = body
        return req.get_response(self.app)

    def assert_nothing_written(self):
        self.assertEqual([], db_bulks.list_bulks())
        with db_base.reader() as session:
            self.assertEqual(0, session.query(zun_models.Container).count())


@ddt.ddt
class TestShipped(PasteTestCase):
    @ddt.data(
        '/v1/bulks',
        '/v1/bulks/',
        '/v1/bulks/web',
        '/v1/bulks/web/members',
        '/v1/bulks/.json',
    )
    def test_forged_project_without_a_token(self, path):
        for headers in (FORGED, dict(FORGED, **{'X-Auth-Token': 'bad'})):
            for method, body in (
                ('GET', None),
                ('POST', BODY),
                ('DELETE', None),
            ):
                response = self.request(path, method, body, headers)
                self.assertEqual(401, response.status_int, path)
        self.assert_nothing_written()

    @ddt.data(
        '//v1/bulks',
        '///v1/bulks',
        '/v1//bulks',
        '/v1/./bulks',
        '/./v1/bulks',
        '/x/../v1/bulks',
        '/v1/bulks.json',
        '/v1/bulks//',
        '/v1/bulks/..',
        '/v1/../v1/bulks',
        '/v1/bulks;x',
        '/v1/bulks\n',
        '/v1/bulks/\n',
        '/V1/BULKS',
        '/v1.json/bulks',
        '/.json/v1/bulks',
        '/v1/\n/bulks',
        '/v1/bulks/.json\n',
        '/healthcheck/../v1/bulks/x/y\x00',
    )
    def test_path_variants_without_a_token(self, path):
        for method, body in (('GET', None), ('POST', BODY), ('DELETE', None)):
            response = self.request(path, method, body, FORGED)
            # The health check answers whatever comes below its prefix.
            if not path.startswith('/healthcheck/'):
                self.assertGreaterEqual(response.status_int, 400)
            self.assertNotIn(
                'container-bulk',
                response.headers.get('OpenStack-API-Maximum-Version', ''),
            )
        self.assert_nothing_written()

    @ddt.data('', '/', '/v1', '/v1/', '/v1.json')
    def test_zuns_public_paths_are_zuns(self, path):
        response = self.request(path, 'GET', headers=FORGED)
        self.assertNotIn(
            'container-bulk',
            response.headers.get('OpenStack-API-Maximum-Version', ''),
        )
        response = self.request(path, 'POST', BODY, FORGED)
        self.assertGreaterEqual(response.status_int, 400)
        self.assert_nothing_written()

    def test_token(self):
        headers = {'X-Auth-Token': 'good'}
        response = self.request('/v1/bulks', 'POST', BODY, headers)
        self.assertEqual(202, response.status_int, response.text)
        self.assertRegex(response.headers['X-Openstack-Request-Id'], '^req-')
        (bulk,) = db_bulks.list_bulks()
        self.assertEqual(
            response.headers['X-Openstack-Request-Id'], bulk.request_id
        )
        response = self.request('/v1/bulks', headers=headers)
        self.assertEqual(bulk.uuid, response.json['bulks'][0]['uuid'])

    def test_token_decides_on_the_project(self):
        response = self.request(
            '/v1/bulks', 'POST', BODY, dict(FORGED, **{'X-Auth-Token': 'good'})
        )
        self.assertEqual(202, response.status_int, response.text)
        self.assertEqual(
            ('project-of-token', 'user-of-token'),
            (response.json['project_id'], response.json['user_id']),
        )
        self.assertIsNone(response.json['hosts'])

    def test_zun_is_behind(self):
        response = self.request(
            '/v1/containers',
            headers={
                'X-Auth-Token': 'good',
                'OpenStack-API-Version': 'container 1.40',
            },
        )
        self.assertEqual({'containers': [], 'next': None}, response.json)
        response = self.request('/v1/containers', headers=FORGED)
        self.assertEqual(401, response.status_int)

    def test_healthcheck(self):
        for path in ('/healthcheck', '/healthcheck/conductor'):
            response = self.request(path)
            self.assertEqual(200, response.status_int)
            # Whoever asks learns no more than that.
            self.assertEqual({'OK'}, set(response.text.split()))
            response = self.request(
                path, headers={'Accept': 'application/json'}
            )
            self.assertFalse(response.json['detailed'])
            self.assertEqual({'OK'}, set(response.json['reasons']))

    def test_healthcheck_before_the_tables_are_there(self):
        with db_base.writer() as session:
            session.connection().exec_driver_sql(
                'DELETE FROM zun_bulk_alembic_version'
            )
        response = self.request('/healthcheck')
        self.assertEqual(503, response.status_int)
        self.assertIn('ZUN_BULK TABLES OUTDATED', response.text)
        self.assertEqual(503, self.request('/healthcheck', 'HEAD').status_int)
        self.assertEqual(
            200, self.request('/healthcheck/conductor').status_int
        )


class TestTraced(PasteTestCase):
    """A request that asks for a trace, by who knows the key."""

    config = CONFIG + PROFILER

    def setUp(self):
        super().setUp()
        self.points = []
        zun_profiler.setup('zun-api', 'host-1')
        self.addCleanup(web.disable)
        self.addCleanup(notifier.set, notifier.get())
        notifier.set(self.points.append)

    def trace(self, path, method='GET', body=None, key='key'):
        """List the points of the only trace that began.

        :returns: their names.
        """
        headers = {'X-Auth-Token': 'good'}
        packed = osprofiler_utils.signed_pack(
            {'base_id': BASE_ID, 'parent_id': BASE_ID, 'hmac_key': 'key'}, key
        )
        headers['X-Trace-Info'], headers['X-Trace-HMAC'] = packed
        response = self.request(path, method, body, headers)
        self.assertLess(response.status_int, 300, response.text)
        self.assertLessEqual(
            {point['base_id'] for point in self.points}, {BASE_ID}
        )
        return [
            point['name']
            for point in self.points
            if point['name'].endswith('-start')
        ]

    def statements(self):
        return ' '.join(
            point['info']['db']['statement']
            for point in self.points
            # Those of Zun's functions have none.
            if 'db' in point['info']
        )

    def test_create(self):
        woken = []
        server = rpc.serve(
            rpc.CONDUCTOR_TOPIC, lambda: woken.append(profiler.get())
        )
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)
        names = self.trace('/v1/bulks', 'POST', BODY)
        self.assertEqual('wsgi-start', names[0])
        self.assertIn('INSERT INTO zun_bulk_bulk', self.statements())
        self.assertIn('rpc-start', names)
        deadline = time.monotonic() + 60
        while not woken and time.monotonic() < deadline:
            time.sleep(0.01)
        # Messages carry it, as Zun's do.
        self.assertEqual([BASE_ID], [one.get_base_id() for one in woken])

    def test_show(self):
        self.assertIn('db-start', self.trace('/v1/bulks'))
        self.assertIn('FROM zun_bulk_bulk', self.statements())

    def test_not_by_who_does_not_know_the_key(self):
        self.assertEqual([], self.trace('/v1/bulks', key='guessed'))


class TestWrongOrder(PasteTestCase):
    """Our filter before authtoken: nobody gets in."""

    paste = ('authtoken zun_bulk', 'zun_bulk authtoken')

    def test_refused(self):
        for token in ({}, {'X-Auth-Token': 'good'}):
            response = self.request(
                '/v1/bulks', 'POST', BODY, dict(FORGED, **token)
            )
            self.assertEqual(401, response.status_int)
        self.assert_nothing_written()


class TestNoAuthtoken(PasteTestCase):
    paste = ('authtoken zun_bulk', 'zun_bulk')

    def test_refused(self):
        response = self.request(
            '/v1/bulks', 'POST', BODY, dict(FORGED, **{'X-Auth-Token': 'good'})
        )
        self.assertEqual(401, response.status_int)
        self.assert_nothing_written()


class TestMounted(PasteTestCase):
    """A urlmap prefix, below which authtoken sees other paths."""

    paste = ('/: zun_api_pipeline', '/v1/bulks: zun_api_pipeline')

    def test_refused(self):
        for path in (
            '/v1/bulks',
            '/v1/bulks/',
            '/v1/bulks/v1',
            '/v1/bulks/v1/bulks',
            '/v1/bulks//v1/bulks',
        ):
            response = self.request(path, 'POST', BODY, FORGED)
            self.assertGreaterEqual(response.status_int, 400, path)
        self.assert_nothing_written()
