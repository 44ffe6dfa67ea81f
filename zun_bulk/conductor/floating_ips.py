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

It is a thread beside the one that plans, and works on the bulks whose lease
this conductor holds. A member has ``floating_ip_state`` as long as there may
be something of it in Neutron, and its row stays until that is None; so this
loop is all that ever makes or releases one, and there is nothing to undo.
"""

import collections
from concurrent import futures
import random
import threading

from oslo_log import log as logging

from zun_bulk import pausing
from zun_bulk.conf import CONF
from zun_bulk.consts import BulkStatus
from zun_bulk.consts import FloatingIpState
from zun_bulk.consts import MemberState
from zun_bulk.consts import OnFailure
from zun_bulk.db import counts as db_counts
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.network import floating_ips
from zun_bulk.pacing import throttle


LOG = logging.getLogger(__name__)

#: Seconds between two looks while there are floating IPs to come.
LOOK_AGAIN = 1.0
#: Seconds until Neutron is asked again that has not answered; they double.
RETRY_BASE = 1.0
RETRY_MAX = 30.0
#: Members in these come first.
TO_START = (MemberState.QUEUED, MemberState.PLACED, MemberState.STARTING)
#: How often one is tried that fails for a reason that may pass, or may not.
ATTEMPTS = 10
GIVEN_UP = 'the bulk was cancelled before it was bound'
NOT_RUNNING = 'its container failed before it was bound'


class FloatingIps:
    def __init__(self, leases, settled):
        """:param leases: the Leases of the conductor.

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
        #: Whether nothing went wrong in this pass, and how many passes in a
        #: row came to nothing.
        self._answered = True
        self._unanswered = 0
        self._failures = collections.Counter()

    def start(self):
        self._thread = threading.Thread(
            target=self._run, daemon=True, name='zun-bulk-floating-ips'
        )
        self._thread.start()

    def stop(self, timeout):
        """Begin nothing more.

        :param timeout: seconds to wait for what is under way.
        :returns: whether it has ended.
        """
        self._stopping.set()
        self.wake()
        if self._thread is None:
            return True
        self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def wake(self):
        self._woken.set()

    def show(self, now):
        """See Throttle, of its calls."""
        return self._calls.show(now)

    def settle(self, bulk, epoch):
        """Whether a bulk may be finished as far as floating IPs go.

        One that is cancelled waits for none of those that are missing.

        :returns: how many of its members have to do without; None if there
            is something to wait for.
        """
        if bulk.status == BulkStatus.CANCELLING:
            db_floating_ips.give_up_floating_ips(bulk.id, epoch, GIVEN_UP)
        if db_floating_ips.has_floating_ips_to_come_or_go(bulk.id):
            self.wake()
            return None
        unbound = db_floating_ips.count_floating_ips(
            bulk.id, states=MemberState.WITH_PORTS
        ).get(FloatingIpState.FAILED, 0)
        # Should one of them run again after all, its user can have it tried.
        db_floating_ips.give_up_floating_ips(
            bulk.id, epoch, NOT_RUNNING, states=(MemberState.FAILED,)
        )
        return unbound

    def _run(self):
        while not self._stopping.is_set():
            wait = CONF.zun_bulk.poll_interval
            try:
                wait = self.look_after_bulks()
            except Exception:
                LOG.exception('Could not look after floating IPs')
            self._woken.wait(wait)
            self._woken.clear()

    def look_after_bulks(self):
        """Bind and release some of each bulk's, in turn.

        :returns: seconds until the next look.
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
        """:returns: how many floating IPs it has done something about."""
        releasing = db_floating_ips.list_floating_ips_to_release(
            bulk.id, floating_ips.BATCH
        )
        binding = []
        if bulk.status == BulkStatus.BUILDING:
            binding = db_floating_ips.list_floating_ips_to_bind(
                bulk.id, floating_ips.BATCH
            )
        # First, as it makes room for the others.
        did = self._of_each(bulk, releasing, self._release_all)
        did += self._of_each(bulk, binding, self._bind_all)
        if did and not db_floating_ips.has_floating_ips_to_come_or_go(bulk.id):
            self._settled()
        return did

    def _of_each(self, bulk, members, work):
        if not members or self._stopping.is_set():
            return 0
        try:
            with self._calls.slot('look'):
                found = self._api().find(bulk, members)
        except Exception as error:
            self._tell(bulk, error)
            return 0
        return work(bulk, members, found)

    @staticmethod
    def _each(bulk, members, work):
        """Do it for some members at a time. Returns what comes of each.

        One by one while containers are yet to start: what attaches them asks
        Neutron too, and a floating IP can wait.
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
                self._tell(bulk, error)
            except Exception as error:
                # Another is to be asked for when Neutron answers again.
                if not down:
                    self._tell(bulk, error)
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
        if db_floating_ips.is_rid_of_floating_ip(member):
            # Another conductor has looked for it before it was there.
            found = self._api().find(bulk, [member])
            for row in found[member.container_uuid]:
                self._api().release(bulk, member, row, keep=False)
        return False

    def _fail(self, bulk, member, error):
        self._failures.pop(member.container_uuid, None)
        LOG.warning(
            'Container %(uuid)s of bulk %(bulk)s has no floating IP: '
            '%(error)s',
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
        pausing.pause(bulk, reason, bulk.epoch)

    # --------------------------------------------------------- releasing

    def _release_all(self, bulk, members, found):
        failed = db_floating_ips.want_floating_ips_again(
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
            # One of a container that never ran is of no use to its user.
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
                    self._tell(bulk, error)
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

    def _tell(self, bulk, error):
        self._answered = False
        LOG.warning(
            'Floating IPs of bulk %(bulk)s have to wait: %(error)s',
            {'bulk': bulk.uuid, 'error': str(error)},
        )

    def _api(self):
        # At first use: Keystone need not answer when zun-compute starts.
        if self._neutron is None:
            self._neutron = floating_ips.FloatingIps()
        return self._neutron
