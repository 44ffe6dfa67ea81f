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

"""What the lab needs from the running OpenStack and from /proc.

The script ``lab`` starts it; tests and benchmarks import it. Everything it
must know is in the environment that ``lab env`` prints.
"""

import argparse
import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.parse

import openstack
import pymysql


WARM_UP_SECONDS = 120
PAGE = 1000
TICKS = os.sysconf('SC_CLK_TCK')
#: Users without the rights of an administrator. The password of each is its
#: name, and so is its project's.
MEMBERS = ('demo', 'other')


def hosts():
    """Return {number: host name}, the numbers as text."""
    return {
        number: f'host-{number}' for number in os.environ['LAB_HOSTS'].split()
    }


# ---------------------------------------------------------------- OpenStack


def database():
    """Connect to Zun's database, each statement in its own transaction."""
    url = urllib.parse.urlparse(os.environ['LAB_DB_URL'])
    return pymysql.connect(
        host=url.hostname,
        port=url.port,
        user=url.username,
        password=url.password,
        database=url.path.strip('/'),
        autocommit=True,
    )


def rows(db, statement, *arguments):
    with db.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchall()


def login(user=None, password=None, project=None):
    """Get a token, by default admin's in its project.

    :raises: RuntimeError when Keystone gives none.
    """
    env = os.environ
    url = urllib.parse.urlparse(env['OS_AUTH_URL'])
    body = {
        'auth': {
            'identity': {
                'methods': ['password'],
                'password': {
                    'user': {
                        'name': user or env['OS_USERNAME'],
                        'password': password or env['OS_PASSWORD'],
                        'domain': {'id': env['OS_USER_DOMAIN_ID']},
                    }
                },
            },
            'scope': {
                'project': {
                    'name': project or env['OS_PROJECT_NAME'],
                    'domain': {'id': env['OS_PROJECT_DOMAIN_ID']},
                }
            },
        }
    }
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connection.request(
        'POST',
        url.path + '/auth/tokens',
        json.dumps(body),
        {'Content-Type': 'application/json'},
    )
    response = connection.getresponse()
    if response.status != 201:
        raise RuntimeError(f'Keystone: {response.status} {response.read()}')
    return response.getheader('X-Subject-Token')


class Zun:
    """Zun's API over one connection, without a client library.

    A benchmark measures the server, not a client.
    """

    def __init__(self, token=None):
        self.token = token or login()
        url = urllib.parse.urlparse(os.environ['LAB_ZUN_URL'])
        self.prefix = url.path
        self.connection = http.client.HTTPConnection(
            url.hostname, url.port, timeout=300
        )

    def request(self, method, path, body=None, headers=None):
        """Send a request.

        :param headers: further headers; one that is None is left out.
        :returns: (status, answer); the answer is text where it is no JSON.
        :raises: OSError, http.client.HTTPException.
        """
        version = (
            'container-bulk 1.0'
            if path.startswith('/bulks')
            else 'container 1.40'
        )
        headers = {
            'X-Auth-Token': self.token,
            'Content-Type': 'application/json',
            'OpenStack-API-Version': version,
            **(headers or {}),
        }
        try:
            self.connection.request(
                method,
                self.prefix + path,
                json.dumps(body) if body else None,
                {
                    name: value
                    for name, value in headers.items()
                    if value is not None
                },
            )
            response = self.connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    def containers(self):
        return self.request('GET', f'/containers/?limit={PAGE}')[1][
            'containers'
        ]

    def members(self, bulk):
        """All members of a bulk, page by page.

        :param bulk: uuid or name.
        :raises: RuntimeError when the API refuses.
        """
        found, marker = [], ''
        while True:
            status, answer = self.request(
                'GET', f'/bulks/{bulk}/members?limit={PAGE}{marker}'
            )
            if status != 200:
                raise RuntimeError(f'members of {bulk}: {status} {answer}')
            found += answer['members']
            if not answer['next']:
                return found
            marker = f'&marker={found[-1]["index"]}'


def container_body(name, network, command=('sleep', '100000'), **more):
    """The body of POST /v1/containers for the lab's image."""
    body = {
        'name': name,
        'image': os.environ['LAB_IMAGE'],
        'image_driver': 'docker',
        'image_pull_policy': 'never',
        'command': list(command),
        **more,
    }
    if network:
        body['nets'] = [{'network': network}]
    return body


# ------------------------------------------------------------ Docker Engine


