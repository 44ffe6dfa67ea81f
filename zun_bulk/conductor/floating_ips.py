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

"""The loop that binds floating IPs to members, and releases them.

It is a thread beside the one that plans, and works on the bulks whose leases
this conductor holds. ``floating_ip_state`` is set as long as Neutron may have
a floating IP for a member, and the member's row stays until it is None. No
other code makes or releases floating IPs, so nothing has to be undone.
"""

import collections
from concurrent import futures
import random
import threading

from oslo_log import log as logging

from zun_bulk import auto_pause
from zun_bulk.conf import CONF
from zun_bulk.consts import OnFailure
from zun_bulk.db import counts as db_counts
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.network import floating_ips
from zun_bulk.pacing import throttle
from zun_bulk.states import BulkStatus
from zun_bulk.states import FloatingIpState
from zun_bulk.states import MemberState


LOG = logging.getLogger(__name__)

#: Seconds between two cycles while floating IPs are missing.
LOOK_AGAIN = 1.0
#: Seconds until a call is repeated that Neutron did not answer; they double.
RETRY_BASE = 1.0
RETRY_MAX = 30.0
#: While members are in these states, floating IPs are bound one by one.
TO_START = (MemberState.QUEUED, MemberState.PLACED, MemberState.STARTING)
#: Attempts to bind a floating IP if the error may be temporary.
ATTEMPTS = 10
GIVEN_UP = 'the bulk was cancelled before the floating IP was bound'
NOT_RUNNING = 'the container failed before the floating IP was bound'


