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

"""The embedded lab: the main job on one machine, without root.

Real: zun-api with its paste pipeline, zun-compute's code with our driver,
Placement with its keystonemiddleware, on SQLite; Horizon, where it is wanted.
Emulated: Keystone, Neutron, Cinder and os-brick where volumes are wanted, and,
where no Docker Engine is given, the engine. ``fake://`` messages do not leave
a process and Zun has one host name a process, so it is one host.
"""

import configparser
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import docker
from docker import errors

from tests.emulators import keystone
from tests.emulators import server


REPOSITORY = pathlib.Path(__file__).parents[3]
PASTE = REPOSITORY / 'etc' / 'zun_bulk' / 'api-paste.ini'
HORIZON = REPOSITORY / 'tests' / 'lab' / 'horizon'
HOST = 'host-1'
#: The rows of capsules' containers go with the capsule, but not in SQLite.
CONTAINERS = 'container WHERE capsule_id IS NULL'
IMAGE = 'busybox:latest'
START_TIMEOUT = 120
STOP_TIMEOUT = 10

_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class LabError(Exception):
    """The lab failed; the message says why."""


def free_ports(number):
    """Return that many TCP ports which nobody listens on."""
    sockets = [socket.socket() for _index in range(number)]
    try:
        for one in sockets:
            one.bind(('127.0.0.1', 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _end_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_for(what, check, timeout=START_TIMEOUT, interval=0.1):
    """Wait until ``check()`` is true and return its value.

    :param what: what is waited for, for the text of the LabError.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError('%s: not after %d s' % (what, timeout))
        time.sleep(interval)


def answers(url, path='/'):
    try:
        return server.call(url, 'GET', path, timeout=5)[0] < 500
    except (OSError, server.http.client.HTTPException):
        return False


class Lab:
    """One host with everything around it.

    :param root: a folder for data, configuration and logs.
    :param engine_url: a Docker Engine's address; None emulates one.
    :param conf: {section: {option: value}}, over the lab's own zun.conf.
    :param capacity: containers that the host has to have room for.
    :param scale: factor on the emulated engine's service times.
    :param detached: whether the processes go on when this one ends.
    :param volumes: whether there is a Cinder, emulated, as is what attaches
        and mounts its volumes.
    """

    def __init__(
        self,
        root,
        engine_url=None,
        conf=None,
        capacity=1000,
        scale=1.0,
        detached=False,
        volumes=False,
    ):
        self.root = pathlib.Path(root)
        self.conf = conf or {}
        self.capacity = capacity
        self.scale = scale
        self.detached = detached
        self.volumes = volumes
        self.emulated = engine_url is None
        self.engine_url = engine_url
        self.processes = {}
        self.auth_url = self.zun_url = None
        self.neutron_url = self.placement_url = self.cinder_url = None
        self.horizon_url = None
        self._tokens = {}

    # ------------------------------------------------------------- starting

    def start(self, say=lambda text: None):
        """Bring everything up.

        :param say: called with a line of text at each step.
        :raises: LabError.
        """
        self._make_folders()
        keystone, neutron, placement, zun, cinder = free_ports(5)
        self.auth_url = 'http://127.0.0.1:%d/v3' % keystone
        self.neutron_url = 'http://127.0.0.1:%d' % neutron
        self.placement_url = 'http://127.0.0.1:%d' % placement
        self.zun_url = 'http://127.0.0.1:%d/v1' % zun
        if self.volumes:
            self.cinder_url = 'http://127.0.0.1:%d' % cinder
        self._start_emulators()
        say('%s, emulated Keystone, emulated Neutron' % self.engine_name())
        self._start_placement(placement)
        say('Placement')
        self._write_zun_conf(zun)
        self.start_zun()
        say('zun-api, zun-compute')

    def start_placement(self):
        """Bring up Placement alone, with a Keystone, and Zun's login to them.

        :returns: the path of a zun.conf that has the login.
        :raises: LabError.
        """
        self._make_folders()
        keystone, placement = free_ports(2)
        self.auth_url = 'http://127.0.0.1:%d/v3' % keystone
        self.placement_url = 'http://127.0.0.1:%d' % placement
        self._start_keystone()
        self._start_placement(placement)
        self._write('zun.conf', {'keystone_auth': self._login('zun')})
        return self.root / 'etc' / 'zun.conf'

    def _make_folders(self):
        for folder in ('etc', 'data', 'log', 'run', 'bin'):
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    def _start_emulators(self):
        if self.emulated:
            # The path of a unix socket has room for 107 characters only.
            self.engine_url = 'http://127.0.0.1:%d' % free_ports(1)[0]
            self._start(
                'docker-engine',
                'tests.emulators.docker_engine',
                '--listen',
                self.engine_url,
                '--image',
                IMAGE,
                '--name',
                HOST,
                '--scale',
                str(self.scale),
            )
        self._start_keystone()
        self._start(
            'neutron',
            'tests.emulators.neutron',
            '--listen',
            self.neutron_url,
            '--auth-url',
            self.auth_url,
            '--cidr',
            '10.77.0.0/16',
        )
        if self.cinder_url:
            self._start(
                'cinder',
                'tests.emulators.cinder',
                '--listen',
                self.cinder_url,
                '--auth-url',
                self.auth_url,
            )
            self._wait_for_answer('cinder', self.cinder_url)
        self._wait_for_answer('neutron', self.neutron_url)
        if self.emulated:
            self._wait_for_answer('docker-engine', self.engine_url, '/_ping')

    def _start_keystone(self):
        services = {
            'network': self.neutron_url,
            'placement': self.placement_url,
            'container': self.zun_url,
            'volumev3': self.cinder_url
            and self.cinder_url + '/v3/%(project_id)s',
        }
        self._start(
            'keystone',
            'tests.emulators.keystone',
            '--listen',
            self.auth_url.removesuffix('/v3'),
            *(
                '--service=%s=%s' % (kind, url)
                for kind, url in services.items()
                if url
            ),
        )
        self._wait_for_answer('keystone', self.auth_url, '')

    def _start_placement(self, port):
        self._write(
            'placement.conf',
            {
                'DEFAULT': {
                    'log_dir': self.root / 'log',
                    'log_file': 'placement.log',
                },
                'api': {'auth_strategy': 'keystone'},
                'placement_database': {
                    'connection': self._database('placement'),
                    'sync_on_startup': True,
                    'sqlite_synchronous': False,
                },
                'keystone_authtoken': self._authtoken('placement'),
            },
        )
        self._start(
            'placement',
            'tests.lab.embedded.placement_service',
            '--port',
            str(port),
            OS_PLACEMENT_CONFIG_DIR=str(self.root / 'etc'),
        )
        self._wait_for_answer('placement', self.placement_url)

    def _database(self, name):
        path = self.root / 'data' / (name + '.sqlite')
        # It stays so, and then who reads does not hinder who writes.
        with sqlite3.connect(path) as connection:
            connection.execute('PRAGMA journal_mode = WAL')
        connection.close()
        return 'sqlite:///%s' % path

    def _authtoken(self, user):
        return {
            'www_authenticate_uri': self.auth_url,
            'service_token_roles_required': True,
            **self._login(user),
        }

    def _login(self, user):
        return {
            'auth_type': 'password',
            'auth_url': self.auth_url,
            'username': user,
            'password': user,
            'project_name': 'service',
            'user_domain_id': 'default',
            'project_domain_id': 'default',
        }

    def _write_zun_conf(self, port):
        data = self.root / 'data'
        settings = {
            'DEFAULT': {
                # Zun has no node where its engine has another name.
                'host': self.engine().info()['Name'],
                'my_ip': '127.0.0.1',
                'state_path': data,
                'log_file': self.root / 'log' / 'zun.log',
                'transport_url': 'fake://',
                'container_driver': 'zun_bulk',
                # The default, cri, wants a container runtime.
                'capsule_driver': 'zun_bulk',
                'sandbox_image': 'busybox:latest',
                'image_driver_list': 'docker',
                'default_image_driver': 'docker',
                'default_memory': 32,
                'default_cpu': 0.1,
            },
            'api': {
                'host_ip': '127.0.0.1',
                'port': port,
                'workers': 1,
                'api_paste_config': PASTE,
            },
            'database': {
                'connection': self._database('zun'),
                'sqlite_synchronous': False,
            },
            # The default, to which others are added.
            'scheduler': {
                'available_filters': 'zun.scheduler.filters.all_filters'
            },
            # A container claims one VCPU at least.
            'compute': {
                'cpu_allocation_ratio': max(
                    16, 2.0 * self.capacity / (os.cpu_count() or 1)
                ),
                'initial_ram_allocation_ratio': 64,
            },
            'docker': {
                'api_url': self.engine_url,
                'docker_remote_api_version': self._api_version(),
                'docker_remote_api_host': '127.0.0.1',
            },
            'network': {'driver': 'zun_bulk', 'driver_name': 'kuryr'},
            # The emulated engine takes kuryr's networks; of a real one no
            # network is wanted.
            'zun_bulk': {
                'network_driver': 'kuryr' if self.emulated else 'labnet'
            },
            'quota': dict.fromkeys(
                ('containers', 'cpu', 'memory', 'disk'), -1
            ),
            'oslo_concurrency': {'lock_path': data / 'locks'},
            'keystone_auth': self._login('zun'),
            'keystone_authtoken': self._authtoken('zun'),
        }
        for section, options in self.conf.items():
            settings.setdefault(section, {}).update(options)
        self._write('zun.conf', settings)

    def _api_version(self):
        """The API version to speak: Zun's default, where it is served."""
        version = self.engine().version()
        lowest = version.get('MinAPIVersion', '1.12')
        return max(
            '1.40',
            lowest,
            key=lambda text: [int(part) for part in text.split('.')],
        )

    def _write(self, name, settings):
        parser = configparser.RawConfigParser()
        parser.read_dict(settings)
        with open(self.root / 'etc' / name, 'w') as file:
            parser.write(file)

    def start_zun(self, **conf):
        """Start zun-api and zun-compute and wait until they take work.

        :param conf: {section: {option: value}}, for this time only.
        """
        self._write('zun-once.conf', conf)
        self._start(
            'zun',
            'tests.lab.embedded.zun_service',
            *(['--emulated-brick'] if self.volumes else []),
            '--config-file',
            str(self.root / 'etc' / 'zun.conf'),
            '--config-file',
            str(self.root / 'etc' / 'zun-once.conf'),
        )
        self._wait('zun', self._zun_is_up)

    def start_conductor(self, name='zun-bulk-conductor'):
        """Start a conductor in a process of its own.

        ``fake://`` messages do not reach it: it looks for itself.
        """
        self._start(
            name,
            'zun_bulk.cmd.conductor',
            '--config-file',
            str(self.root / 'etc' / 'zun.conf'),
            '--log-file',
            str(self.root / 'log' / (name + '.log')),
        )

    def start_horizon(self, venv):
        """Start Horizon and wait until it shows its login.

        :param venv: what ``tests/lab/horizon/install`` has made.
        """
        port = free_ports(1)[0]
        self.horizon_url = 'http://127.0.0.1:%d/' % port
        self._spawn(
            'horizon',
            [str(HORIZON / 'serve'), str(venv), str(port)],
            OS_AUTH_URL=self.auth_url,
        )
        self._wait_for_answer('horizon', self.horizon_url, 'auth/login/')

    def _zun_is_up(self):
        try:
            status, body = self.request('GET', '/services')
        except (OSError, server.http.client.HTTPException):
            return False
        up = status == 200 and any(
            service['state'] == 'up' for service in body['services']
        )
        return up and bool(self.inventory())

    def inventory(self):
        """Return the host's inventory in Placement; None if it has none."""
        headers = {
            'X-Auth-Token': self.token(),
            'OpenStack-API-Version': 'placement 1.28',
        }
        for provider in self.providers():
            status, body, _headers = server.call(
                self.placement_url,
                'GET',
                '/resource_providers/%s/inventories' % provider,
                headers=headers,
            )
            if status == 200 and body['inventories']:
                return body['inventories']

    # ------------------------------------------------------------ processes

    def _start(self, name, module, *arguments, **environment):
        self._spawn(
            name, [sys.executable, '-m', module, *arguments], **environment
        )

    def _spawn(self, name, command, **environment):
        log = open(self.root / 'log' / (name + '.out'), 'ab')
        with log:
            self.processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
                start_new_session=True,
                preexec_fn=None if self.detached else _end_with_parent,
                env={**os.environ, **self._environment(), **environment},
            )

    def _environment(self):
        """A stand-in for lspci, for a machine without PCI devices.

        Zun insists on lspci, and asks it twice for each device.
        """
        stand_in = self.root / 'bin' / 'lspci'
        stand_in.write_text('#!/bin/sh\n')
        stand_in.chmod(0o755)
        return {
            'PATH': '%s:%s' % (stand_in.parent, os.environ['PATH']),
            'PYTHONUNBUFFERED': '1',
        }

    def _wait(self, name, check):
        process = self.processes[name]

        def ended_or_ready():
            if process.poll() is not None:
                raise LabError('%s ended:\n%s' % (name, self.log_tail(name)))
            return check()

        try:
            return wait_for(name, ended_or_ready)
        except LabError as error:
            if process.poll() is None:
                raise LabError(
                    '%s\n%s' % (error, self.log_tail(name))
                ) from error
            raise

    def _wait_for_answer(self, name, url, path='/'):
        self._wait(name, lambda: answers(url, path))

    def log_tail(self, name, lines=40):
        """The end of what a process has written, without the chatter."""
        text = ''
        for suffix in ('.out', '.log'):
            path = self.root / 'log' / (name + suffix)
            if path.exists():
                text += path.read_text(errors='replace')
        found = [
            line
            for line in text.splitlines()
            if not re.search(
                'eventlet.wsgi.server|requestlog|zun.compute.claims', line
            )
        ]
        return '\n'.join(found[-lines:])

    def kill(self, name, number=signal.SIGKILL):
        """Send a signal to a process, and wait for its end.

        :returns: its exit status.
        """
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return process.returncode

    def stop(self):
        """End all processes, Zun first."""
        for name in sorted(self.processes, key='zun'.__ne__):
            self.kill(name, signal.SIGTERM)

    def pids(self):
        return {name: process.pid for name, process in self.processes.items()}

    # ------------------------------------------------------------ using it

    def engine(self):
        """Return a client of the engine, apart from Zun's."""
        return docker.APIClient(self.engine_url, version='auto', timeout=60)

    def engine_name(self):
        version = self.engine().version()['Version']
        return (
            'emulated Docker Engine' if self.emulated else 'docker ' + version
        )

    def credentials(self, user='admin'):
        """Return {variable: value} for OpenStack's command line."""
        return {
            'OS_AUTH_URL': self.auth_url,
            'OS_USERNAME': user,
            'OS_PASSWORD': user,
            'OS_PROJECT_NAME': user,
            'OS_USER_DOMAIN_ID': 'default',
            'OS_PROJECT_DOMAIN_ID': 'default',
            'OS_IDENTITY_API_VERSION': '3',
        }

    def token(self, user='admin'):
        if user not in self._tokens:
            body = {
                'auth': {
                    'identity': {
                        'methods': ['password'],
                        'password': {
                            'user': {
                                'name': user,
                                'password': user,
                                'domain': {'id': 'default'},
                            }
                        },
                    },
                    'scope': {
                        'project': {'name': user, 'domain': {'id': 'default'}}
                    },
                }
            }
            _status, _body, headers = server.call(
                self.auth_url, 'POST', '/auth/tokens', body
            )
            self._tokens[user] = headers['X-Subject-Token']
        return self._tokens[user]

    def request(
        self, method, path, body=None, user='admin', headers=None, timeout=300
    ):
        """Ask zun-api.

        :param timeout: seconds.
        :returns: (status, answer).
        """
        status, answer, _headers = server.call(
            self.zun_url,
            method,
            path,
            body,
            {
                'X-Auth-Token': self.token(user),
                'OpenStack-API-Version': 'container 1.40',
                **(headers or {}),
            },
            timeout=timeout,
        )
        return status, answer

    def control(self, method, path, body=None):
        """Ask the emulated engine's control."""
        status, answer, _headers = server.call(
            self.engine_url, method, '/_emulator' + path, body
        )
        if status >= 300:
            raise LabError('%s %s: %d %s' % (method, path, status, answer))
        return answer

    # -------------------------------------------- what is there, from outside

    def rows(self, statement, *arguments):
        """Read Zun's database."""
        path = self.root / 'data' / 'zun.sqlite'
        connection = sqlite3.connect('file:%s?mode=ro' % path, uri=True)
        try:
            return connection.execute(statement, arguments).fetchall()
        finally:
            connection.close()

    def providers(self):
        status, body, _headers = server.call(
            self.placement_url,
            'GET',
            '/resource_providers',
            headers={'X-Auth-Token': self.token()},
        )
        if status != 200:
            raise LabError('Placement answered %d: %s' % (status, body))
        return [provider['uuid'] for provider in body['resource_providers']]

    def allocations(self):
        """Return the uuids that have a claim in Placement."""
        found = set()
        for provider in self.providers():
            _status, body, _headers = server.call(
                self.placement_url,
                'GET',
                '/resource_providers/%s/allocations' % provider,
                headers={'X-Auth-Token': self.token()},
            )
            found.update(body['allocations'])
        return found

    def network(self, method, path, body=None):
        """Ask Neutron as the administrator. Returns its answer's body."""
        status, answer, _headers = server.call(
            self.neutron_url,
            method,
            '/v2.0' + path,
            body,
            headers={'X-Auth-Token': self.token()},
        )
        if status >= 300:
            raise LabError('%s %s: %d %s' % (method, path, status, answer))
        return answer

    def ports(self):
        """Return {port id: device id} of all of Neutron's ports."""
        ports = self.network('GET', '/ports')['ports']
        return {port['id']: port['device_id'] for port in ports}

    def floating_ips(self):
        """Return {address: floating IP} of all of Neutron's."""
        rows = self.network('GET', '/floatingips')['floatingips']
        return {row['floating_ip_address']: row for row in rows}

    def cinder(self, method, path, body=None, user='admin'):
        """Ask the emulated Cinder.

        :param path: below the user's project.
        """
        project = keystone.identifier('project', keystone.USERS[user][0])
        status, answer, _headers = server.call(
            self.cinder_url,
            method,
            '/v3/%s%s' % (project, path),
            body,
            {'X-Auth-Token': self.token(user)},
        )
        if status >= 300:
            raise LabError('%s %s: %d %s' % (method, path, status, answer))
        return answer

    def made_volumes(self):
        """Return all of Cinder's volumes that were made for bulks."""
        if not self.cinder_url:
            return []
        return [
            volume
            for volume in self.cinder('GET', '/volumes/detail?all_tenants=1')[
                'volumes'
            ]
            if 'zun_bulk' in volume['metadata']
        ]

    def network_id(self, name='lab'):
        found = self.network('GET', '/networks?name=' + name)
        return found['networks'][0]['id']

    def zun_containers(self):
        """Return {name: id} of the engine's containers that are Zun's."""
        return {
            entry['Names'][0].lstrip('/'): entry['Id']
            for entry in self.engine().containers(
                all=True, filters={'name': '^/?zun-'}
            )
        }

    def leftovers(self):
        """Return {kind: number} of what no container should leave."""
        owned = {
            'zun-' + uuid
            for (uuid,) in self.rows('SELECT uuid FROM container')
        }
        names = self.zun_containers()
        if not self.emulated:
            # Another's containers may live on the same engine.
            names = owned & set(names)
        found = {
            'containers at the engine': len(names),
            'ports': len(self.ports()),
            'floating IPs': sum(
                row['description'].startswith('zun_bulk:')
                for row in self.floating_ips().values()
            ),
            'allocations': len(self.allocations()),
            'volumes': len(self.made_volumes()),
        }
        for table in (CONTAINERS, 'zun_bulk_bulk', 'zun_bulk_member'):
            found['rows in ' + table.split()[0]] = self.rows(
                'SELECT count(*) FROM %s' % table
            )[0][0]
        return {kind: number for kind, number in found.items() if number}

    def remove_containers(self):
        """Remove what this lab's Zun has made at the engine, whatever is.

        For the case that Zun itself can no longer be asked.
        """
        engine, names = self.engine(), self.zun_containers()
        for (uuid,) in self.rows('SELECT uuid FROM container'):
            if 'zun-' + uuid in names:
                try:
                    engine.remove_container('zun-' + uuid, force=True)
                except errors.NotFound:
                    """Somebody was quicker."""

    # ------------------------------------------------- finding it later again

    def save(self):
        """Write what ``load`` needs."""
        state = {
            name: getattr(self, name)
            for name in (
                'engine_url',
                'emulated',
                'auth_url',
                'zun_url',
                'neutron_url',
                'placement_url',
                'horizon_url',
            )
        }
        state['pids'] = {
            name: [pid, start_time(pid)] for name, pid in self.pids().items()
        }
        (self.root / 'state.json').write_text(json.dumps(state, indent=1))

    def load(self):
        """Become the lab that ``save`` was called on.

        :returns: {name: (pid, its start_time)} of its processes.
        """
        state = json.loads((self.root / 'state.json').read_text())
        pids = state.pop('pids')
        for name, value in state.items():
            setattr(self, name, value)
        return pids


def start_time(pid):
    """When a process started, in clock ticks since boot; None if it is not.

    Together with the pid it names a process for good.
    """
    try:
        stat = pathlib.Path('/proc/%d/stat' % pid).read_text()
    except OSError:
        return None
    return int(stat.rpartition(')')[2].split()[19])
