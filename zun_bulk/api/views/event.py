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

"""Events of bulks in responses."""

from zun_bulk import disclosure
from zun_bulk.api.views import bulk as bulk_view


def event(row, with_host):
    """Make the view of an event.

    :param with_host: whether the user may see hosts.
    """
    return {
        'id': row.id,
        'created_at': bulk_view.time(row.created_at),
        'event': row.event,
        'index': row.member_index,
        'container_uuid': row.container_uuid,
        'host': row.host if with_host else None,
        'attempt': row.attempt,
        'reason': disclosure.render(row.reason, with_host),
    }
