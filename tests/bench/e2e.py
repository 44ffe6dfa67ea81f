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

"""A bulk beside the Docker Engine alone and beside stock Zun.

Makes the same containers in three ways on the real lab: at the engines
themselves, by single creates at stock Zun's API, and by a bulk; with all
processes on the same CPUs, and with the engines on a CPU of their own. The
rate of a run is verified containers over the seconds from its first request
to the start of the last of them; the settle time in which they are verified
is the same for all and in no rate.
"""

import argparse
import json
import os
import pathlib
import sys

from tests.bench import cpuset
from tests.bench import lab
from tests.bench import loads
from tests.bench import measure
from tests.bench import report
from tests.bench import verify


def numbers(text):
    """Parse a list of positive numbers such as ``1,2,4``."""
    found = [int(word) for word in text.split(',')]
    if min(found) < 1:
        raise argparse.ArgumentTypeError('only numbers above 0')
    return found


def add_arguments(parser):
    lab.add_arguments(parser)
    parser.add_argument(
        '--count', type=int, default=60, help='containers a run (%(default)s)'
    )
    parser.add_argument(
        '--in-flight',
        type=numbers,
        default=[1, 2, 4, 8, 16],
        metavar='N,N,…',
        help='for the engines alone (1,2,4,8,16)',
    )
    parser.add_argument(
        '--clients',
        type=numbers,
        default=[1, 4, 8],
        metavar='N,N,…',
        help='of stock Zun (1,4,8)',
    )
    parser.add_argument(
        '--repeat',
        type=int,
        default=1,
        metavar='N',
        help='runs of each, of which the best counts (%(default)s)',
    )
    parser.add_argument(
        '--no-pinned',
        action='store_true',
        help='leave out the runs with the engines on a CPU of their own',
    )
    parser.add_argument(
        '--json',
        type=pathlib.Path,
        metavar='FILE',
        help='write all figures there too',
    )


class Bench:
    """The runs made so far, and what they have in common."""

    def __init__(self, args):
        self.args = args
        self.runs = []
        self.settle = None

    def run(self):
        with lab.fresh(self.args, stock=True):
            self.settle = verify.settle_time()
            self.in_all_modes(self.raw_and_stock)
            lab.enable_bulk()
            loads.warm_up()
            self.in_all_modes(self.raw_again_and_bulk)

    def in_all_modes(self, function):
        """Call function(pinned) without and with the engines pinned."""
        function(None)
        if not self.args.no_pinned:
            with cpuset.PinnedEngines() as pinned:
                function(pinned)

    def raw_and_stock(self, pinned):
        for in_flight in self.args.in_flight:
            self.measure(
                'raw',
                lambda size=in_flight: loads.Raw(size, self.args.net),
                pinned,
            )
        for clients in self.args.clients:
            self.measure(
                'stock', lambda size=clients: loads.Stock(size), pinned
            )
            # What stock Zun leaks would take room from the next run.
            lab.run('leaks', '--clean')

    def raw_again_and_bulk(self, pinned):
        """The best of the engines alone once more, then bulks.

        The two are compared, so they are measured side by side too: the
        better of both measurements of the engines counts.
        """
        fastest = report.best(self.runs, 'raw', pinned is not None)
        self.measure(
            'raw', lambda: loads.Raw(fastest.size, self.args.net), pinned
        )
        self.measure('bulk', loads.Bulk, pinned)

    def measure(self, kind, make, pinned):
        for _again in range(self.args.repeat):
            run = measure.measure(
                make(), kind, self.args.count, self.settle, pinned
            )
            self.runs.append(run)
            print(report.run_table([run])[1], file=sys.stderr, flush=True)

    def show(self):
        args, runs = self.args, self.runs
        chosen = [
            report.best(runs, kind, pinned)
            for pinned in (False, True)
            for kind in ('raw', 'stock', 'bulk')
        ]
        print(
            f'{args.count} containers on {args.hosts} hosts, net '
            f'{args.net}, Zun {args.zun}, '
            f'{os.cpu_count()} CPUs'
        )
        print(
            f'The clock stops at the start of the last container that is '
            f'verified; the {self.settle:g} s of settling are in no rate.'
        )
        print()
        print('\n'.join(report.run_table(runs)))
        print()
        print('\n'.join(report.cpu_table([run for run in chosen if run])))
        print('\n'.join(['', *report.reason_lines(runs)]))
        values = {
            'bench': 'e2e',
            'count': args.count,
            'hosts': args.hosts,
            'net': args.net,
            'settle_s': self.settle,
            **report.summary(runs),
        }
        if args.json:
            args.json.write_text(
                json.dumps(
                    {**values, 'runs': [run.as_dict() for run in runs]},
                    indent=1,
                )
                + '\n'
            )
        print(report.json_line(values))


def run(args):
    """Return 0 if no container of a bulk failed."""
    bench = Bench(args)
    bench.run()
    bench.show()
    return 1 if report.failures(bench.runs, 'bulk') else 0
