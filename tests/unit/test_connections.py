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

import time

import fixtures
from keystoneauth1 import adapter
from keystoneauth1 import noauth
from keystoneauth1 import session
from neutronclient.v2_0 import client as neutronclient
from oslotest import base
from requests_mock.contrib import fixture as requests_fixture

from zun_bulk import connections


URL = 'http://neutron.test'


class TestClock(base.BaseTestCase):
    """A clock that is put back holds nothing up."""

    def setUp(self):
        super().setUp()
        self.requests = self.useFixture(requests_fixture.Fixture())
        self.requests.get(URL + '/v2.0/ports', json={'ports': []})
        self.requests.get(URL + '/traits', json={'traits': []})
        self.session = session.Session(noauth.NoAuth())
        self.sleep = self.useFixture(fixtures.MockPatch('time.sleep')).mock

    def connect(self, name, connection):
        self.useFixture(
            fixtures.MockPatch(
                'zun.common.clients.OpenStackClients.' + name,
                return_value=connection,
            )
        )
        made = getattr(connections, name)()
        self.useFixture(
            fixtures.MockPatch('time.time', return_value=time.time() - 3600)
        )
        return made

    def assert_named(self):
        headers = self.requests.last_request.headers
        self.assertEqual('zun_bulk', headers['User-Agent'])

    def test_neutron(self):
        client = self.connect(
            'neutron',
            neutronclient.Client(session=self.session, endpoint_override=URL),
        )
        client.list_ports()
        self.sleep.assert_not_called()
        self.assert_named()

    def test_placement(self):
        made, _endpoint = self.connect(
            'placement',
            (adapter.Adapter(self.session, endpoint_override=URL), {}),
        )
        made.get('/traits', authenticated=False)
        self.sleep.assert_not_called()
        self.assert_named()
