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

"""The pages of bulks, for projects and administrators.

The panels of both dashboards set their URL namespace in ``namespace``.
"""

from django import shortcuts
from django.template.loader import render_to_string
from django.urls import reverse
from django.urls import reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.views import generic
from horizon import exceptions
from horizon import forms
from horizon import tables
from horizon import tabs
from horizon.utils import functions as utils

from zun_bulk.dashboard import api
from zun_bulk.dashboard import exceptions as api_exceptions
from zun_bulk.dashboard import progress
from zun_bulk.dashboard import refresh
from zun_bulk.dashboard.bulks import dry_run
from zun_bulk.dashboard.bulks import quotas
from zun_bulk.dashboard.bulks import tables as bulk_tables
from zun_bulk.dashboard.bulks import tabs as bulk_tabs
from zun_bulk.dashboard.bulks.forms import create
from zun_bulk.dashboard.bulks.forms import scale
from zun_bulk.osc import client


class IndexView(tables.PagedTableMixin, tables.DataTableView):
    table_class = bulk_tables.BulksTable
    template_name = 'zun_bulk/table.html'
    page_title = _('Bulks')
    #: Additional query parameters of the API request.
    query = {}

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        url = reverse(f'{self.table_class.namespace}:refresh_list')
        query = self.request.GET.urlencode()
        context['refresh_url'] = f'{url}?{query}' if query else url
        context['at_work'] = _at_work(self.table.data)
        return context

    def get_data(self):
        try:
            return self.load()
        except Exception:
            exceptions.handle(
                self.request, _('Unable to retrieve the list of bulks.')
            )
            return []

    def load(self):
        """Return a page of bulks, with one API request."""
        marker, sort_dir = self._get_marker()
        size = utils.get_page_size(self.request)
        found = api.bulk_list(
            self.request,
            size + 1,
            marker=marker,
            sort_dir=sort_dir,
            **self.query,
            **self.get_filters(),
        )
        more = len(found) > size
        found = found[:size]
        if sort_dir == 'asc':
            found.reverse()
            self._has_prev_data, self._has_more_data = more, True
        else:
            self._has_prev_data, self._has_more_data = bool(marker), more
        return found


class ListRefreshView(IndexView):
    """The current rows of the list of bulks."""

    http_method_names = ['get']

    @refresh.refreshing
    def get(self, request, *args, **kwargs):
        table = self.get_table()
        self.update_server_filter_action(request)
        table.data = self.load()
        return refresh.answer(
            _at_work(table.data),
            {row.id: row.render() for row in table.get_rows()},
        )


def _at_work(bulks):
    return any(bulk.at_work for bulk in bulks)


class _BulkView:
    """A view of the bulk in its URL."""

    namespace = 'horizon:project:bulks'
    #: Seconds of the bulk's work for which to get rates.
    rate_window = None

    @property
    def ident(self):
        return str(self.kwargs['bulk_id'])

    @cached_property
    def bulk(self):
        """The bulk; redirects to the list if there is none."""
        try:
            return api.bulk_get(self.request, self.ident, self.rate_window)
        except Exception:
            exceptions.handle(
                self.request,
                _('Unable to retrieve details of the bulk.'),
                redirect=reverse(f'{self.namespace}:index'),
            )

    def url(self, name):
        return reverse(f'{self.namespace}:{name}', args=[self.ident])


class DetailView(_BulkView, tabs.TabView):
    tab_group_class = bulk_tabs.BulkTabs
    template_name = 'zun_bulk/bulks/detail.html'
    page_title = '{{ bulk.name }}'
    table_class = bulk_tables.BulksTable
    rate_window = progress.RATE_WINDOW

    def get_tabs(self, request, **kwargs):
        if self._tab_group is None:
            self._tab_group = self.tab_group_class(
                request, bulk=self.bulk, url=self.url('detail')
            )
        return self._tab_group

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        context['bulk'] = self.bulk
        context['url'] = self.url('detail')
        context['actions'] = _actions(
            self.table_class, self.request, self.bulk
        )
        context['refresh_url'] = self.url('refresh')
        context['at_work'] = self.bulk.at_work
        return context

    def post(self, request, *args, **kwargs):
        """Run one of the actions at the top of the page."""
        table = self.table_class(request, data=[self.bulk])
        return table.maybe_handle() or shortcuts.redirect(self.url('detail'))


class DetailRefreshView(_BulkView, generic.View):
    """The changing parts of a bulk's page, with one API request."""

    table_class = bulk_tables.BulksTable

    @refresh.refreshing
    def get(self, request, *args, **kwargs):
        bulk = api.bulk_get(request, self.ident, progress.RATE_WINDOW)
        context = bulk_tabs.live(bulk)
        actions = _actions(self.table_class, request, bulk)
        return refresh.answer(
            bulk.at_work,
            {
                'bulk-live': render_to_string(
                    'zun_bulk/bulks/_live.html', context, request
                ),
                'bulk-actions': render_to_string(
                    'zun_bulk/bulks/_actions.html', {'actions': actions}
                ),
            },
            context['announcement'],
        )


def _actions(table_class, request, bulk):
    return table_class(request).render_row_actions(bulk)


class ScaleView(_BulkView, forms.ModalFormView):
    form_class = scale.ScaleForm
    template_name = 'zun_bulk/form_page.html'
    ajax_template_name = 'zun_bulk/bulks/scale.html'
    page_title = modal_header = _('Scale Bulk')
    form_id = modal_id = 'scale_bulk_form'
    submit_label = _('Scale Bulk')

    @property
    def success_url(self):
        return self.url('detail')

    @property
    def submit_url(self):
        return self.url('scale')

    @property
    def cancel_url(self):
        return self.url('detail')

    def get_initial(self):
        return {'bulk_id': self.bulk.id, 'count': self.bulk.count}

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        context['bulk'] = self.bulk
        return context


class CreateView(forms.ModalFormView):
    """The create form, in steps on its own page."""

    form_class = create.CreateForm
    template_name = 'zun_bulk/bulks/create.html'
    page_title = _('Create Bulk')
    form_id = 'create_bulk_form'
    submit_label = _('Create Bulk')
    submit_url = reverse_lazy('horizon:project:bulks:create')
    cancel_url = reverse_lazy('horizon:project:bulks:index')

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        form = context['form']
        context['steps'] = form.steps()
        context['check_url'] = reverse('horizon:project:bulks:check')
        context['may_check'] = dry_run.allowed(self.request)
        context['quotas'] = quotas.shown(self.request)
        return context

    def form_invalid(self, form):
        return self.render_to_response(self.get_context_data(form=form))

    def form_valid(self, form):
        try:
            made = form.handle(self.request, form.cleaned_data)
        except client.ApiError as e:
            made = None
            form.add_api_error(e)
        if made is None:
            return self.form_invalid(form)
        return shortcuts.redirect(
            'horizon:project:bulks:detail', bulk_id=made.id
        )


class CheckView(generic.View):
    """The dry run of the create form."""

    @staticmethod
    def post(request):
        form = create.CreateForm(request, request.POST, request.FILES)
        plan = None
        if form.is_valid():
            try:
                plan = form.check(request)
            except client.ApiError as e:
                if isinstance(e, api_exceptions.UNAUTHORIZED):
                    return refresh.refusal(e)
                form.add_api_error(e)
        return dry_run.response(form, plan)
