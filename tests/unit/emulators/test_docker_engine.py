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

import json
import os
import threading
import time

import docker
from docker import errors
import fixtures
from oslotest import base
import requests

from tests.emulators import docker_engine
from tests.emulators import server


class DockerEngineTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.url = 'unix://' + os.path.join(folder, 'docker.sock')
        self.load = docker_engine.Load(scale=0)
        self.engine = docker_engine.DockerEngine(self.load)
        self.server = server.Server(self.engine, self.url)
        self.server.start()
        self.addCleanup(self.server.stop)
        self.client = self.connect()

    def connect(self, version='1.40', timeout=20):
        client = docker.APIClient(self.url, version=version, timeout=timeout)
        self.addCleanup(client.close)
        return client

    def create(
        self, name, command=('sleep', '1000'), image='busybox', **kwargs
    ):
        return self.client.create_container(
            image, list(command), name=name, **kwargs
        )['Id']

    def state(self, ident):
        return self.client.inspect_container(ident)['State']

    def control(self, method, path, body=None):
        status, answer, _headers = server.call(
            self.url, method, '/_emulator' + path, body
        )
        self.assertLess(status, 300, answer)
        return answer

    def order(self, operation, kind, **fault):
        self.control(
            'POST', '/faults', {'operation': operation, 'kind': kind, **fault}
        )


