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

"""The table of bulks and the actions on a bulk."""

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from horizon import tables
from horizon.tables import actions
from horizon.utils import filters
from openstack_dashboard import policy

from zun_bulk import consts
from zun_bulk.dashboard import api
from zun_bulk.dashboard import labels
from zun_bulk.dashboard import policies
from zun_bulk.dashboard import progress
from zun_bulk.osc import client


#: CSS classes of columns with long words, which may have to break.
LONG = ('bulk-long',)


def show_refusal(function):
    """Decorate a batch action to show why the API refused it."""
    return actions.handle_exception_with_detail_message(
        'Failed for %(id)s: %(exc)s',
        client.ApiError,
        'Refused for %(id)s: %(exc)s',
        _('%(name)s: %(exc)s'),
        __name__,
    )(function)


class _Permitted(policy.PolicyTargetMixin):
    """An action that needs a fitting status and a policy rule."""

    policy_target_attrs = (
        ('project_id', 'project_id'),
        ('user_id', 'user_id'),
    )

    def allowed(self, request, bulk=None):
        return bulk is None or self.name in bulk.actions


class _SimpleAction(_Permitted, tables.BatchAction):
    """An action without input that has the same name in the API."""

    @show_refusal
    def action(self, request, ident):
        api.bulk_act(request, ident, self.name)


class PauseBulk(_SimpleAction):
    name = 'pause'
    icon = 'pause'
    policy_rules = ((policies.SERVICE, 'bulk:pause'),)
    help_text = _(
        'The bulk starts no more containers until it is resumed. Running '
        'containers are not affected.'
    )

    @staticmethod
    def action_present(count):
        return ngettext_lazy('Pause Bulk', 'Pause Bulks', count)

    @staticmethod
    def action_past(count):
        return ngettext_lazy('Paused Bulk', 'Paused Bulks', count)


class ResumeBulk(_SimpleAction):
    name = 'resume'
    icon = 'play'
    policy_rules = ((policies.SERVICE, 'bulk:resume'),)
    help_text = _('The bulk continues to start its waiting containers.')

    @staticmethod
    def action_present(count):
        return ngettext_lazy('Resume Bulk', 'Resume Bulks', count)

    @staticmethod
    def action_past(count):
        return ngettext_lazy('Resumed Bulk', 'Resumed Bulks', count)


class RetryBulk(_SimpleAction):
    name = 'retry'
    icon = 'refresh'
    policy_rules = ((policies.SERVICE, 'bulk:retry'),)
    help_text = _(
        'Failed containers and floating IPs are retried, with the full number '
        'of attempts. A paused or finished bulk becomes active again.'
    )

    @staticmethod
    def action_present(count):
        return ngettext_lazy('Retry Failed', 'Retry Failed', count)

    @staticmethod
    def action_past(count):
        return ngettext_lazy(
            'Retrying failed containers of Bulk',
            'Retrying failed containers of Bulks',
            count,
        )


class CancelBulk(_SimpleAction):
    name = 'cancel'
    icon = 'ban'
    action_type = 'danger'
    policy_rules = ((policies.SERVICE, 'bulk:cancel'),)
    help_text = _(
        'Containers that have not been started are cancelled. Running '
        'containers stay.'
    )

    @staticmethod
    def action_present(count):
        return ngettext_lazy('Cancel Bulk', 'Cancel Bulks', count)

    @staticmethod
    def action_past(count):
        return ngettext_lazy('Cancelling Bulk', 'Cancelling Bulks', count)


class DeleteBulk(_Permitted, tables.DeleteAction):
    policy_rules = ((policies.SERVICE, 'bulk:delete'),)
    help_text = _(
        'All containers of the bulk are deleted with it. This action cannot '
        'be undone.'
    )

    @staticmethod
    def action_present(count):
        return ngettext_lazy('Delete Bulk', 'Delete Bulks', count)

    @staticmethod
    def action_past(count):
        return ngettext_lazy(
            'Scheduled deletion of Bulk', 'Scheduled deletion of Bulks', count
        )

    @show_refusal
    def delete(self, request, ident):
        api.bulk_delete(request, ident)


