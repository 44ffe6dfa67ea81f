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

"""The adaptive pacer beside fixed limits, on one real Docker Engine.

Creates and starts containers at the engine itself, without Zun, under each
of some fixed limits and under the adaptive one; ``ratio`` is the starts a
second of the latter over those of the best fixed limit. The runs are made in
random order, as an engine's pace drifts.
"""

import collections
import concurrent.futures
import http.client
import json
import os
import random
import sys
import threading
import time

from tests.bench import e2e
from tests.bench import exceptions
from tests.bench import lab
from tests.bench import loads
from tests.lab.real import labapi
from zun_bulk.pacing import failures
from zun_bulk.pacing.adaptive import AdaptiveLimit
from zun_bulk.pacing.adaptive import FixedLimit
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.pacer import Pacer


#: The adaptive limit's own limit; also the number of threads.
HIGHEST = 32

#: Tries of a container before it is given up.
TRIES = 5

#: kind: ``fixed`` or ``adaptive``; limit: the fixed one, or the last of the
#: adaptive one; seconds: from the first request to the last answer; started:
#: how many; retried: how many tries failed; failed: how many were given up.
Run = collections.namedtuple(
    'Run', 'kind limit seconds started retried failed'
)


def per_second(run):
    return run.started / run.seconds if run.seconds else 0.0


def add_arguments(parser):
    parser.add_argument(
        '--count', type=int, default=200, help='containers a run (%(default)s)'
    )
    parser.add_argument(
        '--fixed',
        type=e2e.numbers,
        default=[1, 2, 4, 8, 16],
        metavar='N,N,…',
        help='fixed limits (1,2,4,8,16)',
    )
    parser.add_argument(
        '--repeat',
        type=int,
        default=1,
        metavar='N',
        help='runs of each, of which the mean counts (%(default)s)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='of the order of the runs (%(default)s)',
    )
    parser.add_argument(
        '--image', help='what to start (that of the lab, or busybox)'
    )
    parser.add_argument(
        '--host-only',
        action='store_true',
        help='use the engine at DOCKER_HOST, a unix:// address, and no lab',
    )
    lab.add_small_lab_arguments(parser)


def order(limits, repeat, seed):
    """The limits in the order of their runs; None is the adaptive one.

    Each is run once before any is run again, so that drift does not favour
    one of them.
    """
    rng, ordered = random.Random(seed), []
    for _ in range(repeat):
        each = [*limits, None]
        rng.shuffle(each)
        ordered += each
    return ordered


class Paced:
    """Does work in as many threads as a pacer allows.

    :param paced: Pacer.
    :param work: function of a number, which raises if it fails.
    :param threads: the most at the same time, whatever the pacer says.
    """

    def __init__(self, paced, work, threads=HIGHEST):
        self.pacer, self.work, self.threads = paced, work, threads
        self.begun, self.started, self.retried, self.failed = 0, 0, 0, 0
        self.reasons = collections.Counter()
        self._tries = collections.Counter()
        self._changed = threading.Condition()

    def run(self, count):
        """Do the work for 0 to count - 1; return how many seconds it took."""
        with self._changed:
            self._waiting = collections.deque(range(count))
            self._left = count
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
            with self._changed:
                while self._left:
                    self._changed.wait(self._submit(pool))
        return time.monotonic() - began

    def stop(self):
        """Begin no more of it."""
        with self._changed:
            self._left -= len(self._waiting)
            self._waiting.clear()
            self._changed.notify()

    def _submit(self, pool):
        """Start what may start; return after how long there may be more."""
        now = time.monotonic()
        while self._waiting and self.pacer.available(now):
            if self.pacer.in_flight >= self.threads:
                return None
            number = self._waiting.popleft()
            self.begun = max(self.begun, number + 1)
            self.pacer.started(number, now)
            pool.submit(self._do, number)
        return self.pacer.wait(now) if self._waiting else None

    def _do(self, number):
        reason = None
        try:
            self.work(number)
        except Exception as error:
            reason = str(error) or type(error).__name__
        with self._changed:
            self._ended(number, reason)
            self._changed.notify()

    def _ended(self, number, reason):
        outcome, again = Outcome.DONE, False
        if reason is None:
            self.started += 1
        else:
            failure = failures.classify(reason)
            outcome = failure.outcome
            self._tries[number] += 1
            again = failure.retried and self._tries[number] < TRIES
            self.reasons[reason[:200]] += 1
        self.pacer.finished(number, time.monotonic(), outcome)
        if again:
            self.retried += 1
            self._waiting.append(number)
            return
        self.failed += reason is not None
        self._left -= 1


