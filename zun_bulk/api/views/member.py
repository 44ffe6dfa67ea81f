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

"""Members of bulks in responses."""

from zun_bulk import disclosure
from zun_bulk.api.views import bulk as bulk_view
from zun_bulk.network import requested


def member(row, with_host):
    """Make the view of a member.

    :param with_host: whether the user may see hosts.
    """
    return {
        'index': row.member_index,
        'name': row.name,
        'container_uuid': row.container_uuid,
        'state': row.state,
        'host': row.host if with_host else None,
        'attempt': row.attempt,
        'reason_class': row.reason_class,
        'reason': disclosure.render(row.reason, with_host),
        'addresses': requested.addresses(row.networks),
        'floating_ip': row.floating_ip,
        'floating_ip_state': row.floating_ip_state,
        'floating_ip_reason': row.floating_ip_reason,
        'created_at': bulk_view.time(row.created_at),
        'updated_at': bulk_view.time(row.updated_at),
        'started_at': bulk_view.time(row.started_at),
        'finished_at': bulk_view.time(row.finished_at),
    }
