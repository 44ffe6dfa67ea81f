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

"""The two labs, as the harness sees them."""

import http.client
import os
import pathlib
import urllib.parse

import keystoneauth1.exceptions
import openstack
import pymysql

from tests.bench import lab as bench_lab
from tests.faults import history
from tests.faults import proxy
from tests.lab.embedded import lab as embedded
from tests.lab.real import labapi


TEMPLATE = {'image': 'busybox', 'command': ['sleep', '100000']}
#: Seconds after which a client gives an answer up.
TIMEOUT = 10
#: What those get who ask somebody who is away.
NO_ANSWER = (
    OSError,
    http.client.HTTPException,
    ValueError,
    keystoneauth1.exceptions.ClientException,
    openstack.exceptions.SDKException,
    pymysql.MySQLError,
)


class EmbeddedLab:
    """Zun in one process, everything around it emulated but Placement."""

    SETTINGS = {
        'zun_bulk': {'settle_time': 0.5, 'poll_interval': 1, 'lease_time': 3},
        'zun_bulk_pacing': {'max_in_flight': 4},
    }
    #: How many share the work.
    PROCESSES = 1
    template = {**TEMPLATE, 'nets': [{'network': 'lab'}]}
    #: What else a bulk is asked for.
    more = {'floating_ips': {'network': 'public'}}

    def __init__(self, root):
        self._lab = embedded.Lab(root, conf=self.SETTINGS, scale=0.3)

    def start(self):
        self._lab.start()
        self._lab.engine().create_container(
            embedded.IMAGE, 'sleep 1000', name='zun-other'
        )

    def stop(self):
        self._lab.stop()

    def frozen(self):
        """Return the names of processes that stand still."""
        process = self._lab.processes.get('zun')
        if process is not None and _state(process.pid)[0] == 'T':
            return ['zun']
        return []

    def signal(self, names, number):
        for name in names:
            self._lab.processes[name].send_signal(number)

    def start_again(self, _away=()):
        """Start what has died. Returns whether there was anything."""
        process = self._lab.processes.get('zun')
        if process is not None and process.poll() is None:
            return False
        self._lab.processes.pop('zun', None)
        self._lab.start_zun()
        return True

    def request(self, method, path, body=None):
        return self._lab.request(method, path, body, timeout=TIMEOUT)

    def rows(self, statement):
        return self._lab.rows(statement)

    def world(self):
        ports = self._lab.ports()
        return history.World(
            {
                ident: name
                for name, ident in self._lab.zun_containers().items()
            },
            ports,
            self._lab.allocations(),
            {uuid for (uuid,) in self.rows('SELECT uuid FROM container')},
            {
                row['id']: ports.get(row['port_id'])
                for row in self._lab.floating_ips().values()
            },
        )


