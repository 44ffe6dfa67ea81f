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

"""The request that the create form sends to the API."""

from zun_bulk import consts


def build(data):
    """Build the request body.

    :param data: cleaned data of the create form
    """
    body = {
        'count': data['count'],
        'template': _template(data),
        'run': data['run'],
        'placement': {
            'policy': data['placement'],
            'allow_partial': data['allow_partial'],
        },
        'max_attempts': data['max_attempts'],
        'on_failure': data['on_failure'],
    }
    if data['name']:
        body['name'] = data['name']
    if data['members_file']:
        body['members'] = data['members_file'].members
        body['count'] = len(body['members'])
    if data.get('floating_ip_network'):
        body['floating_ips'] = {
            'network': data['floating_ip_network'],
            'on_delete': data['floating_ip_on_delete'] or 'release',
        }
    return body


def _template(data):
    template = {
        'name': data['container_name'],
        'image': data['image'],
        'image_pull_policy': data.get('image_pull_policy'),
        'command': data['command'],
        'cpu': data['cpu'],
        'memory': str(data['memory'] or ''),
        'environment': data['environment'],
        'availability_zone': data['availability_zone'],
        'host': data.get('host'),
        'security_groups': data['security_groups'],
        'nets': [_net(data, ident) for ident in data['networks']],
    }
    if data['restart_policy']:
        template['restart_policy'] = {'Name': data['restart_policy']}
        if data['restart_retries'] is not None:
            template['restart_policy']['MaximumRetryCount'] = str(
                data['restart_retries']
            )
    return {
        name: value
        for name, value in template.items()
        if value not in (None, '', [], {})
    }


def _net(data, ident):
    net = {consts.NetKey.NETWORK: ident}
    addresses = data['address_ranges'].get(ident)
    if addresses:
        net[consts.NetKey.V4_RANGE] = addresses
    return net
