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

"""Schemas of requests about hosts."""

from zun_bulk.api.schemas import bulk


#: Without control characters, as it goes to logs and terminals.
_text = {'maxLength': 255, 'pattern': r'^[^\x00-\x1f\x7f-\x9f]*\Z'}

# The same bounds as the options of these names in [zun_bulk_pacing].
update = {
    'type': 'object',
    'properties': {
        'held': {'type': 'boolean'},
        'hold_reason': {'type': ['string', 'null'], **_text},
        'max_in_flight': {
            'type': ['integer', 'null'],
            'minimum': 0,
            'maximum': 256,
        },
        'mode': {'enum': ['adaptive', 'fixed', None]},
        'start_interval': {
            'type': ['number', 'null'],
            'minimum': 0,
            'maximum': 3600,
        },
    },
    'minProperties': 1,
    'additionalProperties': False,
}

list_query = {
    'type': 'object',
    'properties': {
        'limit': bulk.limit,
        'marker': {'type': 'string', 'minLength': 1, **_text},
    },
    'additionalProperties': False,
}
