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

"""An emulated Docker Engine.

It speaks the part of the Docker API that Zun uses, with the words and codes
of Docker 20.10, and runs no process. A container whose command is ``sleep N``
ends after N seconds, ``true`` and ``false`` end at once, anything else runs
until it is stopped. Three things make it behave like an engine under load:

* Creating, starting, stopping and removing share one machine (see Load):
  beyond a knee, more at once are slower together than fewer were.
* Each container on the host can make every operation slower.
* Faults to order: POST /_emulator/faults takes the arguments of
  ``server.Fault``; besides, ``exit`` starts a process that ends at once with
  ``exit_code``.

``python -m tests.emulators.docker_engine --listen unix:///run/docker.sock``
runs one as a process of its own.
"""

import datetime
import itertools
import json
import re
import secrets
import threading
import time

from tests.emulators import server


VERSION = '20.10.24'
API_VERSION = '1.41'
NEVER = '0001-01-01T00:00:00Z'

#: Seconds that an operation takes on an idle machine. What is not named
#: here takes none.
SERVICE_TIME = {
    'container_create': 0.05,
    'container_start': 0.12,
    'container_restart': 0.15,
    'container_stop': 0.05,
    'container_kill': 0.05,
    'container_remove': 0.06,
    'container_inspect': 0.002,
    'container_list': 0.005,
    'image_pull': 0.2,
    'network_create': 0.05,
}

#: Anybody may look at containers whenever he likes.
PACED = ('container_create', 'container_start')


def error(status, message):
    return server.Response(status, {'message': message})


def no_such_container(name):
    return error(404, 'No such container: %s' % name)


def timestamp(seconds):
    """Format a time of ``time.time()`` as Docker does; None is never."""
    if seconds is None:
        return NEVER
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.strftime('%Y-%m-%dT%H:%M:%S.%f000Z')


class Load:
    """Operations that share one machine.

    Up to ``knee`` at once do not hinder each other. With more, each gets its
    share of what the knee gives, less ``penalty`` of it for each one beyond.

    :param degradation: the part by which each container slows everything.
    :param scale: factor on all times; 0 makes everything instant.
    """

    def __init__(self, knee=4, penalty=0.1, degradation=0.0005, scale=1.0):
        self.knee = knee
        self.penalty = penalty
        self.degradation = degradation
        self.scale = scale
        self.containers = 0
        self.in_flight = 0
        self._paced = 0
        #: The most at once of those that a pacer should bound.
        self.peak = 0
        self._changed = threading.Condition()

    def speed(self):
        """How fast each operation goes, as a part of its speed alone."""
        beyond = max(0, self.in_flight - self.knee)
        share = self.knee / max(self.knee, self.in_flight)
        return (
            share
            / (1 + self.penalty * beyond)
            / (1 + self.degradation * self.containers)
        )

    def work(self, seconds, paced=True):
        """Take the time of an operation that takes so long alone."""
        left = seconds * self.scale
        if left <= 0:
            return
        with self._changed:
            self.in_flight += 1
            self._paced += paced
            self.peak = max(self.peak, self._paced)
            self._changed.notify_all()
            try:
                while left > 1e-4:
                    speed, began = self.speed(), time.monotonic()
                    self._changed.wait(left / speed)
                    left -= (time.monotonic() - began) * speed
            finally:
                self.in_flight -= 1
                self._paced -= paced
                self._changed.notify_all()


