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

"""The adaptive pacer beside the best fixed limit, on emulated hosts.

For each model of a host the best fixed limit is found by trying all of them;
``ratio`` is the starts a second of the adaptive pacer over those under that
limit. Nothing is set for one model that is not for all.
"""

import json
import random
import statistics
import time

from tests.emulators import host_model
from zun_bulk.pacing.adaptive import AdaptiveLimit
from zun_bulk.pacing.adaptive import FixedLimit
from zun_bulk.pacing.pacer import Pacer


HIGHEST = 32


def add_arguments(parser):
    parser.add_argument(
        '--count', type=int, default=1000, help='starts a run (%(default)s)'
    )
    parser.add_argument(
        '--seeds', type=int, default=20, help='runs a model (%(default)s)'
    )
    parser.add_argument(
        '--million',
        type=int,
        default=1000000,
        metavar='N',
        help='starts in the run that is timed (%(default)s); 0 for none',
    )


def adaptive(rng):
    return Pacer(AdaptiveLimit(HIGHEST), rng)


def fixed(limit, rng):
    return Pacer(FixedLimit(limit), rng)


def measure(model, make, count, seeds):
    """Returns starts a second over all seeds, and the violations."""
    seconds = violations = 0
    for seed in range(seeds):
        rng = random.Random(seed)
        host = host_model.EmulatedHost(model, make(rng), rng)
        seconds += host.run(count)
        violations += host.violations
    return count * seeds / seconds, violations


def best_fixed(model, count, seeds):
    """Returns the best fixed limit and its starts a second."""
    rates = {}
    for limit in range(1, HIGHEST + 1):
        rates[limit], _violations = measure(
            model, lambda rng, limit=limit: fixed(limit, rng), count, seeds
        )
    best = max(rates, key=rates.get)
    return best, rates[best]


def run(args):
    ratios = []
    violations = 0
    print(
        '%-20s %10s %10s %10s %7s'
        % ('host', 'best limit', 'per second', 'adaptive', 'ratio')
    )
    for name, model in host_model.MODELS.items():
        limit, best = best_fixed(model, args.count, args.seeds)
        rate, broken = measure(model, adaptive, args.count, args.seeds)
        ratios.append(rate / best)
        violations += broken
        print(
            '%-20s %10d %10.2f %10.2f %7.3f'
            % (name, limit, best, rate, rate / best),
            flush=True,
        )
    figures = {
        'bench': 'pacer',
        'count': args.count,
        'seeds': args.seeds,
        'mean': round(statistics.mean(ratios), 3),
        'worst': round(min(ratios), 3),
    }
    if args.million:
        rng = random.Random(0)
        host = host_model.EmulatedHost(
            host_model.MODELS['flaky'], adaptive(rng), rng
        )
        began = time.perf_counter()
        host.run(args.million)
        seconds = time.perf_counter() - began
        violations += host.violations
        figures['starts_per_s'] = round(host.tried / seconds)
        figures['million_s'] = round(seconds * 1e6 / args.million, 1)
    figures['violations'] = violations
    print(json.dumps(figures))
    return 0 if not violations else 1
