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

import types
from unittest import mock

from docker import errors
import fixtures
from oslotest import base

from zun_bulk.cmd import orphans
from zun_bulk.container import driver
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import zun_rows


def volume(ident, container, bulk, status='available', host=None):
    return types.SimpleNamespace(
        id=ident,
        status=status,
        attachments=[{'host_name': host}] if host else [],
        metadata={'zun_bulk': bulk, 'zun_bulk_container': container},
    )


class TestOrphans(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.docker = mock.Mock()
        self.docker.containers.return_value = [
            {'Names': ['/zun-known'], 'State': 'running'},
            {'Names': ['/zun-lost'], 'State': 'exited'},
        ]
        client = mock.MagicMock()
        client.return_value.__enter__.return_value = self.docker
        self.useFixture(
            fixtures.MockPatchObject(
                driver.docker_utils, 'docker_client', client
            )
        )
        self.useFixture(
            fixtures.MockPatchObject(
                orphans, '_providers', lambda: ['provider']
            )
        )
        self.useFixture(
            fixtures.MockPatchObject(
                zun_rows, 'container_states', lambda uuids: {'known': ()}
            )
        )
        self.ports, self.placement = mock.Mock(), mock.Mock()
        self.ports.marked.return_value = [
            {'id': 'port-1', 'device_id': 'known'},
            {'id': 'port-2', 'device_id': 'lost'},
            {'id': 'port-3', 'device_id': 'elsewhere'},
        ]
        self.floating_ips = mock.Mock()
        self.floating_ips.marked.return_value = [
            {'id': 'fip-%d' % number, 'container_uuid': uuid, 'port_id': port}
            for number, uuid, port in (
                (1, 'known', 'port-1'),
                (2, 'lost', 'port-2'),
                (3, 'lost', None),
                (4, 'lost', "another's"),
                (5, 'away', None),
            )
        ]
        self.volumes = mock.Mock()
        self.volumes.marked.return_value = [
            volume('volume-1', 'known', 'gone'),
            volume('volume-2', 'lost', 'gone'),
            volume('volume-3', 'lost', 'here'),
            volume('volume-4', 'lost', 'gone', 'in-use', 'host-2'),
            volume('volume-5', 'lost', 'gone', 'error'),
        ]
        self.useFixture(
            fixtures.MockPatchObject(
                db_bulks, 'existing_bulks', lambda uuids: {'here'} & uuids
            )
        )
        self.apis = (
            self.ports,
            self.floating_ips,
            self.volumes,
            self.placement,
        )
        self.placement.claimed.side_effect = lambda uuids, providers: (
            {'lost'} & set(uuids)
        )

    def find(self):
        return orphans.find(*self.apis)

    def test_what_has_no_row_is_found(self):
        found = self.find()
        self.assertEqual(['lost'], found.containers)
        self.assertEqual(
            ['port-2', 'port-3'], [port['id'] for port in found.ports]
        )
        self.assertEqual(
            ['fip-2', 'fip-3', 'fip-5'],
            [row['id'] for row in found.floating_ips],
        )
        self.assertEqual(
            ['volume-2', 'volume-4', 'volume-5'],
            [volume.id for volume in found.volumes],
        )
        self.assertEqual(['lost'], found.claims)
        self.assertIsNone(found.docker_error)

    def test_nothing_else_is_removed(self):
        # Somebody else was quicker with one of them.
        self.docker.remove_container.side_effect = errors.NotFound('gone')
        self.volumes.delete.side_effect = lambda volume: (
            volume.id == 'volume-2'
        )
        # One is attached, and Cinder refuses the other.
        self.assertEqual(2, orphans.remove(self.find(), *self.apis))
        self.assertEqual(
            ['volume-2', 'volume-5'],
            [call.args[0].id for call in self.volumes.delete.mock_calls],
        )
        self.docker.remove_container.assert_called_once_with(
            'zun-lost', force=True
        )
        self.assertEqual(
            [mock.call('port-2'), mock.call('port-3')],
            self.ports.delete.mock_calls,
        )
        self.assertEqual(
            [mock.call('fip-2'), mock.call('fip-3'), mock.call('fip-5')],
            self.floating_ips.delete.mock_calls,
        )
        self.placement.release.assert_called_once_with(['lost'], ['provider'])

    def test_a_host_without_docker(self):
        self.docker.containers.side_effect = errors.DockerException('no way')
        found = self.find()
        self.assertEqual([], found.containers)
        self.assertEqual('no way', found.docker_error)
        self.assertEqual(2, len(found.ports))
