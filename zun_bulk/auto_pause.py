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

"""Pause a bulk in which further work would fail, and report it.

Where a pause takes effect, whoever asked for it, is described in
``zun_bulk.states``.
"""

from oslo_log import log as logging

from zun_bulk import disclosure
from zun_bulk import notifications
from zun_bulk.db import bulks as db_bulks
from zun_bulk.states import BulkStatus


LOG = logging.getLogger(__name__)


def pause(bulk, why, epoch=None):
    """Pause a bulk if it is still being built.

    :param bulk: the Bulk.
    :param why: the reason for its user; names of hosts are marked in it, see
        ``disclosure``.
    :param epoch: the epoch of the lease, if a conductor pauses it.
    """
    if not db_bulks.pause_bulk(bulk.id, why, epoch):
        return
    LOG.warning(
        'Bulk %(bulk)s is paused: %(why)s',
        {'bulk': bulk.uuid, 'why': disclosure.render(why)},
    )
    notifications.send(
        'pause', bulk, status=BulkStatus.PAUSED, status_reason=why
    )