class RealLab:
    """Everything real, on two hosts without networks in Docker.

    Each zun-compute has its Docker Engine and the broker behind a proxy, and
    besides the conductors in them there is one of its own.
    """

    HOSTS = PROCESSES = 2
    #: What Zun's processes are called, and ours.
    ZUN = ('zun-', 'conductor')
    #: Its Neutron has no routers.
    more = {}
    #: Without these there is no lab to look at.
    SPARED = frozenset({'epmd', 'memcached'})
    #: What leads Zun around the proxies otherwise.
    CONF = """
[DEFAULT]
transport_url = rabbit://guest:guest@127.0.0.1@I@:@RABBIT_PORT@/
[docker]
api_url = unix://@RUN@/host-@I@/proxy.sock
"""

    def __init__(self, root):
        self._root = root
        self.template = None
        #: A proxy.DockerProxy a host, and a proxy.Proxy to the broker.
        self.dockers = []
        self.brokers = []

    def start(self):
        if bench_lab.is_up():
            raise embedded.LabError('a lab runs already; end it first')
        bench_lab.run('wipe')
        conf = self._root.with_name('host.conf')
        conf.touch()
        os.environ['LAB_HOST_CONF'] = str(conf)
        bench_lab.run('up', '--hosts', str(self.HOSTS), '--net', 'none')
        bench_lab.load_environment()
        self._run = pathlib.Path(os.environ['LAB_RUN'])
        self._start_proxies()
        conf.write_text(self.CONF)
        bench_lab.run('zun')
        bench_lab.run(
            'start',
            'conductor',
            os.path.join(os.environ['LAB_ZUN_VENV'], 'bin/zun-bulk-conductor'),
            *os.environ['LAB_ZUN_FLAGS'].split(),
        )
        self._zun = labapi.Zun()
        self._zun.connection.timeout = TIMEOUT
        self._cloud = openstack.connect()
        body = labapi.container_body('x', os.environ['LAB_NETWORK'])
        del body['name']
        self.template = body

    def _start_proxies(self):
        broker = urllib.parse.urlparse(os.environ['LAB_TRANSPORT_URL'])
        for number in range(1, self.HOSTS + 1):
            host = self._run / ('host-%d' % number)
            self.dockers.append(
                proxy.DockerProxy(
                    str(host / 'proxy.sock'), str(host / 'docker.sock')
                )
            )
            self.brokers.append(
                proxy.Proxy(
                    ('127.0.0.1%d' % number, broker.port),
                    (broker.hostname, broker.port),
                )
            )
        for one in self.dockers + self.brokers:
            one.start()

    def stop(self):
        bench_lab.run('down')
        for one in self.dockers + self.brokers:
            one.stop()

    def daemons(self):
        """Return the names of the processes that may go away."""
        return sorted(
            {path.stem for path in self._run.glob('*.pid')} - self.SPARED
        )

    def _pid(self, name):
        """Return the process id; None if it is not there."""
        pid, when = (self._run / (name + '.pid')).read_text().split()
        state, began = _state(pid)
        return None if state in 'Z-' or began != when else int(pid)

    def frozen(self):
        """Return the names of Zun's processes that stand still."""
        return [
            name
            for name in self.daemons()
            if name.startswith(self.ZUN)
            and _state((self._run / (name + '.pid')).read_text().split()[0])[0]
            == 'T'
        ]

    def signal(self, names, number):
        for name in names:
            pid = self._pid(name)
            if pid is None:
                continue
            # Containers live on without their engine.
            kill = os.kill if name.startswith('dockerd') else os.killpg
            kill(pid, number)

    def start_again(self, away=()):
        """Start what has died. Returns whether there was anything.

        :param away: names of what is not to be started yet.
        """
        dead = [
            name
            for name in self.daemons()
            if name not in away and self._pid(name) is None
        ]
        for name in dead:
            bench_lab.run('start', name)
        if 'zun-api' in dead:
            embedded.wait_for('zun-api', self._answers)
        return bool(dead)

    def _answers(self):
        try:
            return self._zun.request('GET', '/services')[0] == 200
        except NO_ANSWER:
            return False

    def request(self, method, path, body=None):
        return self._zun.request(method, path, body)

    def rows(self, statement):
        db = labapi.database()
        try:
            return labapi.rows(db, statement)
        finally:
            db.close()

    def world(self):
        return history.World(
            {
                '%s on %s' % (name, host): name
                for host in labapi.hosts().values()
                for name in labapi.Docker.of_host(host).zun_names()
            },
            {
                port.id: port.device_id
                for port in self._cloud.network.ports()
                if not (port.device_owner or '').startswith('network:')
            },
            {
                consumer
                for provider in self._cloud.placement.resource_providers()
                for consumer in labapi.claims_on(self._cloud, provider)
            },
            {uuid for (uuid,) in self.rows('SELECT uuid FROM container')},
            {},
        )


def _state(pid):
    """Return (state of a process, - if it is gone; its start time)."""
    try:
        stat = pathlib.Path('/proc', str(pid), 'stat').read_text()
    except FileNotFoundError:
        return '-', None
    fields = stat.rpartition(')')[2].split()
    return fields[0], fields[19]
