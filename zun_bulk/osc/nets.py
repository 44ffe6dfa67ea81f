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

"""What --net takes beyond Zun's own: a range of addresses."""

from osc_lib import exceptions

from zun_bulk.consts import NetKey


def add_option(parser):
    """Say of Zun's --net what it takes here."""
    parser.add_argument(
        '--net',
        metavar='<network=network, port=port-uuid,v4-fixed-ip=ip-addr,'
        'v6-fixed-ip=ip-addr,v4-range=first-last>',
        action='append',
        default=[],
        help='Create network endpoints for the containers. '
        'network: attach containers to this Neutron network. '
        'v4-range: give containers free addresses from first to last, the '
        'lowest first. '
        'For one container only, port: attach it to the Neutron port with '
        'this UUID; v4-fixed-ip, v6-fixed-ip: its address. '
        'May be used multiple times.',
    )


def split(values):
    """Take out of --net what Zun's own does not know.

    :returns: (values for Zun's, [range or None of each]).
    """
    left, ranges = [], []
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
        left.append(','.join(part for part in parts if part not in found))
        ranges.append(found[0].partition('=')[2].strip() if found else None)
    return left, ranges
