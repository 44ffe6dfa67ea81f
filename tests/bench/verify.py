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

"""What counts as a running container, by the same rule for every load.

A container is verified when Docker reports it as running, its process is
alive, and after the settle time it is still running since the same moment.
That wait is the same for all loads and not part of any rate: the clock of a
run stops at the start of the last verified container, as the engine recorded
it.
"""

import collections
import datetime
import os
import shlex
import time

from oslo_config import cfg

from tests.bench import exceptions
from tests.lab.real import labapi
from zun_bulk.conf import bulk


def settle_time():
    """Return the settle time in seconds that the lab is configured with."""
    flags = shlex.split(os.environ.get('LAB_ZUN_FLAGS', ''))
    conf = cfg.ConfigOpts()
    bulk.register_opts(conf)
    conf(
        args=[],
        project='zun-bulk-bench',
        default_config_files=[
            word for word in flags if word != '--config-file'
        ],
    )
    return conf.zun_bulk.settle_time


def parse_time(text):
    """Return seconds since the epoch of one of Docker's time stamps."""
    # Docker gives nanoseconds and leaves out zeros at the end.
    seconds, _dot, fraction = text.removesuffix('Z').partition('.')
    moment = datetime.datetime.fromisoformat(seconds)
    moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp() + float(f'0.{fraction or 0}')


def is_alive(pid):
    """Return whether a process exists and is more than a zombie."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def judge(first, second, alive=is_alive):
    """Return why a container is not verified, or None.

    :param first: Docker's ``State`` of it before the settle time, or None
    :param second: the same after it
    :param alive: function that returns whether a process is alive
    """
    if first is None or second is None:
        return 'there is no such container'
    if not (first['Running'] and second['Running']):
        return (
            f"{second['Status']}, exit code {second['ExitCode']} "
            f"{second['Error']}"
        ).rstrip()
    if first['StartedAt'] != second['StartedAt']:
        return 'restarted within the settle time'
    if not second['Pid'] or not alive(second['Pid']):
        return 'running without a live process'
    return None


class Look:
    """The containers of a run as the engines see them at one time.

    :ivar states: Docker's ``State`` by container name
    :ivar ids: Docker's id by container name
    :ivar hosts: list of the hosts that have it, by container name
    """

    def __init__(self, names):
        self.states, self.ids = {}, {}
        self.hosts = collections.defaultdict(list)
        for host in labapi.hosts().values():
            engine = labapi.Docker.of_host(host)
            for name in names & container_names(engine):
                status, found = engine.call('GET', f'/containers/{name}/json')
                if status == 200:
                    self.hosts[name].append(host)
                    self.states[name] = found['State']
                    self.ids[name] = found['Id']


class Verified:
    """What has become of a run's containers.

    :ivar last_start: seconds since the epoch, None if there is none
    :ivar hosts: how many are verified, by host
    :ivar reasons: how many are not, by reason
    :ivar pids: the verified containers' first processes
    :ivar ids: Docker's ids of them
    """

    def __init__(self, first, second, names, alive=is_alive):
        self.hosts, self.reasons = collections.Counter(), collections.Counter()
        self.pids, self.ids, starts = [], [], []
        for name in sorted(names):
            state = second.states.get(name)
            reason = judge(first.states.get(name), state, alive)
            if not reason and len(second.hosts[name]) > 1:
                reason = 'on more than one host'
            if reason:
                self.reasons[reason] += 1
                continue
            self.hosts[second.hosts[name][0]] += 1
            self.pids.append(state['Pid'])
            self.ids.append(second.ids[name])
            starts.append(parse_time(state['StartedAt']))
        self.last_start = max(starts, default=None)


def verify(names, settle):
    """Look, wait for the settle time in seconds, look again."""
    first = Look(names)
    time.sleep(settle)
    return Verified(first, Look(names), names)


def container_names(engine):
    _status, found = engine.call('GET', '/containers/json?all=true')
    return {name.lstrip('/') for item in found for name in item['Names']}


def wait_until_gone(names, timeout=300.0):
    """Wait until no engine has any of these containers.

    :raises BenchError: when some are left after so many seconds
    """
    deadline = time.monotonic() + timeout
    while True:
        left = {
            name
            for host in labapi.hosts().values()
            for name in names & container_names(labapi.Docker.of_host(host))
        }
        if not left:
            return
        if time.monotonic() > deadline:
            raise exceptions.BenchError(f'{len(left)} containers would not go')
        time.sleep(0.5)
