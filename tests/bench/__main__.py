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

"""Benchmarks: ``python -m tests.bench e2e --help``.

Each ends with a line of JSON.
"""

import argparse
import sys

from tests.bench import accept
from tests.bench import cost
from tests.bench import e2e
from tests.bench import exceptions
from tests.bench import pacer
from tests.bench import panel
from tests.bench import plan
from tests.bench import slowed
from tests.bench import sweep


COMMANDS = {
    'e2e': e2e,
    'accept': accept,
    'cost': cost,
    'pacer': pacer,
    'panel': panel,
    'plan': plan,
    'sweep': sweep,
    'slowed': slowed,
}


def main():
    parser = argparse.ArgumentParser(prog='bench', description=__doc__)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    for name, module in COMMANDS.items():
        summary = module.__doc__.splitlines()[0]
        command = commands.add_parser(
            name,
            help=summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    args = parser.parse_args()
    try:
        return args.run(args)
    except exceptions.BenchError as error:
        print(f'bench: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
