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

"""The project's quotas in Zun, as the create page shows them."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from zun_bulk.dashboard import api
from zun_bulk.dashboard.bulks import choices


def shown(request):
    """Return the limits and usage of the quotas, for a template."""
    found = choices.fetch(
        request, gettext('Unable to retrieve quotas.'), api.quotas
    )
    names = (
        ('containers', _('Containers'), '%s', 'count'),
        ('cpu', _('CPUs'), '%s', 'cpu'),
        ('memory', _('Memory'), _('%s MiB'), 'memory'),
    )
    bars = []
    for name, title, amount, field in names:
        if name not in found:
            continue
        limit = found[name]['limit']
        used = found[name].get('in_use') or 0
        limited = limit is not None and limit >= 0
        percent = min(100, 100 * used // limit) if limited and limit else 0
        bars.append(
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
    return bars
