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

import collections
import contextlib
import threading
import time
import types
from unittest import mock

from docker import errors
import fixtures
from oslotest import base
import requests
from zun.common import exception
from zun.container.docker import driver as docker_driver

from zun_bulk.consts import LABEL_BULK
from zun_bulk.container import driver
from zun_bulk.network import requested


class DriverTestCase(base.BaseTestCase):
    """Our driver over Zun's, whose own calls to Docker are recorded."""

    def setUp(self):
        super().setUp()
        self.docker = mock.MagicMock()
        self.docker.inspect_container.side_effect = self.not_found()
        client = self.useFixture(
            fixtures.MockPatch('zun.container.docker.utils.docker_client')
        ).mock
        client.return_value.__enter__.return_value = self.docker
        # The real one converts Docker's errors to Zun's.
        client.return_value.__exit__.side_effect = self.translate
        for name in (
            '__init__',
            'create',
            'start',
            'delete',
            '_populate_container',
            'pull_image',
            'reboot',
            'stop',
            'delete_capsule',
            '_create_container_in_capsule',
            '_provision_network',
        ):
            patch = fixtures.MockPatchObject(
                docker_driver.DockerDriver, name, return_value=None
            )
            setattr(
                self, 'zun_' + name.strip('_'), self.useFixture(patch).mock
            )
        self.useFixture(fixtures.MockPatch('zun_bulk.db.base.configure'))
        self.agent_class = self.useFixture(
            fixtures.MockPatch('zun_bulk.host.agent.HostAgent')
        ).mock
        self.useFixture(
            fixtures.MonkeyPatch(
                'zun_bulk.container.driver.ThrottledDockerDriver._agent', None
            )
        )
        self.agent = self.agent_class.return_value
        self.agent.is_new.return_value = False
        self.agent.starts.slot.side_effect = self.slot('start')
        self.agent.deletes.slot.side_effect = self.slot('stop')
        self.agent.pulls.slot.side_effect = self.slot('pull')
        #: What waited for a place of its own.
        self.slots = []
        self.driver = driver.ThrottledDockerDriver()
        self.container = mock.Mock(
            uuid='uuid-1',
            labels={LABEL_BULK: 'bulk-1'},
            container_id=None,
            entrypoint=None,
            command=None,
        )
        self.zun_create.return_value = self.container

    def slot(self, kind):
        @contextlib.contextmanager
        def slot(uuid):
            self.slots.append((kind, uuid))
            yield

        return slot

    @staticmethod
    def translate(kind, error, traceback):
        if isinstance(error, errors.APIError):
            raise exception.DockerError(error_msg=str(error))

    @staticmethod
    def not_found():
        response = types.SimpleNamespace(
            status_code=404, reason='Not Found', url='/containers'
        )
        return errors.NotFound(
            '404 Client Error', response, 'No such container: zun-uuid-1'
        )

    def exists(self, bulk='bulk-1', running=False):
        self.docker.inspect_container.side_effect = None
        self.docker.inspect_container.return_value = {
            'Id': 'docker-id',
            'State': {'Running': running},
            'Config': {
                'Labels': {LABEL_BULK: bulk},
                'Entrypoint': None,
                'Cmd': ['sleep'],
            },
        }

    def create(self):
        networks = [{'network': 'net', requested.PORT: {'addresses': ['a']}}]
        return self.driver.create(
            'context', self.container, 'image', networks, {}
        )


class TestCreate(DriverTestCase):
    def test_a_first_attempt_does_not_inspect(self):
        self.agent.is_new.return_value = True
        self.assertEqual(self.container, self.create())
        self.docker.inspect_container.assert_not_called()
        self.agent.created.assert_called_once_with('uuid-1')

    def test_nothing_there(self):
        self.assertEqual(self.container, self.create())
        self.docker.inspect_container.assert_called_once_with('zun-uuid-1')
        self.zun_create.assert_called_once()

    def test_its_own_leftover_is_taken_over(self):
        for running in (False, True):
            self.exists(running=running)
            self.assertEqual(self.container, self.create())
            self.zun_create.assert_not_called()
            self.docker.remove_container.assert_not_called()
            self.assertEqual('docker-id', self.container.container_id)
            self.assertEqual({'net': ['a']}, self.container.addresses)
            self.assertEqual(['sleep'], self.container.command)
            self.container.save.assert_called_with('context')

    def test_the_leftover_of_a_single_create_is_removed(self):
        self.container.labels = {}
        self.exists(bulk=None)
        self.create()
        self.docker.remove_container.assert_called_once_with(
            'zun-uuid-1', force=True
        )
        self.zun_create.assert_called_once()

    def test_what_runs_and_is_not_ours_is_left_alone(self):
        self.exists(bulk='bulk-2', running=True)
        self.create()
        self.docker.remove_container.assert_not_called()

    def test_docker_in_trouble(self):
        response = types.SimpleNamespace(status_code=500, reason='x', url='/')
        self.docker.inspect_container.side_effect = errors.APIError(
            '500 Server Error', response
        )
        self.assertRaises(exception.DockerError, self.create)
        self.zun_create.assert_not_called()


