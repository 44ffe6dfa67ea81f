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

"""The forms by which a bulk is made and scaled."""

import re
import shlex
import uuid

from django import http
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core import validators
from django.core.exceptions import NON_FIELD_ERRORS
from django.template.loader import render_to_string
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from horizon import exceptions
from horizon import forms
from horizon import messages
from openstack_dashboard import api as openstack
from openstack_dashboard import policy
from osc_lib import exceptions as osc_exceptions

from zun_bulk.dashboard import api
from zun_bulk.dashboard import command
from zun_bulk.dashboard import labels
from zun_bulk.dashboard.bulks import tables
from zun_bulk.osc import client
from zun_bulk.osc import members_file


#: As the API has them; an administrator may have set fewer.
MAX_COUNT = 100000
#: Bytes of a file of members.
MAX_FILE = 16 * 1024 * 1024
#: Characters of what is typed.
_MAX_TEXT = 65536

#: (slug, title, fields) of the steps.
STEPS = (
    (
        'what',
        _('What'),
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
        _('How many and where'),
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
    ('members', _('Containers of their own'), ('members_file',)),
)

#: The field that what the API says of a part of the request belongs to. The
#: longest that fits counts.
_FIELDS = {
    'name': 'name',
    'count': 'count',
    'run': 'run',
    'placement': 'placement',
    'placement.allow_partial': 'allow_partial',
    'max_attempts': 'max_attempts',
    'on_failure': 'on_failure',
    'members': 'members_file',
    'floating_ips': 'floating_ip_network',
    'floating_ips.on_delete': 'floating_ip_on_delete',
    'template': None,
    'template.name': 'container_name',
    'template.image': 'image',
    'template.image_pull_policy': 'image_pull_policy',
    'template.command': 'command',
    'template.cpu': 'cpu',
    'template.memory': 'memory',
    'template.environment': 'environment',
    'template.restart_policy': 'restart_policy',
    'template.availability_zone': 'availability_zone',
    'template.host': 'host',
    'template.nets': 'networks',
    'template.security_groups': 'security_groups',
}
_PLACE = re.compile(
    r'(?:Invalid input for )?([a-z_]+(?:[.\[][A-Za-z0-9_.\[\]-]*)?): '
)
_RANGE = re.compile(r'v4-range|addresses', re.IGNORECASE)
#: What Zun's client adds to what the API says.
_TAIL = re.compile(r' \(HTTP \d+\)( \(Request-ID: [^)]*\))?\Z')

_POLICY = tables.POLICY


def _may(request, rule):
    return policy.check(((_POLICY, rule),), request)


def may_check(request):
    return _may(request, 'bulk:create:dry_run')


class _Lines(forms.CharField):
    """Lines of two parts with a sign between them, as {first: second}."""

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
                    _('%(name)s is there twice.'), params={'name': name[:80]}
                )
            pairs[name.strip()] = rest.strip()
        return pairs


