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

"""The tabs of a bulk's page."""

import re
import shlex

from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from horizon import exceptions
from horizon import tables
from horizon import tabs
from horizon.utils import filters
from horizon.utils import functions as utils

from zun_bulk.dashboard import api
from zun_bulk.dashboard import command
from zun_bulk.dashboard import labels
from zun_bulk.dashboard import progress
from zun_bulk.dashboard.bulks.tables import LONG


_NUMBER = re.compile(r'\d{1,9}\Z')
#: Text that the API can search for in names.
_PART_OF_NAME = re.compile(r'[a-zA-Z0-9_.-]{1,255}\Z')


def live(bulk):
    """Return the data of the part of the page that refreshes itself.

    This makes no API request.
    """
    samples = progress.sample(bulk)
    known = progress.hosts(bulk)
    reasons, other_reasons = progress.failures(bulk)
    return {
        'bulk': bulk,
        'status': labels.STATUSES.get(bulk.status, bulk.status),
        'bars': progress.bars(bulk.members, bulk.count),
        'states': [
            (labels.STATES[state], bulk.members[state])
            for state in api.STATES
            if bulk.members.get(state)
        ],
        'text': progress.counts_text(bulk.members),
        'done': progress.done_text(bulk),
        'rate': progress.rate_text(bulk, samples),
        'eta': progress.eta_text(bulk, samples),
        'chart': progress.chart(bulk.rates),
        'hosts': known and known[0],
        'hosts_more': known and known[1],
        'failures': reasons,
        'other_reasons': other_reasons,
        'announcement': progress.summary(bulk),
    }


def _template(template):
    """Format a template: [(label of a field, lines with its value)]"""
    names = [
        *labels.TEMPLATE,
        *sorted(template.keys() - labels.TEMPLATE.keys()),
    ]
    return [
        (
            labels.TEMPLATE.get(name, name),
            _FORMATS.get(name, _lines)(template[name]),
        )
        for name in names
        if template.get(name) not in (None, '', [], {})
    ]


def _restart(policy):
    name, most = policy.get('Name'), policy.get('MaximumRetryCount')
    lines = [labels.RESTARTS.get(name, name)]
    if most not in (None, '', '0', 0):
        lines.append(
            gettext('Maximum restarts: %(number)s') % {'number': most}
        )
    return lines


def _pull(policy):
    return [labels.PULLS.get(policy, policy)]


def _lines(value):
    if isinstance(value, bool):
        return [gettext('Yes') if value else gettext('No')]
    if isinstance(value, dict):
        return [f'{name}={item}' for name, item in sorted(value.items())]
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            return [shlex.join(value)]
        return [' '.join(_lines(item)) for item in value]
    return [str(value)]


#: Functions that format fields whose values have labels.
_FORMATS = {'restart_policy': _restart, 'image_pull_policy': _pull}


class OverviewTab(tabs.Tab):
    name = _('Overview')
    slug = 'overview'
    template_name = 'zun_bulk/bulks/_overview.html'

    def get_context_data(self, request, **kwargs):
        bulk = self.tab_group.kwargs['bulk']
        own = bulk.own_fields
        return {
            **live(bulk),
            'created_at': filters.parse_isotime(bulk.created_at),
            'finished_at': filters.parse_isotime(bulk.finished_at),
            'template': _template(bulk.template),
            'command': command.line(bulk, command.FILE if own else None),
            'own_fields': ', '.join(own) if own else '',
            'own_unknown': own is None,
            'placement': labels.PLACEMENTS.get(
                bulk.placement['policy'], bulk.placement['policy']
            ),
        }


def _container(member):
    return member.container_uuid


def _host(item):
    return item.host or '-'


def _state(member):
    return labels.STATES.get(member.state, member.state)


def _addresses(member):
    return ', '.join(filter(None, member.addresses or [])) or '-'


def _event(event):
    return labels.EVENTS.get(event.event, event.event)


class _PlainTable(tables.DataTable):
    def get_object_display(self, datum):
        return None


class MembersTable(_PlainTable):
    index = tables.Column('index', verbose_name=_('Index'))
    name = tables.Column('name', verbose_name=_('Name'), classes=LONG)
    state = tables.Column(_state, verbose_name=_('State'))
    host = tables.Column(_host, verbose_name=_('Host'), classes=LONG)
    addresses = tables.Column(_addresses, verbose_name=_('Addresses'))
    floating_ip = tables.Column('floating_ip', verbose_name=_('Floating IP'))
    attempt = tables.Column('attempt', verbose_name=_('Attempt'))
    reason = tables.Column('reason', verbose_name=_('Reason'), classes=LONG)
    container = tables.Column(_container, verbose_name=_('Container ID'))

    class Meta:
        name = 'members'
        verbose_name = _('Containers')
        footer = False