class TestStart(DriverTestCase):
    def start(self, status, is_starting=True):
        self.container.status = status
        self.container.status_reason = 'failed to configure network'
        self.agent.is_starting.return_value = is_starting
        self.zun_start.return_value = self.container
        return self.driver.start('context', self.container)

    def test_reports(self):
        self.assertEqual(self.container, self.start('Running'))
        self.agent.started.assert_called_once_with('uuid-1')

    def test_a_network_that_could_not_be_set_up(self):
        # Zun reports it only in the container's status.
        error = self.assertRaises(exception.DockerError, self.start, 'Stopped')
        self.assertIn('failed to configure network', str(error))
        self.agent.started.assert_not_called()

    def test_docker_keeps_its_words(self):
        original = exception.DockerError(
            error_msg='containers/d404e/start: busy'
        )
        refused = exception.Conflict("Cannot act on container in 'Error'")
        refused.__context__ = original
        self.zun_start.side_effect = refused
        self.assertIs(
            original,
            self.assertRaises(exception.DockerError, self.start, 'Error'),
        )

    def test_another_conflict(self):
        self.zun_start.side_effect = exception.Conflict('paused')
        self.assertRaises(exception.Conflict, self.start, 'Error')

    def test_an_answer_that_did_not_come(self):
        self.zun_start.side_effect = requests.exceptions.ReadTimeout()
        self.assertRaises(
            requests.exceptions.ReadTimeout, self.start, 'Created'
        )
        self.exists()
        self.assertRaises(
            requests.exceptions.ReadTimeout, self.start, 'Created'
        )
        self.agent.started.assert_not_called()
        self.exists(running=True)
        self.assertEqual('Running', self.start('Created').status)
        self.agent.started.assert_called_once_with('uuid-1')

    def test_of_a_single_container_it_stays_zuns_way(self):
        self.assertEqual(
            self.container, self.start('Stopped', is_starting=False)
        )


class TestDelete(DriverTestCase):
    def test_by_id(self):
        self.container.container_id = 'docker-id'
        self.driver.delete('context', self.container, True)
        self.zun_delete.assert_called_once_with(
            'context', self.container, True
        )
        self.docker.remove_container.assert_not_called()

    def test_one_that_zun_lost_sight_of(self):
        self.driver.delete('context', self.container, True)
        self.docker.remove_container.assert_called_once_with(
            'zun-uuid-1', force=True
        )

    def test_one_that_is_not_there(self):
        self.docker.remove_container.side_effect = self.not_found()
        self.driver.delete('context', self.container, True)
        self.docker.remove_container.assert_called_once()


class TestSlots(DriverTestCase):
    """Everything that makes the engine work waits for a slot."""

    def calls(self):
        self.container.status = 'Running'
        self.zun_start.return_value = self.container
        self.create()
        self.driver.start('context', self.container)
        self.driver.reboot('context', self.container, 10)
        self.driver.stop('context', self.container, 10)
        self.driver.delete('context', self.container, True)

    def test_of_a_single_container(self):
        self.agent.is_starting.return_value = False
        self.agent.is_deleting.return_value = False
        self.calls()
        self.assertEqual(
            [(kind, 'uuid-1') for kind in ('start',) * 3 + ('stop',) * 2],
            self.slots,
        )
        for call in ('create', 'start', 'reboot', 'stop', 'delete'):
            getattr(self, 'zun_' + call).assert_called_once()

    def test_a_member_has_one_already(self):
        self.calls()
        self.assertEqual([], self.slots)


class TestCapsules(DriverTestCase):
    def test_one_agent_for_both_drivers(self):
        capsules = driver.ThrottledDockerDriver()
        self.assertIs(self.driver._agent, capsules._agent)
        self.agent_class.assert_called_once()

    def test_each_container_waits_for_a_slot(self):
        self.agent.is_starting.return_value = False
        self.driver._create_container_in_capsule(
            'context', mock.Mock(uuid='capsule'), self.container, [], {}
        )
        self.assertEqual([('start', 'uuid-1')], self.slots)
        self.zun_create_container_in_capsule.assert_called_once()

    def test_is_deleted_by_one_place(self):
        self.agent.is_deleting.return_value = False

        def delete(context, capsule, force):
            # As Zun does at last.
            self.driver.delete(context, capsule, force)

        self.zun_delete_capsule.side_effect = delete
        for _ in range(2):
            self.driver.delete_capsule('context', self.container, True)
        self.assertEqual([('stop', 'uuid-1')] * 2, self.slots)
        self.assertEqual(2, self.zun_delete.call_count)


