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

"""The form that scales a bulk."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from horizon import forms
from horizon import messages

from zun_bulk.dashboard import api
from zun_bulk.dashboard.bulks.forms import api_errors
from zun_bulk.dashboard.bulks.forms import fields
from zun_bulk.osc import client


class ScaleForm(forms.SelfHandlingForm):
    bulk_id = forms.CharField(widget=forms.HiddenInput())
    count = forms.IntegerField(
        label=_('Number of containers'),
        min_value=1,
        max_value=fields.MAX_COUNT,
    )

    def handle(self, request, data):
        try:
            bulk = api.bulk_act(
                request, data['bulk_id'], 'scale', {'count': data['count']}
            )
        except client.ApiError as e:
            self.add_error('count', api_errors.text_of(e))
            return False
        messages.success(
            request,
            ngettext(
                'Scaling bulk %(name)s to %(count)d container.',
                'Scaling bulk %(name)s to %(count)d containers.',
                bulk.count,
            )
            % {'name': bulk.name, 'count': bulk.count},
        )
        return True
