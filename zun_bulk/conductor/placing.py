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

"""Make ports and volumes for claimed members, and place them."""

import collections
from concurrent import futures
import time

from oslo_log import log as logging

from zun_bulk import auto_pause
from zun_bulk.conductor import leases
from zun_bulk.conf import CONF
from zun_bulk.consts import ReasonClass
from zun_bulk.db import counts as db_counts
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.network import batch_size
from zun_bulk.network import errors
from zun_bulk.network import port_maker
from zun_bulk.pacing import throttle
from zun_bulk.states import MemberState
from zun_bulk.volume import mounts


LOG = logging.getLogger(__name__)

#: Members in the first batch of ports, so that hosts need not wait for a whole
#: ``port_batch``. Each further batch is twice as large.
FIRST_PORTS = 4
#: Least seconds to wait after Neutron reported that it is busy.
BUSY_WAIT = 1.0
#: Seconds between two checks whether hosts have run out of placed members.
LOOK_AGAIN = 1.0


class Placing:
    """Makes ports, and new volumes where members request them.

    :ivar calls: the Throttle of the calls that make ports.
    """

    def __init__(self, services, clearing):
        """Set up without any call.

        :param services: the conductor's Services.
        :param clearing: the conductor's Clearing.
        """
        self._services = services
        self._clearing = clearing
        self.calls = throttle.for_api_calls(
            'port calls', 'Neutron', CONF.zun_bulk.port_calls
        )
        self._batch = batch_size.BatchSize(CONF.zun_bulk.port_batch)

    # ------------------------------------------------------------- ports

    def place(self, bulk, epoch, claimed):
        """Place members, or as many as there are addresses for.

        Yields between slices, as Neutron may take an hour for a large bulk.
        Pauses the bulk if addresses run out.
        """
        making = port_maker.PortMaker(
            self._services.ports(), bulk, claimed, zun_rows.hostnames
        )
        self._batch.begin(FIRST_PORTS)
        size = _slice_size()
        for start in range(0, len(claimed), size):
            if start:
                yield
            self._services.check_stopping()
            self._place_part(
                bulk, epoch, claimed[start : start + size], making
            )
        why = making.shortage_reason()
        if why:
            auto_pause.pause(bulk, why, epoch)

    def _place_part(self, bulk, epoch, members, making):
        """Place one slice of claimed members."""
        members = self._clearing.fail_without_container(bulk, members)
        if not members:
            return
        try:
            self._make_ports(bulk, epoch, members, making)
        finally:
            self._clearing.release_unwanted(bulk, members)

    def _make_ports(self, bulk, epoch, members, making):
        making.prepare(members)
        waiting = collections.deque(members)
        with futures.ThreadPoolExecutor(CONF.zun_bulk.port_calls) as pool:
            calls = {}
            while waiting or calls:
                while waiting and len(calls) < _port_calls(bulk):
                    part = [
                        waiting.popleft()
                        for _ in range(min(self._batch.now, len(waiting)))
                    ]
                    call = pool.submit(
                        self._create_ports_and_place, bulk, epoch, part, making
                    )
                    calls[call] = part, time.monotonic()
                for call in _ended(calls):
                    waiting.extendleft(
                        reversed(
                            self._members_to_repeat(
                                call, *calls.pop(call), making
                            )
                        )
                    )

    def _members_to_repeat(self, call, part, began, making):
        """Adapt the batch size to the outcome of a call.

        :param part: the members of the call.
        :param began: when the call was made, in monotonic seconds.
        :returns: the members to make another call for.
        :raises: the error of the call, unless a smaller one may succeed.
        """
        try:
            call.result()
        except errors.Busy as error:
            self._batch.overloaded(len(part))
            if len(part) == 1:
                raise
            LOG.warning(
                'Neutron is busy; making ports for %(number)d members at a '
                'time: %(error)s',
                {'number': self._batch.now, 'error': error},
            )
            # Neutron may still make them, and may need as long again as the
            # proxy has waited.
            self._services.stopping.wait(
                max(BUSY_WAIT, time.monotonic() - began)
            )
            self._services.check_stopping()
            making.look(part)
            return part
        self._batch.succeeded(len(part))
        return []

    def _create_ports_and_place(self, bulk, epoch, members, making):
        """Make the ports of claimed members and place the members."""
        self._services.check_stopping()
        with self.calls.slot(members[0].container_uuid):
            networks, refused = making.make(members)
        self._clearing.fail_each(bulk, refused, ReasonClass.NETWORK)
        with_ports = [member for member in members if member.id in networks]
        if not with_ports:
            return
        placed = db_transitions.place_members(
            bulk.id,
            epoch,
            [(member, networks[member.id]) for member in with_ports],
        )
        if placed is None:
            raise leases.LostLease()
        self._services.wake_hosts({member.host for member in with_ports})

    # ----------------------------------------------------------- volumes

    def with_volumes(self, bulk, epoch, members):
        """Find the members whose own volumes are all available.

        :returns: (members that have theirs or need none, volumes to make as
            in volumes.Found, number of members that wait for Cinder). The
            other members are checked again at the next cycle.
        """
        if not mounts.made_for_any(bulk) or not members:
            return members, [], 0
        members = self._clearing.fail_without_container(bulk, members)
        found = self._services.volumes().look(bulk, members)
        self._clearing.fail_each(bulk, found.failed, ReasonClass.VOLUME)
        if found.ready and (
            db_transitions.record_volumes(bulk.id, epoch, found.ready) is None
        ):
            raise leases.LostLease()
        ready = [member for member, _wanted in found.ready]
        return ready, found.missing, found.waiting

    def make_volumes(self, bulk, missing):
        """Make volumes for one ``claim_batch``, to keep the slice short."""
        missing = missing[: CONF.zun_bulk.claim_batch]
        if not missing:
            return
        self._services.check_stopping()
        try:
            self._clearing.fail_each(
                bulk,
                self._services.volumes().make(bulk, missing),
                ReasonClass.VOLUME,
            )
        finally:
            self._clearing.release_unwanted(
                bulk, [member for member, *_ in missing]
            )


def _slice_size():
    """Return the number of members of a slice.

    It is what two calls, or all parallel calls, can make ports for, but no
    more than one lookup of ports can name.
    """
    conf = CONF.zun_bulk
    return min(max(2, conf.port_calls) * conf.port_batch, conf.claim_batch)


def _port_calls(bulk):
    """Return how many calls may make ports in parallel.

    One loads Neutron the least and leaves the machine to the starts. More
    help only while hosts run out of placed members.
    """
    most = CONF.zun_bulk.port_calls
    if most > 1:
        waiting = db_counts.count_members([bulk.id])[bulk.id]
        if waiting.get(MemberState.PLACED, 0) >= CONF.zun_bulk.port_batch:
            return 1
    return most


def _ended(calls):
    """Wait until a call has ended, at most LOOK_AGAIN; return those ended."""
    ended, _others = futures.wait(
        calls, LOOK_AGAIN, return_when=futures.FIRST_COMPLETED
    )
    return ended
