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

"""The installed Zun has every private name that zun_bulk uses."""

import ast
import inspect
from unittest import mock

from cinderclient.v3 import volumes as cinder_volumes
from keystoneauth1 import adapter
from oslo_messaging import serializer
from oslotest import base
from zun import objects
from zun.api.controllers.v1 import containers
from zun.common import context as zun_context
from zun.common import keystone
from zun.common import rpc_service
from zun.compute import rpcapi
from zun.container import driver as container_driver
from zun.container.docker import driver as docker_driver
from zun.scheduler import filter_scheduler
from zun.scheduler import utils
from zun.volume import driver as volume_driver

from zun_bulk import zun_compat


#: (class or module, private function of it) that zun_compat calls.
CALLED = [
    (containers.ContainersController, '_set_default_resource_limit'),
    (containers.ContainersController, '_create_pci_requests_for_sriov_ports'),
    (objects.Container, '_from_db_object'),
    (filter_scheduler.FilterScheduler, '_get_services_by_host'),
    (filter_scheduler.FilterScheduler, '_get_filtered_hosts'),
    (rpc_service, '_init_serializer'),
    (volume_driver.Cinder, '_unmount_device'),
    (cinder_volumes.VolumeManager, '_action'),
]
#: The same of methods that subclasses in zun_bulk override or call.
INHERITED = [
    (rpcapi.API, '_cast'),
    (docker_driver.DockerDriver, '_provision_network'),
    (docker_driver.DockerDriver, '_create_container_in_capsule'),
    (docker_driver.DockerDriver, '_populate_container'),
    (container_driver.BaseDriver, '_get_volume_driver'),
]
#: Attributes that zun_compat reads or sets.
ATTRIBUTES = ['_limit', '_context', '_session', '_rate_semaphore']


class ZunCompatTest(base.BaseTestCase):
    def test_functions(self):
        for owner, name in CALLED + INHERITED:
            self.assertTrue(
                callable(getattr(owner, name, None)), (owner, name)
            )

    def test_inherited_documented(self):
        for _owner, name in INHERITED:
            self.assertIn(name, zun_compat.__doc__)

    def test_all_names_tested(self):
        used = {
            node.attr
            for node in ast.walk(ast.parse(inspect.getsource(zun_compat)))
            if isinstance(node, ast.Attribute) and node.attr.startswith('_')
        }
        self.assertEqual(
            {name for _owner, name in CALLED} | set(ATTRIBUTES), used
        )

    def test_remove_candidate_limit(self):
        resources = utils.ResourceRequest()
        self.assertTrue(resources._limit)
        self.assertIn('limit=', resources.to_querystring())
        zun_compat.remove_candidate_limit(resources)
        self.assertNotIn('limit=', resources.to_querystring())

    def test_make_rpc_serializer(self):
        self.assertIsInstance(
            zun_compat.make_rpc_serializer(), serializer.Serializer
        )

    def test_get_rpc_context(self):
        context = zun_context.get_admin_context()
        with mock.patch('zun.common.rpc.get_client'):
            api = rpcapi.API(context=context)
        self.assertIs(context, zun_compat.get_rpc_context(api))

    def test_use_keystone_session(self):
        client = keystone.KeystoneClientV3(mock.sentinel.context)
        self.assertTrue(hasattr(client, '_session'))
        zun_compat.use_keystone_session(client, mock.sentinel.session)
        self.assertIs(mock.sentinel.session, client.session)

    def test_disable_rate_limit(self):
        client = adapter.Adapter(mock.sentinel.session)
        self.assertTrue(hasattr(client, '_rate_semaphore'))
        zun_compat.disable_rate_limit(client)
        self.assertIsNone(client._rate_semaphore)
