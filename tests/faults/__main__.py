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

"""Random faults, on the embedded lab or the real one.

    tox -e faults -- --seed 1 --runs 200 --jobs 2

Each run creates a bulk, and some delete, cancel or scale it halfway. Meanwhile
a fault happens (see ``kinds``). By default a process dies before or after one
of its effects (see ``points``) and is started again. In the end, everything
must be as requested, and nothing else may have been changed. The seed decides
which fault happens where; among several points at the same place, the order of
the threads decides.
"""

import argparse
import collections
from concurrent import futures
import functools
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

from tests.faults import history
from tests.faults import kinds
from tests.faults import labs
from tests.faults import points
from tests.lab.embedded import lab as embedded


SITE = pathlib.Path(__file__).parent / 'site'
#: Seconds within which a bulk must be as requested.
PATIENCE = 300
#: Seconds within which all leftovers must be gone.
ORPHANS = 60
#: Seconds between two checks.
INTERVAL = 0.2
SCENARIOS = ('build', 'delete', 'cancel', 'grow', 'shrink')


class Harness:
    """One lab, on which runs take place one after the other."""

    def __init__(self, root, kind, count):
        """Prepare a lab; entering the context starts it.

        :param root: a folder of its own.
        :param kind: the class of its lab.
        :param count: containers of a bulk.
        """
        self.root = pathlib.Path(root)
        self.count = count
        self.order = self.root / 'order.json'
        os.environ[points.VARIABLE] = str(self.order)
        os.environ['PYTHONPATH'] = str(SITE)
        self.lab = kind(self.root / 'lab')
        self.foreign = None
        self.fault = kinds.Fault(self, None, None)
        #: When what died was there again, until anything goes on.
        self.came_back = self.progress = None
        self.max_resume = 0.0

    # ------------------------------------------------------------- the lab

    def __enter__(self):
        try:
            self.lab.start()
            self._make_foreign()
        except BaseException:
            self.lab.stop()
            raise
        return self

    def __exit__(self, *_exception):
        self.lab.stop()

    def _make_foreign(self):
        """A container of stock Zun's, with its port and claim."""
        self.ask(
            'POST',
            '/containers?run=true',
            dict(self.lab.template, name='foreign'),
        )
        self.wait(
            'a container of others',
            lambda: self.lab.rows(
                "SELECT uuid FROM container WHERE status = 'Running'"
            ),
        )
        self.foreign = self.lab.world()

    def arm(self, **order):
        """Order a fault in the processes of the lab."""
        written = self.order.with_suffix('.new')
        written.write_text(json.dumps(order))
        written.rename(self.order)

    def disarm(self):
        """Withdraw the order of a fault; return whether it has happened."""
        try:
            self.order.unlink()
        except FileNotFoundError:
            return True
        return False

    def revive(self):
        """Start dead processes again, and measure when work resumes."""
        self.fault.look()
        if self.lab.start_again(self.fault.away):
            self.is_back()

    def is_back(self):
        """Record the return of a process, to measure when work resumes."""
        self.came_back = time.monotonic()
        self.progress = self._progress()

    def _progress(self):
        """Return the progress of the bulks; None if it cannot be read."""
        try:
            return self.lab.rows(
                'SELECT b.status, m.state, m.attempt, count(*)'
                ' FROM zun_bulk_bulk b'
                ' LEFT JOIN zun_bulk_member m ON m.bulk_id = b.id'
                ' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3'
            )
        except labs.NO_ANSWER:
            return None

    def _look_for_progress(self):
        if not self.came_back:
            return
        progress = self._progress()
        if self.progress is None:
            self.progress = progress
        elif progress not in (None, self.progress):
            self.max_resume = max(
                self.max_resume, time.monotonic() - self.came_back
            )
            self.came_back = None

    # ----------------------------------------------------------- the client

    def ask(self, method, path, body=None, statuses=(200, 202)):
        """Ask until there is an answer, as a client has to.

        :returns: (status, answer).
        """
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self.revive()
            try:
                status, answer = self.lab.request(method, path, body)
            except labs.NO_ANSWER:
                time.sleep(INTERVAL)
                continue
            if status in statuses:
                return status, answer
            if status >= 500:
                time.sleep(INTERVAL)
                continue
            raise history.Broken(
                '%s %s: %d %s' % (method, path, status, answer)
            )
        raise history.Broken('%s %s: no answer' % (method, path))

    def wait(self, what, check):
        deadline = time.monotonic() + PATIENCE
        while True:
            self.revive()
            self._look_for_progress()
            value = _if_answered(check)
            if value:
                self.came_back = None
                return value
            if time.monotonic() > deadline:
                raise history.Broken('%s: not after %d s' % (what, PATIENCE))
            time.sleep(INTERVAL)

    def bulk(self, ident):
        """The bulk; None if it is not there."""
        status, bulk = self.ask('GET', '/bulks/' + ident, None, (200, 404))
        if status == 404:
            return None
        total = sum(bulk['members'].values())
        if total != bulk['count']:
            raise history.Broken('%s add up to %d' % (bulk['members'], total))
        return bulk

    # ------------------------------------------------------------- the runs

    def run(self, scenario, rng):
        """Return the history.Findings of one run."""
        found = history.Findings()
        token = 'run-%016x' % rng.getrandbits(64)
        body = {
            'count': self.count,
            'template': self.lab.template,
            'client_token': token,
            **self.lab.more,
        }
        _status, bulk = self.ask('POST', '/bulks', body)
        ident = bulk['uuid']
        made = self.wait(
            'the database answers',
            lambda: self.lab.rows(
                "SELECT uuid FROM zun_bulk_bulk WHERE client_token = '%s'"
                % token
            ),
        )
        found.add('duplicate', len(made) - 1, 'bulks of one token')
        part = rng.randint(0, self.count)
        if scenario != 'build':
            self.wait(
                'a part of it runs',
                lambda: (
                    sum(
                        self.bulk(ident)['members'][state]
                        for state in ('running', 'failed')
                    )
                    >= part
                ),
            )
        wanted = self._change(scenario, ident)
        if scenario != 'delete':
            bulk = self.wait('it is finished', lambda: self._finished(ident))
            self._check(found, ident, bulk, wanted)
            self.ask('DELETE', '/bulks/' + ident, None, (202, 404))
        self.wait('it is gone', lambda: not self.bulk(ident))
        self._until(
            lambda: self.lab.world().without(self.foreign).is_empty(), ORPHANS
        )
        history.check_gone(found, self.lab.world(), self.foreign)
        return found

    def _change(self, scenario, ident):
        """Do to the bulk what the scenario does; how many then have to run."""
        path = '/bulks/' + ident
        if scenario == 'delete':
            self.ask('DELETE', path, None, (202, 404))
        elif scenario == 'cancel':
            self.ask('POST', path + '/cancel', None, (202, 409))
            return None
        elif scenario in ('grow', 'shrink'):
            count = self.count + (4 if scenario == 'grow' else -4)
            self.ask('POST', path + '/scale', {'count': count})
            return count
        return self.count

    def _finished(self, ident):
        bulk = self.bulk(ident)
        return bulk['status'] not in ('building', 'cancelling') and bulk

    def _check(self, found, ident, bulk, wanted):
        def members():
            return self.ask('GET', '/bulks/%s/members' % ident)[1]['members']

        def right():
            again = history.Findings()
            self._compare(again, bulk, members(), wanted)
            return not any(again.values())

        self._until(right, ORPHANS)
        self._compare(found, bulk, members(), wanted)

    def _compare(self, found, bulk, members, wanted):
        history.check_bulk(
            found, bulk, members, wanted, self.lab.world(), self.foreign
        )

    def _until(self, check, seconds):
        """Wait for what has to come true, if it does."""
        deadline = time.monotonic() + seconds
        while not _if_answered(check) and time.monotonic() < deadline:
            self.revive()
            time.sleep(INTERVAL)

    def record(self, scenario, rng):
        """Return {point: how often a run without a fault reaches it}."""
        path = self.root / 'recorded'
        path.unlink(missing_ok=True)
        self.arm(record=str(path))
        try:
            found = self.run(scenario, rng)
        finally:
            self.disarm()
        if any(found.values()):
            raise history.Broken('without a fault: %s' % found.texts)
        return collections.Counter(path.read_text().splitlines())


