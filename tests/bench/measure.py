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

"""Measuring one load: time, verification, CPU."""

import pathlib
import resource
import time

from tests.bench import lab
from tests.bench import report
from tests.bench import verify
from tests.lab.real import labapi


SHIM = 'containerd-shim'


def measure(load, kind, count, settle, pinned=None):
    """Run a load and clear up behind it.

    :param load: one of tests.bench.loads
    :param count: containers
    :param settle: seconds between the two looks of the verification
    :param pinned: the PinnedEngines in force, if any
    :returns: a report.Run
    """
    lab.wait_until_quiet()
    before, began = cpu_seconds(), time.time()
    load.run(count)
    told = time.time() - began
    found = verify.verify(load.names, settle)
    after = cpu_seconds(found.ids)
    if pinned:
        pinned.check(found.pids)
    load.clear()
    return report.Run(
        kind=kind,
        label=load.label,
        size=load.size,
        pinned=pinned is not None,
        count=count,
        seconds=found.last_start and found.last_start - began,
        told=told,
        hosts=dict(found.hosts),
        reasons=dict(load.reasons or found.reasons),
        cpu={
            name: round(seconds - before.get(name, 0), 2)
            for name, seconds in after.items()
        },
    )


def cpu_seconds(ids=()):
    """Return CPU seconds so far, by process of the lab.

    :param ids: Docker's ids of containers; what their shims used, with the
        runc that the shims ran and with the containers, is ``shims``
    """
    own = resource.getrusage(resource.RUSAGE_SELF)
    return {
        **labapi.cpu_by_process(),
        'shims': shim_seconds(set(ids)),
        'bench': own.ru_utime + own.ru_stime,
    }


def shim_seconds(ids):
    """Return CPU seconds of the shims of containers and of all below them.

    A shim's parent is init, so it is among no process of the lab.
    """
    parents, cpu = labapi.process_table()
    shims = {
        pid
        for pid, parent in parents.items()
        if parent == 1 and container_of(pid) in ids
    }
    return sum(
        cpu[pid] for pid in parents if pid in shims or parents[pid] in shims
    )


def container_of(pid):
    """Return Docker's id of the container that a process is the shim of."""
    try:
        words = pathlib.Path(f'/proc/{pid}/cmdline').read_text().split('\0')
    except OSError:
        return None
    if SHIM not in words[0] or '-id' not in words[:-1]:
        return None
    return words[words.index('-id') + 1]
