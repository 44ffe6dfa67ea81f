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

Any number of conductors may run. One works on a bulk at a time: the one that
holds its lease, which is the epoch that the lease gave it. Each write names
that epoch, so that one who lost the lease without noticing changes nothing.
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
from zun_bulk.consts import BulkStatus
from zun_bulk.consts import MemberState
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import history as db_history
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import tables
from zun_bulk.volume import trusts
from zun_bulk.volume import volumes


LOG = logging.getLogger(__name__)

#: Seconds until the next look where something is waited for that nobody
#: tells of.
LOOK_AGAIN = 1.0
#: Seconds between two looks at what bulks have too much of, or have left.
TIDY_INTERVAL = 60.0
#: Seconds for which the end of the message server is waited for.
SERVER_PATIENCE = 5


class Conductor:
    """Looks after the bulks whose leases it can get, one after the other."""

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
        #: (the Bulk that is just looked after, since when), or None.
        self._at = None
        #: Seconds until the next look, unless it is woken.
        self._patience = CONF.zun_bulk.poll_interval
        #: {bulk id: (epoch, what is left to do of _build)}.
        self._building = {}
        #: Up to which event histories have been looked at.
        self._trimmed = 0

    def start(self):
        self._planning = threading.Thread(
            target=self._run, daemon=True, name='zun-bulk-conductor'
        )
        self._planning.start()
        # Apart, because a call to Neutron may take longer than the lease.
        threading.Thread(
            target=self._renew, daemon=True, name='zun-bulk-leases'
        ).start()
        # Apart, because planning a large bulk takes longer than a minute.
        threading.Thread(
            target=self._tidy, daemon=True, name='zun-bulk-tidy'
        ).start()
        # Apart, because starts are not to wait for floating IPs.
        self._floating_ips.start()
        self._server = rpc.serve(rpc.CONDUCTOR_TOPIC, self.wake)

    def stop(self, timeout):
        """Begin nothing more, and let others go on with what is left.

        A call that does not come to its end in time is left as it is: what
        it writes afterwards is refused once another has taken the bulk.

        :param timeout: seconds to wait for what is under way.
        :returns: whether it has ended.
        """
        deadline = time.monotonic() + timeout
        self._services.stopping.set()
        self._woken.set()
        # It begins nothing more while the other one ends.
        self._floating_ips.stop(0)
        planning = self._planning
        if planning is not None:
            # The leases are renewed meanwhile.
            planning.join(timeout)
        ended = self._floating_ips.stop(deadline - time.monotonic()) and (
            planning is None or not planning.is_alive()
        )
        self._stopped.set()
        if ended:
            # Else others wait until the leases are over, as what is under way
            # may still take effect.
            self._release_leases()
        if self._server is not None:
            # In a thread: without a broker it may take for ever.
            stop = threading.Thread(target=self._server.stop, daemon=True)
            stop.start()
            stop.join(SERVER_PATIENCE)
        return ended

    def _release_leases(self):
        try:
            self._leases.release()
        except Exception:
            LOG.exception('Others have to wait until the leases are over')

    def wake(self):
        self._woken.set()
        self._floating_ips.wake()

    def report(self):
        """What it has in hand, as a dict, for who looks for a fault."""
        now = time.monotonic()
        at = self._at
        return {
            'owner': self._leases.owner,
            'leases': self._leases.report(),
            'at': at
            and {
                'bulk': at[0].uuid,
                'status': at[0].status,
                'seconds': now - at[1],
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
                if not tables.explains(error):
                    LOG.exception('The conductor could not look for work')
            self._woken.wait(self._patience)
            self._woken.clear()

    def _renew(self):
        while not self._stopped.wait(CONF.zun_bulk.lease_time / 3):
            try:
                self._leases.renew()
            except Exception:
                LOG.exception('The conductor could not renew its leases')

    def _tidy(self):
        while not self._stopped.wait(TIDY_INTERVAL):
            for what, do in (
                ('trim histories', self.trim_events),
                ('delete trusts', trusts.delete_left),
            ):
                try:
                    do()
                except Exception as error:
                    if not tables.explains(error):
                        LOG.exception('The conductor could not %s', what)

    def trim_events(self):
        """Forget the oldest events of bulks that have too many.

        Of any bulk, for one that is finished has a history still. Whoever
        else does the same finds nothing left to do.
        """
        newest = db_history.newest_events(self._trimmed)
        for bulk_id in newest:
            db_history.trim_events(bulk_id, CONF.zun_bulk.max_events)
        self._trimmed = max(newest.values(), default=self._trimmed)

    def look_after_bulks(self):
        """Do for each bulk what can be done now.

        :raises: Stopping
        """
        self._patience = CONF.zun_bulk.poll_interval
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
            epoch = self._leases.epoch(bulk, time.monotonic())
            if epoch is None:
                continue
            self._at = bulk, time.monotonic()
            try:
                self._look_after(bulk, epoch)
            except services.Stopping:
                raise
            except leases.LostLease:
                LOG.info('Bulk %s has passed to another conductor', bulk.uuid)
            except volumes.Busy as error:
                self._patience = min(self._patience, LOOK_AGAIN)
                LOG.info(
                    'Bulk %(bulk)s has to wait until Cinder deletes '
                    'volumes: %(error)s',
                    {'bulk': bulk.uuid, 'error': error},
                )
            except Exception:
                # It stays as it is in the database and is tried again.
                LOG.exception('Could not go on with bulk %s', bulk.uuid)
            finally:
                self._at = None

    def _look_after(self, bulk, epoch):
        if bulk.status == BulkStatus.DELETING:
            self._clearing.delete(bulk, epoch)
            return
        # First, as it makes room for what is to come.
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
        """Build a bulk until it is another one's turn."""
        begun_under, build = self._building.pop(bulk.id, (None, None))
        if begun_under != epoch:
            # None is under way, or others have changed the bulk meanwhile.
            build = self._build(bulk, epoch)
        try:
            next(build)
        except StopIteration:
            return
        self._building[bulk.id] = epoch, build
        self._patience = 0

    def _build(self, bulk, epoch):
        """Bring members nearer to their hosts; yields between turns."""
        self._claiming.take_back(bulk, epoch)
        queued = db_members.list_members_by_state(
            MemberState.QUEUED, bulk_id=bulk.id
        )
        homeless = [member for member in queued if member.host is None]
        if homeless:
            # All in one turn: of two bulks that claim by turns, neither may
            # find room for all, where one would.
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
            self._patience = min(self._patience, LOOK_AGAIN)

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