class TestContainers(DockerEngineTestCase):
    def test_life_of_a_container(self):
        ident = self.create('zun-1')
        created = self.state(ident)
        self.assertEqual(
            ('created', False, 0),
            (created['Status'], created['Running'], created['Pid']),
        )
        self.assertEqual('0001-01-01T00:00:00Z', created['StartedAt'])

        self.client.start(ident)
        running = self.state('zun-1')
        self.assertTrue(running['Running'])
        self.assertGreater(running['Pid'], 0)
        self.assertGreater(running['StartedAt'], created['StartedAt'])

        self.client.stop(ident)
        stopped = self.state(ident)
        self.assertEqual(
            ('exited', 137, 0),
            (stopped['Status'], stopped['ExitCode'], stopped['Pid']),
        )
        self.client.remove_container(ident)
        problem = self.assertRaises(
            errors.NotFound, self.client.inspect_container, ident
        )
        self.assertEqual('No such container: %s' % ident, problem.explanation)

    def test_starting_and_stopping_twice_is_not_modified(self):
        ident = self.create('zun-1')
        for operation in ('start', 'start', 'stop', 'stop'):
            getattr(self.client, operation)(ident)
        url = '/v1.40/containers/zun-1/'
        self.assertEqual(
            [204, 304, 204, 304],
            [
                server.call(self.url, 'POST', url + operation)[0]
                for operation in ('start', 'start', 'stop', 'stop')
            ],
        )

    def test_a_name_in_use(self):
        ident = self.create('zun-1')
        problem = self.assertRaises(errors.APIError, self.create, 'zun-1')
        self.assertEqual(409, problem.status_code)
        self.assertEqual(
            'Conflict. The container name "/zun-1" is already in use by '
            'container "%s". You have to remove (or rename) that container '
            'to be able to reuse that name.' % ident,
            problem.explanation,
        )

    def test_a_running_container_wants_force(self):
        ident = self.create('zun-1')
        self.client.start(ident)
        problem = self.assertRaises(
            errors.APIError, self.client.remove_container, ident
        )
        self.assertEqual(409, problem.status_code)
        self.client.remove_container(ident, force=True)
        self.assertEqual([], self.client.containers(all=True))

    def test_list_filters(self):
        first = self.create('zun-1', labels={'bulk': 'a'})
        second = self.create('zun-2', labels={'bulk': 'b'})
        self.create('other', labels={'bulk': 'a'})
        self.client.start(first)

        def found(**kwargs):
            return sorted(
                entry['Names'][0] for entry in self.client.containers(**kwargs)
            )

        self.assertEqual(['/zun-1'], found())
        self.assertEqual(
            ['/zun-1', '/zun-2'], found(all=True, filters={'name': 'zun-'})
        )
        self.assertEqual(
            ['/other', '/zun-1'], found(all=True, filters={'label': 'bulk=a'})
        )
        self.assertEqual(
            ['/zun-1'],
            found(all=True, filters={'label': 'bulk=a', 'name': 'zun-'}),
        )
        self.assertEqual(
            ['/other', '/zun-2'], found(filters={'status': 'created'})
        )
        self.assertEqual([], found(all=True, filters={'id': second[::-1]}))

    def test_commands_that_end(self):
        for command, code in ((['true'], 0), (['false'], 1)):
            ident = self.create('zun-' + command[0], command)
            self.client.start(ident)
            state = self.state(ident)
            self.assertEqual(
                ('exited', code), (state['Status'], state['ExitCode'])
            )
        ident = self.create('zun-sleep', ('sleep', '0.1'))
        self.client.start(ident)
        self.assertTrue(self.state(ident)['Running'])
        time.sleep(0.15)
        self.assertEqual('exited', self.state(ident)['Status'])

    def test_a_container_with_auto_remove_goes_when_it_ends(self):
        ident = self.create(
            'zun-1',
            host_config=self.client.create_host_config(auto_remove=True),
        )
        self.client.start(ident)
        self.client.kill(ident)
        self.assertEqual([], self.client.containers(all=True))

    def test_restart_gives_a_new_process(self):
        ident = self.create('zun-1')
        self.client.start(ident)
        before = self.state(ident)
        self.client.restart(ident)
        after = self.state(ident)
        self.assertNotEqual(before['Pid'], after['Pid'])
        self.assertGreater(after['StartedAt'], before['StartedAt'])

    def test_pause(self):
        ident = self.create('zun-1')
        self.client.start(ident)
        self.client.pause(ident)
        self.assertTrue(self.state(ident)['Paused'])
        self.client.unpause(ident)
        self.assertEqual('running', self.state(ident)['Status'])

    def test_inspect_shows_what_is_not_set_too(self):
        ident = self.client.create_container('busybox', name='zun-1')['Id']
        config = self.client.inspect_container(ident)['Config']
        self.assertIsNone(config['Entrypoint'])
        self.assertEqual(['sh'], config['Cmd'])
        self.assertEqual({}, config['Labels'])

    def test_waiting(self):
        ident = self.create('zun-1', ('sleep', '0.3'))
        self.client.start(ident)
        self.assertEqual({'StatusCode': 0}, self.client.wait(ident))
        self.assertEqual('exited', self.state(ident)['Status'])

    def test_logs(self):
        ident = self.create('zun-1')
        self.assertEqual(b'', self.client.logs(ident))
        self.client.start(ident)
        self.assertEqual(b'started\n', self.client.logs(ident))

    def test_choice_of_logs(self):
        ident = self.create('zun-1')
        second = 10**9
        self.control(
            'POST',
            '/containers/zun-1/log',
            {
                'lines': [
                    [5 * second, 'stdout', 'a'],
                    [6 * second + 7, 'stderr', 'b'],
                    [7 * second, 'stdout', 'c'],
                ]
            },
        )
        for wanted, choice in (
            (b'a\nb\nc\n', {}),
            (b'a\nc\n', {'stderr': False}),
            (b'b\n', {'stdout': False}),
            (b'b\nc\n', {'tail': 2}),
            (b'b\nc\n', {'since': 6}),
            (b'', {'since': 8, 'tail': 1}),
            (
                b'1970-01-01T00:00:06.000000007Z b\n',
                {'stdout': False, 'timestamps': True},
            ),
        ):
            self.assertEqual(wanted, self.client.logs(ident, **choice))

    def test_events(self):
        ident = self.create('zun-1')
        seen = []
        stream = self.client.events(decode=True, until=int(time.time()) + 3)

        def read():
            seen.extend(event['Action'] for event in stream)

        thread = threading.Thread(target=read)
        thread.start()
        self.client = self.connect()
        self.client.start(ident)
        self.client.remove_container(ident, force=True)
        self.engine._clear()
        self.create('zun-2')
        thread.join(20)
        self.assertEqual(['start', 'destroy', 'create'], seen)


