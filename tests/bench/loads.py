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

"""The three ways to make containers that are compared.

Each load has ``run(count)``, which returns once its containers are said to
run (or to have failed), ``names`` (Docker's names of what it made),
``reasons`` (why what it did not make was refused, counted) and ``clear()``.
"""

import collections
import concurrent.futures
import http.client
import os
import sys
import threading
import time
import uuid

from tests.bench import exceptions
from tests.bench import verify
from tests.lab.real import labapi


# What the lab's zun.conf gives a container that asks for nothing.
MEMORY = 32 << 20
CPU_SHARES = int(1024 * 0.1)

COMMAND = ['sleep', '100000']

# A load in which nothing has changed for so many seconds has ended.
STALL = 120


class LoadError(exceptions.BenchError):
    """A request was refused."""


class Raw:
    """Create and start at the engines of all hosts, without Zun.

    The settings are those that Zun gives the lab's containers, and each is
    inspected after its start, as a bulk does.

    :param in_flight: how many at a time, over all hosts together
    :param net: ``none``, or ``kuryr`` for Docker's network of the lab's
    """

    def __init__(self, in_flight, net):
        self.label = f'raw, {in_flight} in flight'
        self.size = in_flight
        self.network = 'none' if net == 'none' else os.environ['LAB_NETWORK']
        self.prefix = f'bench-{uuid.uuid4().hex[:8]}-'
        self.hosts = list(labapi.hosts().values())
        self.local = threading.local()
        self.names, self.reasons = set(), collections.Counter()

    def run(self, count):
        self.names = {f'{self.prefix}{n}' for n in range(count)}
        self.for_all(self.start_one, count)

    def for_all(self, function, count):
        with concurrent.futures.ThreadPoolExecutor(self.size) as pool:
            list(pool.map(function, range(count)))

    def call(self, number, method, path, body=None):
        """Call the engine of this container's host, on a kept connection."""
        host = self.hosts[number % len(self.hosts)]
        if not hasattr(self.local, 'engines'):
            self.local.engines = {}
        if host not in self.local.engines:
            self.local.engines[host] = labapi.Docker.of_host(host)
        status, answer = self.local.engines[host].call(method, path, body)
        if status >= 400:
            raise LoadError(f'{status} {answer}')

    def start_one(self, number):
        name = f'{self.prefix}{number}'
        body = {
            'Image': os.environ['LAB_IMAGE'],
            'Cmd': COMMAND,
            'Labels': {},
            'HostConfig': {
                'NetworkMode': self.network,
                'Memory': MEMORY,
                'CpuShares': CPU_SHARES,
            },
        }
        try:
            self.call(number, 'POST', f'/containers/create?name={name}', body)
            self.call(number, 'POST', f'/containers/{name}/start')
            self.call(number, 'GET', f'/containers/{name}/json')
        except (LoadError, OSError, http.client.HTTPException) as error:
            self.reasons[str(error)[:200]] += 1

    def clear(self):
        self.for_all(self.remove_one, len(self.names))
        verify.wait_until_gone(self.names)

    def remove_one(self, number):
        try:
            self.call(
                number,
                'DELETE',
                f'/containers/{self.prefix}{number}?force=true',
            )
        except LoadError:
            # It was never made.
            return


