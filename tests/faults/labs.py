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

import openstack

from tests.bench import lab as bench_lab
from tests.faults import history
from tests.lab.embedded import lab as embedded
from tests.lab.real import labapi


TEMPLATE = {'image': 'busybox', 'command': ['sleep', '100000']}
#: What a client gets whose server has died.
NO_ANSWER = (OSError, http.client.HTTPException, ValueError)


class EmbeddedLab:
    """Zun in one process, everything around it emulated but Placement."""

    SETTINGS = {
        'zun_bulk': {'settle_time': 0.5, 'poll_interval': 1, 'lease_time': 3},
        'zun_bulk_pacing': {'max_in_flight': 4},
    }
    template = {**TEMPLATE, 'nets': [{'network': 'lab'}]}

    def __init__(self, root):
        self._lab = embedded.Lab(root, conf=self.SETTINGS, scale=0.3)

    def start(self):
        self._lab.start()
        self._lab.engine().create_container(
            embedded.IMAGE, 'sleep 1000', name='zun-other'
        )

    def stop(self):
        self._lab.stop()

    def start_again(self):
        """Start what has died. Returns whether there was anything."""
        process = self._lab.processes.get('zun')
        if process is not None and process.poll() is None:
            return False
        self._lab.processes.pop('zun', None)
        self._lab.start_zun()
        return True

    def request(self, method, path, body=None):
        return self._lab.request(method, path, body)

    def rows(self, statement):
        return self._lab.rows(statement)

    def world(self):
        return history.World(
            {
                ident: name
                for name, ident in self._lab.zun_containers().items()
            },
            self._lab.ports(),
            self._lab.allocations(),
            {uuid for (uuid,) in self.rows('SELECT uuid FROM container')},
        )


class RealLab:
    """Everything real, on two hosts without networks in Docker."""

    HOSTS = 2
    NAMES = ('zun-api', 'zun-compute-1', 'zun-compute-2')

    def __init__(self, _root):
        self.template = None

    def start(self):
        if bench_lab.is_up():
            raise embedded.LabError('a lab runs already; end it first')
        bench_lab.run('wipe')
        bench_lab.run('up', '--hosts', str(self.HOSTS), '--net', 'none')
        bench_lab.load_environment()
        self._run = pathlib.Path(os.environ['LAB_RUN'])
        self._zun = labapi.Zun()
        self._cloud = openstack.connect()
        body = labapi.container_body('x', os.environ['LAB_NETWORK'])
        del body['name']
        self.template = body

    def stop(self):
        bench_lab.run('down')

    def start_again(self):
        dead = [name for name in self.NAMES if not self._lives(name)]
        for name in dead:
            bench_lab.run('start', name)
        if 'zun-api' in dead:
            embedded.wait_for('zun-api', self._answers)
        return bool(dead)

    def _lives(self, name):
        pid, when = (self._run / (name + '.pid')).read_text().split()
        stat = pathlib.Path('/proc', pid, 'stat')
        try:
            fields = stat.read_text().rpartition(')')[2].split()
        except FileNotFoundError:
            return False
        return fields[0] != 'Z' and fields[19] == when

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
        )