class TestSystemImagesNetworks(DockerEngineTestCase):
    def test_versions(self):
        self.assertTrue(self.client.ping())
        self.assertEqual('1.41', self.connect('auto').api_version)
        problem = self.assertRaises(
            errors.APIError, self.connect('1.50').containers
        )
        self.assertEqual(
            'client version 1.50 is too new. Maximum supported '
            'API version is 1.41',
            problem.explanation,
        )

    def test_info_counts_containers(self):
        self.client.start(self.create('zun-1'))
        self.create('zun-2')
        info = self.client.info()
        self.assertEqual(
            (2, 1, 1),
            (
                info['Containers'],
                info['ContainersRunning'],
                info['ContainersStopped'],
            ),
        )

    def test_images(self):
        problem = self.assertRaises(
            errors.ImageNotFound, self.client.inspect_image, 'alpine'
        )
        self.assertEqual('No such image: alpine:latest', problem.explanation)
        problem = self.assertRaises(
            errors.ImageNotFound, self.create, 'zun-1', image='alpine'
        )
        self.assertEqual(404, problem.status_code)

        self.assertIn(
            'Downloaded newer image', self.client.pull('alpine', tag='latest')
        )
        self.assertIn(
            'Image is up to date', self.client.pull('alpine', tag='latest')
        )
        self.create('zun-1', image='alpine')
        problem = self.assertRaises(
            errors.NotFound, self.client.pull, 'nosuch', tag='latest'
        )
        self.assertIn('pull access denied for nosuch', problem.explanation)
        problem = self.assertRaises(
            errors.NotFound, self.client.pull, 'alpine', tag='9'
        )
        self.assertIn('manifest for alpine:9 not found', problem.explanation)

    def test_networks(self):
        network = self.client.create_network('lab', 'kuryr')['Id']
        problem = self.assertRaises(
            errors.APIError, self.client.create_network, 'lab'
        )
        self.assertEqual(409, problem.status_code)
        self.assertEqual(
            [network],
            [entry['Id'] for entry in self.client.networks(names=['lab'])],
        )

        config = self.client.create_networking_config(
            {
                'lab': self.client.create_endpoint_config(
                    ipv4_address='10.77.0.9'
                )
            }
        )
        ident = self.create(
            'zun-1',
            networking_config=config,
            host_config=(self.client.create_host_config(network_mode='lab')),
        )
        self.client.start(ident)
        seen = self.client.inspect_container(ident)['NetworkSettings']
        self.assertEqual('10.77.0.9', seen['Networks']['lab']['IPAddress'])
        problem = self.assertRaises(
            errors.APIError, self.client.remove_network, 'lab'
        )
        self.assertEqual(403, problem.status_code)

        self.client.disconnect_container_from_network(ident, 'lab')
        problem = self.assertRaises(
            errors.APIError,
            self.client.disconnect_container_from_network,
            ident,
            'lab',
        )
        self.assertIn(' is not connected to the network ', problem.explanation)
        self.client.connect_container_to_network(ident, 'lab')
        self.client.remove_container(ident, force=True)
        self.client.remove_network('lab')
        self.assertRaises(errors.NotFound, self.client.inspect_network, 'lab')

    def test_start_on_a_network_that_is_not_there(self):
        ident = self.create(
            'zun-1',
            host_config=(self.client.create_host_config(network_mode='gone')),
        )
        problem = self.assertRaises(errors.NotFound, self.client.start, ident)
        self.assertEqual('network gone not found', problem.explanation)
        self.assertEqual('created', self.state(ident)['Status'])


