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

"""API errors, mapped to the fields of the create form."""

import re

from zun_bulk import consts


#: {place in the request: form field}. The longest matching place counts.
_FIELDS = {
    'name': 'name',
    'count': 'count',
    'run': 'run',
    'placement': 'placement',
    'placement.allow_partial': 'allow_partial',
    'max_attempts': 'max_attempts',
    'on_failure': 'on_failure',
    'members': 'members_file',
    'floating_ips': 'floating_ip_network',
    'floating_ips.on_delete': 'floating_ip_on_delete',
    'template': None,
    'template.name': 'container_name',
    'template.image': 'image',
    'template.image_pull_policy': 'image_pull_policy',
    'template.command': 'command',
    'template.cpu': 'cpu',
    'template.memory': 'memory',
    'template.environment': 'environment',
    'template.restart_policy': 'restart_policy',
    'template.availability_zone': 'availability_zone',
    'template.host': 'host',
    'template.nets': 'networks',
    'template.security_groups': 'security_groups',
}
_PLACE = re.compile(
    r'(?:Invalid input for )?([a-z_]+(?:[.\[][A-Za-z0-9_.\[\]-]*)?): '
)
_RANGE = re.compile(
    re.escape(consts.NetKey.V4_RANGE) + '|addresses', re.IGNORECASE
)
#: What Zun's client appends to the API's message.
_TAIL = re.compile(r' \(HTTP \d+\)( \(Request-ID: [^)]*\))?\Z')


def text_of(error):
    """Return the API's own message of an ApiError."""
    return _TAIL.sub('', str(error))


def field_of(line, file_name):
    """Find the field that a line of an API error is about.

    :param file_name: name of the member file, None if there is none
    :returns: (name of the field or None, the text to show there)
    """
    if file_name and line.startswith(f'{file_name}:'):
        return 'members_file', line
    match = _PLACE.match(line)
    if not match:
        return None, line
    place = match[1]
    if place.startswith('template.nets') and _RANGE.search(line):
        return 'address_ranges', line[match.end() :]
    while place:
        if place in _FIELDS:
            field = _FIELDS[place]
            return field, line[match.end() :] if field else line
        place = re.sub(r'(^|[.\[])[^.\[]*\Z', '', place)
    return None, line