class TestPull(DriverTestCase):
    def pull(self, request_id, image='busybox', policy='always'):
        context = mock.Mock(request_id=request_id)
        self.driver.pull_image(
            context, image, 'latest', policy, 'docker', registry=None
        )
        return self.zun_pull_image.call_args.args[3]

    def test_always_is_once_a_bulk(self):
        self.assertEqual('always', self.pull('bulk-1'))
        # What is there already wants no registry.
        self.assertEqual('never', self.pull('bulk-1'))
        self.assertEqual('always', self.pull('bulk-1', image='other'))
        self.assertEqual('always', self.pull('bulk-2'))
        self.assertEqual(
            [
                ('pull', 'busybox:latest'),
                ('pull', 'other:latest'),
                ('pull', 'busybox:latest'),
            ],
            self.slots,
        )

    def test_one_that_is_not_there(self):
        gone = exception.ImageNotFound('busybox')
        self.zun_pull_image.side_effect = [gone, None]
        self.assertEqual(
            'ifnotpresent', self.pull('bulk-1', policy='ifnotpresent')
        )
        self.assertEqual([('pull', 'busybox:latest')], self.slots)
        self.zun_pull_image.side_effect = gone
        self.assertRaises(
            exception.ImageNotFound, self.pull, 'bulk-2', policy='never'
        )

    def test_never_stays_never(self):
        for _ in range(2):
            self.assertEqual('never', self.pull('bulk-1', policy='never'))

    def test_a_pull_that_failed_is_none(self):
        self.zun_pull_image.side_effect = [exception.ZunException('429'), None]
        self.assertRaises(exception.ZunException, self.pull, 'bulk-1')
        self.assertEqual('always', self.pull('bulk-1'))

    def test_one_at_a_time_an_image(self):
        pulling = 0
        most = 0

        def pull(*args):
            nonlocal pulling, most
            pulling += 1
            most = max(most, pulling)
            time.sleep(0.01)
            pulling -= 1

        self.zun_pull_image.side_effect = pull
        threads = [
            threading.Thread(target=self.pull, args=('bulk-1',))
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((1, 5), (most, self.zun_pull_image.call_count))


class TestNetwork(DriverTestCase):
    def test_one_at_a_time_a_network(self):
        making = collections.Counter()
        most = collections.Counter()

        def make(context, network_driver, networks):
            (network,) = (network['network'] for network in networks)
            making[network] += 1
            most[network] = max(most[network], making[network])
            time.sleep(0.01)
            making[network] -= 1

        self.zun_provision_network.side_effect = make
        threads = [
            threading.Thread(
                target=self.driver._provision_network,
                args=(
                    'context',
                    'driver',
                    [{'network': 'a'}, {'network': 'b'}],
                ),
            )
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({'a': 1, 'b': 1}, dict(most))
        self.assertEqual(10, self.zun_provision_network.call_count)


class TestProbe(DriverTestCase):
    def setUp(self):
        super().setUp()
        self.read = self.useFixture(
            fixtures.MockPatchObject(
                self.driver._probes, 'read', side_effect=self.play_read
            )
        ).mock
        self.docker.info.return_value = {'DockerRootDir': '/srv/docker'}

    def play_read(self, docker_root, ping):
        ping()
        return docker_root

    def test_of_the_root_that_docker_tells_once(self):
        self.assertEqual('/srv/docker', self.driver.probe())
        self.assertEqual('/srv/docker', self.driver.probe())
        self.docker.info.assert_called_once_with()
        self.assertEqual(2, self.docker.ping.call_count)
        self.assertEqual(driver.PROBE_TIMEOUT, self.docker.timeout)

    def test_engine_is_down_and_comes_back(self):
        info = self.docker.info.return_value
        self.docker.info.side_effect = requests.ConnectionError('refused')
        self.assertIsNone(self.driver.probe())
        self.docker.info.side_effect = [info]
        self.assertEqual('/srv/docker', self.driver.probe())

    def test_no_answer_is_for_the_probes_to_see(self):
        self.docker.ping.side_effect = requests.ReadTimeout('slow')
        self.assertRaises(requests.ReadTimeout, self.driver.probe)

    def test_is_what_the_agent_asks(self):
        _host, engine = self.agent_class.call_args.args
        self.assertEqual(self.driver.probe, engine.probe)


class TestWatch(DriverTestCase):
    def test_states(self):
        self.docker.containers.return_value = [
            {'Names': ['/zun-uuid-1'], 'State': 'running'},
            {'Names': ['/zun-uuid-2'], 'State': 'exited'},
        ]
        self.assertEqual(
            {'uuid-1': 'running', 'uuid-2': 'exited'},
            self.driver.list_states(),
        )
        self.docker.containers.assert_called_once_with(
            all=True, filters={'label': LABEL_BULK}
        )

    def test_events(self):
        self.docker.events.return_value = [
            {'Action': 'die', 'Actor': {'Attributes': {'name': 'zun-uuid-1'}}}
        ]
        self.assertEqual([('die', 'uuid-1')], list(self.driver.watch(1234.5)))
        asked = self.docker.events.call_args.kwargs
        self.assertEqual(1234, asked['since'])
        self.assertEqual(LABEL_BULK, asked['filters']['label'])
