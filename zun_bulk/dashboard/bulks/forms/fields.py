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

"""Fields that more than one form may use."""

from django.utils.translation import gettext_lazy as _
from horizon import forms


#: Containers of a bulk. This is the API's maximum; an administrator may have
#: set a lower one.
MAX_COUNT = 100000
#: Characters in a text field.
MAX_TEXT = 65536


class PairsField(forms.CharField):
    """Lines of the form NAME=VALUE; cleaned to {name: value}."""

    widget = forms.Textarea(attrs={'rows': 4})

    def clean(self, value):
        text = super().clean(value)
        pairs = {}
        for line in filter(None, map(str.strip, text.splitlines())):
            name, sign, rest = line.partition('=')
            if not sign or not name.strip():
                raise forms.ValidationError(
                    _('%(line)s is not of the form NAME=VALUE.'),
                    params={'line': line[:80]},
                )
            if name.strip() in pairs:
                raise forms.ValidationError(
                    _('%(name)s occurs twice.'), params={'name': name[:80]}
                )
            pairs[name.strip()] = rest.strip()
        return pairs
