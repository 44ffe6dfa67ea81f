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

"""Schemas of ``floating_ips`` in requests."""

#: Maximum number of addresses in a pool, which are looked up in Neutron.
MAX_POOL = 10000

address = {
    'type': 'string',
    # Neutron supports floating IPs for IPv4 only.
    'maxLength': 15,
    'format': 'ipv4',
}

create = {
    'type': 'object',
    'properties': {
        'network': {'type': 'string', 'minLength': 1, 'maxLength': 255},
        'pool': {
            'type': 'array',
            'items': address,
            'minItems': 1,
            'maxItems': MAX_POOL,
        },
        'on_delete': {'type': 'string', 'enum': ['release', 'keep']},
    },
    'minProperties': 1,
    'additionalProperties': False,
}
