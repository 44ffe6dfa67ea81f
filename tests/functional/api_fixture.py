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

"""Our filter and Zun's API behind it, for gabbi's intercepted requests."""

import fixtures
from gabbi import fixture
from oslo_middleware import request_id
import webob
from zun import objects
from zun.api import app as zun_app
from zun.common import context as zun_context

from tests import database
from tests import host_reports
from tests import openapi
from tests import zun_fixtures
from zun_bulk.api import middleware
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import members as db_members


_app = None


def setup_app():
    """What gabbi hands its requests to; asked for before any fixture."""
    return lambda environ, start_response: _app(environ, start_response)


class TokenSays:
    """Stands for authtoken: a token "PROJECT-ROLE" is of that project."""

    def __init__(self, application):
        self._application = application

    def __call__(self, environ, start_response):
        req = webob.Request(environ)
        project, _, role = req.headers.get('X-Auth-Token', '').partition('-')
        if role:
            req.headers.update(
                {
                    'X-Identity-Status': 'Confirmed',
                    'X-Roles': role,
                    'X-Project-Id': project,
                    'X-User-Id': 'jane',
                }
            )
            environ['keystone.token_info'] = {'token': {}}
        return self._application(environ, start_response)


class AsDocumented:
    """Fails a request whose answer is not as the API's document says."""

    def __init__(self, application):
        self._application = application

    def __call__(self, environ, start_response):
        path = environ['PATH_INFO']
        response = webob.Request(environ).get_response(self._application)
        if openapi.is_ours(path):
            openapi.check(
                environ['REQUEST_METHOD'],
                path,
                response.status_code,
                response.headers,
                response.json if response.body else None,
            )
        return response(environ, start_response)


class ApiFixture(fixture.GabbiFixture):
    """A database with nothing in it, and two networks in Neutron."""

    _fixtures = ()

    def start_fixture(self):
        global _app
        self._fixtures = [
            zun_fixtures.Config(),
            zun_fixtures.Policy(),
            zun_fixtures.Database(),
            zun_fixtures.Neutron(),
            # Zun asks for Placement as it starts.
            fixtures.MockPatch('zun.scheduler.client.query.SchedulerClient'),
        ]
        for item in self._fixtures:
            item.setUp()
        app = middleware.filter_factory({})(zun_app.setup_app())
        _app = AsDocumented(request_id.RequestId(TokenSays(app)))

    def stop_fixture(self):
        for item in reversed(self._fixtures):
            item.cleanUp()


class ProgressFixture(ApiFixture):
    """A bulk "web" of five, two of which run and one of which has failed."""

    def start_fixture(self):
        super().start_fixture()
        webob.Request.blank(
            '/v1/bulks',
            method='POST',
            content_type='application/json',
            headers={'X-Auth-Token': 'p1-member'},
            body=b'{"name": "web", "count": 5, "template": {"image": '
            b'"busybox", "name": "web-{index}"}}',
        ).get_response(_app)
        bulk = db_bulks.get_bulk('web', 'p1')
        first, second, third, *_rest = db_members.list_members(bulk.id)
        # So that they fall into the first step, however slow the tests are.
        now = bulk.created_at
        database.put(
            [first, second],
            'running',
            host='host-1',
            attempt=1,
            finished_at=now,
        )
        database.put(
            [third],
            'failed',
            host='host-2',
            attempt=3,
            reason_class='application',
            reason='exited with 1',
            finished_at=now,
        )


class RoomFixture(ApiFixture):
    """Two hosts: host-1 has ten VCPUs left, host-2 five."""

    def start_fixture(self):
        super().start_fixture()
        hosts = zun_fixtures.Hosts(host_1=10, host_2=5)
        hosts.setUp()
        self._fixtures.append(hosts)


class HostsFixture(ApiFixture):
    """Two hosts: host-1 has reported and is up, host-2 has not yet."""

    def start_fixture(self):
        super().start_fixture()
        for host in ('host-1', 'host-2'):
            db_hosts.add_host(host)
        service = objects.ZunService(
            zun_context.get_admin_context(),
            host='host-1',
            binary='zun-compute',
            availability_zone='nova',
        )
        service.create()
        service.report_state_up()
        db_hosts.report_host('host-1', host_reports.make_report())
