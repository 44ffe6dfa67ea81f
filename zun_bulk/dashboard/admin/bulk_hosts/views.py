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

"""Hosts: their pace, and what holds them."""

from django.urls import reverse
from django.urls import reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from horizon import exceptions
from horizon import forms
from horizon import tables

from zun_bulk.dashboard import api
from zun_bulk.dashboard import refresh
from zun_bulk.dashboard.admin.bulk_hosts import forms as host_forms
from zun_bulk.dashboard.admin.bulk_hosts import tables as host_tables


INDEX = reverse_lazy('horizon:admin:bulk_hosts:index')


class IndexView(tables.DataTableView):
    table_class = host_tables.HostsTable
    template_name = 'zun_bulk/table.html'
    page_title = _('Bulk Hosts')

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        context['refresh_url'] = reverse(
            'horizon:admin:bulk_hosts:refresh_list'
        )
        context['at_work'] = _at_work(self.table.data)
        return context

    def get_data(self):
        try:
            return api.host_list(self.request)
        except Exception:
            exceptions.handle(
                self.request, _('Unable to retrieve the list of hosts.')
            )
            return []


class RefreshView(IndexView):
    """The current rows of the list of hosts."""

    http_method_names = ['get']

    @refresh.refreshing
    def get(self, request, *args, **kwargs):
        table = self.get_table()
        table.data = api.host_list(request)
        return refresh.answer(
            _at_work(table.data),
            {row.id: row.render() for row in table.get_rows()},
        )


def _at_work(hosts):
    return any(host.at_work for host in hosts)


class _HostView(forms.ModalFormView):
    template_name = 'zun_bulk/form_page.html'
    ajax_template_name = 'zun_bulk/hosts/form.html'
    success_url = cancel_url = INDEX
    #: Explanation beside the form.
    description = ''

    @property
    def submit_url(self):
        return reverse(self.url_name, args=[self.kwargs['host']])

    @cached_property
    def host(self):
        try:
            return api.host_get(self.request, self.kwargs['host'])
        except Exception:
            exceptions.handle(
                self.request, _('Unable to retrieve the host.'), redirect=INDEX
            )

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        context['description'] = self.description
        return context


class HoldView(_HostView):
    form_class = host_forms.HoldForm
    url_name = 'horizon:admin:bulk_hosts:hold'
    page_title = modal_header = submit_label = _('Hold Host')
    form_id = modal_id = 'hold_host_form'
    description = _(
        'The host starts no containers until it is released, of bulks or not. '
        'Running containers are not affected, and deletions continue.'
    )

    def get_initial(self):
        return {'host': self.kwargs['host']}


class LimitsView(_HostView):
    form_class = host_forms.LimitsForm
    url_name = 'horizon:admin:bulk_hosts:limits'
    page_title = modal_header = submit_label = _('Set Limits')
    form_id = modal_id = 'limit_host_form'
    description = _(
        'Empty fields: as configured on the host. With a maximum of 0, the '
        'host derives it from its number of CPUs. An adaptive host finds out '
        'how many parallel starts it can take, up to the maximum; a fixed '
        'host always allows the maximum.'
    )

    def get_initial(self):
        return {
            'host': self.kwargs['host'],
            'mode': self.host.mode,
            'max_in_flight': self.host.max_in_flight,
            'start_interval': self.host.start_interval,
        }
