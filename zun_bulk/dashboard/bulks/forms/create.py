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

"""The form that creates a bulk."""

import shlex

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from horizon import forms
from horizon import messages
from osc_lib import exceptions as osc_exceptions

from zun_bulk.dashboard import api
from zun_bulk.dashboard import command
from zun_bulk.dashboard.bulks.forms import api_errors
from zun_bulk.dashboard.bulks.forms import create_fields
from zun_bulk.dashboard.bulks.forms import request_body
from zun_bulk.osc import members_file


#: Bytes of a member file.
MAX_FILE = 16 * 1024 * 1024


class CreateForm(create_fields.CreateFields):
    """Check the input, and create the bulk or do a dry run.

    Errors that only the API can find are shown at their fields too.
    """

    def clean_command(self):
        try:
            return shlex.split(self.cleaned_data['command'])
        except ValueError as e:
            raise forms.ValidationError(
                _(
                    'A quotation mark is not closed, or a backslash is at '
                    'the end.'
                )
            ) from e

    def clean_address_ranges(self):
        """Map network IDs to ranges; users may give names or IDs."""
        wanted = self.cleaned_data.get('networks') or []
        # Network names need not be unique, except among the selected ones.
        names = {self.network_names[ident]: ident for ident in wanted}
        ranges = {}
        for name, addresses in self.cleaned_data['address_ranges'].items():
            ident = names.get(name, name)
            if ident not in wanted:
                raise forms.ValidationError(
                    _('%(name)s is not one of the selected networks.'),
                    params={'name': name},
                )
            ranges[ident] = addresses
        return ranges

    def clean_members_file(self):
        """Read and check the file; None if there is none."""
        file = self.cleaned_data['members_file']
        if not file:
            return None
        if file.size > MAX_FILE:
            raise forms.ValidationError(_('The file is larger than 16 MiB.'))
        nets = len(self.cleaned_data.get('networks') or ['any'])
        try:
            return members_file.parse(file.name, file.read(), nets)
        except osc_exceptions.CommandError as e:
            raise forms.ValidationError(str(e).splitlines()) from e

    def clean(self):
        data = super().clean()
        file, count = data.get('members_file'), data.get('count')
        if file:
            # The default count does not contradict a file.
            if 'count' in self.changed_data and count not in (
                None,
                len(file.members),
            ):
                self.add_error(
                    'count',
                    _(
                        'This is %(count)d, but the file contains '
                        '%(members)d members.'
                    )
                    % {'count': count, 'members': len(file.members)},
                )
        elif count is None and 'count' not in self.errors:
            self.add_error(
                'count', self.fields['count'].error_messages['required']
            )
        if (
            data.get('restart_retries') is not None
            and data.get('restart_policy') != 'on-failure'
        ):
            self.add_error(
                'restart_retries',
                _('Only valid with the restart policy "On failure".'),
            )
        return data

    def body(self):
        return request_body.build(self.cleaned_data)

    def check(self, request):
        """Ask the API for a dry run.

        :raises: ApiError
        """
        return self._send(request, dict(self.body(), dry_run=True))

    def handle(self, request, data):
        """Create the bulk.

        :raises: ApiError
        """
        made = self._send(
            request, dict(self.body(), client_token=data['client_token'])
        )
        messages.success(
            request,
            ngettext(
                'Bulk %(name)s is accepted with %(count)d container.',
                'Bulk %(name)s is accepted with %(count)d containers.',
                made['count'],
            )
            % {'name': made['name'], 'count': made['count']},
        )
        return api.Bulk(made)

    def _send(self, request, body):
        file = self.cleaned_data['members_file']
        if not file:
            return api.bulk_create(request, body)
        with file.lines_in_errors():
            return api.bulk_create(request, body)

    def add_api_error(self, error):
        """Show an ApiError at the fields that it is about."""
        text = api_errors.text_of(error)
        if error.unanswered:
            self.api_error(
                gettext(
                    '%s The bulk may have been created anyway. Submit this '
                    'form again to see it: this does not create a second bulk.'
                )
                % text
            )
            return
        file = self.cleaned_data.get('members_file')
        for line in text.splitlines():
            field, message = api_errors.field_of(line, file and file.name)
            self.add_error(field if field in self.fields else None, message)

    def command_line(self):
        """Return the CLI command that creates the same bulk."""
        file = self.cleaned_data['members_file']
        return command.line(self.body(), file and file.name)
