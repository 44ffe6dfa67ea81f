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

from unittest import mock

import fixtures
from oslotest import base

from zun_bulk.network import driver
from zun_bulk.network import requested


class FakeNetwork:
    """What the option network_driver may name."""

    def init(self, context, docker_api=None):
        self.neutron_api = mock.Mock(context=context)
        self.docker = docker_api

    def on_container_started(self, container):
        return 'started ' + container


class TestBulkNetwork(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(
            fixtures.MockPatchObject(
                driver, '_driver_class', return_value=FakeNetwork
            )
        )
        self.admin = mock.sentinel.admin_client
        self.useFixture(
            fixtures.MockPatchObject(
                driver, '_admin_client', return_value=self.admin
            )
        )

    def network(self, token=None):
        network = driver.BulkNetwork()
        network.init(
            mock.Mock(auth_token=token, auth_token_info=None),
            docker_api='docker',
        )
        return network

    def make_port(self, network, port, host='host-1', bind=True):
        return network.neutron_api.create_or_update_port(
            mock.Mock(host=host),
            'net',
            {'network': 'net', requested.PORT: port}
            if port
            else {'network': 'net'},
            'owner',
            ['group'],
            bind,
        )

    def test_the_rest_is_the_other_drivers(self):
        network = self.network()
        self.assertEqual('docker', network.docker)
        self.assertEqual('started c', network.on_container_started('c'))

    def test_one_session_for_all_without_a_token(self):
        api = self.network().neutron_api
        self.assertEqual(
            (self.admin, self.admin), (api.client, api.admin_client)
        )

    def test_a_users_token_stays_his(self):
        api = self.network(token='token').neutron_api
        self.assertEqual(self.admin, api.admin_client)
        self.assertNotEqual(self.admin, api.client)

    def test_a_port_of_a_bulk_is_taken_as_it_is(self):
        network = self.network()
        port = {'host': 'host-1', 'addresses': ['address']}
        self.assertEqual((['address'], port), self.make_port(network, port))
        # The other networks' ports are bound by nobody here.
        self.make_port(network, dict(port, host=None), bind=False)
        network.neutron_api._api.create_or_update_port.assert_not_called()

    def test_a_port_bound_to_another_host_is_zuns_to_update(self):
        network = self.network()
        port = {'host': 'host-2', 'addresses': ['address']}
        self.make_port(network, port)
        stock = network.neutron_api._api.create_or_update_port
        self.assertEqual(
            ('net', 'owner', ['group'], True),
            (stock.call_args.args[1], *stock.call_args.args[3:]),
        )

    def test_a_single_container_has_no_port_yet(self):
        network = self.network()
        self.make_port(network, None)
        network.neutron_api._api.create_or_update_port.assert_called_once()