class Engine:
    """Containers of one run at one Docker Engine.

    :param address: of the engine, unix://…
    :param image: what to start.
    """

    def __init__(self, address, image):
        self.address, self.image = address, image
        self.prefix = f'sweep-{random.randrange(1 << 32):08x}-'
        self.local = threading.local()

    def call(self, method, path, body=None):
        """Call the engine on this thread's connection.

        :returns: (status, answer).
        """
        if not hasattr(self.local, 'engine'):
            self.local.engine = labapi.Docker(self.address)
        try:
            return self.local.engine.call(method, path, body)
        except (OSError, http.client.HTTPException):
            # Nobody knows what state the connection is in.
            self.local.engine.close()
            del self.local.engine
            raise

    def start(self, number):
        """Create and start a container, which may be there from a try before.

        :raises LoadError: with what the engine said
        """
        name = f'{self.prefix}{number}'
        body = {
            'Image': self.image,
            'Cmd': loads.COMMAND,
            'HostConfig': {
                'NetworkMode': 'none',
                'Memory': loads.MEMORY,
                'CpuShares': loads.CPU_SHARES,
            },
        }
        for path, also, content in (
            (f'/containers/create?name={name}', 409, body),
            (f'/containers/{name}/start', 304, None),
        ):
            status, answer = self.call('POST', path, content)
            if status >= 300 and status != also:
                raise loads.LoadError(f'{status} {answer}')

    def remove(self, number):
        """Delete a container; 404 is one that was not made.

        :raises BenchError: if it stays
        """
        status, answer = self.call(
            'DELETE', f'/containers/{self.prefix}{number}?force=true'
        )
        if status >= 300 and status != 404:
            raise exceptions.BenchError(f'{status} {answer}')

    def clear(self, count):
        """Delete the containers, two at a time.

        :raises BenchError: if one stays
        """
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(self.remove, range(count)))


def measure(limit, address, image, count):
    """Make and delete containers under a limit.

    :param limit: the fixed one; None for the adaptive one.
    :returns: Run.
    """
    kind = 'adaptive' if limit is None else 'fixed'
    chosen = AdaptiveLimit(HIGHEST) if limit is None else FixedLimit(limit)
    engine = Engine(address, image)
    load = Paced(Pacer(chosen, random.Random(0)), engine.start)
    try:
        seconds = load.run(count)
    finally:
        engine.clear(count)
    for reason, times in load.reasons.most_common():
        print(f'{kind}: {times} times {reason}', file=sys.stderr)
    return Run(
        kind, chosen.limit, seconds, load.started, load.retried, load.failed
    )


def means(runs):
    """Return {fixed limit, or None for the adaptive one: starts per second}.

    It is the starts of all of its runs over their seconds.
    """
    sums = collections.defaultdict(lambda: [0, 0.0])
    for run in runs:
        total = sums[None if run.kind == 'adaptive' else run.limit]
        total[0] += run.started
        total[1] += run.seconds
    return {
        limit: started / seconds if seconds else 0.0
        for limit, (started, seconds) in sums.items()
    }


def summary(runs):
    """Return the figures of the runs for the line of JSON."""
    rates = means(runs)
    adaptive = rates.pop(None, 0.0)
    best = max(rates, key=rates.get)
    return {
        'best_fixed_limit': best,
        'best_fixed_per_s': round(rates[best], 2),
        'adaptive_per_s': round(adaptive, 2),
        'ratio': round(adaptive / rates[best], 3) if rates[best] else None,
        'failed': sum(run.failed for run in runs),
    }


def table(runs):
    """Return lines for people, in the order of the runs."""
    return [
        '%-10s %5s %8s %10s %8s %7s'
        % ('run', 'limit', 'seconds', 'per second', 'retried', 'failed')
    ] + [
        '%-10s %5d %8.1f %10.2f %8d %7d'
        % (
            run.kind,
            run.limit,
            run.seconds,
            per_second(run),
            run.retried,
            run.failed,
        )
        for run in runs
    ]


def sweep(args, address, image):
    # The first use of an image and of a connection costs more.
    measure(2, address, image, 4)
    runs = []
    for limit in order(args.fixed, args.repeat, args.seed):
        lab.wait_until_quiet()
        runs.append(measure(limit, address, image, args.count))
        print(table(runs[-1:])[1], file=sys.stderr, flush=True)
    return runs


def run(args):
    """Return 0 if no container failed for good."""
    if max(args.fixed) > HIGHEST:
        raise exceptions.BenchError(f'no limit above {HIGHEST}')
    if args.host_only:
        address = os.environ.get('DOCKER_HOST', 'unix:///var/run/docker.sock')
        if not address.startswith('unix://'):
            raise exceptions.BenchError('DOCKER_HOST is no unix:// address')
        runs = sweep(args, address, args.image or 'busybox')
    else:
        with lab.fresh(args, stock=True):
            (number,) = labapi.hosts()
            runs = sweep(
                args,
                os.environ[f'LAB_DOCKER_{number}'],
                args.image or os.environ['LAB_IMAGE'],
            )
    print('\n'.join(table(runs)))
    print()
    values = {
        'bench': 'sweep',
        'count': args.count,
        'repeat': args.repeat,
        'seed': args.seed,
        **summary(runs),
    }
    print(json.dumps(values))
    return 1 if values['failed'] else 0
