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

"""Labels for values of the API.

Each value in ``zun_bulk.consts`` that the pages show has one.
"""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from zun_bulk import consts


STATUSES = {
    consts.BulkStatus.BUILDING: pgettext_lazy('Status of a bulk', 'Building'),
    consts.BulkStatus.PAUSED: pgettext_lazy('Status of a bulk', 'Paused'),
    consts.BulkStatus.READY: pgettext_lazy('Status of a bulk', 'Ready'),
    consts.BulkStatus.ERROR: pgettext_lazy('Status of a bulk', 'Error'),
    consts.BulkStatus.CANCELLING: pgettext_lazy(
        'Status of a bulk', 'Cancelling'
    ),
    consts.BulkStatus.CANCELLED: pgettext_lazy(
        'Status of a bulk', 'Cancelled'
    ),
    consts.BulkStatus.DELETING: pgettext_lazy('Status of a bulk', 'Deleting'),
}

STATES = {
    consts.MemberState.QUEUED: pgettext_lazy(
        'State of a container of a bulk', 'Queued'
    ),
    consts.MemberState.PLACED: pgettext_lazy(
        'State of a container of a bulk', 'Placed'
    ),
    consts.MemberState.STARTING: pgettext_lazy(
        'State of a container of a bulk', 'Starting'
    ),
    consts.MemberState.RUNNING: pgettext_lazy(
        'State of a container of a bulk', 'Running'
    ),
    consts.MemberState.STOPPED: pgettext_lazy(
        'State of a container of a bulk', 'Stopped'
    ),
    consts.MemberState.FAILED: pgettext_lazy(
        'State of a container of a bulk', 'Failed'
    ),
    consts.MemberState.CANCELLED: pgettext_lazy(
        'State of a container of a bulk', 'Cancelled'
    ),
    consts.MemberState.DELETING: pgettext_lazy(
        'State of a container of a bulk', 'Deleting'
    ),
    consts.MemberState.DELETED: pgettext_lazy(
        'State of a container of a bulk', 'Deleted'
    ),
}

EVENTS = {
    **STATES,
    **STATUSES,
    consts.EventName.ACCEPTED: pgettext_lazy('Event of a bulk', 'Accepted'),
    consts.EventName.RESUMED: pgettext_lazy('Event of a bulk', 'Resumed'),
    consts.EventName.RETRIED: pgettext_lazy('Event of a bulk', 'Retried'),
    consts.EventName.SCALED: pgettext_lazy('Event of a bulk', 'Scaled'),
}

HOST_STATES = {
    'ok': pgettext_lazy('State of a host', 'OK'),
    'held': pgettext_lazy('State of a host', 'Held'),
    'breaker open': pgettext_lazy('State of a host', 'Breaker open'),
    'unknown': pgettext_lazy('State of a host', 'Unknown'),
}

#: What holds a host: an operator or a gate.
HOLDERS = {
    consts.OPERATOR: pgettext_lazy('What holds a host', 'Operator'),
    'memory': pgettext_lazy('What holds a host', 'Memory'),
    'pids': pgettext_lazy('What holds a host', 'Processes'),
    'mounts': pgettext_lazy('What holds a host', 'Mounts'),
    'fds': pgettext_lazy('What holds a host', 'File descriptors'),
    'inotify': pgettext_lazy('What holds a host', 'Inotify instances'),
    'keys': pgettext_lazy('What holds a host', 'Kernel keys'),
    'shm': pgettext_lazy('What holds a host', 'Shared memory'),
    'disk': pgettext_lazy('What holds a host', 'Disk'),
    'bridge_ports': pgettext_lazy('What holds a host', 'Bridge ports'),
    'containers': pgettext_lazy('What holds a host', 'Containers'),
}

MODES = {
    'adaptive': pgettext_lazy('Mode of a host', 'Adaptive'),
    'fixed': pgettext_lazy('Mode of a host', 'Fixed'),
}

RESTARTS = {
    'no': pgettext_lazy('Restart policy', 'Never'),
    'on-failure': pgettext_lazy('Restart policy', 'On failure'),
    'always': pgettext_lazy('Restart policy', 'Always'),
    'unless-stopped': pgettext_lazy('Restart policy', 'Unless stopped'),
}

PULLS = {
    'ifnotpresent': pgettext_lazy('When to pull an image', 'If not present'),
    'always': pgettext_lazy('When to pull an image', 'Always'),
    'never': pgettext_lazy('When to pull an image', 'Never'),
}

#: Reason classes.
REASONS = {
    consts.ReasonClass.PERMANENT: pgettext_lazy(
        'Class of failures', 'Permanent'
    ),
    consts.ReasonClass.TRANSIENT: pgettext_lazy(
        'Class of failures', 'Transient'
    ),
    consts.ReasonClass.APPLICATION: pgettext_lazy(
        'Class of failures', 'Application'
    ),
    consts.ReasonClass.CAPACITY: pgettext_lazy(
        'Class of failures', 'Capacity'
    ),
    consts.ReasonClass.DELETED: pgettext_lazy('Class of failures', 'Deleted'),
    consts.ReasonClass.NETWORK: pgettext_lazy('Class of failures', 'Network'),
    consts.ReasonClass.VOLUME: pgettext_lazy('Class of failures', 'Volume'),
}

#: Fields of a template, in the order in which they are shown.
TEMPLATE = {
    'name': _('Container name'),
    'image': _('Image'),
    'image_driver': _('Image driver'),
    'image_pull_policy': _('Image pull policy'),
    'registry': _('Registry'),
    'command': _('Command'),
    'entrypoint': _('Entrypoint'),
    'workdir': _('Working directory'),
    'environment': _('Environment'),
    'labels': _('Labels'),
    'cpu': _('CPUs'),
    'cpu_policy': _('CPU policy'),
    'memory': _('Memory (MiB)'),
    'disk': _('Disk (GiB)'),
    'hostname': _('Hostname'),
    'runtime': _('Runtime'),
    'restart_policy': _('Restart policy'),
    'interactive': _('Interactive'),
    'tty': _('Terminal'),
    'auto_remove': _('Auto-remove'),
    'auto_heal': _('Auto-heal'),
    'privileged': _('Privileged'),
    'healthcheck': _('Health check'),
    'availability_zone': _('Availability zone'),
    'host': _('Host'),
    'hints': _('Scheduler hints'),
    'nets': _('Networks'),
    'security_groups': _('Security groups'),
    'mounts': _('Mounts'),
}

PLACEMENTS = {
    consts.PlacementPolicy.SPREAD: _('Spread evenly over hosts'),
    consts.PlacementPolicy.PACK: _('Pack onto few hosts'),
    consts.PlacementPolicy.ZONE_SPREAD: _(
        'Spread evenly over zones, then hosts'
    ),
    consts.PlacementPolicy.AFFINITY: _('All on one host'),
    consts.PlacementPolicy.SOFT_AFFINITY: _('On one host where possible'),
    consts.PlacementPolicy.ANTI_AFFINITY: _('Each on a different host'),
    consts.PlacementPolicy.SOFT_ANTI_AFFINITY: _(
        'Each on a different host where possible'
    ),
}

#: What to do when containers fail.
ON_FAILURE = {
    consts.OnFailure.PAUSE: _('Pause when more failures are likely'),
    consts.OnFailure.CONTINUE: _('Continue despite failures'),
}