class FloatingIps:
    """Binds and releases the floating IPs of a conductor's bulks."""

    def __init__(self, leases, settled):
        """Set up without any call.

        :param leases: the Leases of the conductor.
        :param settled: function to call when a bulk may be finished.
        """
        self._leases = leases
        self._settled = settled
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = None
        self._calls = throttle.for_api_calls(
            'floating IP calls', 'Neutron', CONF.zun_bulk.floating_ip_calls
        )
        self._neutron = None
        #: Whether Neutron answered all calls of this cycle, and the number
        #: of cycles in a row that achieved nothing.
        self._answered = True
        self._unanswered = 0
        self._failures = collections.Counter()

    def start(self):
        """Start the thread."""
        self._thread = threading.Thread(
            target=self._run, daemon=True, name='zun-bulk-floating-ips'
        )
        self._thread.start()

    def stop(self, timeout):
        """Stop after the calls under way.

        :param timeout: seconds to wait for them.
        :returns: whether they have ended.
        """
        self._stopping.set()
        self.wake()
        if self._thread is None:
            return True
        self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def wake(self):
        """Begin the next cycle at once."""
        self._woken.set()

    def show(self, now):
        """Return the state of the Throttle of the calls, for a report."""
        return self._calls.show(now)

    def settle(self, bulk, epoch):
        """Check whether the floating IPs let a bulk be finished.

        A cancelled bulk does not wait for missing floating IPs.

        :returns: number of members left without a floating IP; None if the
            bulk has to wait.
        """
        if bulk.status == BulkStatus.CANCELLING:
            db_floating_ips.fail_floating_ips(bulk.id, epoch, GIVEN_UP)
        if db_floating_ips.has_pending_floating_ips(bulk.id):
            self.wake()
            return None
        unbound = db_floating_ips.count_floating_ips(
            bulk.id, states=MemberState.WITH_PORTS
        ).get(FloatingIpState.FAILED, 0)
        # If its container runs again, the user can retry.
        db_floating_ips.fail_floating_ips(
            bulk.id, epoch, NOT_RUNNING, states=(MemberState.FAILED,)
        )
        return unbound

    def _run(self):
        while not self._stopping.is_set():
            wait = CONF.zun_bulk.poll_interval
            try:
                wait = self.look_after_bulks()
            except Exception:
                LOG.exception('Failed to process floating IPs; retrying')
            self._woken.wait(wait)
            self._woken.clear()

    def look_after_bulks(self):
        """Run one cycle: bind and release a batch for each bulk.

        :returns: seconds until the next cycle.
        """
        held = self._leases.held()
        bulks = (
            db_floating_ips.bulks_with_floating_ips(list(held)) if held else []
        )
        did = 0
        self._answered = True
        for bulk in bulks:
            if held[bulk.id] == bulk.epoch:
                did += self._look_after(bulk)
        self._unanswered = 0 if did else self._unanswered + 1
        if not self._answered:
            return random.uniform(
                0.5,
                min(RETRY_MAX, RETRY_BASE * 2 ** min(self._unanswered, 10)),
            )
        self._unanswered = 0
        if did:
            return 0
        return LOOK_AGAIN if bulks else CONF.zun_bulk.poll_interval

    def _look_after(self, bulk):
        """Release and bind a batch of a bulk's floating IPs.

        :returns: how many were changed.
        """
        releasing = db_floating_ips.list_floating_ips_to_release(
            bulk.id, floating_ips.BATCH
        )
        binding = []
        if bulk.status == BulkStatus.BUILDING:
            binding = db_floating_ips.list_floating_ips_to_bind(
                bulk.id, floating_ips.BATCH
            )
        # First, as it frees addresses for the others.
        did = self._find_and(bulk, releasing, self._release_all)
        did += self._find_and(bulk, binding, self._bind_all)
        if did and not db_floating_ips.has_pending_floating_ips(bulk.id):
            self._settled()
        return did

    def _find_and(self, bulk, members, work):
        if not members or self._stopping.is_set():
            return 0
        try:
            with self._calls.slot('look'):
                found = self._api().find(bulk, members)
        except Exception as error:
            self._log_unanswered(bulk, error)
            return 0
        return work(bulk, members, found)

    @staticmethod
    def _each(bulk, members, work):
        """Call a function for each member, some calls in parallel.

        One by one while containers are yet to start: they need Neutron too,
        and floating IPs can wait.

        :returns: the results, in order.
        """
        counts = db_counts.count_members([bulk.id])[bulk.id]
        calls = CONF.zun_bulk.floating_ip_calls
        if any(counts.get(state) for state in TO_START):
            calls = 1
        with futures.ThreadPoolExecutor(calls) as pool:
            return list(pool.map(work, members))

    # ----------------------------------------------------------- binding

    def _bind_all(self, bulk, members, found):
        full, down = [], []

        def bind(member):
            if full or down or self._stopping.is_set():
                return False
            try:
                return self._bind(bulk, member, found[member.container_uuid])
            except floating_ips.Exhausted as error:
                if bulk.on_failure == OnFailure.PAUSE:
                    full.append(error)
                    return False
                return self._fail(bulk, member, error)
            except floating_ips.Refused as error:
                return self._fail(bulk, member, error)
            except floating_ips.Failed as error:
                self._failures[member.container_uuid] += 1
                if self._failures[member.container_uuid] >= ATTEMPTS:
                    return self._fail(bulk, member, error)
                self._log_unanswered(bulk, error)
            except Exception as error:
                # Skip the others until Neutron answers again.
                if not down:
                    self._log_unanswered(bulk, error)
                down.append(error)
            return False

        did = sum(self._each(bulk, members, bind))
        if full:
            self._pause(bulk, full[0])
        return did

    def _bind(self, bulk, member, found):
        with self._calls.slot(member.container_uuid):
            if (
                self._stopping.is_set()
                or not db_floating_ips.wants_floating_ip(member, bulk.epoch)
            ):
                return False
            address = self._api().bind(bulk, member, found)
        self._failures.pop(member.container_uuid, None)
        if db_floating_ips.set_floating_ip(
            member, bulk.epoch, FloatingIpState.BOUND, address=address
        ):
            return True
        if db_floating_ips.is_floating_ip_cleared(member):
            # Another conductor looked for it before it existed.
            found = self._api().find(bulk, [member])
            for row in found[member.container_uuid]:
                self._api().release(bulk, member, row, keep=False)
        return False

    def _fail(self, bulk, member, error):
        self._failures.pop(member.container_uuid, None)
        LOG.warning(
            'Failed to bind a floating IP to container %(uuid)s of bulk '
            '%(bulk)s: %(error)s',
            {'uuid': member.container_uuid, 'bulk': bulk.uuid, 'error': error},
        )
        return db_floating_ips.set_floating_ip(
            member, bulk.epoch, FloatingIpState.FAILED, reason=str(error)
        )

    def _pause(self, bulk, error):
        missing = db_floating_ips.count_floating_ips(bulk.id).get(
            FloatingIpState.WANTED, 0
        )
        reason = (
            'There are no more floating IPs of network %s: %d of %d members '
            'have none yet. %s'
            % (bulk.spec.floating_ips.network, missing, bulk.count, error)
        )
        auto_pause.pause(bulk, reason, bulk.epoch)

    # --------------------------------------------------------- releasing

    def _release_all(self, bulk, members, found):
        failed = db_floating_ips.mark_floating_ips_wanted(
            bulk.id,
            bulk.epoch,
            [m for m in members if m.state == MemberState.FAILED],
        )
        members = failed + [
            m for m in members if m.state in MemberState.UNWANTED
        ]
        spec = bulk.spec.floating_ips
        keeps = spec and spec.on_delete

        down = []

        def release(member):
            # The user has no use for one whose container never ran.
            keep = keeps == 'keep' and member.state in (
                MemberState.DELETING,
                MemberState.DELETED,
            )
            try:
                for row in found[member.container_uuid]:
                    if down:
                        return False
                    with self._calls.slot(row['id']):
                        if self._stopping.is_set():
                            return False
                        self._api().release(bulk, member, row, keep)
            except Exception as error:
                if not down:
                    self._log_unanswered(bulk, error)
                down.append(error)
                return False
            return True

        released = [
            member
            for member, done in zip(
                members, self._each(bulk, members, release), strict=True
            )
            if done
        ]
        if released:
            db_floating_ips.clear_floating_ips(bulk.id, bulk.epoch, released)
        return len(released)

    def _log_unanswered(self, bulk, error):
        self._answered = False
        LOG.warning(
            'Failed to process floating IPs of bulk %(bulk)s; retrying: '
            '%(error)s',
            {'bulk': bulk.uuid, 'error': str(error)},
        )

    def _api(self):
        # At first use, so that zun-compute starts without Keystone.
        if self._neutron is None:
            self._neutron = floating_ips.FloatingIps()
        return self._neutron
