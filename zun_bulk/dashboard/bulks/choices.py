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

"""What users may choose from, fetched from other services."""

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from horizon import exceptions
from openstack_dashboard import api as openstack

from zun_bulk.dashboard import api


def fetch(request, failure, function):
    """Call an API that a page can do without.

    :param failure: the message to show if the call fails
    :param function: called with the request
    :returns: an empty list if the call fails
    """
    try:
        return function(request)
    except Exception:
        exceptions.handle(request, failure, ignore=True)
        return []


def availability_zones(request):
    zones = fetch(
        request,
        gettext('Unable to retrieve availability zones.'),
        api.availability_zones,
    )
    return [('', _('Any')), *((zone, zone) for zone in zones)]


def networks(request):
    """List the networks that the project can use, sorted by name.

    :returns: [(id, name)]
    """
    found = fetch(
        request,
        gettext('Unable to retrieve networks.'),
        lambda request: openstack.neutron.network_list_for_tenant(
            request, request.user.tenant_id
        ),
    )
    return sorted(
        {net.id: net.name_or_id for net in found}.items(),
        key=lambda pair: pair[1],
    )


def security_groups(request):
    found = fetch(
        request,
        gettext('Unable to retrieve security groups.'),
        lambda request: openstack.neutron.security_group_list(
            request, tenant_id=request.user.tenant_id
        ),
    )
    return [(group.id, group.name) for group in found]


def floating_ip_networks(request):
    found = fetch(
        request,
        gettext('Unable to retrieve external networks.'),
        lambda request: openstack.neutron.network_list(
            request, **{'router:external': True}
        ),
    )
    return [
        ('', _('No floating IPs')),
        *((net.id, net.name_or_id) for net in found),
    ]
