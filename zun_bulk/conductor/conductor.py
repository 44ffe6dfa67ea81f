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

"""The loop that plans bulks: hosts, claims and ports for their members.

Any number of conductors may run. Only the one that holds the lease of a bulk
works on it. Taking the lease raises the bulk's epoch, and each write names
that epoch, so a conductor that has lost the lease unnoticed changes nothing.
"""

import threading
import time

from oslo_log import log as logging
from oslo_utils import uuidutils

from zun_bulk import notifications
from zun_bulk import rpc
from zun_bulk.conductor import claiming
from zun_bulk.conductor import clearing
from zun_bulk.conductor import floating_ips
from zun_bulk.conductor import leases
from zun_bulk.conductor import placing
from zun_bulk.conductor import services
from zun_bulk.conf import CONF
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import history as db_history
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import tables
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState
from zun_bulk.volume import trusts
from zun_bulk.volume import volumes


LOG = logging.getLogger(__name__)

#: Seconds between two cycles while waiting for something that sends no
#: wake-up, as Cinder.
LOOK_AGAIN = 1.0
#: Seconds between two cleanups of histories and trusts.
TIDY_INTERVAL = 60.0
#: Seconds to wait for the message server to stop.
SERVER_TIMEOUT = 5


class Conductor:
    """Works on the bulks whose leases it can get, one after the other."""

    def __init__(self):
        self._leases = leases.Leases(
            '%s:%s' % (CONF.host, uuidutils.generate_uuid()),
            CONF.zun_bulk.lease_time,
        )
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._planning = None
        self._server = None
        self._services = services.Services()
        self._clearing = clearing.Clearing(self._services)
        self._claiming = claiming.Claiming(self._services, self._clearing)
        self._placing = placing.Placing(self._services, self._clearing)
        self._floating_ips = floating_ips.FloatingIps(
            self._leases, self._woken.set
        )
        #: (the Bulk that is being worked on, since when), or None.
        self._current = None
        #: Seconds until the next cycle, unless woken.
        self._delay = CONF.zun_bulk.poll_interval
        #: {bulk id: (epoch, the suspended generator _build)}.
        self._building = {}
        #: Id of the newest event up to which histories were trimmed.
        self._trimmed = 0

    def start(self):
        """Start the threads and the message server."""
        self._planning = threading.Thread(
            target=self._run, daemon=True, name='zun-bulk-conductor'
        )
        self._planning.start()
        # A thread of its own: a call to Neutron may outlast the lease.
        threading.Thread(
            target=self._renew, daemon=True, name='zun-bulk-leases'
        ).start()
        # A thread of its own: planning a large bulk takes over a minute.
        threading.Thread(
            target=self._tidy, daemon=True, name='zun-bulk-tidy'
        ).start()
        # A thread of its own: starts do not wait for floating IPs.
        self._floating_ips.start()
        self._server = rpc.serve(rpc.CONDUCTOR_TOPIC, self.wake)

    def stop(self, timeout):
        """Stop after the calls under way, and give the leases back.

        A call that takes longer is abandoned: what it writes afterwards is
        refused once another conductor has taken the bulk.

        :param timeout: seconds to wait for the calls under way.
        :returns: whether they have ended.
        """
        deadline = time.monotonic() + timeout
        self._services.stopping.set()
        self._woken.set()
        # It begins nothing new while the planning thread ends.
        self._floating_ips.stop(0)
        planning = self._planning
        if planning is not None:
            # The leases are still renewed meanwhile.
            planning.join(timeout)
        ended = self._floating_ips.stop(deadline - time.monotonic()) and (
            planning is None or not planning.is_alive()
        )
        self._stopped.set()
        if ended:
            # Otherwise the leases have to expire, as the call under way may
            # still take effect.
            self._release_leases()
        if self._server is not None:
            # In a thread: without a broker it may never return.
            stop = threading.Thread(target=self._server.stop, daemon=True)
            stop.start()
            stop.join(SERVER_TIMEOUT)
        return ended

    def _release_leases(self):
        try:
            self._leases.release()
        except Exception:
            LOG.exception(
                'Could not release leases; they will expire by themselves'
            )

    def wake(self):
        """Begin the next cycle at once."""
        self._woken.set()
        self._floating_ips.wake()

    def report(self):
        """Return the current work as a dict, for a Guru Meditation Report."""
        now = time.monotonic()
        current = self._current
        return {
            'owner': self._leases.owner,
            'leases': self._leases.report(),
            'at': current
            and {
                'bulk': current[0].uuid,
                'status': current[0].status,
                'seconds': now - current[1],
            },
            'stopping': self._services.stopping.is_set(),
            'hosts_down': self._services.known_down(),
            'port_calls': self._placing.calls.show(now),
            'floating_ip_calls': self._floating_ips.show(now),
        }

    def _run(self):
        while not self._services.stopping.is_set():
            try:
                self.look_after_bulks()
            except services.Stopping:
                return
            except Exception as error:
                if not tables.report_missing(error):
                    LOG.exception('Failed to list bulks with pending work')
            self._woken.wait(self._delay)
            self._woken.clear()

    def _renew(self):
        while not self._stopped.wait(CONF.zun_bulk.lease_time / 3):
            try:
                self._leases.renew()
            except Exception:
                LOG.exception('Failed to renew leases')

    def _tidy(self):
        while not self._stopped.wait(TIDY_INTERVAL):
            for what, do in (
                ('trim histories', self.trim_events),
                ('delete leftover trusts', trusts.delete_left),
            ):
                try:
                    do()
                except Exception as error:
                    if not tables.report_missing(error):
                        LOG.exception('Failed to %s', what)

    def trim_events(self):
        """Delete the oldest events of bulks that have too many.

        This needs no lease: finished bulks have histories too, and several
        conductors may do it at once.
        """
        newest = db_history.newest_events(self._trimmed)
        for bulk_id in newest:
            db_history.trim_events(bulk_id, CONF.zun_bulk.max_events)
        self._trimmed = max(newest.values(), default=self._trimmed)

    def look_after_bulks(self):
        """Run one cycle: do for each bulk what can be done now.

        :raises: services.Stopping
        """
        self._delay = CONF.zun_bulk.poll_interval
        bulks = db_leases.list_bulks_with_work()
        self._leases.retain_only([bulk.id for bulk in bulks])
        self._claiming.retain_only([bulk.id for bulk in bulks])
        self._building = {
            bulk.id: self._building[bulk.id]
            for bulk in bulks
            if bulk.id in self._building and bulk.status == BulkStatus.BUILDING
        }
        for bulk in bulks:
            self._services.check_stopping()
            epoch = self._leases.acquire(bulk, time.monotonic())
            if epoch is None:
                continue
            self._current = bulk, time.monotonic()
            try:
                self._look_after(bulk, epoch)
            except services.Stopping:
                raise
            except leases.LostLease:
                LOG.info(
                    'Lost the lease of bulk %s to another conductor', bulk.uuid
                )
            except volumes.Busy as error:
                self._delay = min(self._delay, LOOK_AGAIN)
                LOG.info(
                    'Bulk %(bulk)s waits until Cinder can delete volumes: '
                    '%(error)s',
                    {'bulk': bulk.uuid, 'error': error},
                )
            except Exception:
                # The database is unchanged, so the next cycle tries again.
                LOG.exception('Failed to process bulk %s; retrying', bulk.uuid)
            finally:
                self._current = None

    def _look_after(self, bulk, epoch):
        if bulk.status == BulkStatus.DELETING:
            self._clearing.delete(bulk, epoch)
            return
        # First, as it makes room for new members.
        removed = self._clearing.remove(bulk, epoch)
        if bulk.status == BulkStatus.PAUSED:
            return
        if bulk.status == BulkStatus.CANCELLING:
            self._clearing.cancel(bulk, epoch)
        else:
            self._build_slice(bulk, epoch)
        if removed:
            self._finish(bulk, epoch)

    def _build_slice(self, bulk, epoch):
        """Build one slice of a bulk."""
        begun_under, build = self._building.pop(bulk.id, (None, None))
        if begun_under != epoch:
            # None is under way, or the bulk was changed meanwhile.
            build = self._build(bulk, epoch)
        try:
            next(build)
        except StopIteration:
            return
        self._building[bulk.id] = epoch, build
        self._delay = 0

    def _build(self, bulk, epoch):
        """Claim, make volumes and place; yields between slices."""
        self._claiming.requeue_from_down_hosts(bulk, epoch)
        queued = db_members.list_members_by_state(
            MemberState.QUEUED, bulk_id=bulk.id
        )
        homeless = [member for member in queued if member.host is None]
        if homeless:
            # All in one slice: if two bulks claimed in alternating slices,
            # neither might find room for all its members.
            self._claiming.claim(bulk, epoch, homeless)
            queued = db_members.list_members_by_state(
                MemberState.QUEUED, bulk_id=bulk.id
            )
        ready, missing, waiting = self._placing.with_volumes(
            bulk, epoch, [member for member in queued if member.host]
        )
        if ready:
            yield from self._placing.place(bulk, epoch, ready)
        self._placing.make_volumes(bulk, missing)
        if waiting:
            self._delay = min(self._delay, LOOK_AGAIN)

    def _finish(self, bulk, epoch):
        counts = db_counts.count_members([bulk.id])[bulk.id]
        if (
            sum(counts.get(state, 0) for state in MemberState.FINAL)
            < bulk.count
        ):
            return
        unbound = self._floating_ips.settle(bulk, epoch)
        if unbound is None:
            return
        failed = counts.get(MemberState.FAILED, 0)
        cancelled = counts.get(MemberState.CANCELLED, 0)
        status = BulkStatus.READY
        if cancelled or bulk.status == BulkStatus.CANCELLING:
            status = BulkStatus.CANCELLED
        elif failed or unbound:
            status = BulkStatus.ERROR
        reasons = [
            '%d of %d members %s' % (number, bulk.count, what)
            for number, what in (
                (failed, 'failed'),
                (cancelled, 'were cancelled'),
                (unbound, 'have no floating IP'),
            )
            if number
        ]
        reason = ', '.join(reasons) or None
        if db_bulks.set_bulk_status(
            bulk.id, epoch, bulk.status, status, reason=reason, finished=True
        ):
            LOG.info(
                'Bulk %(bulk)s is finished: %(counts)s',
                {'bulk': bulk.uuid, 'counts': dict(counts)},
            )
            notifications.send(
                'end',
                bulk,
                status=status,
                status_reason=reason,
                members={
                    state: counts.get(state, 0) for state in MemberState.ALL
                },
            )
        db_leases.release_lease(bulk.id, epoch)