def _if_answered(check):
    """Return the result of a check; None while a service is away."""
    try:
        return check()
    except labs.NO_ANSWER:
        return None


class Worker:
    """Does some of the runs, on labs of its own.

    :ivar result: {name: number} for the last line.
    """

    def __init__(self, kind, count, faults):
        """Begin without results.

        :param kind: the class of its labs.
        :param count: containers of a bulk.
        :param faults: the kinds.KINDS to take from.
        """
        self.kind = kind
        self.count = count
        self.faults = faults
        self.found = collections.Counter()
        self.result = collections.Counter()
        self.failed = []
        self.max_resume = 0.0

    def work(self, seeds):
        """Return this Worker."""
        seeds = list(seeds)
        while seeds:
            root = tempfile.mkdtemp(prefix='zun-bulk-faults-')
            with Harness(root, self.kind, self.count) as harness:
                clean = self._work_on(harness, seeds)
            if clean:
                shutil.rmtree(root, ignore_errors=True)
            else:
                # The next run begins with nothing, on another lab.
                _say('the logs are in %s' % root)
        return self

    def _work_on(self, harness, seeds):
        """Take seeds until one breaks a promise. Returns whether none did."""
        known = {
            scenario: harness.record(scenario, random.Random(0))
            for scenario in SCENARIOS
        }
        self.result['points'] = len(set().union(*known.values()))
        while seeds:
            found = self._run(harness, known, seeds.pop(0))
            if found.texts:
                return False
        return True

    def _run(self, harness, known, seed):
        rng = random.Random(seed)
        scenario = rng.choice(SCENARIOS)
        fault = kinds.KINDS[rng.choice(self.faults)](
            harness, rng, known[scenario]
        )
        fault.begin()
        harness.fault = fault
        began = time.monotonic()
        try:
            found = harness.run(scenario, rng)
        except Exception as error:
            found = history.Findings()
            found.add('lost', 1, '%s: %s' % (type(error).__name__, error))
            if not isinstance(error, (history.Broken, embedded.LabError)):
                traceback.print_exc()
        fault.end()
        _say(
            'seed %d: %s, %s: %s, %.0f s%s'
            % (
                seed,
                scenario,
                fault.text,
                'happened' if fault.happened else 'never came',
                time.monotonic() - began,
                ''.join('\n    ' + text for text in found.texts),
            )
        )
        self.result.update(runs=1, happened=fault.happened)
        self.found.update(dict(found))
        self.max_resume = max(self.max_resume, harness.max_resume)
        if found.texts:
            self.failed.append(seed)
        return found