class Container:
    def __init__(self, name, body, image):
        self.id = secrets.token_hex(32)
        self.name = name
        self.created = time.time()
        self.image = image
        self.config = dict(body)
        self.host_config = self.config.pop('HostConfig', None) or {}
        self.restart_count = 0
        self.networks = {}
        self.state = 'created'
        self.pid = 0
        self.exit_code = 0
        self.error = ''
        self.started = None
        self.finished = None
        self.ends_at = None
        self.ends_with = 0
        self.removing = False
        #: What the process has written: (nanoseconds, stream, line).
        self.log = []

    @property
    def command(self):
        entry = (
            self.config.get('Entrypoint')
            or self.image['Config']['Entrypoint']
            or []
        )
        command = self.config.get('Cmd') or self.image['Config']['Cmd'] or []
        return list(entry) + list(command)

    def begin(self, pid):
        self.state, self.pid = 'running', pid
        self.started, self.finished = time.time(), None
        self.exit_code, self.error = 0, ''
        self.log.append((time.time_ns(), 'stdout', 'started'))
        self.ends_at, self.ends_with = None, 0
        command = self.command
        if command[:1] == ['sleep'] and len(command) > 1:
            if re.fullmatch(r'\d+(\.\d+)?', command[1]):
                self.ends_at = self.started + float(command[1])
        elif command[:1] in (['true'], ['false']):
            self.ends_at = self.started
            self.ends_with = int(command[0] == 'false')

    def end(self, exit_code, at=None):
        self.state, self.pid, self.exit_code = 'exited', 0, exit_code
        self.finished, self.ends_at = at or time.time(), None

    def catch_up(self):
        """Let what should have happened by now be so."""
        if (
            self.state == 'running'
            and self.ends_at is not None
            and self.ends_at <= time.time()
        ):
            self.end(self.ends_with, self.ends_at)

    @property
    def running(self):
        return self.state in ('running', 'paused')