class CreateForm(forms.SelfHandlingForm):
    """A bulk. What only the API can tell is told at the fields too."""

    # Sent again, the form makes no second bulk.
    client_token = forms.RegexField(
        r'^[A-Za-z0-9_.:-]{1,64}\Z', widget=forms.HiddenInput()
    )
    name = forms.CharField(
        label=_('Bulk Name'),
        min_length=2,
        max_length=255,
        required=False,
        help_text=_('Made of the name of the containers if it is left out.'),
    )
    container_name = forms.CharField(
        label=_('Container Name'),
        max_length=255,
        required=False,
        help_text=_(
            '{index} stands for the number of the container, from 1, as in '
            'web-{index}. It may stand in values of the environment too.'
        ),
    )
    image = forms.CharField(label=_('Image'), min_length=2, max_length=255)
    image_pull_policy = forms.ChoiceField(
        label=_('Pull Image'),
        required=False,
        choices=[('', _('As Zun does by default')), *labels.PULLS.items()],
    )
    command = forms.CharField(
        label=_('Command'),
        max_length=_MAX_TEXT,
        required=False,
        help_text=_('As in a shell: words with spaces are put in quotes.'),
    )
    cpu = forms.FloatField(
        label=_('CPU'),
        min_value=0.1,
        max_value=16,
        required=False,
        widget=forms.NumberInput(attrs={'step': '0.1'}),
        help_text=_('CPUs of each container.'),
    )
    memory = forms.IntegerField(
        label=_('Memory (MiB)'),
        min_value=4,
        max_value=8192,
        required=False,
        help_text=_('MiB of each container.'),
    )
    environment = _Lines(
        label=_('Environment'),
        max_length=_MAX_TEXT,
        required=False,
        help_text=_('A variable a line, as NAME=VALUE.'),
    )
    restart_policy = forms.ChoiceField(
        label=_('Restart Policy'),
        required=False,
        choices=[('', _('None')), *labels.RESTARTS.items()],
    )
    restart_retries = forms.IntegerField(
        label=_('Restarts at the Most'),
        min_value=0,
        max_value=2**31 - 1,
        required=False,
        help_text=_('With the restart policy "On failure" only.'),
    )
    run = forms.BooleanField(
        label=_('Start Containers'), required=False, initial=True
    )
    count = forms.IntegerField(
        label=_('Number of Containers'),
        min_value=1,
        max_value=MAX_COUNT,
        initial=1,
        required=False,
        help_text=_('A file of containers says by itself how many there are.'),
    )
    placement = forms.ChoiceField(
        label=_('Placement'), choices=list(labels.PLACEMENTS.items())
    )
    allow_partial = forms.BooleanField(
        label=_('Create what there is room for'),
        required=False,
        help_text=_('Otherwise all are created or none.'),
    )
    availability_zone = forms.ChoiceField(
        label=_('Availability Zone'), required=False
    )
    host = forms.CharField(
        label=_('Host'),
        max_length=255,
        required=False,
        help_text=_('Create all containers on this host.'),
    )
    max_attempts = forms.IntegerField(
        label=_('Attempts'),
        min_value=1,
        max_value=10,
        initial=5,
        help_text=_('How often to try to start each container.'),
    )
    on_failure = forms.ChoiceField(
        label=_('When Containers Fail'),
        choices=[
            ('pause', _('Pause when more will follow')),
            ('continue', _('Go on whatever fails')),
        ],
    )
    networks = forms.MultipleChoiceField(
        label=_('Networks'),
        required=False,
        help_text=_('Zun chooses a network if there is none.'),
    )
    address_ranges = _Lines(
        label=_('Address Ranges'),
        max_length=_MAX_TEXT,
        required=False,
        help_text=_(
            'A network a line with the first and the last of the addresses to '
            'choose of, as private=10.0.0.10-10.0.3.250.'
        ),
    )
    floating_ip_network = forms.ChoiceField(
        label=_('Floating IPs From'), required=False
    )
    floating_ip_on_delete = forms.ChoiceField(
        label=_('When Containers Are Deleted'),
        required=False,
        choices=[
            ('release', _('Release their floating IPs')),
            ('keep', _('Keep their floating IPs')),
        ],
    )
    security_groups = forms.MultipleChoiceField(
        label=_('Security Groups'), required=False
    )
    members_file = forms.FileField(
        label=_('File of Containers'),
        required=False,
        help_text=_(
            'CSV, JSON or YAML with what each container has of its own: name, '
            'hostname, environment, labels, addresses, floating_ip, mounts.'
        ),
        validators=[
            validators.FileExtensionValidator(['csv', 'json', 'yaml', 'yml'])
        ],
    )

    def __init__(self, request, *args, **kwargs):
        super().__init__(request, *args, **kwargs)
        self.fields['client_token'].initial = uuid.uuid4
        if not _may(request, 'container:create:image_pull_policy'):
            del self.fields['image_pull_policy']
        if not _may(request, 'container:create:requested_destination'):
            del self.fields['host']
        if not _may(request, 'bulk:create:floating_ips'):
            del self.fields['floating_ip_network']
            del self.fields['floating_ip_on_delete']
        self._networks = {}
        self._populate(request)
        for name, field in self.fields.items():
            if field.help_text:
                # As Django does by itself from 5.0 on.
                field.widget.attrs['aria-describedby'] = f'id_{name}_helptext'

    def _populate(self, request):
        zones = _ask(
            request,
            gettext('Unable to retrieve availability zones.'),
            api.availability_zones,
        )
        self.fields['availability_zone'].choices = [('', _('Any'))] + [
            (zone, zone) for zone in zones
        ]
        networks = _ask(
            request,
            gettext('Unable to retrieve networks.'),
            lambda request: openstack.neutron.network_list_for_tenant(
                request, request.user.tenant_id
            ),
        )
        self._networks = {net.id: net.name_or_id for net in networks}
        self.fields['networks'].choices = sorted(
            self._networks.items(), key=lambda pair: pair[1]
        )
        groups = _ask(
            request,
            gettext('Unable to retrieve security groups.'),
            lambda request: openstack.neutron.security_group_list(
                request, tenant_id=request.user.tenant_id
            ),
        )
        self.fields['security_groups'].choices = [
            (group.id, group.name) for group in groups
        ]
        if 'floating_ip_network' in self.fields:
            externals = _ask(
                request,
                gettext('Unable to retrieve external networks.'),
                lambda request: openstack.neutron.network_list(
                    request, **{'router:external': True}
                ),
            )
            self.fields['floating_ip_network'].choices = [
                ('', _('No floating IPs'))
            ] + [(net.id, net.name_or_id) for net in externals]

    def steps(self):
        """The steps with their fields, for a template."""
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

    # ------------------------------------------------------------- cleaning

    def clean_command(self):
        try:
            return shlex.split(self.cleaned_data['command'])
        except ValueError as e:
            raise forms.ValidationError(
                _('A quotation mark is not closed, or a backslash is last.')
            ) from e

    def clean_address_ranges(self):
        """{id of a network: range}; networks may be called by name or id."""
        wanted = self.cleaned_data.get('networks') or []
        # Names need not be unique, but for those that are chosen.
        names = {self._networks[ident]: ident for ident in wanted}
        ranges = {}
        for name, addresses in self.cleaned_data['address_ranges'].items():
            ident = names.get(name, name)
            if ident not in wanted:
                raise forms.ValidationError(
                    _('%(name)s is not among the networks that are chosen.'),
                    params={'name': name},
                )
            ranges[ident] = addresses
        return ranges

    def clean_members_file(self):
        """The file read and checked, None if there is none."""
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
            # The one that stands there before anybody has said how many.
            if 'count' in self.changed_data and count not in (
                None,
                len(file.members),
            ):
                self.add_error(
                    'count',
                    _('It is %(count)d, but the file has %(members)d.')
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
                _('Only the restart policy "On failure" takes it.'),
            )
        return data

    # -------------------------------------------------------------- the API

    def body(self):
        """The request."""
        data = self.cleaned_data
        body = {
            'count': data['count'],
            'template': self._template(),
            'run': data['run'],
            'placement': {
                'policy': data['placement'],
                'allow_partial': data['allow_partial'],
            },
            'max_attempts': data['max_attempts'],
            'on_failure': data['on_failure'],
        }
        if data['name']:
            body['name'] = data['name']
        if data['members_file']:
            body['members'] = data['members_file'].members
            body['count'] = len(body['members'])
        if data.get('floating_ip_network'):
            body['floating_ips'] = {
                'network': data['floating_ip_network'],
                'on_delete': data['floating_ip_on_delete'] or 'release',
            }
        return body

    def _template(self):
        data = self.cleaned_data
        template = {
            'name': data['container_name'],
            'image': data['image'],
            'image_pull_policy': data.get('image_pull_policy'),
            'command': data['command'],
            'cpu': data['cpu'],
            'memory': str(data['memory'] or ''),
            'environment': data['environment'],
            'availability_zone': data['availability_zone'],
            'host': data.get('host'),
            'security_groups': data['security_groups'],
            'nets': [self._net(ident) for ident in data['networks']],
        }
        if data['restart_policy']:
            template['restart_policy'] = {'Name': data['restart_policy']}
            if data['restart_retries'] is not None:
                template['restart_policy']['MaximumRetryCount'] = str(
                    data['restart_retries']
                )
        return {
            name: value
            for name, value in template.items()
            if value not in (None, '', [], {})
        }

    def _net(self, ident):
        net = {'network': ident}
        addresses = self.cleaned_data['address_ranges'].get(ident)
        if addresses:
            net['v4-range'] = addresses
        return net

    def check(self, request):
        """What would become of it: the API's dry run.

        :raises: ApiError
        """
        return self._send(request, dict(self.body(), dry_run=True))

    def handle(self, request, data):
        """:raises: ApiError"""
        made = self._send(
            request, dict(self.body(), client_token=data['client_token'])
        )
        messages.success(
            request,
            ngettext(
                'Bulk %(name)s is accepted: %(count)d container.',
                'Bulk %(name)s is accepted: %(count)d containers.',
                made['count'],
            )
            % {'name': made['name'], 'count': made['count']},
        )
        return api.Bulk(made)

    def _send(self, request, body):
        file = self.cleaned_data['members_file']
        if not file:
            return api.bulk_create(request, body)
        with file.lines_told():
            return api.bulk_create(request, body)

    def tell(self, error):
        """Put what the API refuses to the fields that it is about."""
        text = _TAIL.sub('', str(error))
        if error.unanswered:
            self.api_error(
                gettext(
                    '%s There may be a bulk nevertheless; sent again, this '
                    'form makes no second one.'
                )
                % text
            )
            return
        for line in text.splitlines():
            field, message = self._field(line)
            self.add_error(field if field in self.fields else None, message)

    def _field(self, line):
        """:returns: (the field that a line is about or None, its text)"""
        file = self.cleaned_data.get('members_file')
        if file and line.startswith(f'{file.name}:'):
            return 'members_file', line
        match = _PLACE.match(line)
        if not match:
            return None, line
        place = match[1]
        if place.startswith('template.nets') and _RANGE.search(line):
            return 'address_ranges', line[match.end() :]
        while place:
            if place in _FIELDS:
                field = _FIELDS[place]
                return field, line[match.end() :] if field else line
            place = re.sub(r'(^|[.\[])[^.\[]*\Z', '', place)
        return None, line

    def command_line(self):
        """The command that does the same."""
        file = self.cleaned_data['members_file']
        return command.line(self.body(), file and file.name)


