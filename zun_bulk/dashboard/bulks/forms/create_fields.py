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

"""The fields of the create form and their steps."""

import uuid

from django.core import validators
from django.utils.translation import gettext_lazy as _
from horizon import forms

from zun_bulk.dashboard import labels
from zun_bulk.dashboard import policies
from zun_bulk.dashboard.bulks import choices
from zun_bulk.dashboard.bulks.forms import fields


#: (slug, title, fields) of each step.
STEPS = (
    (
        'what',
        _('Container template'),
        (
            'name',
            'container_name',
            'image',
            'image_pull_policy',
            'command',
            'cpu',
            'memory',
            'environment',
            'restart_policy',
            'restart_retries',
            'run',
        ),
    ),
    (
        'where',
        _('Count and placement'),
        (
            'count',
            'placement',
            'allow_partial',
            'availability_zone',
            'host',
            'max_attempts',
            'on_failure',
        ),
    ),
    (
        'network',
        _('Network'),
        (
            'networks',
            'address_ranges',
            'floating_ip_network',
            'floating_ip_on_delete',
            'security_groups',
        ),
    ),
    ('members', _('Per-container values'), ('members_file',)),
)

#: Fields that the user gets only if a policy rule allows them.
_RULES = {
    'container:create:image_pull_policy': ('image_pull_policy',),
    'container:create:requested_destination': ('host',),
    'bulk:create:floating_ips': (
        'floating_ip_network',
        'floating_ip_on_delete',
    ),
}


class CreateFields(forms.SelfHandlingForm):
    """The fields that define a bulk, with the choices that a user has."""

    # With it, a form that is submitted twice creates only one bulk.
    client_token = forms.RegexField(
        r'^[A-Za-z0-9_.:-]{1,64}\Z', widget=forms.HiddenInput()
    )
    name = forms.CharField(
        label=_('Bulk name'),
        min_length=2,
        max_length=255,
        required=False,
        help_text=_('Derived from the container name if empty.'),
    )
    container_name = forms.CharField(
        label=_('Container name'),
        max_length=255,
        required=False,
        help_text=_(
            '{index} is replaced by the index of each container, starting '
            'at 1, as in web-{index}. Environment values may contain it too.'
        ),
    )
    image = forms.CharField(label=_('Image'), min_length=2, max_length=255)
    image_pull_policy = forms.ChoiceField(
        label=_('Image pull policy'),
        required=False,
        choices=[('', _('Zun default')), *labels.PULLS.items()],
    )
    command = forms.CharField(
        label=_('Command'),
        max_length=fields.MAX_TEXT,
        required=False,
        help_text=_('As in a shell: put arguments with spaces in quotes.'),
    )
    cpu = forms.FloatField(
        label=_('CPUs'),
        min_value=0.1,
        max_value=16,
        required=False,
        widget=forms.NumberInput(attrs={'step': '0.1'}),
        help_text=_('CPUs per container.'),
    )
    memory = forms.IntegerField(
        label=_('Memory (MiB)'),
        min_value=4,
        max_value=8192,
        required=False,
        help_text=_('MiB per container.'),
    )
    environment = fields.PairsField(
        label=_('Environment'),
        max_length=fields.MAX_TEXT,
        required=False,
        help_text=_('One variable per line, as NAME=VALUE.'),
    )
    restart_policy = forms.ChoiceField(
        label=_('Restart policy'),
        required=False,
        choices=[('', _('None')), *labels.RESTARTS.items()],
    )
    restart_retries = forms.IntegerField(
        label=_('Maximum restarts'),
        min_value=0,
        max_value=2**31 - 1,
        required=False,
        help_text=_('Only with the restart policy "On failure".'),
    )
    run = forms.BooleanField(
        label=_('Start containers'), required=False, initial=True
    )
    count = forms.IntegerField(
        label=_('Number of containers'),
        min_value=1,
        max_value=fields.MAX_COUNT,
        initial=1,
        required=False,
        help_text=_('Optional with a member file, which sets the number.'),
    )
    placement = forms.ChoiceField(
        label=_('Placement'), choices=list(labels.PLACEMENTS.items())
    )
    allow_partial = forms.BooleanField(
        label=_('Allow partial creation'),
        required=False,
        help_text=_(
            'If not all containers fit, create as many as do. Otherwise, '
            'create none.'
        ),
    )
    availability_zone = forms.ChoiceField(
        label=_('Availability zone'), required=False
    )
    host = forms.CharField(
        label=_('Host'),
        max_length=255,
        required=False,
        help_text=_('Create all containers on this host.'),
    )
    max_attempts = forms.IntegerField(
        label=_('Maximum attempts'),
        min_value=1,
        max_value=10,
        initial=5,
        help_text=_(
            'Attempts to start each container until it counts as failed.'
        ),
    )
    on_failure = forms.ChoiceField(
        label=_('When containers fail'),
        choices=list(labels.ON_FAILURE.items()),
    )
    networks = forms.MultipleChoiceField(
        label=_('Networks'),
        required=False,
        help_text=_('Zun chooses a network if you select none.'),
    )
    address_ranges = fields.PairsField(
        label=_('Address ranges'),
        max_length=fields.MAX_TEXT,
        required=False,
        help_text=_(
            'One network per line with the first and last address to use, as '
            'in private=10.0.0.10-10.0.3.250.'
        ),
    )
    floating_ip_network = forms.ChoiceField(
        label=_('Floating IP network'), required=False
    )
    floating_ip_on_delete = forms.ChoiceField(
        label=_('Floating IPs after deletion'),
        required=False,
        choices=[
            ('release', _('Release floating IPs')),
            ('keep', _('Keep floating IPs')),
        ],
    )
    security_groups = forms.MultipleChoiceField(
        label=_('Security groups'), required=False
    )
    members_file = forms.FileField(
        label=_('Member file'),
        required=False,
        help_text=_(
            'CSV, JSON or YAML with values for each container: name, '
            'hostname, environment, labels, addresses, floating_ip, mounts.'
        ),
        validators=[
            validators.FileExtensionValidator(['csv', 'json', 'yaml', 'yml'])
        ],
    )

    def __init__(self, request, *args, **kwargs):
        super().__init__(request, *args, **kwargs)
        self.fields['client_token'].initial = uuid.uuid4
        self._remove_forbidden(request)
        self._set_choices(request)
        for name, field in self.fields.items():
            if field.help_text:
                # Django does this by itself from 5.0 on.
                field.widget.attrs['aria-describedby'] = f'id_{name}_helptext'

    def _remove_forbidden(self, request):
        for rule, names in _RULES.items():
            if not policies.allows(request, rule):
                for name in names:
                    del self.fields[name]

    def _set_choices(self, request):
        networks = choices.networks(request)
        self.network_names = dict(networks)
        self.fields['networks'].choices = networks
        for name, options in (
            ('availability_zone', choices.availability_zones),
            ('security_groups', choices.security_groups),
            ('floating_ip_network', choices.floating_ip_networks),
        ):
            if name in self.fields:
                self.fields[name].choices = options(request)

    def steps(self):
        """Return the steps with their fields, for a template."""
        found = []
        for slug, title, names in STEPS:
            fields = [self[name] for name in names if name in self.fields]
            found.append(
                {
                    'slug': slug,
                    'title': title,
                    'fields': fields,
                    'errors': any(field.errors for field in fields),
                }
            )
        return found
