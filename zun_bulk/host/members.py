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
"""The members of a host: their bulks and their state changes."""

from oslo_log import log as logging
from oslo_utils import timeutils
from zun import objects
from zun.common import context as zun_context

from zun_bulk import auto_pause
from zun_bulk import disclosure
from zun_bulk import rpc
from zun_bulk.conf import CONF
from zun_bulk.consts import ReasonClass
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.host import debounce
from zun_bulk.pacing import failures
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


LOG = logging.getLogger(__name__)


class Members:
    """Changes the states of members, each by a compare-and-set.

    It caches the bulks of the members in progress, so that no member costs a
    SELECT of its own.
    """

    def __init__(self, host):
        self.host = host
        self._context = zun_context.get_admin_context(all_projects=True)
        #: {id: (Bulk, rpc.ComputeAPI)}
        self._bulks = {}
        self._wakes = debounce.Debounce()
        # Whether a member has ended since the last wake of a conductor.
        self._ended = False

    def know_bulks(self, members):
        """Read those bulks of members that are not in the cache."""
        wanted = {member.bulk_id for member in members}
        for bulk_id, bulk in db_bulks.get_bulks_by_id(
            wanted - set(self._bulks)
        ).items():
            # Zun sends the context that its client was made with. This one has
            # no token, so it does not expire while the member waits.
            context = zun_context.RequestContext(
                is_admin=True,
                project_id=bulk.project_id,
                user_id=bulk.user_id,
                request_id=bulk.request_id,
            )
            self._bulks[bulk_id] = bulk, rpc.ComputeAPI(context)

    def forget_bulks(self):
        """Empty the cache."""
        self._bulks.clear()

    def bulk_of(self, member):
        """Return a member's Bulk; None if it is not in the cache."""
        return self._bulks.get(member.bulk_id, (None, None))[0]

    def compute_for(self, member):
        """Return the rpc.ComputeAPI for the bulk of a member."""
        return self._bulks[member.bulk_id][1]

    def containers(self, members):
        """Return {uuid: Zun's container} of the members that Zun has."""
        if not members:
            return {}
        return {
            container.uuid: container
            for container in objects.Container.list(
                self._context,
                filters={
                    'uuid': [member.container_uuid for member in members]
                },
            )
        }

    def try_again(self, member, reason, state=MemberState.PLACED, **values):
        """Move a member back to placed or queued, for another attempt.

        :param reason: why its last attempt failed.
        :param values: other columns to set.
        :returns: whether it was moved.
        """
        moved = db_transitions.move_members(
            [member],
            state,
            event_values={'host': self.host},
            reason=reason,
            reason_class=ReasonClass.TRANSIENT,
            **values,
        )
        if moved:
            zun_rows.reset_containers([member.container_uuid])
        return moved

    def fail(self, member, reason, reason_class, **values):
        """Move a member to failed, and pause its bulk if need be.

        :param reason: why it failed.
        :param reason_class: the class of that reason.
        :param values: other columns to set.
        """
        if db_transitions.move_members(
            [member],
            MemberState.FAILED,
            reason=reason,
            reason_class=reason_class,
            finished_at=timeutils.utcnow(),
            **values,
        ):
            bulk = current_bulk(member)
            LOG.warning(
                'Container %(uuid)s of bulk %(bulk)s failed: %(reason)s',
                {
                    'uuid': member.container_uuid,
                    'bulk': bulk and bulk.uuid,
                    'reason': disclosure.render(reason),
                },
            )
            pause_if_hopeless(bulk, reason)
        self.note_end()

    # -------------------------------------------------- waking a conductor

    def note_end(self):
        """Record that a member has ended: it may be the last of its bulk."""
        self._ended = True

    def report_ends(self, now, busy):
        """Wake a conductor once the host is idle, if members have ended."""
        if self._ended and not busy:
            self._ended = False
            self._wakes.request()
        if self._wakes.take(now):
            self.wake_conductor()

    def wait(self, now):
        """Return the seconds until a wake is allowed; None if none is due."""
        return self._wakes.wait(now)

    def wake_conductor(self):
        """Wake a conductor now."""
        rpc.wake(self._context)


def current_bulk(member):
    """Read a member's Bulk from the database; None if it is gone."""
    return db_bulks.get_bulks_by_id([member.bulk_id]).get(member.bulk_id)


def pause_if_hopeless(bulk, reason):
    """Pause a bulk if its failures suggest that more members will fail.

    :param bulk: the Bulk as it is now; None if it is gone.
    :param reason: why a member has failed just now.
    """
    if bulk is None or bulk.status != BulkStatus.BUILDING:
        return
    why = failures.pause_reason(
        bulk, db_counts.count_outcomes(bulk.id), reason, CONF.zun_bulk
    )
    if why:
        auto_pause.pause(bulk, why)
