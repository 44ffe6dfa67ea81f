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

"""The answer to a dry run from the create page."""

from django import http
from django.core.exceptions import NON_FIELD_ERRORS
from django.template.loader import render_to_string
from django.utils.translation import gettext

from zun_bulk.dashboard import policies


def allowed(request):
    return policies.allows(request, 'bulk:create:dry_run')


def response(form, plan):
    """Return the errors in the form or, without any, the plan as HTML.

    :param plan: the API's answer; None if there was none
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
    """Map visible fields to their errors; '__all__' has all others."""
    found = {}
    for name, errors in form.errors.items():
        for error in errors:
            if name in form.fields and not form[name].is_hidden:
                found.setdefault(name, []).append(str(error))
                continue
            if name != NON_FIELD_ERRORS:
                error = gettext('%(field)s: %(error)s') % {
                    'field': name,
                    'error': error,
                }
            found.setdefault(NON_FIELD_ERRORS, []).append(str(error))
    return found