class TestFaults(DockerEngineTestCase):
    def test_errors_for_the_next_starts(self):
        self.order(
            'container_start',
            'error',
            count=2,
            status=500,
            message='context deadline exceeded',
        )
        ident = self.create('zun-1')
        for _attempt in range(2):
            problem = self.assertRaises(
                errors.APIError, self.client.start, ident
            )
            self.assertEqual(
                (500, 'context deadline exceeded'),
                (problem.status_code, problem.explanation),
            )
        self.assertFalse(self.state(ident)['Running'])
        self.client.start(ident)
        self.assertTrue(self.state(ident)['Running'])

    def test_only_containers_of_that_name(self):
        self.order('container_create', 'error', name='^zun-2$')
        self.create('zun-1')
        self.assertRaises(errors.APIError, self.create, 'zun-2')
        self.create('zun-2')

    def test_an_effect_without_an_answer(self):
        self.order('container_create', 'drop')
        self.assertRaises(requests.ConnectionError, self.create, 'zun-1')
        self.assertEqual('created', self.state('zun-1')['Status'])

    def test_a_process_that_ends_at_once(self):
        self.order('container_start', 'exit', exit_code=3)
        ident = self.create('zun-1')
        self.client.start(ident)
        state = self.state(ident)
        self.assertEqual(
            ('exited', 3, 0),
            (state['Status'], state['ExitCode'], state['Pid']),
        )

    def test_a_delay_past_the_clients_patience(self):
        self.order('container_create', 'delay', seconds=0.6)
        impatient = self.connect(timeout=0.2)
        self.assertRaises(
            requests.ReadTimeout,
            impatient.create_container,
            'busybox',
            name='zun-1',
        )
        self.assertRaises(errors.NotFound, self.state, 'zun-1')
        time.sleep(0.8)
        self.assertEqual('created', self.state('zun-1')['Status'])

    def test_refused_connections(self):
        self.control('POST', '/refuse', {'seconds': 0.5})
        time.sleep(0.2)
        self.assertRaises(
            (ConnectionRefusedError, FileNotFoundError),
            server.call,
            self.url,
            'GET',
            '/_ping',
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                status, _answer, _headers = server.call(
                    self.url, 'GET', '/_ping'
                )
                break
            except OSError:
                time.sleep(0.1)
        self.assertEqual(200, status)

    def test_an_unknown_fault_is_refused(self):
        for fault in (
            {'operation': 'container_start', 'kind': 'magic'},
            {'nonsense': 1},
        ):
            status, _answer, _headers = server.call(
                self.url, 'POST', '/_emulator/faults', fault
            )
            self.assertEqual(400, status)

    def test_control(self):
        ident = self.create('zun-1')
        self.client.start(ident)
        self.control('POST', '/containers/zun-1/exit', {'exit_code': 9})
        self.assertEqual(9, self.state(ident)['ExitCode'])
        self.order('container_start', 'error')
        status = self.control('GET', '')
        self.assertEqual('emulated Docker Engine', status['name'])
        self.assertEqual(1, status['containers'])
        self.assertEqual(1, status['calls']['container_create'])
        self.assertEqual(1, len(status['faults']))
        self.control('DELETE', '/faults')
        self.client.start(ident)
        self.control('POST', '/reset')
        self.assertEqual([], self.client.containers(all=True))
        json.dumps(self.control('GET', ''))


class TestLoad(base.BaseTestCase):
    def test_speed_falls_beyond_the_knee(self):
        load = docker_engine.Load(knee=4, penalty=0.1, degradation=0)
        throughput = []
        for load.in_flight in (1, 2, 4, 8, 16):
            throughput.append(load.in_flight * load.speed())
        self.assertEqual([1, 2, 4], throughput[:3])
        self.assertEqual(sorted(throughput[2:], reverse=True), throughput[2:])
        self.assertLess(throughput[3], 4)

    def test_every_container_slows_it(self):
        load = docker_engine.Load(degradation=0.01)
        load.in_flight, load.containers = 1, 100
        self.assertEqual(0.5, load.speed())

    def test_operations_share(self):
        load = docker_engine.Load(knee=1, penalty=0, degradation=0)
        began = time.monotonic()
        threads = [
            threading.Thread(target=load.work, args=(0.1,))
            for _number in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertGreaterEqual(time.monotonic() - began, 0.39)
        self.assertEqual((4, 0), (load.peak, load.in_flight))

    def test_a_scale_of_nothing_takes_no_time(self):
        load = docker_engine.Load(scale=0)
        load.work(1000)
        self.assertEqual(0, load.peak)
