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

"""The CLI command that creates the same bulk."""

import shlex

from zun_bulk import consts


_COMMAND = 'openstack appcontainer bulk create'

#: Defaults of the command, which it need not contain.
_SPREAD = consts.PlacementPolicy.SPREAD
_PAUSE = consts.OnFailure.PAUSE

#: Placeholder of a file: the API does not know the names of files.
FILE = 'FILE'

#: Options that take the value of a template field unchanged.
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
#: Options that are repeated for each pair of a template field.
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
    """Return the command line that creates a bulk.

    :param bulk: the request, or the bulk as the API returns it
    :param members_file: name of the member file, if there is one
    """
    template = bulk.get('template') or {}
    words = []
    if members_file:
        words += ['--members-from', members_file]
    else:
        words += ['--count', bulk['count']]
    if bulk.get('name'):
        words += ['--bulk-name', bulk['name']]
    words += _bulk_options(bulk)
    words += _template_options(template)
    words.append(template.get('image', ''))
    words += template.get('command') or []
    return ' '.join([_COMMAND, *(shlex.quote(str(word)) for word in words)])


def _bulk_options(bulk):
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
        # A list of addresses or, from the API, only their number.
        words += ['--floating-ip-pool', FILE]
    if floating_ips.get('on_delete', 'release') != 'release':
        words += ['--floating-ip-on-delete', floating_ips['on_delete']]
    return words


def _template_options(template):
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
            # The API knows the content of the file, but not its name.
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
