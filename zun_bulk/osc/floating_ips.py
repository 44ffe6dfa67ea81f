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

"""Floating IPs: options, request body and messages of the commands."""

import argparse
import ipaddress

from zun_bulk.states import FloatingIpState


def add_options(parser):
    """Add the options of floating IPs."""
    parser.add_argument(
        '--floating-ip-network',
        metavar='<network>',
        help='Give each container a floating IP from this external network '
        '(name or ID)',
    )
    parser.add_argument(
        '--floating-ip-pool',
        metavar='<file>',
        type=_read,
        help='Give the containers floating IPs that the project already has, '
        'from a file with one address per line; text after a # is a comment. '
        'Addresses left over are used when the bulk is scaled up',
    )
    parser.add_argument(
        '--floating-ip-on-delete',
        choices=('release', 'keep'),
        help='Whether the floating IPs of --floating-ip-network are deleted '
        'together with their containers (release) or kept for the project '
        '(keep). Those of --floating-ip-pool are always kept (default: '
        'release)',
    )


def body(parsed_args):
    """Return the floating_ips of a request, {} without such options."""
    wanted = {
        'network': parsed_args.floating_ip_network,
        'pool': parsed_args.floating_ip_pool,
        'on_delete': parsed_args.floating_ip_on_delete,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _read(path):
    """Convert the value of --floating-ip-pool to the addresses in the file."""
    addresses = {}
    try:
        with open(path, encoding='utf-8') as file:
            for number, line in enumerate(file, 1):
                address = line.partition('#')[0].strip()
                if not address:
                    continue
                try:
                    ipaddress.IPv4Address(address)
                except ValueError as e:
                    raise argparse.ArgumentTypeError(
                        f'{path}:{number}: {address!r} is not an IPv4 address'
                    ) from e
                if address in addresses:
                    raise argparse.ArgumentTypeError(
                        f'{path}:{number}: {address} is already in line '
                        f'{addresses[address]}'
                    )
                addresses[address] = number
    except (OSError, UnicodeDecodeError) as e:
        raise argparse.ArgumentTypeError(f'cannot read {path}: {e}') from e
    if not addresses:
        raise argparse.ArgumentTypeError(f'{path} contains no addresses')
    return list(addresses)


def problems(bulk):
    """Describe the floating IPs that failed, in lines of text."""
    failed = (bulk.get('floating_ips') or {}).get(FloatingIpState.FAILED)
    if not failed:
        return []
    return [
        f'{failed} × no floating IP: see "openstack appcontainer bulk member '
        f'list --long {bulk["uuid"]}", and retry with "… retry"'
    ]


def kept(bulks, bulk):
    """List the addresses that are kept when a bulk is deleted.

    :param bulks: a client.BulkClient
    """
    wanted = bulk.get('floating_ips')
    if not wanted:
        return []
    from_pool = wanted['pool'] or not wanted['network']
    if not from_pool and wanted['on_delete'] != 'keep':
        return []
    return [
        member['floating_ip']
        for member in bulks.list_members(bulk['uuid'])
        if member['floating_ip']
    ]
