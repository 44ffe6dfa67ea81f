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

"""Bringing the real lab up and down for a benchmark, and its quiet."""

import contextlib
import glob
import os
import pathlib
import subprocess
import sys
import time

from tests.bench import exceptions
from tests.lab.real import labapi


SCRIPT = pathlib.Path(__file__).parents[1] / 'lab' / 'real' / 'lab'


def run(*arguments):
    """Run a verb of the lab's script; what it prints goes to stderr.

    :raises BenchError: if it fails
    """
    if subprocess.run([SCRIPT, *arguments], stdout=sys.stderr).returncode:
        raise exceptions.BenchError(f'lab {arguments[0]} failed')


def load_environment():
    """Take over what the benchmark and labapi must know of the lab.

    :raises BenchError: if no lab was brought up yet
    """
    done = subprocess.run(
        ['bash', '-c', 'set -e; e=$("$0" env); eval "$e"; env -0', SCRIPT],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise exceptions.BenchError(done.stderr)
    for name, _equals, value in (
        pair.partition('=') for pair in done.stdout.split('\0')
    ):
        if name.startswith(('LAB_', 'OS_')):
            os.environ[name] = value


def is_up():
    """Return whether a lab runs, and load its environment if so."""
    try:
        load_environment()
    except exceptions.BenchError:
        return False
    return bool(glob.glob(os.path.join(os.environ['LAB_RUN'], '*.pid')))


def add_arguments(parser):
    """Add the options by which a benchmark's lab is brought up."""
    parser.add_argument(
        '--hosts', type=int, default=2, help='hosts of the lab (%(default)s)'
    )
    parser.add_argument(
        '--net',
        choices=['none', 'kuryr'],
        default='none',
        help='network of the lab (%(default)s)',
    )
    _add_install_arguments(parser)
    parser.add_argument(
        '--keep',
        action='store_true',
        help='leave the lab running, with zun_bulk in it',
    )


def add_small_lab_arguments(parser):
    """The same for a benchmark to which one host without network is enough."""
    parser.set_defaults(hosts=1, net='none', keep=False)
    _add_install_arguments(parser)


def _add_install_arguments(parser):
    parser.add_argument(
        '--zun',
        choices=['16', '18'],
        default='18',
        help='release of Zun of the lab (%(default)s)',
    )
    parser.add_argument(
        '--no-install',
        action='store_true',
        help="use the lab's virtual environments as they are",
    )


@contextlib.contextmanager
def fresh(args, stock=False, horizon=False):
    """Context with a new lab, which ends with it unless it is to be kept.

    :param args: parsed options of add_arguments()
    :param stock: whether Zun is to run without zun_bulk at first
    :param horizon: whether it is to have Horizon
    :raises BenchError: if a lab runs already, or none can be brought up
    """
    if is_up():
        raise exceptions.BenchError('a lab runs already; end it first')
    options = ['--horizon'] if horizon else []
    if not args.no_install:
        run('install', '--zun', args.zun, *options)
    # What an earlier lab left would be counted.
    run('wipe')
    if stock:
        options.append('--stock')
    try:
        run(
            'up',
            '--hosts',
            str(args.hosts),
            '--net',
            args.net,
            '--zun',
            args.zun,
            *options,
        )
        load_environment()
        yield
    finally:
        if not args.keep:
            run('down')


def enable_bulk():
    """Start Zun again, with zun_bulk in it."""
    run('zun', '--bulk')
    load_environment()


def log_file(name):
    return pathlib.Path(os.environ['LAB_RUN']).parent / 'log' / f'{name}.log'


def wait_until_quiet(busy=0.15, timeout=20.0):
    """Wait until the machine has come to rest from what was before.

    :param busy: share of all CPUs' time that counts as rest
    :param timeout: seconds after which it goes on all the same
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        used, began = labapi.machine_cpu(), time.monotonic()
        time.sleep(1)
        used = labapi.machine_cpu() - used
        if used < busy * os.cpu_count() * (time.monotonic() - began):
            return