class Stock:
    """Single creates at Zun's API.

    :param clients: how many ask at a time
    """

    #: Statuses that a create ends in.
    SETTLED = ('Running', 'Error', 'Stopped')

    def __init__(self, clients):
        self.label = f'stock, {clients} client{"s" * (clients > 1)}'
        self.size = clients
        self.prefix = f'bench-{uuid.uuid4().hex[:8]}-'
        self.token = labapi.login()
        self.local = threading.local()
        self.names, self.reasons = set(), collections.Counter()

    def run(self, count):
        pool = concurrent.futures.ThreadPoolExecutor(self.size)
        answers = [pool.submit(self.create, n) for n in range(count)]
        watch = Stall()
        with labapi.database() as db:
            while True:
                # In this order: a row whose answer came is among the rows.
                answered = all(answer.done() for answer in answers)
                rows = self.rows(db)
                if answered and all(row[1] in self.SETTLED for row in rows):
                    break
                if answered and watch.stalled(sorted(rows)):
                    break
                time.sleep(0.2)
        pool.shutdown()
        self.names = {f'zun-{row[0]}' for row in rows}
        for _uuid, status, reason in rows:
            if status != 'Running':
                self.reasons[f'{status}: {reason}'[:200]] += 1

    def create(self, number):
        if not hasattr(self.local, 'zun'):
            self.local.zun = labapi.Zun(self.token)
        body = labapi.container_body(
            f'{self.prefix}{number}', os.environ['LAB_NETWORK'], COMMAND
        )
        try:
            code, answer = self.local.zun.request(
                'POST', '/containers/?run=true', body
            )
        except (OSError, http.client.HTTPException) as error:
            code, answer = type(error).__name__, error
        if code != 202:
            self.reasons[f'{code} {answer}'[:200]] += 1

    def rows(self, db):
        return labapi.rows(
            db,
            'SELECT uuid, status, status_reason FROM container '
            'WHERE name LIKE %s',
            f'{self.prefix}%',
        )

    def clear(self):
        zun, watch = labapi.Zun(self.token), Stall()
        with labapi.database() as db:
            while rows := self.rows(db):
                if watch.stalled(len(rows)):
                    raise exceptions.BenchError(
                        f'{len(rows)} containers would not go'
                    )
                for row in rows:
                    zun.request('DELETE', f'/containers/{row[0]}?force=true')
                time.sleep(2)
        try:
            verify.wait_until_gone(self.names, timeout=60.0)
        except exceptions.BenchError as error:
            # Its rows are gone; "lab leaks --clean" takes what it forgot.
            print(f'stock Zun: {error}', file=sys.stderr, flush=True)


class Bulk:
    """One POST /v1/bulks."""

    label = 'bulk'
    size = 1

    def __init__(self):
        self.zun = labapi.Zun()
        self.uuid, self.path = None, None
        self.names, self.reasons = set(), collections.Counter()

    def create(self, count):
        """POST the bulk; return the seconds until the answer came.

        :raises LoadError: if it is refused
        """
        name = f'bench-{uuid.uuid4().hex[:8]}'
        template = labapi.container_body(
            f'{name}-{{index}}', os.environ['LAB_NETWORK'], COMMAND
        )
        began = time.monotonic()
        status, answer = self.zun.request(
            'POST',
            '/bulks',
            {'name': name, 'count': count, 'template': template},
        )
        if status != 202:
            raise LoadError(f'{status} {answer}')
        self.uuid = answer['uuid']
        self.path = f'/bulks/{self.uuid}'
        return time.monotonic() - began

    def show(self):
        status, answer = self.zun.request('GET', self.path)
        if status != 200:
            raise LoadError(f'GET {self.path}: {status} {answer}')
        return answer

    def run(self, count):
        self.create(count)
        watch = Stall()
        while True:
            bulk = self.show()
            if bulk['status'] in ('ready', 'error'):
                break
            if watch.stalled(bulk['members']):
                break
            time.sleep(1)
        members = self.zun.members(self.uuid)
        self.names = {f"zun-{member['container_uuid']}" for member in members}
        for member in members:
            if member['state'] != 'running':
                self.reasons[
                    f"{member['state']}: {member['reason']}"[:200]
                ] += 1

    def clear(self):
        if self.path is None:
            return
        # The API may have been started again meanwhile.
        self.zun = labapi.Zun(self.zun.token)
        self.zun.request('DELETE', self.path)
        watch = Stall()
        while True:
            status, answer = self.zun.request('GET', self.path)
            if status == 404:
                break
            if status == 200 and watch.stalled(answer['members']):
                raise exceptions.BenchError('the bulk would not go')
            time.sleep(0.5)
        verify.wait_until_gone(self.names)


def warm_up():
    """Start and delete some containers on each host.

    As bringing the lab up does for stock Zun: the first use of Neutron,
    Placement and Keystone costs every process some logins and imports.
    """
    load = Bulk()
    load.run(2 * len(labapi.hosts()))
    load.clear()


class Stall:
    """Tells when what is watched has stood still for too long.

    :param seconds: how long that is
    :param clock: gives seconds
    """

    def __init__(self, seconds=STALL, clock=time.monotonic):
        self.seconds, self.clock = seconds, clock
        self.seen, self.since = None, clock()

    def stalled(self, value):
        if value != self.seen:
            self.seen, self.since = value, self.clock()
        return self.clock() - self.since > self.seconds
