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

"""Giving claimed members what they need, and then to their hosts."""

import collections
from concurrent import futures
import time

from oslo_log import log as logging

from zun_bulk import pausing
from zun_bulk.conductor import leases
from zun_bulk.conf import CONF
from zun_bulk.consts import MemberState
from zun_bulk.consts import ReasonClass
from zun_bulk.db import counts as db_counts
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db import zun_rows
from zun_bulk.network import batch
from zun_bulk.network import errors
from zun_bulk.network import maker
from zun_bulk.pacing import throttle
from zun_bulk.volume import mounts


LOG = logging.getLogger(__name__)

#: For how many members of a bulk the first ports are made, so that its hosts
#: need not wait for a whole ``port_batch``. The next ones are twice as many.
FIRST_PORTS = 4
#: Seconds for which a Neutron is left alone that is busy.
BUSY_WAIT = 1.0
#: Seconds after which it is looked whether the hosts have run dry.
LOOK_AGAIN = 1.0


class Placing:
    """Makes ports, and volumes where members are to have new ones.

    :ivar calls: the Throttle of the calls that make ports.
    """

    def __init__(self, services, clearing):
        """:param services: the conductor's Services.

        :param clearing: the conductor's Clearing.
        """
        self._services = services
        self._clearing = clearing
        self.calls = throttle.for_api_calls(
            'port calls', 'Neutron', CONF.zun_bulk.port_calls
        )
        self._batch = batch.BatchSize(CONF.zun_bulk.port_batch)

    # ------------------------------------------------------------- ports

    def place(self, bulk, epoch, claimed):
        """Place members, or as many as there are addresses for.

        All of a large bulk take Neutron an hour: it yields now and then, for
        other bulks to have their turns.
        """
        making = maker.Maker(
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
        why = making.why_short()
        if why:
            pausing.pause(bulk, why, epoch)

    def _place_part(self, bulk, epoch, members, making):
        """Make ports for claimed members, and hand them to their hosts."""
        members = self._clearing.with_container(bulk, members)
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
                        self._hand_over, bulk, epoch, part, making
                    )
                    calls[call] = part, time.monotonic()
                for call in _ended(calls):
                    waiting.extendleft(
                        reversed(self._again(call, *calls.pop(call), making))
                    )

    def _again(self, call, part, began, making):
        """Adapt the next calls to what became of one.

        :param began: when it was made, in monotonic seconds.
        :returns: the members that it has to be done again for.
        :raises: what the call has raised, unless a smaller one may do.
        """
        try:
            call.result()
        except errors.Busy as error:
            self._batch.overloaded(len(part))
            if len(part) == 1:
                raise
            LOG.warning(
                'Ports are made for %(number)d members at a time from here '
                'on: %(error)s',
                {'number': self._batch.now, 'error': error},
            )
            # It may make them without saying so, and may need as long again
            # as a proxy has waited for it.
            self._services.stopping.wait(
                max(BUSY_WAIT, time.monotonic() - began)
            )
            self._services.check_stopping()
            making.look(part)
            return part
        self._batch.succeeded(len(part))
        return []

    def _hand_over(self, bulk, epoch, members, making):
        """Make the ports of claimed members and give them to their hosts."""
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
        """See which members have their own volumes, if they are to have any.

        :returns: (those that have, what is to be made for others, how many
            wait for Cinder); all that are not among the first come again at
            the next look.
        """
        if not mounts.made_for_any(bulk) or not members:
            return members, [], 0
        members = self._clearing.with_container(bulk, members)
        found = self._services.volumes().look(bulk, members)
        self._clearing.fail_each(bulk, found.failed, ReasonClass.VOLUME)
        if found.ready and (
            db_transitions.note_volumes(bulk.id, epoch, found.ready) is None
        ):
            raise leases.LostLease()
        ready = [member for member, _wanted in found.ready]
        return ready, found.missing, found.waiting

    def make_volumes(self, bulk, missing):
        """Make volumes, not so many that others have to wait for long."""
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
    """For how many members ports are made until it is another bulk's turn.

    As many as two calls are for, or all calls at a time, but not more than a
    look for their ports can name.
    """
    conf = CONF.zun_bulk
    return min(max(2, conf.port_calls) * conf.port_batch, conf.claim_batch)


def _port_calls(bulk):
    """How many calls may make ports at a time.

    One costs Neutron the least, and leaves the machine to those who start
    what has its ports already. More are of use while hosts run dry.
    """
    most = CONF.zun_bulk.port_calls
    if most > 1:
        waiting = db_counts.count_members([bulk.id])[bulk.id]
        if waiting.get(MemberState.PLACED, 0) >= CONF.zun_bulk.port_batch:
            return 1
    return most


def _ended(calls):
    """Wait until a call has ended, or for a second; return what has."""
    ended, _others = futures.wait(
        calls, LOOK_AGAIN, return_when=futures.FIRST_COMPLETED
    )
    return ended