class ScaleBulk(_Permitted, tables.LinkAction):
    name = 'scale'
    verbose_name = _('Scale Bulk')
    classes = ('ajax-modal',)
    icon = 'arrows-v'
    policy_rules = ((policies.SERVICE, 'bulk:scale'),)

    def get_link_url(self, bulk):
        return reverse(f'{self.table.namespace}:scale', args=[bulk.id])


class CreateBulk(_Permitted, tables.LinkAction):
    name = 'create'
    verbose_name = _('Create Bulk')
    url = 'horizon:project:bulks:create'
    icon = 'plus'
    policy_rules = ((policies.SERVICE, 'bulk:create'),)


#: The statuses as users have to type them.
_STATUSES = ', '.join(
    status
    for status in consts.BulkStatus.ALL
    if status != consts.BulkStatus.DELETING
)


class BulksFilter(tables.FilterAction):
    filter_type = 'server'
    filter_choices = (
        ('name', _('Name ='), True),
        (
            'status',
            _('Status ='),
            True,
            format_lazy(_('One of: {statuses}'), statuses=_STATUSES),
        ),
    )


class _NameColumn(tables.Column):
    def get_link_url(self, bulk):
        return reverse(f'{self.table.namespace}:detail', args=[bulk.id])


def progress_cell(bulk):
    counts = progress.counts_text(bulk.members)
    text = gettext('%(percent)d%%: %(counts)s') if counts else '%(percent)d%%'
    return render_to_string(
        'zun_bulk/bulks/_progress.html',
        {
            'bars': progress.bars(bulk.members, bulk.count),
            'summary': text % {'percent': bulk.percent, 'counts': counts},
            'text': counts,
            'name': bulk.name,
        },
    )


def _rate(bulk):
    return progress.rate_text(bulk, progress.sample(bulk))


class BulksTable(tables.DataTable):
    STATUSES = (
        (consts.BulkStatus.READY, True),
        (consts.BulkStatus.CANCELLED, True),
        (consts.BulkStatus.ERROR, False),
        (consts.BulkStatus.PAUSED, True),
        (consts.BulkStatus.BUILDING, None),
        (consts.BulkStatus.CANCELLING, None),
        (consts.BulkStatus.DELETING, None),
    )
    #: URL namespace of the pages of a bulk.
    namespace = 'horizon:project:bulks'

    name = _NameColumn('name', link=True, verbose_name=_('Name'), classes=LONG)
    status = tables.Column(
        'status',
        verbose_name=_('Status'),
        display_choices=tuple(labels.STATUSES.items()),
    )
    progress = tables.Column(progress_cell, verbose_name=_('Progress'))
    rate = tables.Column(_rate, verbose_name=_('Rate'))
    count = tables.Column('count', verbose_name=_('Containers'))
    image = tables.Column('image', verbose_name=_('Image'), classes=LONG)
    created_at = tables.Column(
        'created_at',
        verbose_name=_('Age'),
        filters=(filters.parse_isotime, filters.timesince_sortable),
        attrs={'data-type': 'timesince'},
    )

    class Meta:
        name = 'bulks'
        verbose_name = _('Bulks')
        row_actions_dropdown_template = 'zun_bulk/_row_actions.html'
        table_actions_template = 'zun_bulk/_table_actions.html'
        table_actions = (BulksFilter, CreateBulk, DeleteBulk)
        row_actions = (
            PauseBulk,
            ResumeBulk,
            RetryBulk,
            ScaleBulk,
            CancelBulk,
            DeleteBulk,
        )

    def get_object_by_id(self, lookup):
        for bulk in self.data:
            if bulk.id == lookup:
                return bulk
        # The bulk has moved to another page meanwhile.
        return api.bulk_get(self.request, lookup)


class AdminBulksTable(BulksTable):
    namespace = 'horizon:admin:bulks'

    project_name = tables.Column(
        'project_name', verbose_name=_('Project'), classes=LONG
    )
    project = tables.Column(
        'project_id', verbose_name=_('Project ID'), classes=LONG
    )

    class Meta:
        name = 'bulks'
        verbose_name = _('Bulks')
        columns = (
            'project_name',
            'project',
            'name',
            'status',
            'progress',
            'rate',
            'count',
            'image',
            'created_at',
        )
        row_actions_dropdown_template = 'zun_bulk/_row_actions.html'
        table_actions_template = 'zun_bulk/_table_actions.html'
        table_actions = (BulksFilter, DeleteBulk)
        row_actions = BulksTable._meta.row_actions