class Docker(http.client.HTTPConnection):
    """A connection to the Docker Engine at a unix:// address."""

    def __init__(self, address, timeout=300):
        super().__init__('docker', timeout=timeout)
        self.path = address.removeprefix('unix://')

    @classmethod
    def of_host(cls, name):
        """Connect to the engine of host-N."""
        number = name.removeprefix('host-')
        return cls(os.environ[f'LAB_DOCKER_{number}'])

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def raw(self, method, path, body=None):
        """Return (status, bytes)."""
        self.request(
            method,
            path,
            json.dumps(body) if body is not None else None,
            {'Content-Type': 'application/json'},
        )
        response = self.getresponse()
        return response.status, response.read()

    def call(self, method, path, body=None):
        """Return (status, answer)."""
        status, text = self.raw(method, path, body)
        return status, json.loads(text) if text else None

    def zun_names(self):
        """Names of the engine's containers that Zun has made."""
        _status, found = self.call('GET', '/containers/json?all=true')
        names = [
            name.lstrip('/')
            for container in found
            for name in container['Names']
        ]
        return [name for name in names if name.startswith('zun-')]

    def exec(self, name, command):
        """Run a command in a container.

        :returns: what it wrote to both outputs.
        """
        _status, made = self.call(
            'POST',
            f'/containers/{name}/exec',
            {
                'Cmd': command,
                'Tty': True,
                'AttachStdout': True,
                'AttachStderr': True,
            },
        )
        _status, text = self.raw(
            'POST', f'/exec/{made["Id"]}/start', {'Detach': False, 'Tty': True}
        )
        return text.decode()


def inspect_members(members):
    """Look at the container of each member at its host's Docker Engine.

    :param members: as the API gives them.
    :returns: ({container uuid: address or ''} of those that really run,
        [what is wrong with the others]).
    """
    engines, addresses, problems = {}, {}, []
    for member in members:
        what = f'member {member["index"]}, {member["state"]}'
        if not member['host']:
            problems.append(f'{what}: it has no host; {member["reason"]}')
            continue
        engine = engines.setdefault(
            member['host'], Docker.of_host(member['host'])
        )
        name = f'zun-{member["container_uuid"]}'
        status, found = engine.call('GET', f'/containers/{name}/json')
        state = found.get('State', found)
        # The engine's word is not enough: a container whose process has died
        # unseen is still Running to it.
        if (
            status == 200
            and state['Running']
            and member['state'] == 'running'
            and os.path.exists(f'/proc/{state["Pid"] or "none"}')
        ):
            networks = found['NetworkSettings']['Networks'].values()
            addresses[member['container_uuid']] = next(
                (network['IPAddress'] for network in networks), ''
            )
        else:
            problems.append(f'{what}: {status} {state}')
    return addresses, problems


def unreachable(members, addresses):
    """Ping each container from one on another host.

    :param addresses: {container uuid: address}.
    :returns: [addresses that did not answer]; all of them when the members
        are on one host only, for then nobody could ask.
    """
    by_host = collections.defaultdict(list)
    for member in members:
        by_host[member['host']].append(member['container_uuid'])
    silent = []
    for host, uuids in by_host.items():
        asked = [addresses[uuid] for uuid in uuids]
        other = next((name for name in sorted(by_host) if name != host), None)
        if other is None:
            return asked
        # The first packet may be lost while the switches learn.
        loop = (
            'for a in "$@"; do ping -c 1 -W 2 "$a" >/dev/null || '
            'ping -c 2 -W 2 "$a" >/dev/null || echo "silent $a"; done; '
            'echo asked $#'
        )
        text = Docker.of_host(other).exec(
            f'zun-{by_host[other][0]}', ['sh', '-c', loop, 'ping', *asked]
        )
        if f'asked {len(asked)}' not in text:
            raise RuntimeError(f'ping from {other}: {text}')
        silent += re.findall(r'silent (\S*)', text)
    return silent


# -------------------------------------------------------------------- /proc


def process_table():
    """Return ({pid: parent}, {pid: CPU seconds, ended children's too})."""
    parents, cpu = {}, {}
    for entry in pathlib.Path('/proc').iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / 'stat').read_text().rpartition(')')[2]
            except OSError:
                continue
            fields = fields.split()
            parents[int(entry.name)] = int(fields[1])
            cpu[int(entry.name)] = sum(map(int, fields[11:15])) / TICKS
    return parents, cpu


