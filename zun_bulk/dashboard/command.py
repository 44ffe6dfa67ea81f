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

"""The command that makes the same bulk."""

import shlex

from zun_bulk import consts


_COMMAND = 'openstack appcontainer bulk create'

#: Defaults of the command, which it need not contain.
_SPREAD = consts.PlacementPolicy.SPREAD
_PAUSE = consts.OnFailure.PAUSE

#: What stands for a file: the API knows no names, and content debounce.
FILE = 'FILE'

#: Options that take the value of a template's field as it is.
_VALUES = {
    'name': '--name',
    'cpu': '--cpu',
    'memory': '--memory',
    'disk': '--disk',
    'workdir': '--workdir',
    'hostname': '--hostname',
    'runtime': '--runtime',
    'image_driver': '--image-driver',
    'image_pull_policy': '--image-pull-policy',
    'registry': '--registry',
    'availability_zone': '--availability-zone',
    'host': '--host',
}
#: Options that are given once for each of a field's pairs.
_PAIRS = {
    'environment': '--environment',
    'labels': '--label',
    'hints': '--hint',
}
_FLAGS = {
    'interactive': '--interactive',
    'auto_remove': '--auto-remove',
    'auto_heal': '--auto-heal',
    'privileged': '--privileged',
}


def line(bulk, members_file=None):
    """Say a bulk as one types it.

    :param bulk: the request, or the bulk as the API shows it
    :param members_file: name of the file of members, if there is one
    """
    template = bulk.get('template') or {}
    words = []
    if members_file:
        words += ['--members-from', members_file]
    else:
        words += ['--count', bulk['count']]
    if bulk.get('name'):
        words += ['--bulk-name', bulk['name']]
    words += _of_bulk(bulk)
    words += _of_template(template)
    words.append(template.get('image', ''))
    words += template.get('command') or []
    return ' '.join([_COMMAND, *(shlex.quote(str(word)) for word in words)])


def _of_bulk(bulk):
    words = []
    placement = bulk.get('placement') or {}
    if placement.get('policy', _SPREAD) != _SPREAD:
        words += ['--placement', placement['policy']]
    if placement.get('allow_partial'):
        words.append('--allow-partial')
    if bulk.get('max_attempts'):
        words += ['--max-attempts', bulk['max_attempts']]
    if bulk.get('on_failure', _PAUSE) != _PAUSE:
        words += ['--on-failure', bulk['on_failure']]
    if bulk.get('run') is False:
        words.append('--no-run')
    floating_ips = bulk.get('floating_ips') or {}
    if floating_ips.get('network'):
        words += ['--floating-ip-network', floating_ips['network']]
    if floating_ips.get('pool'):
        # Addresses, or as the API tells of a bulk only how many.
        words += ['--floating-ip-pool', FILE]
    if floating_ips.get('on_delete', 'release') != 'release':
        words += ['--floating-ip-on-delete', floating_ips['on_delete']]
    return words


def _of_template(template):
    words = []
    for field, option in _VALUES.items():
        if template.get(field) not in (None, ''):
            words += [option, template[field]]
    for field, option in _PAIRS.items():
        for key, value in sorted((template.get(field) or {}).items()):
            words += [option, f'{key}={value}']
    words += [
        option for field, option in _FLAGS.items() if template.get(field)
    ]
    words += _restart(template.get('restart_policy') or {})
    if template.get('entrypoint'):
        words += ['--entrypoint', shlex.join(template['entrypoint'])]
    for group in template.get('security_groups') or []:
        words += ['--security-group', group]
    for net in template.get('nets') or []:
        words += ['--net', _parts(net)]
    for mount in template.get('mounts') or []:
        if mount.get('type') == 'bind':
            # What is in the file is all that the API knows.
            mount = dict(mount, source=FILE)
        words += ['--mount', _parts(mount)]
    if template.get('healthcheck'):
        words += ['--healthcheck', _parts(template['healthcheck'])]
    return words


def _restart(policy):
    if not policy.get('Name'):
        return []
    retries = policy.get('MaximumRetryCount')
    text = policy['Name']
    if text == 'on-failure' and retries not in (None, '', '0', 0):
        text += f':{retries}'
    return ['--restart', text]


def _parts(values):
    return ','.join(
        f'{key}={value}'
        for key, value in values.items()
        if value not in (None, '')
    )