def _ask(request, unable, function):
    """What may be chosen of; without it the form still can be filled in.

    :param unable: what to say if it cannot be had
    """
    try:
        return function(request)
    except Exception:
        exceptions.handle(request, unable, ignore=True)
        return []


def quotas(request):
    """Quotas of Zun with what is used of them, for a template."""
    found = (
        _ask(request, gettext('Unable to retrieve quotas.'), api.quotas) or {}
    )
    names = (
        ('containers', _('Containers'), '%s', 'count'),
        ('cpu', _('CPUs'), '%s', 'cpu'),
        ('memory', _('Memory'), _('%s MiB'), 'memory'),
    )
    shown = []
    for name, title, amount, field in names:
        if name not in found:
            continue
        limit = found[name]['limit']
        used = found[name].get('in_use') or 0
        limited = limit is not None and limit >= 0
        percent = min(100, 100 * used // limit) if limited and limit else 0
        shown.append(
            {
                'name': name,
                'title': title,
                'field': field,
                'used_text': amount % intcomma(used),
                'limit_text': amount % intcomma(limit),
                'limit': limit if limited else None,
                'used': used,
                'percent': int(percent),
            }
        )
    return shown


def checked(form, plan):
    """The answer to a dry run: what is wrong, or what would come of it.

    :param plan: what the API says of it; None if it did not
    """
    html = explanation = ''
    if plan is not None:
        explanation = plan['explanation']
        html = render_to_string(
            'zun_bulk/bulks/_plan.html',
            {
                'plan': plan,
                'partial': form.cleaned_data['allow_partial'],
                'command': form.command_line(),
            },
        )
    return http.JsonResponse(
        {'errors': _errors(form), 'html': html, 'announce': explanation}
    )


def _errors(form):
    """What is wrong at which field, '__all__' for those not shown."""
    told = {}
    for name, errors in form.errors.items():
        for error in errors:
            if name in form.fields and not form[name].is_hidden:
                told.setdefault(name, []).append(str(error))
                continue
            if name != NON_FIELD_ERRORS:
                error = gettext('%(field)s: %(error)s') % {
                    'field': name,
                    'error': error,
                }
            told.setdefault(NON_FIELD_ERRORS, []).append(str(error))
    return told


class ScaleForm(forms.SelfHandlingForm):
    bulk_id = forms.CharField(widget=forms.HiddenInput())
    count = forms.IntegerField(
        label=_('Number of Containers'), min_value=1, max_value=MAX_COUNT
    )

    def handle(self, request, data):
        try:
            bulk = api.bulk_act(
                request, data['bulk_id'], 'scale', {'count': data['count']}
            )
        except client.ApiError as e:
            self.add_error('count', _TAIL.sub('', str(e)))
            return False
        messages.success(
            request,
            ngettext(
                'Bulk %(name)s is to have %(count)d container.',
                'Bulk %(name)s is to have %(count)d containers.',
                bulk.count,
            )
            % {'name': bulk.name, 'count': bulk.count},
        )
        return True
