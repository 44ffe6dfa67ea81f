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

"""The command ``openstack appcontainer bulk inventory``, for Ansible."""

import ast
import collections
import json
import re
import shlex

from osc_lib.command import command
import yaml

from zun_bulk.osc import client
from zun_bulk.osc import options
from zun_bulk.states import MemberState


#: Names of groups that Ansible defines itself.
RESERVED = ('all', 'ungrouped')


def group_name(name):
    """Convert a name to a valid group name of Ansible."""
    name = re.sub(r'[^A-Za-z0-9_]', '_', name)
    if name[0].isdigit() or name in RESERVED:
        name = '_' + name
    return name


def address(member, use=None):
    """Return the address of a member to connect to, None if it has none.

    :param use: fixed or floating; None for the floating one if it has one,
        otherwise the fixed one
    """
    floating = member.get('floating_ip')
    fixed = (member['addresses'] or [None])[0]
    if use is None:
        return floating or fixed
    return floating if use == 'floating' else fixed


def host_vars(member, use):
    """Return the Ansible variables of a member."""
    values = {
        'container_uuid': member['container_uuid'],
        'index': member['index'],
        'state': member['state'],
        'host': member['host'],
        'addresses': member['addresses'] or [],
        'floating_ip': member.get('floating_ip'),
    }
    found = address(member, use)
    return {'ansible_host': found, **values} if found else values


def build(bulk_name, members, use=None):
    """Build an inventory.

    :returns: the variables of each host, and the hosts of each group
    """
    hosts, groups = {}, {group_name(bulk_name): []}
    names = collections.Counter(member['name'] for member in members)
    for member in members:
        name = member['name']
        # Names of containers need not be unique in Zun; in Ansible they must.
        while names[name] > 1 or (name != member['name'] and name in names):
            name += f'-{member["index"]}'
        hosts[name] = host_vars(member, use)
        of = [group_name(bulk_name), group_name(f'state_{member["state"]}')]
        if member['host'] is not None:
            of.append(group_name(f'host_{member["host"]}'))
        for group in dict.fromkeys(of):
            groups.setdefault(group, []).append(name)
    return hosts, groups


def as_json(hosts, groups):
    """Format an inventory like the output of an inventory script."""
    inventory = {
        '_meta': {'hostvars': hosts},
        'all': {'children': ['ungrouped', *groups]},
        **{group: {'hosts': names} for group, names in groups.items()},
    }
    return json.dumps(inventory, indent=4) + '\n'


def as_yaml(hosts, groups):
    """Format an inventory as a YAML file."""
    inventory = {
        'all': {
            'hosts': hosts,
            'children': {
                group: {'hosts': dict.fromkeys(names)}
                for group, names in groups.items()
            },
        }
    }
    return yaml.safe_dump(inventory, sort_keys=False)


def as_ini(hosts, groups):
    """Format an inventory as an INI file."""
    lines = []
    for name, values in hosts.items():
        pairs = (f'{key}={_literal(value)}' for key, value in values.items())
        lines.append(' '.join([name, *map(shlex.quote, pairs)]))
    for group, names in groups.items():
        lines += ['', f'[{group}]', *names]
    return '\n'.join(lines) + '\n'


def _literal(value):
    """Format a value such that Ansible reads it back unchanged.

    Ansible evaluates anything that looks like a Python literal.
    """
    if value is None:
        return 'None'
    if isinstance(value, str):
        try:
            ast.literal_eval(value)
        except (SyntaxError, ValueError):
            return value
    return json.dumps(value)


FORMATS = {'json': as_json, 'yaml': as_yaml, 'ini': as_ini}


class ShowBulkInventory(command.Command):
    """Show the containers of a bulk as an Ansible inventory"""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        options.add_bulk(parser)
        parser.add_argument(
            '-f',
            '--format',
            choices=tuple(FORMATS),
            default='json',
            help='json: output of an inventory script; yaml, ini: inventory '
            'files (default: json)',
        )
        parser.add_argument(
            '--use',
            choices=('fixed', 'floating'),
            help='Type of the addresses that Ansible connects to (default: '
            'the floating IP of a container if it has one, otherwise its '
            'first fixed address)',
        )
        parser.add_argument(
            '--all',
            action='store_true',
            help='Include containers that are not running or have no such '
            'address',
        )
        return parser

    def take_action(self, parsed_args):
        bulks = client.for_command(self)
        bulk = bulks.get(parsed_args.bulk)
        members = list(
            bulks.list_members(
                bulk['uuid'],
                state=None if parsed_args.all else MemberState.RUNNING,
            )
        )
        if not parsed_args.all:
            found = [m for m in members if address(m, parsed_args.use)]
            without = len(members) - len(found)
            if without:
                kind = f'{parsed_args.use} ' if parsed_args.use else ''
                self.app.stderr.write(
                    f'{without} containers are left out because they have no '
                    f'{kind}address.\n'
                )
            members = found
        hosts, groups = build(bulk['name'], members, parsed_args.use)
        self.app.stdout.write(FORMATS[parsed_args.format](hosts, groups))
