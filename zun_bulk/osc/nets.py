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

"""The --net option: Zun's own, extended by ranges of addresses."""

from osc_lib import exceptions

from zun_bulk.consts import NetKey


def add_option(parser):
    """Add --net, with a help text that includes ranges."""
    parser.add_argument(
        '--net',
        metavar='<network=network, port=port-uuid,v4-fixed-ip=ip-addr,'
        'v6-fixed-ip=ip-addr,v4-range=first-last>',
        action='append',
        default=[],
        help='Create network endpoints for the containers. '
        'network: attach the containers to this Neutron network. '
        'v4-range: assign free addresses from first to last, the lowest '
        'first. '
        'For a single container only: port: attach it to the Neutron port '
        'with this UUID; v4-fixed-ip, v6-fixed-ip: its address. '
        'May be used multiple times.',
    )


def split(values):
    """Separate the ranges from values of --net, as Zun rejects them.

    :returns: (values for Zun, [range or None for each value])
    """
    for_zun, ranges = [], []
    for value in values:
        parts = value.split(',')
        found = [
            part
            for part in parts
            if part.split('=')[0].strip() == NetKey.V4_RANGE
        ]
        if len(found) > 1:
            raise exceptions.CommandError(
                f"Invalid --net value '{value}': {NetKey.V4_RANGE} is given "
                'more than once.'
            )
        for_zun.append(','.join(part for part in parts if part not in found))
        ranges.append(found[0].partition('=')[2].strip() if found else None)
    return for_zun, ranges
