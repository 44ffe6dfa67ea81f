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

"""What a container costs: SQL statements, HTTP calls, messages, CPU.

Creates containers on the real lab, one by one with stock Zun's API and as a
bulk, and counts. What the lab does while idle (heartbeats, polls) is measured
before, and subtracted.
"""

import os
import time

from tests.bench import counters
from tests.bench import exceptions
from tests.bench import lab
from tests.bench import loads
from tests.bench import measure
from tests.bench import report
from tests.bench import verify


# Long enough for some heartbeats.
IDLE_SECONDS = 30

CLIENTS = 4


def add_arguments(parser):
    lab.add_arguments(parser)
    parser.add_argument(
        '--count', type=int, default=60, help='containers a run (%(default)s)'
    )
    parser.add_argument(
        '--no-stock', action='store_true', help='leave out stock Zun'
    )


def cost(load, count):
    """Return {what: how many a container} of a load.

    :raises BenchError: if a container is not verified, for the figures would
        be those of another job
    """
    lab.wait_until_quiet()
    with counters.Counters() as counting:
        time.sleep(IDLE_SECONDS)
        idle = {
            name: value / IDLE_SECONDS
            for name, value in counting.count().items()
        }
    before = measure.cpu_seconds()
    with counters.Counters() as counting:
        began = time.monotonic()
        load.run(count)
        seconds = time.monotonic() - began
        after = measure.cpu_seconds()
        counted = counting.count()
    found = verify.verify(load.names, 0)
    load.clear()
    if sum(found.hosts.values()) != count:
        raise exceptions.BenchError(
            f'{load.label}: {load.reasons or found.reasons}'
        )
    figures = counters.per_member(counted, idle, seconds, count)
    figures['cpu s'] = round((after['machine'] - before['machine']) / count, 3)
    return figures


def run(args):
    found = {}
    with lab.fresh(args, stock=not args.no_stock):
        if not args.no_stock:
            found['stock'] = cost(loads.Stock(CLIENTS), args.count)
            lab.enable_bulk()
        loads.warm_up()
        found['bulk'] = cost(loads.Bulk(), args.count)
    show(args, found)
    return 0


def show(args, found):
    print(
        f'Each of {args.count} containers on {args.hosts} hosts, net '
        f'{args.net}, Zun {args.zun}, {os.cpu_count()} CPUs; stock: '
        f'{CLIENTS} clients'
    )
    print(
        '\n'.join(
            report.table(
                ['a container', *found],
                [
                    [
                        name,
                        *(figures.get(name, 0) for figures in found.values()),
                    ]
                    for name in sorted(set().union(*found.values()))
                    if any(figures.get(name) for figures in found.values())
                ],
            )
        )
    )
    print(
        report.json_line(
            {
                'bench': 'cost',
                'count': args.count,
                'hosts': args.hosts,
                'net': args.net,
                'failed': 0,
                **{
                    f'{kind}_{name}': value
                    for kind, figures in found.items()
                    for name, value in as_json(figures).items()
                },
            }
        )
    )


def as_json(figures):
    """Return the figures under names for machines."""
    return {
        'sql_statements': figures['sql zun'],
        'http_calls': {
            service: figures[f'http {service}']
            for service in counters.SERVICES
        },
        'neutron_calls_of_zun_bulk': round(
            sum(
                number
                for name, number in figures.items()
                if name.startswith('neutron: zun_bulk ')
            ),
            2,
        ),
        'amqp_messages': figures['messages'],
        'cpu_s': figures['cpu s'],
    }