def trees(parents):
    """Return {name of a lab process: set of pids, its descendants' too}."""
    children = collections.defaultdict(list)
    for pid, parent in parents.items():
        children[parent].append(pid)
    found = {}
    for file in sorted(pathlib.Path(os.environ['LAB_RUN']).glob('*.pid')):
        todo, tree = [int(file.read_text().split()[0])], set()
        while todo:
            pid = todo.pop()
            if pid in parents:
                tree.add(pid)
                todo += children[pid]
        found[file.stem] = tree
    return found


def machine_cpu():
    """CPU seconds that the whole machine was busy since it started."""
    fields = pathlib.Path('/proc/stat').read_text().split('\n')[0].split()
    user, nice, system, _idle, _iowait, *rest = map(int, fields[1:])
    return sum((user, nice, system, *rest)) / TICKS


def cpu_by_process():
    """CPU seconds so far by lab process.

    "machine" is everything: container shims belong to no lab process.
    """
    parents, cpu = process_table()
    used = {
        name: sum(cpu[pid] for pid in tree)
        for name, tree in trees(parents).items()
    }
    return {**used, 'machine': machine_cpu()}


def pss_mib(pid):
    """Proportional set size: a shared page counts by its share.

    So the sum over processes is what they really take.
    """
    try:
        text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    except OSError:
        return 0.0
    found = re.search(r'^Pss:\s+(\d+)', text, re.M)
    return int(found[1]) / 1024 if found else 0.0


