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

from django.utils.translation import gettext_lazy as _
from horizon import forms
from horizon import messages

from zun_bulk.dashboard import api
from zun_bulk.dashboard import labels
from zun_bulk.osc import client


class _HostForm(forms.SelfHandlingForm):
    host = forms.CharField(widget=forms.HiddenInput())

    def _update(self, request, body):
        try:
            host = api.host_update(request, self.cleaned_data['host'], body)
        except client.ApiError as e:
            self.api_error(str(e))
            return False
        messages.success(
            request, _('Host %(name)s was updated.') % {'name': host.name}
        )
        return True


class HoldForm(_HostForm):
    hold_reason = forms.CharField(
        label=_('Reason'), max_length=255, required=False
    )

    def handle(self, request, data):
        return self._update(
            request, {'held': True, 'hold_reason': data['hold_reason'] or None}
        )


class LimitsForm(_HostForm):
    """Settings of a host; empty ones use its configuration."""

    mode = forms.ChoiceField(
        label=_('Mode'),
        required=False,
        choices=[('', _('As configured on the host')), *labels.MODES.items()],
    )
    max_in_flight = forms.IntegerField(
        label=_('Maximum parallel starts'),
        min_value=0,
        max_value=256,
        required=False,
    )
    start_interval = forms.FloatField(
        label=_('Start interval (seconds)'),
        min_value=0,
        max_value=3600,
        required=False,
        widget=forms.NumberInput(attrs={'step': 'any'}),
    )

    def handle(self, request, data):
        return self._update(
            request,
            {
                'mode': data['mode'] or None,
                'max_in_flight': data['max_in_flight'],
                'start_interval': data['start_interval'],
            },
        )
