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

"""How the pages call what the API has words for."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


STATUSES = {
    'building': pgettext_lazy('Status of a bulk', 'Building'),
    'paused': pgettext_lazy('Status of a bulk', 'Paused'),
    'ready': pgettext_lazy('Status of a bulk', 'Ready'),
    'error': pgettext_lazy('Status of a bulk', 'Error'),
    'cancelling': pgettext_lazy('Status of a bulk', 'Cancelling'),
    'cancelled': pgettext_lazy('Status of a bulk', 'Cancelled'),
    'deleting': pgettext_lazy('Status of a bulk', 'Deleting'),
}

STATES = {
    'queued': pgettext_lazy('State of a container of a bulk', 'Queued'),
    'placed': pgettext_lazy('State of a container of a bulk', 'Placed'),
    'starting': pgettext_lazy('State of a container of a bulk', 'Starting'),
    'running': pgettext_lazy('State of a container of a bulk', 'Running'),
    'stopped': pgettext_lazy('State of a container of a bulk', 'Stopped'),
    'failed': pgettext_lazy('State of a container of a bulk', 'Failed'),
    'cancelled': pgettext_lazy('State of a container of a bulk', 'Cancelled'),
    'deleting': pgettext_lazy('State of a container of a bulk', 'Deleting'),
    'deleted': pgettext_lazy('State of a container of a bulk', 'Deleted'),
}

EVENTS = {
    **STATES,
    **STATUSES,
    'accepted': pgettext_lazy('Event of a bulk', 'Accepted'),
    'resumed': pgettext_lazy('Event of a bulk', 'Resumed'),
    'retried': pgettext_lazy('Event of a bulk', 'Retried'),
    'scaled': pgettext_lazy('Event of a bulk', 'Scaled'),
}

HOST_STATES = {
    'ok': pgettext_lazy('State of a host', 'OK'),
    'held': pgettext_lazy('State of a host', 'Held'),
    'breaker open': pgettext_lazy('State of a host', 'Breaker open'),
    'unknown': pgettext_lazy('State of a host', 'Unknown'),
}

#: Who or what holds a host.
HOLDERS = {
    'operator': pgettext_lazy('What holds a host', 'Operator'),
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

#: Why containers fail.
REASONS = {
    'permanent': pgettext_lazy('Class of failures', 'Permanent'),
    'transient': pgettext_lazy('Class of failures', 'Transient'),
    'application': pgettext_lazy('Class of failures', 'Application'),
    'capacity': pgettext_lazy('Class of failures', 'Capacity'),
    'deleted': pgettext_lazy('Class of failures', 'Deleted'),
}

#: Fields of a template, in the order in which they are told.
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
    'spread': _('Spread evenly over hosts'),
    'pack': _('Pack onto few hosts'),
    'zone-spread': _('Spread evenly over zones, then hosts'),
    'affinity': _('All on one host'),
    'soft-affinity': _('On one host where possible'),
    'anti-affinity': _('Each on a different host'),
    'soft-anti-affinity': _('Each on a different host where possible'),
}
