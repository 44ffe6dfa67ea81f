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

"""Schemas of requests about bulks."""

from zun.api.controllers.v1.schemas import parameter_types

from zun_bulk.api.schemas import floating_ips
from zun_bulk.consts import NetKey
from zun_bulk.consts import OnFailure
from zun_bulk.consts import PlacementPolicy
from zun_bulk.states import BulkStatus


#: The largest integer that every database can store.
_MAX_INTEGER = 2**31 - 1

MAX_MOUNTS = 64
MAX_NETS = 64
destination = {'minLength': 1, 'maxLength': 255}

# Limits that Zun's own schema lacks. Each item costs a call to Neutron or a
# file on each host.
_template = {
    'type': 'object',
    'properties': {
        'healthcheck': {
            'anyOf': [parameter_types.healthcheck['items'], {'type': 'null'}]
        },
        'mounts': {
            'maxItems': MAX_MOUNTS,
            'items': {'properties': {'destination': destination}},
        },
        'nets': {
            'maxItems': MAX_NETS,
            'items': {
                'type': 'object',
                'properties': {
                    NetKey.V4_RANGE: {
                        'type': 'string',
                        'minLength': 1,
                        'maxLength': 35,
                    }
                },
            },
        },
        'restart_policy': {
            'properties': {'MaximumRetryCount': {'maximum': _MAX_INTEGER}}
        },
        'security_groups': {'maxItems': 64},
    },
}

count = {'type': 'integer', 'minimum': 1, 'maximum': 100000}
name = dict(parameter_types.container_name, type='string')

client_token = {
    'type': 'string',
    'minLength': 1,
    'maxLength': 64,
    'pattern': r'^[A-Za-z0-9_.:-]+\Z',
}

#: Defaults of ``placement``.
PLACEMENT = {'policy': PlacementPolicy.SPREAD, 'allow_partial': False}

create = {
    'type': 'object',
    'properties': {
        'name': name,
        'count': count,
        'template': _template,
        # Entries are checked one by one, so that all faults are reported.
        'members': {
            'type': 'array',
            'minItems': 1,
            'maxItems': count['maximum'],
        },
        'run': {'type': 'boolean'},
        'placement': {
            'type': 'object',
            'properties': {
                'policy': {
                    'type': 'string',
                    'enum': list(PlacementPolicy.ALL),
                },
                'allow_partial': {'type': 'boolean'},
            },
            'additionalProperties': False,
        },
        'max_attempts': {'type': 'integer', 'minimum': 1, 'maximum': 10},
        'on_failure': {'type': 'string', 'enum': list(OnFailure.ALL)},
        'client_token': client_token,
        'floating_ips': floating_ips.create,
        'dry_run': {'type': 'boolean'},
    },
    'required': ['count', 'template'],
    'additionalProperties': False,
}

scale = {
    'type': 'object',
    'properties': {
        'count': count,
        'indexes': {
            'type': 'array',
            'items': {
                'type': 'integer',
                'minimum': 1,
                'maximum': _MAX_INTEGER,
            },
            'minItems': 1,
            'maxItems': 1000,
            'uniqueItems': True,
        },
    },
    'additionalProperties': False,
}

limit = {'type': 'string', 'pattern': r'^[1-9][0-9]{0,8}\Z'}
sort_dir = {'type': 'string', 'enum': ['asc', 'desc']}

list_query = {
    'type': 'object',
    'properties': {
        'limit': limit,
        'marker': {'type': 'string', 'minLength': 36, 'maxLength': 36},
        'sort_key': {
            'type': 'string',
            'enum': ['uuid', 'name', 'status', 'count', 'created_at'],
        },
        'sort_dir': sort_dir,
        'status': {'type': 'string', 'enum': list(BulkStatus.ALL)},
        'name': name,
        'all_projects': parameter_types.boolean_extended,
    },
    'additionalProperties': False,
}

delete_query = {
    'type': 'object',
    'properties': {'keep_containers': parameter_types.boolean_extended},
    'additionalProperties': False,
}

no_query = {'type': 'object', 'additionalProperties': False}

get_query_1_0 = no_query
get_query = {
    'type': 'object',
    'properties': {
        'rate_window': {'type': 'string', 'pattern': r'^[1-9][0-9]{0,8}\Z'}
    },
    'additionalProperties': False,
}
