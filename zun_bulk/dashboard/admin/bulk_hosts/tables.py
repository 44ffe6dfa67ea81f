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

"""The table of hosts and the actions on a host."""

from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from horizon import tables

from zun_bulk.dashboard import api
from zun_bulk.dashboard import labels
from zun_bulk.dashboard import policies
from zun_bulk.dashboard import progress
from zun_bulk.dashboard.bulks import tables as bulk_tables


_UPDATE_RULES = ((policies.SERVICE, 'bulk_host:update'),)


class HoldHost(tables.LinkAction):
    name = 'hold'
    verbose_name = _('Hold Host')
    url = 'horizon:admin:bulk_hosts:hold'
    classes = ('ajax-modal',)
    icon = 'pause'
    policy_rules = _UPDATE_RULES

    def allowed(self, request, host=None):
        return host is None or not host.held


class ReleaseHost(tables.BatchAction):
    name = 'release'
    icon = 'play'
    policy_rules = _UPDATE_RULES
    help_text = _(
        'The host starts containers again, unless one of its gates holds it.'
    )

    @staticmethod
    def action_present(count):
        return ngettext_lazy('Release Host', 'Release Hosts', count)

    @staticmethod
    def action_past(count):
        return ngettext_lazy('Released Host', 'Released Hosts', count)

    def allowed(self, request, host=None):
        return host is None or host.held

    @bulk_tables.show_refusal
    def action(self, request, name):
        api.host_update(request, name, {'held': False})


class SetLimits(tables.LinkAction):
    name = 'limits'
    verbose_name = _('Set Limits')
    url = 'horizon:admin:bulk_hosts:limits'
    classes = ('ajax-modal',)
    icon = 'sliders'
    policy_rules = _UPDATE_RULES


class HostsFilter(tables.FilterAction):
    def filter(self, table, hosts, text):
        return [host for host in hosts if text.lower() in host.name.lower()]


def _seconds(name):
    def get(host):
        value = host.starts.get(name)
        return '-' if value is None else gettext('%.1f s') % value

    return get


def _number(name):
    def get(host):
        value = host.starts.get(name)
        return '-' if value is None else value

    return get


def _rate(host):
    value = host.starts.get('per_second')
    return '-' if value is None else gettext('%.1f/s') % value


def _queued(host):
    return '-' if host.pace is None else host.pace['queued']


def _holds(host):
    """List what holds the host and why, one line each."""
    if not host.held_by:
        return '-'
    return _listed(
        gettext('%(who)s: %(why)s')
        % {
            'who': labels.HOLDERS.get(who, who),
            'why': why or gettext('no reason given'),
        }
        for who, why in sorted(host.held_by.items())
    )


def _listed(lines):
    return format_html_join('', '<div>{}</div>', ((line,) for line in lines))


def _last_reduced(host):
    cut = host.starts.get('last_cut')
    if not cut:
        return '-'
    return gettext('%(ago)s ago: %(why)s') % {
        'ago': progress.duration_text(cut['ago']),
        'why': cut['why'],
    }


def _settings(host):
    """List the settings that override the host's configuration."""
    lines = []
    if host.mode is not None:
        lines.append(labels.MODES.get(host.mode, host.mode))
    if host.max_in_flight is not None:
        lines.append(
            gettext('Maximum parallel starts: %(number)d')
            % {'number': host.max_in_flight}
        )
    if host.start_interval is not None:
        lines.append(
            gettext('Start interval: %(seconds)s s')
            % {'seconds': host.start_interval}
        )
    return _listed(lines) or '-'


def _age(host):
    return '-' if host.age is None else progress.duration_text(host.age)


class HostsTable(tables.DataTable):
    STATUSES = (
        ('ok', True),
        ('held', True),
        ('breaker open', False),
        ('unknown', False),
    )

    name = tables.Column(
        'name', verbose_name=_('Host'), classes=bulk_tables.LONG
    )
    state = tables.Column(
        'state',
        verbose_name=_('State'),
        display_choices=tuple(labels.HOST_STATES.items()),
    )
    holds = tables.Column(
        _holds, verbose_name=_('Held by'), classes=bulk_tables.LONG
    )
    limit = tables.Column(_number('limit'), verbose_name=_('Limit'))
    in_flight = tables.Column(
        _number('in_flight'), verbose_name=_('In flight')
    )
    queued = tables.Column(_queued, verbose_name=_('Waiting'))
    rate = tables.Column(_rate, verbose_name=_('Rate'))
    median = tables.Column(
        _seconds('median'),
        verbose_name=_('Latency'),
        help_text=_('Median time of the last starts.'),
    )
    p95 = tables.Column(
        _seconds('p95'),
        verbose_name=_('Latency, 95%'),
        help_text=_('95th percentile of the time of the last starts.'),
    )
    cut = tables.Column(_last_reduced, verbose_name=_('Last reduced'))
    settings = tables.Column(_settings, verbose_name=_('Settings'))
    age = tables.Column(_age, verbose_name=_('Last report'))

    class Meta:
        name = 'bulk_hosts'
        verbose_name = _('Bulk Hosts')
        row_actions_dropdown_template = 'zun_bulk/_row_actions.html'
        table_actions_template = 'zun_bulk/_table_actions.html'
        table_actions = (HostsFilter,)
        row_actions = (HoldHost, ReleaseHost, SetLimits)
        multi_select = False

    def get_absolute_url(self):
        # Rows that the refresh view renders need this URL too.
        return reverse('horizon:admin:bulk_hosts:index')
