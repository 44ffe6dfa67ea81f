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

"""Which bulks a conductor holds."""

from zun_bulk.db import leases as db_leases


class LostLease(Exception):
    """Another conductor has the bulk now, or it is being deleted."""


class Leases:
    """The bulks that this conductor holds, and what it saw of the others'.

    Pure but for the database: the time is handed in.
    """

    def __init__(self, owner, lease_time):
        """:param lease_time: seconds without a sign of life."""
        self.owner = owner
        self._lease_time = lease_time
        self._held = {}
        self._seen = {}
        #: {bulk id: uuid} of what is held.
        self._uuids = {}

    def epoch(self, bulk, now):
        """The epoch under which to work on a bulk; None if it is another's.

        :param bulk: the Bulk as just read.
        :param now: monotonic seconds.
        """
        held = self._held.get(bulk.id)
        if held == bulk.epoch:
            return held
        self._held.pop(bulk.id, None)
        # Its own it takes anew when the bulk's user has changed the bulk.
        free = bulk.lease_owner in (None, self.owner)
        if not free and not self._stands_still(bulk, now):
            return None
        epoch = db_leases.take_lease(bulk, self.owner)
        if epoch is not None:
            self._uuids[bulk.id] = bulk.uuid
            self._held[bulk.id] = epoch
        return epoch

    def _stands_still(self, bulk, now):
        sign = (bulk.epoch, bulk.heartbeat)
        seen, since = self._seen.get(bulk.id, (None, now))
        if seen != sign:
            self._seen[bulk.id] = (sign, now)
            return False
        return now - since > self._lease_time

    def renew(self):
        for bulk_id, epoch in list(self._held.items()):
            # It may have taken the bulk anew meanwhile.
            if (
                not db_leases.renew_lease(bulk_id, epoch)
                and self._held.get(bulk_id) == epoch
            ):
                self._held.pop(bulk_id, None)

    def held(self):
        """:returns: {bulk id: epoch} of what this conductor works on."""
        return dict(self._held)

    def report(self):
        """:returns: the same for people, by the bulks' uuids."""
        uuids = dict(self._uuids)
        return {
            uuids[bulk_id]: epoch
            for bulk_id, epoch in self.held().items()
            if bulk_id in uuids
        }

    def release(self):
        """Let others take all that this conductor holds, at once."""
        db_leases.release_leases(self.owner)
        self._held.clear()

    def retain_only(self, bulk_ids):
        """Forget all other bulks: there is no work in them any more."""
        for table in (self._held, self._seen, self._uuids):
            for bulk_id in set(table) - set(bulk_ids):
                table.pop(bulk_id, None)