class EventsTable(_PlainTable):
    created_at = tables.Column(
        'created_at', verbose_name=_('Time'), filters=(filters.parse_isotime,)
    )
    event = tables.Column(_event, verbose_name=_('Event'))
    index = tables.Column('index', verbose_name=_('Index'))
    host = tables.Column(_host, verbose_name=_('Host'), classes=LONG)
    attempt = tables.Column('attempt', verbose_name=_('Attempt'))
    reason = tables.Column('reason', verbose_name=_('Reason'), classes=LONG)

    class Meta:
        name = 'events'
        verbose_name = _('Events')
        footer = False


class _PagedTab(tabs.Tab):
    """A table that gets one page at a time from the API."""

    preload = False
    table_class = None
    #: Sort direction, as on the first page.
    sort_dir = 'asc'
    #: Query parameters that filter the table on all pages.
    fields = ()

    def get_context_data(self, request, **kwargs):
        bulk = self.tab_group.kwargs['bulk']
        conditions = {
            name: request.GET[name].strip()[:255]
            for name in self.fields
            if request.GET.get(name, '').strip()
        }
        marker = request.GET.get(f'{self.slug}_marker', '')
        before = request.GET.get(f'{self.slug}_before', '')
        back = bool(_NUMBER.match(before))
        marker = before if back else marker
        marker = int(marker) if _NUMBER.match(marker) else None
        size = utils.get_page_size(request)
        sort_dir = self.sort_dir
        if back:
            sort_dir = 'desc' if sort_dir == 'asc' else 'asc'
        try:
            items = self.get_page(
                request,
                bulk,
                conditions,
                limit=size + 1,
                marker=marker,
                sort_dir=sort_dir,
            )
        except Exception:
            items = []
            exceptions.handle(request, _('Unable to retrieve the list.'))
        more, items = len(items) > size, items[:size]
        if back:
            items.reverse()
        table = self.table_class(request, data=items)
        if bulk.hosts is None:
            # The user may not see hosts.
            del table.columns['host']
        base = {'tab': self.get_id(), **conditions}
        url = self.tab_group.kwargs['url']

        def page(name, item):
            query = urlencode({**base, f'{self.slug}_{name}': item.id})
            return f'{url}?{query}'

        follows = items and (back or more)
        precedes = items and (more if back else marker is not None)
        return {
            'bulk': bulk,
            'url': url,
            'tab_id': self.get_id(),
            'table': table,
            'conditions': conditions,
            'previous': page('before', items[0]) if precedes else None,
            'next': page('marker', items[-1]) if follows else None,
        }


class MembersTab(_PagedTab):
    name = _('Containers')
    slug = 'members'
    template_name = 'zun_bulk/bulks/_members.html'
    table_class = MembersTable
    fields = ('q', 'state', 'host')

    def get_context_data(self, request, **kwargs):
        context = super().get_context_data(request, **kwargs)
        hosts = context['bulk'].hosts
        context['states'] = labels.STATES.items()
        context['hosts'] = None if hosts is None else sorted(hosts)
        return context

    def get_page(self, request, bulk, conditions, limit, **page):
        """Return a page of members, with one API request."""
        query = {
            name: conditions[name]
            for name in ('state', 'host')
            if name in conditions
        }
        text = conditions.get('q', '')
        if _NUMBER.match(text):
            number = int(text)
            # No pages: there is only one such container.
            found = api.member_list(
                request, bulk.id, limit=1, marker=max(0, number - 1), **query
            )
            return [member for member in found if member.index == number]
        if text:
            if not _PART_OF_NAME.match(text):
                return []
            query['name'] = text
        return api.member_list(request, bulk.id, limit=limit, **query, **page)


class EventsTab(_PagedTab):
    name = _('Events')
    slug = 'events'
    template_name = 'zun_bulk/bulks/_events.html'
    table_class = EventsTable
    # The latest events matter most.
    sort_dir = 'desc'
    fields = ('index',)

    def get_page(self, request, bulk, conditions, limit, **page):
        if _NUMBER.match(conditions.get('index', '')):
            page['index'] = int(conditions['index'])
        return api.event_list(request, bulk.id, limit, **page)


class BulkTabs(tabs.TabGroup):
    slug = 'bulk_details'
    tabs = (OverviewTab, MembersTab, EventsTab)
    sticky = False
    show_single_tab = True