class DockerEngine(server.Emulator):
    """See the module.

    :param load: the Load; None takes the default one.
    :param name: host name that the engine reports.
    :param cpus: number of CPUs that it reports.
    """

    NAME = 'emulated Docker Engine'
    FAULTS = (*server.Emulator.FAULTS, 'exit')
    CONTROL_ROUTES = (
        *server.Emulator.CONTROL_ROUTES,
        ('PUT', '/_emulator/load', 'set_load'),
        ('POST', '/_emulator/reset', 'reset'),
        ('POST', '/_emulator/containers/([^/]+)/exit', 'end_container'),
        ('POST', '/_emulator/containers/([^/]+)/log', 'write_log'),
    )
    ROUTES = (
        ('GET', '/_ping', 'ping'),
        ('HEAD', '/_ping', 'ping'),
        ('GET', '/version', 'version'),
        ('GET', '/info', 'info'),
        ('GET', '/events', 'events'),
        ('GET', '/images/json', 'image_list'),
        ('POST', '/images/create', 'image_pull'),
        ('GET', '/images/(.+)/json', 'image_inspect'),
        ('DELETE', '/images/(.+)', 'image_remove'),
        ('GET', '/containers/json', 'container_list'),
        ('POST', '/containers/create', 'container_create'),
        ('GET', '/containers/([^/]+)/json', 'container_inspect'),
        ('GET', '/containers/([^/]+)/logs', 'container_logs'),
        ('GET', '/containers/([^/]+)/top', 'container_top'),
        ('POST', '/containers/([^/]+)/start', 'container_start'),
        ('POST', '/containers/([^/]+)/stop', 'container_stop'),
        ('POST', '/containers/([^/]+)/kill', 'container_kill'),
        ('POST', '/containers/([^/]+)/restart', 'container_restart'),
        ('POST', '/containers/([^/]+)/pause', 'container_pause'),
        ('POST', '/containers/([^/]+)/unpause', 'container_unpause'),
        ('POST', '/containers/([^/]+)/wait', 'container_wait'),
        ('POST', '/containers/([^/]+)/rename', 'container_rename'),
        ('POST', '/containers/([^/]+)/update', 'container_update'),
        ('DELETE', '/containers/([^/]+)', 'container_remove'),
        ('GET', '/networks', 'network_list'),
        ('POST', '/networks/create', 'network_create'),
        ('GET', '/networks/([^/]+)', 'network_inspect'),
        ('DELETE', '/networks/([^/]+)', 'network_remove'),
        ('POST', '/networks/([^/]+)/connect', 'network_connect'),
        ('POST', '/networks/([^/]+)/disconnect', 'network_disconnect'),
    )

    def __init__(
        self,
        load=None,
        name='emulated',
        cpus=64,
        images=('busybox:latest',),
        registry=('alpine:latest',),
    ):
        super().__init__()
        self.load = load or Load()
        self.name = name
        self.cpus = cpus
        self._local = tuple(images)
        #: What can be pulled besides.
        self.registry = {*images, *registry}
        self._event = threading.Condition(self.lock)
        self._pids = itertools.count(1001)
        self._addresses = itertools.count(2)
        self.networks = {}
        # Who follows it knows how far: it outlives a reset.
        self.happened = []
        self._clear()
        for name, driver in (
            ('bridge', 'bridge'),
            ('host', 'host'),
            ('none', 'null'),
        ):
            self._add_network({'Name': name, 'Driver': driver})

    def _clear(self):
        self.containers = {}
        self.images = {}
        self.faults.clear()
        self.load.containers = self.load.peak = 0
        self.calls.clear()
        for name in self._local:
            self._add_image(name)

    # --------------------------------------------------------- load, control

    def prepare(self, request):
        match = re.match(r'/v(\d+)\.(\d+)(?=/)', request.path)
        if match:
            asked = tuple(map(int, match.groups()))
            if asked > tuple(map(int, API_VERSION.split('.'))):
                raise error(
                    400,
                    'client version %d.%d is too new. Maximum '
                    'supported API version is %s' % (*asked, API_VERSION),
                )
            request.path = request.path[match.end() :]
        return request

    def subject(self, name, request, groups):
        if name == 'container_create':
            return request.argument('name', '')
        if name == 'image_pull':
            return request.argument('fromImage', '')
        container = self._find(groups[0]) if groups else None
        if container:
            return container.name
        return super().subject(name, request, groups)

    def work(self, name):
        self.load.work(SERVICE_TIME.get(name, 0), name in PACED)

    def perform(self, name, request, groups, fault):
        for container in list(self.containers.values()):
            container.catch_up()
            if container.state == 'exited':
                self._auto_remove(container)
        response = super().perform(name, request, groups, fault)
        if fault and fault.kind == 'exit':
            self._get(groups[0]).end(fault.exit_code)
        self.load.containers = len(self.containers)
        return response

    def status(self, request):
        status = super().status(request)
        status.body.update(
            in_flight=self.load.in_flight,
            peak=self.load.peak,
            containers=len(self.containers),
        )
        return status

    def set_load(self, request):
        """Change knee, penalty, degradation or scale."""
        for name, value in request.json().items():
            setattr(self.load, name, value)
        return server.Response(204)

    def reset(self, _request):
        """Forget containers, faults, counters and what was pulled."""
        self._clear()
        return server.Response(204)

    def end_container(self, request, ident):
        """End a container's process, as if it did so by itself."""
        container = self._get(ident)
        container.end(request.json().get('exit_code', 1))
        self._note('die', container)
        return server.Response(204)

    def write_log(self, request, ident):
        """Let a container's process write, at any time there is.

        The body is {"lines": [[nanoseconds, "stdout" or "stderr", text]]}.
        """
        self._get(ident).log += request.json()['lines']
        return server.Response(204)

    # ---------------------------------------------------------------- system

    def ping(self, _request):
        return server.Response(
            200, 'OK', {'API-Version': API_VERSION, 'OSType': 'linux'}
        )

    def version(self, _request):
        return server.Response(
            200,
            {
                'Version': VERSION,
                'ApiVersion': API_VERSION,
                'MinAPIVersion': '1.12',
                'Os': 'linux',
                'Arch': 'amd64',
                'KernelVersion': 'emulated',
                'GitCommit': 'emulated',
                'GoVersion': 'none',
                'Platform': {'Name': self.NAME},
                'Components': [],
            },
        )

    def info(self, _request):
        states = [container.state for container in self.containers.values()]
        return server.Response(
            200,
            {
                'ID': 'EMULATED',
                'Name': self.name,
                'ServerVersion': VERSION,
                'Containers': len(states),
                'ContainersRunning': states.count('running'),
                'ContainersPaused': states.count('paused'),
                'ContainersStopped': (
                    states.count('exited') + states.count('created')
                ),
                'Images': len(self.images),
                'Driver': 'overlay2',
                'DriverStatus': [['Backing Filesystem', 'extfs']],
                'NCPU': self.cpus,
                'MemTotal': 64 << 30,
                'Architecture': 'x86_64',
                'OSType': 'linux',
                'OperatingSystem': self.NAME,
                'KernelVersion': 'emulated',
                'Labels': [],
                'Runtimes': {'runc': {'path': 'runc'}},
                'DefaultRuntime': 'runc',
                'DockerRootDir': '/',
                'Warnings': None,
            },
        )

    def events(self, request):
        until = request.argument('until')
        filters = self._filters(request)
        since = float(request.argument('since') or time.time())
        return server.Response(
            200,
            self._stream_events(
                filters, since, float(until) if until else None
            ),
        )

    def _stream_events(self, filters, since, until):
        with self.lock:
            position = sum(
                event['timeNano'] < since * 1e9 for event in self.happened
            )
        while until is None or time.time() < until:
            with self._event:
                if position >= len(self.happened):
                    self._event.wait(0.5)
                new = self.happened[position:]
                position += len(new)
            for event in new:
                if event['Action'] in filters.get(
                    'event', [event['Action']]
                ) and all(
                    label in event['Actor']['Attributes']
                    for label in filters.get('label', ())
                ):
                    yield json.dumps(event).encode() + b'\n'

    def _note(self, action, container):
        now = time.time()
        self.happened.append(
            {
                'Type': 'container',
                'Action': action,
                'status': action,
                'id': container.id,
                'from': container.config.get('Image'),
                'scope': 'local',
                'time': int(now),
                'timeNano': int(now * 1e9),
                'Actor': {
                    'ID': container.id,
                    'Attributes': {
                        'name': container.name,
                        'exitCode': str(container.exit_code),
                        **(container.config.get('Labels') or {}),
                    },
                },
            }
        )
        self._event.notify_all()

    # ---------------------------------------------------------------- images

    @staticmethod
    def _full(name):
        """Add the tag that Docker takes where none is given."""
        name = name.removeprefix('docker.io/').removeprefix('library/')
        return name if ':' in name.rpartition('/')[2] else name + ':latest'

    def _add_image(self, name):
        self.images[name] = {
            'Id': 'sha256:' + secrets.token_hex(32),
            'RepoTags': [name],
            'RepoDigests': [],
            'Created': timestamp(time.time()),
            'Size': 4 << 20,
            'VirtualSize': 4 << 20,
            'Os': 'linux',
            'Architecture': 'amd64',
            'Config': {
                'Cmd': ['sh'],
                'Entrypoint': None,
                'Env': [],
                'Labels': None,
                'ExposedPorts': None,
            },
        }

    def _image(self, name):
        found = self.images.get(self._full(name))
        for image in self.images.values():
            if image['Id'] in (name, 'sha256:' + name):
                found = image
        if found is None:
            raise error(404, 'No such image: %s' % self._full(name))
        return found

    def image_list(self, _request):
        return server.Response(
            200,
            [
                {
                    **image,
                    'Created': int(time.time()),
                    'Containers': -1,
                    'ParentId': '',
                    'SharedSize': -1,
                    'Labels': None,
                }
                for image in self.images.values()
            ],
        )

    def image_inspect(self, _request, name):
        return server.Response(200, self._image(name))

    def image_pull(self, request):
        repository = request.argument('fromImage')
        tag = request.argument('tag')
        name = self._full(repository + (':' + tag if tag else ''))
        known = {image.rpartition(':')[0] for image in self.registry}
        if name not in self.registry:
            if name.rpartition(':')[0] in known:
                raise error(
                    404,
                    'manifest for %s not found: manifest '
                    'unknown: manifest unknown' % name,
                )
            raise error(
                404,
                'pull access denied for %s, repository does '
                "not exist or may require 'docker login': denied: "
                'requested access to the resource is denied'
                % name.rpartition(':')[0],
            )
        fresh = name in self.images
        if not fresh:
            self._add_image(name)
        status = (
            'Image is up to date for %s'
            if fresh
            else 'Downloaded newer image for %s'
        ) % name
        return server.Response(
            200,
            b''.join(
                json.dumps({'status': line}).encode() + b'\r\n'
                for line in (
                    'Pulling from library/' + repository,
                    'Status: ' + status,
                )
            ),
        )

    def image_remove(self, _request, name):
        image = self._image(name)
        tag = image['RepoTags'][0]
        del self.images[tag]
        return server.Response(
            200, [{'Untagged': tag}, {'Deleted': image['Id']}]
        )

    # ------------------------------------------------------------ containers

    def _find(self, ident):
        ident = ident.removeprefix('/')
        found = self.containers.get(ident)
        if found:
            return found
        for container in self.containers.values():
            if container.name == ident or (
                len(ident) >= 4 and container.id.startswith(ident)
            ):
                return container

    def _get(self, ident):
        container = self._find(ident)
        if container is None:
            raise no_such_container(ident)
        return container

    @staticmethod
    def _filters(request):
        """Docker's filters: {name: [value]} or {name: {value: true}}."""
        filters = json.loads(request.argument('filters') or '{}')
        return {name: list(values) for name, values in filters.items()}

    def container_list(self, request):
        filters, everything = self._filters(request), request.flag('all')
        found = [
            self._summary(container)
            for container in self.containers.values()
            if (everything or container.running or 'status' in filters)
            and self._passes(container, filters)
        ]
        found.sort(key=lambda entry: entry['Created'], reverse=True)
        limit = int(request.argument('limit', '-1'))
        return server.Response(200, found if limit < 0 else found[:limit])

    @staticmethod
    def _passes(container, filters):
        labels = container.config.get('Labels') or {}

        def has_label(wanted):
            name, equal, value = wanted.partition('=')
            return name in labels and (not equal or labels[name] == value)

        tests = {
            'name': lambda value: re.search(
                value.removeprefix('/'), container.name
            ),
            'id': container.id.startswith,
            'status': lambda value: container.state == value,
            'network': lambda value: value in container.networks,
        }
        return all(
            any(map(tests[name], values))
            for name, values in filters.items()
            if name in tests
        ) and all(map(has_label, filters.get('label', ())))

    def _summary(self, container):
        up = {'running': 'Up', 'paused': 'Up (Paused)', 'created': 'Created'}
        return {
            'Id': container.id,
            'Names': ['/' + container.name],
            'Image': container.config['Image'],
            'ImageID': container.image['Id'],
            'Command': ' '.join(container.command),
            'Created': int(container.created),
            'Ports': [],
            'Mounts': [],
            'Labels': container.config.get('Labels') or {},
            'State': container.state,
            'Status': up.get(
                container.state, 'Exited (%d)' % container.exit_code
            ),
            'HostConfig': {'NetworkMode': self._mode(container)},
            'NetworkSettings': {'Networks': container.networks},
        }

    @staticmethod
    def _mode(container):
        mode = container.host_config.get('NetworkMode') or 'default'
        return 'bridge' if mode == 'default' else mode

    def _joined(self, container):
        """Return the id of the container whose network it shares."""
        kind, _colon, ident = self._mode(container).partition(':')
        return ident if kind == 'container' else None

    def container_create(self, request):
        body = request.json()
        name = request.argument('name') or 'emulated_' + secrets.token_hex(4)
        name = name.removeprefix('/')
        if not re.fullmatch(r'[a-zA-Z0-9][a-zA-Z0-9_.-]+', name):
            raise error(
                400,
                'Invalid container name (%s), only '
                '[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed' % name,
            )
        image = self._image(body['Image'])
        for other in self.containers.values():
            if other.name == name:
                raise error(
                    409,
                    'Conflict. The container name "/%s" is '
                    'already in use by container "%s". You have to '
                    'remove (or rename) that container to be able '
                    'to reuse that name.' % (name, other.id),
                )
        endpoints = (body.pop('NetworkingConfig', None) or {}).get(
            'EndpointsConfig'
        ) or {}
        container = Container(name, body, image)
        container.config.setdefault('Hostname', container.id[:12])
        container.networks = {
            'bridge' if network == 'default' else network: dict(endpoint or {})
            for network, endpoint in endpoints.items()
        }
        if not self._joined(container):
            container.networks.setdefault(self._mode(container), {})
        self.containers[container.id] = container
        self._note('create', container)
        return server.Response(201, {'Id': container.id, 'Warnings': []})

    def container_inspect(self, _request, ident):
        container = self._get(ident)
        command = container.command
        state = container.state
        return server.Response(
            200,
            {
                'Id': container.id,
                'Name': '/' + container.name,
                'Created': timestamp(container.created),
                'Path': command[0] if command else '',
                'Args': command[1:],
                'Image': container.image['Id'],
                'Driver': 'overlay2',
                'Platform': 'linux',
                'RestartCount': container.restart_count,
                'State': {
                    'Status': state,
                    'Running': container.running,
                    'Paused': state == 'paused',
                    'Restarting': False,
                    'OOMKilled': False,
                    'Dead': False,
                    'Pid': container.pid,
                    'ExitCode': container.exit_code,
                    'Error': container.error,
                    'StartedAt': timestamp(container.started),
                    'FinishedAt': timestamp(container.finished),
                },
                'Config': self._config(container),
                'HostConfig': {
                    'Runtime': 'runc',
                    **container.host_config,
                    'NetworkMode': self._mode(container),
                },
                'NetworkSettings': {
                    'SandboxID': container.id[::-1],
                    'IPAddress': '',
                    'Ports': {},
                    'Networks': container.networks,
                },
                'Mounts': [],
            },
        )

    @staticmethod
    def _config(container):
        """What was asked for, and the image's where nothing was."""
        asked = {
            name: value
            for name, value in container.config.items()
            if value is not None
        }
        return {
            'Hostname': '',
            'Tty': False,
            'OpenStdin': False,
            'WorkingDir': '',
            'User': '',
            'Volumes': None,
            **container.image['Config'],
            'Labels': {},
            **asked,
        }

    def container_start(self, _request, ident):
        container = self._get(ident)
        if container.state == 'paused':
            raise error(
                409, 'cannot start a paused container, try unpause instead'
            )
        if container.running:
            raise server.Response(304)
        self._begin(container)
        return server.Response(204)

    def _begin(self, container):
        joined = self._joined(container)
        if joined and not self._get(joined).running:
            raise error(
                409,
                'cannot join network of a non running container: ' + joined,
            )
        for name in container.networks:
            network = self._find_network(name)
            if network is None:
                container.state, container.exit_code = 'created', 128
                container.error = 'network %s not found' % name
                raise error(404, container.error)
            self._attach(container, network)
        container.begin(next(self._pids))
        self._note('start', container)

    def container_restart(self, _request, ident):
        self._begin(self._get(ident))
        return server.Response(204)

    def container_stop(self, _request, ident):
        container = self._get(ident)
        if not container.running:
            raise server.Response(304)
        container.end(137)
        self._note('die', container)
        self._auto_remove(container)
        return server.Response(204)

    def container_kill(self, _request, ident):
        container = self._get(ident)
        if not container.running:
            raise error(
                409,
                'Cannot kill container: %s: Container %s is not '
                'running' % (ident, container.id),
            )
        container.end(137)
        self._note('die', container)
        self._auto_remove(container)
        return server.Response(204)

    def _auto_remove(self, container):
        if container.host_config.get('AutoRemove'):
            self.containers.pop(container.id, None)

    def container_pause(self, _request, ident):
        container = self._get(ident)
        if not container.running:
            raise error(409, 'Container %s is not running' % container.id)
        if container.state == 'paused':
            raise error(409, 'Container %s is already paused' % container.id)
        container.state = 'paused'
        return server.Response(204)

    def container_unpause(self, _request, ident):
        container = self._get(ident)
        if container.state != 'paused':
            raise error(500, 'Container %s is not paused' % container.id)
        container.state = 'running'
        return server.Response(204)

    def container_wait(self, request, ident):
        """Answer when the container ends, or is removed if asked so."""
        container = self._get(ident)
        next_exit = request.argument('condition') in ('next-exit', 'removed')
        return server.Response(200, self._wait_for_end(container, next_exit))

    def _wait_for_end(self, container, next_exit):
        seen = container.finished if next_exit else None
        ended = False
        while not ended:
            with self._event:
                container.catch_up()
                ended = container.id not in self.containers or (
                    not container.running
                    and container.started
                    and container.finished != seen
                )
                if not ended:
                    self._event.wait(0.1)
        yield json.dumps({'StatusCode': container.exit_code}).encode()

    def container_rename(self, request, ident):
        self._get(ident).name = request.argument('name')
        return server.Response(204)

    def container_update(self, request, ident):
        self._get(ident).host_config.update(request.json())
        return server.Response(200, {'Warnings': None})

    def container_logs(self, request, ident):
        """Tail is taken of all lines, since of those, as Docker does."""
        container = self._get(ident)
        lines = [line for line in container.log if request.flag(line[1])]
        tail = request.argument('tail', 'all')
        if tail != 'all':
            lines = lines[max(0, len(lines) - int(tail)) :]
        since = float(request.argument('since', '0')) * 1e9
        tty = container.config.get('Tty')
        return server.Response(
            200,
            b''.join(
                self._log_frame(line, request.flag('timestamps'), tty)
                for line in lines
                if line[0] >= since
            ),
            {'Content-Type': 'application/octet-stream'},
        )

    @staticmethod
    def _log_frame(line, with_time, tty):
        nanoseconds, stream, text = line
        if with_time:
            seconds, nanoseconds = divmod(nanoseconds, 10**9)
            moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
            text = '%s.%09dZ %s' % (
                moment.strftime('%Y-%m-%dT%H:%M:%S'),
                nanoseconds,
                text,
            )
        if tty:
            return text.encode() + b'\r\n'
        data = text.encode() + b'\n'
        number = {'stdout': 1, 'stderr': 2}[stream]
        return bytes([number, 0, 0, 0]) + len(data).to_bytes(4) + data

    def container_top(self, _request, ident):
        container = self._get(ident)
        if not container.running:
            raise error(409, 'Container %s is not running' % container.id)
        return server.Response(
            200,
            {
                'Titles': ['PID', 'CMD'],
                'Processes': [
                    [str(container.pid), ' '.join(container.command)]
                ],
            },
        )

    def container_remove(self, request, ident):
        container = self._get(ident)
        if container.running and not request.flag('force'):
            raise error(
                409,
                'You cannot remove a running container %s. Stop '
                'the container before attempting removal or force '
                'remove' % container.id,
            )
        self.containers.pop(container.id, None)
        self._note('destroy', container)
        return server.Response(204)

    # -------------------------------------------------------------- networks

    def _add_network(self, body):
        ident = secrets.token_hex(32)
        self.networks[ident] = {
            'Id': ident,
            'Name': body['Name'],
            'Driver': body.get('Driver') or 'bridge',
            'Scope': 'local',
            'Created': timestamp(time.time()),
            'EnableIPv6': bool(body.get('EnableIPv6')),
            'IPAM': body.get('IPAM') or {'Driver': 'default', 'Config': []},
            'Internal': False,
            'Attachable': False,
            'Ingress': False,
            'Options': body.get('Options') or {},
            'Labels': body.get('Labels') or {},
        }
        return ident

    def _find_network(self, ident):
        found = self.networks.get(ident)
        for network in self.networks.values():
            if ident == network['Name']:
                found = network
        return found

    def _network(self, ident):
        network = self._find_network(ident)
        if network is None:
            raise error(404, 'network %s not found' % ident)
        return network

    def _attach(self, container, network):
        endpoint = container.networks.setdefault(network['Name'], {})
        address = (endpoint.get('IPAMConfig') or {}).get('IPv4Address')
        if network['Driver'] != 'null' and not endpoint.get('IPAddress'):
            number = next(self._addresses)
            endpoint['IPAddress'] = address or '172.17.%d.%d' % (
                number // 256,
                number % 256,
            )
        endpoint.update(
            NetworkID=network['Id'], EndpointID=secrets.token_hex(32)
        )

    def _members(self, network):
        return {
            container.id: {'Name': container.name}
            for container in self.containers.values()
            if network['Name'] in container.networks and container.running
        }

    def network_list(self, request):
        filters = self._filters(request)
        return server.Response(
            200,
            [
                network
                for network in self.networks.values()
                if any(
                    name in network['Name']
                    for name in filters.get('name', [''])
                )
                and any(
                    network['Id'].startswith(ident)
                    for ident in filters.get('id', [''])
                )
            ],
        )

    def network_create(self, request):
        body = request.json()
        if self._find_network(body['Name']):
            raise error(
                409, 'network with name %s already exists' % body['Name']
            )
        return server.Response(
            201, {'Id': self._add_network(body), 'Warning': ''}
        )

    def network_inspect(self, _request, ident):
        network = self._network(ident)
        return server.Response(
            200, {**network, 'Containers': self._members(network)}
        )

    def network_remove(self, _request, ident):
        network = self._network(ident)
        if self._members(network):
            raise error(
                403,
                'error while removing network: network %s id %s '
                'has active endpoints' % (network['Name'], network['Id']),
            )
        del self.networks[network['Id']]
        return server.Response(204)

    def network_connect(self, request, ident):
        body, network = request.json(), self._network(ident)
        container = self._get(body['Container'])
        container.networks[network['Name']] = dict(
            body.get('EndpointConfig') or {}
        )
        if container.running:
            self._attach(container, network)
        return server.Response(200)

    def network_disconnect(self, request, ident):
        body, network = request.json(), self._network(ident)
        container = self._get(body['Container'])
        if network['Name'] not in container.networks:
            raise error(
                500,
                'container %s is not connected to the network %s'
                % (container.id, network['Name']),
            )
        del container.networks[network['Name']]
        return server.Response(200)


def main():
    parser = server.argument_parser(__doc__)
    parser.add_argument(
        '--name', default='emulated', help="the engine's host name"
    )
    parser.add_argument(
        '--image',
        action='append',
        dest='images',
        help='an image that is there from the start',
    )
    parser.add_argument(
        '--scale', type=float, default=1.0, help='factor on all service times'
    )
    args = parser.parse_args()
    server.run(
        DockerEngine(
            Load(scale=args.scale),
            args.name,
            images=args.images or ('busybox:latest',),
        ),
        args.listen,
    )


if __name__ == '__main__':
    main()
