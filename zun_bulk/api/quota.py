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

"""Whether further containers fit into Zun's quotas of a project."""

from zun.common import exception
from zun.common import quota as zun_quota


#: Zun's quotas with their names in error messages.
_RESOURCES = {
    'containers': 'containers',
    'cpu': 'cpu',
    'memory': 'memory in MB',
    'disk': 'disk in GB',
}


def check_for(context, container, count):
    """Make the quota check of a bulk, to run when its rows are written.

    :param context: of the project whose quotas count.
    :param container: {column: value} of each container.
    :param count: number of new containers.

    :returns: function of {quota: used} that raises OverQuota (403) if the
        containers do not all fit; None if no quota is limited.
    """
    quotas = zun_quota.QUOTAS.get_project_quotas(
        context, context.project_id, usages=False
    )
    limits = {name: quotas[name]['limit'] for name in _RESOURCES}
    # None and -1 stand for no limit.
    limits = {
        name: limit
        for name, limit in limits.items()
        if limit is not None and limit >= 0
    }
    asked = {
        'containers': count,
        'cpu': count * (container['cpu'] or 0),
        'memory': count * int(container['memory']),
        'disk': count * (container['disk'] or 0),
    }

    def check(used):
        overs = [
            '%s (%s used, %s requested, %s allowed)'
            % (
                _RESOURCES[name],
                _number(used[name]),
                _number(asked[name]),
                _number(limit),
            )
            for name, limit in limits.items()
            # Rounded, as fractions of a CPU are inexact in binary.
            if round(used[name] + asked[name], 3) > limit
        ]
        if overs:
            raise exception.OverQuota(overs=', '.join(overs))

    return check if limits else None


def _number(value):
    """Format a number without the trailing digits of floats."""
    return ('%.3f' % value).rstrip('0').rstrip('.')
