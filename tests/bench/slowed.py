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

"""The adaptive pacer on a Docker Engine that is slowed for a while.

Creates and starts containers at a real engine, takes three quarters of the
CPUs from it, by a quota, and gives them back. ``down_after_s`` is when the
limit first fell, ``back_after_s`` when ten seconds at 90 % of the rate of the
beginning began, ``ratio`` the rate of the end over that of the beginning.
With each that is started an older one is removed, as an engine that has more
containers is slower by itself.
"""

import json
import os
import pathlib
import random
import sys
import threading
import time

from tests.bench import exceptions
from tests.bench import lab
from tests.bench import sweep
from tests.lab.real import labapi
from zun_bulk.pacing.adaptive import AdaptiveLimit
from zun_bulk.pacing.pacer import Pacer


CGROUPS = pathlib.Path('/sys/fs/cgroup')
GROUP = 'zun-bulk-bench-slowed'
PERIOD = 100000
#: More than any engine starts in that time.
COUNT = 100000
#: Containers that the engine has.
STEADY = 40
#: Seconds over which a rate is that of the engine, not of a few starts.
SPAN = 10
#: Part of the rate of the beginning at which it is back.
BACK = 0.9


class Quota:
    """Context in which some processes can be given less CPU.

    :param pids: whose. Their children follow them.
    """

    def __init__(self, pids):
        self.pids = pids
        self.unified = (CGROUPS / 'cgroup.controllers').exists()
        self.root = CGROUPS if self.unified else CGROUPS / 'cpu'
        self.group = self.root / GROUP

    def __enter__(self):
        if not (self.root / 'cgroup.procs').exists():
            raise exceptions.BenchError(f'no cpu controller at {self.root}')
        if self.unified:
            (self.root / 'cgroup.subtree_control').write_text('+cpu')
        self.group.mkdir(exist_ok=True)
        self.move(self.pids, self.group)
        return self

    def __exit__(self, *_exception):
        text = (self.group / 'cgroup.procs').read_text()
        self.move([int(word) for word in text.split()], self.root)
        self.group.rmdir()

    @staticmethod
    def move(pids, group):
        for pid in pids:
            try:
                (group / 'cgroup.procs').write_text(str(pid))
            except ProcessLookupError:
                # It has ended meanwhile.
                continue

    def give(self, cpus):
        """Limit the CPUs of the group.

        :param cpus: how many, or a fraction of one; None for all.
        """
        quota = None if cpus is None else int(cpus * PERIOD)
        if self.unified:
            text = f'{"max" if quota is None else quota} {PERIOD}'
            (self.group / 'cpu.max').write_text(text)
        else:
            (self.group / 'cpu.cfs_period_us').write_text(str(PERIOD))
            (self.group / 'cpu.cfs_quota_us').write_text(
                str(-1 if quota is None else quota)
            )


class Watch:
    """Samples of what a load has done, one a second.

    :param load: a sweep.Paced.
    """

    def __init__(self, load):
        self.load = load
        self.began = time.monotonic()
        #: [(seconds, started, limit)]
        self.samples = []

    def watch(self, seconds):
        """Take samples for so long; return when they began."""
        began = time.monotonic() - self.began
        while time.monotonic() - self.began < began + seconds:
            now = time.monotonic() - self.began
            self.samples.append(
                (now, self.load.started, self.load.pacer.limit)
            )
            print(
                '%6.1f s  %5d started  limit %d' % self.samples[-1],
                file=sys.stderr,
                flush=True,
            )
            time.sleep(1)
        return began

    def rate(self, since, until):
        """Starts a second between two times."""
        within = [one for one in self.samples if since <= one[0] <= until]
        return (within[-1][1] - within[0][1]) / (within[-1][0] - within[0][0])

    def limit_at(self, when):
        return [limit for now, _done, limit in self.samples if now <= when][-1]

    def back_after(self, since, rate):
        """Seconds after ``since`` until SPAN began at the rate, or None."""
        end = self.samples[-1][0]
        return next(
            (
                round(now - since, 1)
                for now, _done, _limit in self.samples
                if since <= now <= end - SPAN
                and self.rate(now, now + SPAN) >= rate
            ),
            None,
        )

    def below_after(self, since, limit):
        """Seconds after ``since`` until the limit was less; None if never."""
        return next(
            (
                round(now - since, 1)
                for now, _done, seen in self.samples
                if now > since and seen < limit
            ),
            None,
        )


def add_arguments(parser):
    parser.add_argument(
        '--part',
        type=float,
        default=0.25,
        help="part of the machine's CPUs that is left (%(default)s)",
    )
    for name, default, text in (
        ('before', 25, 'before it is slowed'),
        ('slowed', 30, 'while it is'),
        ('after', 60, 'afterwards'),
    ):
        parser.add_argument(
            '--' + name,
            type=float,
            default=default,
            metavar='S',
            help=f'seconds {text} (%(default)s)',
        )
    lab.add_small_lab_arguments(parser)


def measure(args, address, image, pids):
    """Return the figures of the line of JSON."""
    engine = sweep.Engine(address, image)
    limit = AdaptiveLimit(sweep.HIGHEST)

    def turn_over(number):
        engine.start(number)
        if number >= STEADY:
            engine.remove(number - STEADY)

    load = sweep.Paced(Pacer(limit, random.Random(0)), turn_over)
    worker = threading.Thread(target=load.run, args=(COUNT,))
    with Quota(pids) as quota:
        watch = Watch(load)
        worker.start()
        try:
            watch.watch(args.before)
            quota.give(args.part * os.cpu_count())
            slowed = watch.watch(args.slowed)
            quota.give(None)
            released = watch.watch(args.after)
        finally:
            quota.give(None)
            load.stop()
            worker.join()
            engine.clear(load.begun)
    end = released + args.after
    before = watch.rate(slowed / 2, slowed)
    after = watch.rate(end - args.after / 2, end)
    return {
        'limit_before': watch.limit_at(slowed),
        'limit_slowed': watch.limit_at(released),
        'limit_after': watch.limit_at(end),
        'down_after_s': watch.below_after(slowed, watch.limit_at(slowed)),
        'before_per_s': round(before, 2),
        'slowed_per_s': round(watch.rate(slowed, released), 2),
        'after_per_s': round(after, 2),
        'ratio': round(after / before, 3),
        'back_after_s': watch.back_after(released, BACK * before),
        'retried': load.retried,
        'failed': load.failed,
    }


def run(args):
    """Return 0 if no container failed for good."""
    with lab.fresh(args, stock=True):
        (number,) = labapi.hosts()
        parents, _cpu = labapi.process_table()
        values = measure(
            args,
            os.environ[f'LAB_DOCKER_{number}'],
            os.environ['LAB_IMAGE'],
            labapi.trees(parents)[f'dockerd-{number}'],
        )
    print()
    print(json.dumps({'bench': 'slowed', **values}))
    return 1 if values['failed'] else 0