def work(kind, count, faults, seeds):
    """What a job does. Returns its Worker."""
    return Worker(kind, count, faults).work(seeds)


def _say(text):
    print(text, file=sys.stderr, flush=True)


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog='tests.faults', description=__doc__.splitlines()[0]
    )
    for name, default, text in (
        ('seed', 1, 'of the first run; the next ones follow it'),
        ('runs', 20, 'how many'),
        ('count', 12, 'containers of a bulk'),
        ('jobs', 1, 'labs beside each other'),
    ):
        parser.add_argument(
            '--' + name,
            type=int,
            default=default,
            metavar='N',
            help=text + ' (%(default)s)',
        )
    parser.add_argument(
        '--faults',
        nargs='+',
        choices=list(kinds.KINDS),
        default=['crash'],
        metavar='KIND',
        help='what may go wrong, of %s (crash)' % ', '.join(kinds.KINDS),
    )
    parser.add_argument(
        '--real',
        action='store_true',
        help='on the real lab, which needs root, is installed and is not up',
    )
    args = parser.parse_args(argv)
    if args.real and args.jobs > 1:
        parser.error('--real has one job')
    for name in args.faults:
        if kinds.KINDS[name].REAL and not args.real:
            parser.error('only the real lab has ' + name)
    kind = labs.RealLab if args.real else labs.EmbeddedLab
    signal.signal(signal.SIGTERM, lambda *_args: sys.exit(1))
    seeds = list(range(args.seed, args.seed + args.runs))
    shares = [seeds[number :: args.jobs] for number in range(args.jobs)]
    with futures.ProcessPoolExecutor(args.jobs) as pool:
        workers = list(
            pool.map(
                functools.partial(work, kind, args.count, args.faults),
                filter(None, shares),
            )
        )
    values = {
        **{
            name: sum(worker.result[name] for worker in workers)
            for name in ('runs', 'happened')
        },
        **{
            kind: sum(worker.found[kind] for worker in workers)
            for kind in history.Findings.KINDS
        },
        'max_resume_s': round(max(worker.max_resume for worker in workers), 1),
        'points': max(worker.result['points'] for worker in workers),
        'failed_seeds': sorted(
            seed for worker in workers for seed in worker.failed
        ),
    }
    print(
        json.dumps({'faults': 'real' if args.real else 'embedded', **values})
    )
    return 1 if values['failed_seeds'] else 0


if __name__ == '__main__':
    sys.exit(main())
