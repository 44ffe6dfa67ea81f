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

"""How long POST /v1/bulks takes to accept many containers.

The hosts' zun-compute are stopped meanwhile, so that what is measured is the
API and the database and nothing of the work that the answer promises.
"""

import statistics

from tests.bench import counters
from tests.bench import e2e
from tests.bench import lab
from tests.bench import loads
from tests.bench import report
from tests.lab.real import labapi


def add_arguments(parser):
    lab.add_arguments(parser)
    parser.add_argument(
        '--counts',
        type=e2e.numbers,
        default=[1000, 10000],
        metavar='N,N,…',
        help='containers a bulk (1000,10000)',
    )
    parser.add_argument(
        '--repeat',
        type=int,
        default=3,
        metavar='N',
        help='bulks of each, of which the slowest counts (%(default)s)',
    )


def accept(count, repeat):
    """Return (seconds of each POST, bulks, SQL statements, CPU seconds).

    The last two are of one member, and of one bulk in zun-api and the
    database together.

    :param count: members of a bulk
    :param repeat: how many bulks
    """
    seconds, bulks = [], []
    with counters.Counters() as counting:
        before = labapi.cpu_by_process()
        for _again in range(repeat):
            bulks.append(loads.Bulk())
            seconds.append(bulks[-1].create(count))
        after = labapi.cpu_by_process()
        statements = counting.count()['sql zun'] / count / repeat
    # None of them is to begin once the hosts are there again.
    for bulk in bulks:
        bulk.zun.request('DELETE', bulk.path)
    cpu = sum(after[name] - before[name] for name in ('zun-api', 'mariadb'))
    return seconds, bulks, statements, cpu / repeat


def run(args):
    rows, values, bulks = [], {}, []
    with lab.fresh(args):
        lab.run(
            'stop', *(f'zun-compute-{number}' for number in labapi.hosts())
        )
        # The first request to a process loads what later ones find.
        bulks += accept(1, 5)[1]
        for count in args.counts:
            lab.wait_until_quiet()
            seconds, made, statements, cpu = accept(count, args.repeat)
            bulks += made
            rows.append(
                [
                    count,
                    *(
                        f'{value:.2f}'
                        for value in (
                            min(seconds),
                            statistics.median(seconds),
                            max(seconds),
                            cpu,
                        )
                    ),
                    f'{statements:.3f}',
                ]
            )
            values[f'accept_{count}_s'] = round(max(seconds), 3)
            values[f'cpu_{count}_s'] = round(cpu, 3)
            values[f'sql_statements_per_member_{count}'] = round(statements, 4)
        if args.keep:
            lab.run('zun')
            for bulk in bulks:
                bulk.clear()
    print(
        '\n'.join(
            report.table(
                [
                    'members',
                    'fastest s',
                    'median s',
                    'slowest s',
                    'CPU s',
                    'SQL a member',
                ],
                rows,
            )
        )
    )
    print(report.json_line({'bench': 'accept', 'failed': 0, **values}))
    return 0