def listening_ports():
    """Return {pid: set of TCP ports}."""
    ports = collections.defaultdict(set)
    listing = subprocess.run(['ss', '-Hltnp'], capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        for pid in re.findall(r'pid=(\d+)', line):
            ports[int(pid)].add(int(line.split()[3].rpartition(':')[2]))
    return ports


# -------------------------------------------------------------------- verbs


def status(_args):
    """Print each process with its pid, memory and ports."""
    parents, _cpu = process_table()
    ports, total = listening_ports(), 0
    print(f'{"process":18} {"pid":>7} {"procs":>5} {"PSS MiB":>8}  ports')
    for name, tree in trees(parents).items():
        file = pathlib.Path(os.environ['LAB_RUN'], name + '.pid')
        pid = int(file.read_text().split()[0])
        memory = sum(map(pss_mib, tree))
        total += memory
        listening = sorted(set().union(*(ports[member] for member in tree)))
        print(
            f'{name:18} {pid:7} {len(tree) or "ENDED":>5} {memory:8.0f}  '
            f'{" ".join(map(str, listening))}'
        )
    print(f'{"sum":32} {total:8.0f}')


def catalog(args):
    """Make the services, their endpoints and their users, and the MEMBERS."""
    identity = openstack.connect().identity
    for name in ('placement', 'neutron', 'zun', 'kuryr'):
        make_user(identity, name, 'lab', 'service', ('admin', 'service'))
    for name in MEMBERS:
        make_user(identity, name, name, name, ('member',))
    for kind, url in (pair.split('=', 1) for pair in args.service):
        if identity.find_service(kind):
            continue
        service = identity.create_service(name=kind, type=kind)
        for interface in ('public', 'internal', 'admin'):
            identity.create_endpoint(
                service_id=service.id,
                interface=interface,
                url=url,
                region_id='RegionOne',
            )


def make_user(identity, name, password, project, roles):
    found = identity.find_project(project) or identity.create_project(
        name=project, domain_id='default'
    )
    user = identity.find_user(name) or identity.create_user(
        name=name, password=password, domain_id='default'
    )
    for role in roles:
        identity.assign_project_role_to_user(
            found, user, identity.find_role(role)
        )


def network(_args):
    """Make the network "lab", of all projects, and print its id.

    kuryr wants a subnet pool of its name too.
    """
    neutron = openstack.connect().network
    found = neutron.find_network('lab') or neutron.create_network(
        name='lab', is_shared=True
    )
    if not neutron.find_subnet('lab'):
        neutron.create_subnet(
            name='lab',
            network_id=found.id,
            ip_version=4,
            cidr='10.77.0.0/16',
            enable_dhcp=False,
        )
    if not neutron.find_subnet_pool('kuryr'):
        neutron.create_subnet_pool(
            name='kuryr', prefixes=['10.200.0.0/16'], default_prefixlen=24
        )
    print(found.id)


def router(_args):
    """Make the network "public", a router from it to "lab"; print its id.

    The machine at the gateway's address is the lab's network namespace.
    """
    neutron = openstack.connect().network
    outside = neutron.find_network('public') or neutron.create_network(
        name='public',
        is_router_external=True,
        provider_network_type='flat',
        provider_physical_network='physnet1',
    )
    if not neutron.find_subnet('public'):
        neutron.create_subnet(
            name='public',
            network_id=outside.id,
            ip_version=4,
            cidr='198.18.0.0/16',
            gateway_ip='198.18.0.1',
            enable_dhcp=False,
        )
    found = neutron.find_router('lab')
    if not found:
        found = neutron.create_router(
            name='lab', external_gateway_info={'network_id': outside.id}
        )
        neutron.add_interface_to_router(
            found, subnet_id=neutron.find_subnet('lab').id
        )
    print(found.id)


def ready(args):
    """Wait until each host has a zun-compute, a provider and an agent."""
    cloud, wanted = openstack.connect(), set(hosts().values())
    deadline = time.monotonic() + WARM_UP_SECONDS
    while True:
        missing = {
            'provider': wanted
            - {
                provider.name
                for provider in cloud.placement.resource_providers()
            },
            'zun-compute': wanted - computes_seen(args.since),
        }
        if os.environ['LAB_NET'] == 'kuryr':
            missing['agent'] = wanted - {
                agent.host
                for agent in cloud.network.agents()
                if agent.is_alive
            }
        if not any(missing.values()):
            return
        if time.monotonic() > deadline:
            sys.exit(f'lab: not ready: {missing}')
        time.sleep(0.3)


def computes_seen(since):
    """Hosts whose zun-compute has shown life since then.

    :param since: UTC as 2026-01-31T23:59:59. Without it one that has ended a
        minute ago would still count as up.
    """
    try:
        services = Zun().request('GET', '/services')[1]['services']
    except (OSError, http.client.HTTPException, TypeError, KeyError):
        return set()
    return {
        service['host']
        for service in services
        if service['state'] == 'up'
        and (service['last_seen_up'] or '').replace(' ', 'T')[:19] >= since
    }


def warm(_args):
    """Run one container on each host and delete it again.

    The first container of a network makes what its network lacks: Docker's
    network on its host, and kuryr's subnet pool in Neutron. Two at a time
    fail in stock Zun, even on different hosts. With no kuryr there is nothing
    to make.
    """
    token = login()
    workers = 1 if os.environ['LAB_NET'] == 'kuryr' else None
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        problems = list(
            filter(
                None,
                pool.map(
                    lambda host: warm_host(host, token), hosts().values()
                ),
            )
        )
    if problems:
        sys.exit('lab: ' + '\n'.join(problems))


def warm_host(host, token):
    """Return what went wrong, or None."""
    zun = Zun(token)
    code, container = zun.request(
        'POST',
        '/containers/?run=true',
        container_body(f'warm-{host}', os.environ['LAB_NETWORK'], host=host),
    )
    if code != 202:
        return f'{host}: {code} {container}'
    path = '/containers/' + container['uuid']
    deadline = time.monotonic() + WARM_UP_SECONDS
    while (
        container['status'] not in ('Running', 'Error')
        and time.monotonic() < deadline
    ):
        time.sleep(0.2)
        container = zun.request('GET', path)[1]
    zun.request('DELETE', path + '?force=true')
    while zun.request('GET', path)[0] == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    if container['status'] == 'Running':
        return None
    return f'{host}: {container["status"]} {container["status_reason"]}'


def verify(args):
    """Look at each container of a bulk at its Docker Engine; say how many."""
    members = Zun().members(args.bulk)
    addresses, problems = inspect_members(members)
    taken = time.time() - args.since if args.since else None
    if args.ping and not problems:
        problems += [
            f'{address} does not answer a ping'
            for address in unreachable(members, addresses)
        ]
    for problem in problems:
        print(f'lab: {problem}')
    used = {member['host'] for member in members if member['host']}
    engine = Docker.of_host(hosts().popitem()[1]).call('GET', '/version')[1]
    print(
        f'lab: {len(addresses)} of {len(members)} containers running and '
        f'verified on {len(used)} hosts'
        f'{f" in {taken:.1f} s" if taken else ""} '
        f'(engine: docker {engine["Version"]})'
    )
    if problems or not members:
        sys.exit(1)


def clear(_args):
    """Delete every Zun container.

    Ask again every ten seconds for those that refuse while they are made.
    """
    zun, started = Zun(), time.monotonic()
    for second in range(300):
        left = zun.containers()
        if not left:
            taken = time.monotonic() - started
            print(f'no containers left after {taken:.1f} s')
            return
        if second % 10 == 0:
            for container in left:
                zun.request(
                    'DELETE', f'/containers/{container["uuid"]}?force=true'
                )
        time.sleep(1)
    sys.exit(
        f'lab: {len(left)} containers would not go: '
        + ', '.join(
            f'{container["uuid"]} {container["status"]}'
            for container in left[:5]
        )
    )


Leaks = collections.namedtuple('Leaks', 'ports claims strays rows')


def find_leaks(cloud, db, empty=False):
    """Find what belongs to no container in Zun's database.

    :param empty: whether there should be no container and no bulk at all.
    :returns: Leaks of Neutron ports, Placement's consumers, (host, name) of
        Docker containers, and [(table, number of rows)].
    """
    owner = dict(rows(db, 'select uuid, host from container'))
    ports = [
        port
        for port in cloud.network.ports()
        if not (port.device_owner or '').startswith('network:')
        and port.device_id not in owner
    ]
    claims = [
        consumer
        for provider in cloud.placement.resource_providers()
        for consumer in claims_on(cloud, provider)
        if consumer not in owner
    ]
    strays = [
        (host, name)
        for host in hosts().values()
        for name in Docker.of_host(host).zun_names()
        if owner.get(name.removeprefix('zun-')) != host
    ]
    return Leaks(ports, claims, strays, leaked_rows(db, empty))


def leaked_rows(db, empty):
    counts = {}
    if rows(db, "show tables like 'zun_bulk_member'"):
        counts['zun_bulk_member'] = (
            'select count(*) from zun_bulk_member where bulk_id not in '
            '(select id from zun_bulk_bulk)'
        )
        if empty:
            counts['zun_bulk_member'] = 'select count(*) from zun_bulk_member'
            counts['zun_bulk_bulk'] = 'select count(*) from zun_bulk_bulk'
    if empty:
        counts['container'] = 'select count(*) from container'
    found = [
        (table, rows(db, statement)[0][0])
        for table, statement in counts.items()
    ]
    return [(table, number) for table, number in found if number]


def claims_on(cloud, provider):
    return cloud.placement.get(
        f'/resource_providers/{provider.id}/allocations'
    ).json()['allocations']


def leaks(args):
    """Print what belongs to no container; exit with 1 if there is any."""
    cloud, db = openstack.connect(), database()
    found = find_leaks(cloud, db, args.empty)
    for port in found.ports:
        print(
            f'port {port.id} of {port.device_owner or "nobody"} '
            f'{port.device_id}, since {port.created_at}'
        )
    for consumer in found.claims:
        print(f'allocation {consumer}')
    for host, name in found.strays:
        print(f'docker container {name} on {host}')
    print(
        f'leaked: {len(found.ports)} ports, {len(found.claims)} '
        f'allocations, {len(found.strays)} docker containers, '
        f'{sum(number for _table, number in found.rows)} rows '
        f'{dict(found.rows) or ""}'
    )
    if args.clean:
        for host, name in found.strays:
            Docker.of_host(host).call(
                'DELETE', f'/containers/{name}?force=true'
            )
        for port in found.ports:
            cloud.network.delete_port(port)
        for consumer in found.claims:
            cloud.placement.delete(f'/allocations/{consumer}')
    elif any(found):
        sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)
    for verb in (
        status,
        catalog,
        network,
        router,
        ready,
        warm,
        verify,
        clear,
        leaks,
    ):
        verbs.add_parser(verb.__name__, help=verb.__doc__).set_defaults(
            verb=verb
        )
    verbs.choices['catalog'].add_argument(
        'service', nargs='*', help='type=url'
    )
    verbs.choices['ready'].add_argument(
        'since', help='UTC, 2026-01-31T23:59:59'
    )
    verbs.choices['verify'].add_argument('bulk', help='uuid or name')
    verbs.choices['verify'].add_argument(
        '--ping',
        action='store_true',
        help='each container from one on another host, too',
    )
    verbs.choices['verify'].add_argument(
        '--since', type=float, help='when it began, in seconds since 1970'
    )
    verbs.choices['leaks'].add_argument(
        '--clean', action='store_true', help='delete them'
    )
    verbs.choices['leaks'].add_argument(
        '--empty',
        action='store_true',
        help='no container and no bulk may be left',
    )
    args = parser.parse_args()
    args.verb(args)


if __name__ == '__main__':
    main()
