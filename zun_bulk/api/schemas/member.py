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

"""Schemas of per-member values, and of requests about members."""

from zun.api.controllers.v1.schemas import parameter_types

from zun_bulk.api.schemas import bulk
from zun_bulk.states import MemberState


_strings = {'type': 'object', 'additionalProperties': {'type': 'string'}}
_mount = parameter_types.mounts['items']

#: {field: schema} of the per-member values.
own = {
    'name': bulk.name,
    'hostname': parameter_types.hostname,
    'environment': _strings,
    'labels': _strings,
    'addresses': {
        'type': 'array',
        'maxItems': bulk.MAX_NETS,
        'items': {'type': ['string', 'null'], 'maxLength': 45},
    },
    'floating_ip': {'type': 'string', 'maxLength': 15},
    'mounts': {
        'type': 'array',
        'maxItems': bulk.MAX_MOUNTS,
        'items': dict(
            _mount,
            properties=dict(
                _mount['properties'],
                destination=dict(bulk.destination, type='string'),
            ),
        ),
    },
}

list_query_1_0 = {
    'type': 'object',
    'properties': {
        'limit': bulk.limit,
        'marker': {'type': 'string', 'pattern': r'^[0-9]{1,9}\Z'},
        'sort_dir': bulk.sort_dir,
        'state': {'type': 'string', 'enum': list(MemberState.ALL)},
        'host': {'type': 'string', 'minLength': 1, 'maxLength': 255},
    },
    'additionalProperties': False,
}
list_query = dict(
    list_query_1_0,
    properties=dict(
        list_query_1_0['properties'],
        # A part of a name; other characters never match.
        name={'type': 'string', 'pattern': r'^[a-zA-Z0-9_.-]{1,255}\Z'},
    ),
)
