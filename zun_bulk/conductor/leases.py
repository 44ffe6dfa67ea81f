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

"""The leases of bulks that a conductor holds."""

from zun_bulk.db import leases as db_leases


class LostLease(Exception):
    """Another conductor has the bulk now, or it is being deleted."""


class Leases:
    """The leases of this conductor, and what it saw of those of others.

    Pure except for the database: callers pass in the time.
    """

    def __init__(self, owner, lease_time):
        """Start without any lease.

        :param owner: the name of this conductor in the database.
        :param lease_time: seconds without a heartbeat after which a lease
            may be taken over.
        """
        self.owner = owner
        self._lease_time = lease_time
        self._held = {}
        self._seen = {}
        #: {bulk id: uuid} of what is held.
        self._uuids = {}

    def acquire(self, bulk, now):
        """Hold a bulk, taking its lease if it is free or has expired.

        :param bulk: the Bulk as just read.
        :param now: monotonic seconds.
        :returns: the epoch under which to work on it; None if another
            conductor has the lease.
        """
        held = self._held.get(bulk.id)
        if held == bulk.epoch:
            return held
        self._held.pop(bulk.id, None)
        # After a user changed the bulk, its owner takes its own lease anew.
        free = bulk.lease_owner in (None, self.owner)
        if not free and not self._has_expired(bulk, now):
            return None
        epoch = db_leases.take_lease(bulk, self.owner)
        if epoch is not None:
            self._uuids[bulk.id] = bulk.uuid
            self._held[bulk.id] = epoch
        return epoch

    def _has_expired(self, bulk, now):
        sign = (bulk.epoch, bulk.heartbeat)
        seen, since = self._seen.get(bulk.id, (None, now))
        if seen != sign:
            self._seen[bulk.id] = (sign, now)
            return False
        return now - since > self._lease_time

    def renew(self):
        """Send the heartbeat of all leases, and drop those that are lost."""
        for bulk_id, epoch in list(self._held.items()):
            # The other thread may have taken the lease anew meanwhile.
            if (
                not db_leases.renew_lease(bulk_id, epoch)
                and self._held.get(bulk_id) == epoch
            ):
                self._held.pop(bulk_id, None)

    def held(self):
        """Return the leases that are held.

        :returns: {bulk id: epoch}.
        """
        return dict(self._held)

    def report(self):
        """Return the leases that are held, for a report.

        :returns: {bulk uuid: epoch}.
        """
        uuids = dict(self._uuids)
        return {
            uuids[bulk_id]: epoch
            for bulk_id, epoch in self.held().items()
            if bulk_id in uuids
        }

    def release(self):
        """Give all leases back, so that others can take them at once."""
        db_leases.release_leases(self.owner)
        self._held.clear()

    def retain_only(self, bulk_ids):
        """Forget all other bulks, which have no work left."""
        for table in (self._held, self._seen, self._uuids):
            for bulk_id in set(table) - set(bulk_ids):
                table.pop(bulk_id, None)
