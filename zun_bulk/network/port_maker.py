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

"""Make the ports of one bulk: choose addresses, and handle refusals.

Neutron makes all ports of a batch or none. A refused batch is halved until the
members at fault are found, and the others get their ports.
"""

import collections
import ipaddress
import re
import threading

from zun_bulk.network import errors
from zun_bulk.network import requested


#: After this many equal refusals, and no success, all members are refused.
ALIKE = 3
#: DNS labels that Neutron accepts as the name of a port.
_LABEL = re.compile(r'(?!-)[a-z0-9-]{1,63}(?<!-)')
_DNS = 'dns-integration'


class PortMaker:
    """Makes the ports of a bulk in one cycle of its conductor.

    ``make`` may run in several threads; the other methods in one.

    :ivar short: {member id} of members for which no address is left.
    """

    def __init__(self, api, bulk, members, hostnames):
        """Set up without any call.

        :param api: a Ports.
        :param bulk: the Bulk.
        :param members: all that need ports in this cycle.
        :param hostnames: function of container uuids that returns
            {uuid: hostname in Zun's row}.
        """
        self.short = set()
        self._api = api
        self._bulk = bulk
        self._hostnames = hostnames
        self._networks = bulk.spec.requested_networks
        #: Indexes of the requested networks that ports are made for.
        self._indexes = [
            index
            for index in requested.attached(self._networks)
            if requested.wants_port(self._networks[index])
        ]
        #: {(member id, index): address} requested for single members.
        self._given = {}
        for member in members:
            for index in self._indexes:
                address = self._address_given(member, index)
                if address:
                    self._given[member.id, index] = address
        self._defaults = None
        #: {(container uuid, network id): port}.
        self._known = {}
        #: {member id: dns_name}; None if Neutron does not accept them.
        self._names = None
        self._lock = threading.Lock()
        #: {(member id, index): address} chosen from ranges.
        self._picked = {}
        #: {index: iterator of the free addresses of its range}.
        self._left = {}
        #: Chosen addresses that other ports took first.
        self._lost = set()
        #: {exhausted source: message}; see _sources.
        self._exhausted = {}
        self._made_any = False
        self._refusals = collections.Counter()
        self._refusal = None

    def _address_given(self, member, index):
        own = (member.wanted.addresses or [])[index:][:1]
        address = (own and own[0]) or self._networks[index].get('fixed_ip')
        try:
            # In the form that Neutron uses.
            return address and str(ipaddress.ip_address(address))
        except ValueError:
            # Neutron will refuse it with a message.
            return address

    def prepare(self, members):
        """Find the ports of a slice of members, and choose addresses.

        In the order of members, so that the first get the lowest addresses.
        """
        if self._refusal:
            return
        if self._defaults is None:
            self._defaults = self._api.defaults(self._bulk)
            for index in self._indexes:
                if requested.RANGE in self._networks[index]:
                    self._list_free_addresses(index)
            if self._api.has_extension(_DNS):
                self._names = {}
        self.look(members)
        if self._names is not None:
            self._name(members)
        for member in members:
            for index in self._missing(member):
                if index in self._left and (
                    (member.id, index) not in self._given
                ):
                    self._pick(member, index)

    def look(self, members):
        """Find the ports that members already have."""
        self._known.update(
            self._api.find([member.container_uuid for member in members])
        )

    def _name(self, members):
        hostnames = self._hostnames([m.container_uuid for m in members])
        for member in members:
            name = hostnames.get(member.container_uuid)
            if not name:
                name = re.sub('[^a-z0-9-]', '-', member.name.lower())
                name = name.strip('-')[:63].rstrip('-')
            # Hostnames that are not DNS labels are left out, not refused.
            if _LABEL.fullmatch(name.lower()):
                self._names[member.id] = name.lower()

    def _missing(self, member):
        """List the indexes of networks on which a member lacks a port."""
        return [
            index
            for index in self._indexes
            if (member.container_uuid, self._networks[index]['network'])
            not in self._known
        ]

    # ------------------------------------------------------- ranges

    def _list_free_addresses(self, index):
        network = self._networks[index]
        taken = self._api.taken(network['network'])
        # Neutron may not list all addresses in use.
        taken.update(self._lost, self._picked.values(), self._given.values())
        first, last = map(ipaddress.IPv4Address, network[requested.RANGE])
        addresses = (
            str(ipaddress.IPv4Address(number))
            for number in range(int(first), int(last) + 1)
        )
        self._left[index] = (a for a in addresses if a not in taken)

    def _pick(self, member, index):
        address = next(self._left[index], None)
        if address is None:
            self._exhausted[index] = 'no address is free in %s-%s on %s' % (
                *self._networks[index][requested.RANGE],
                self._title(index),
            )
        else:
            self._picked[member.id, index] = address

    def _pick_again(self, part, lost):
        """Choose others for addresses that other ports took first."""
        with self._lock:
            self._lost.update(lost)
            for index in self._left:
                mine = {
                    member: self._picked.pop((member.id, index))
                    for member in part
                    if (member.id, index) in self._picked
                }
                if not mine:
                    continue
                self._list_free_addresses(index)
                for member in mine:
                    self._pick(member, index)

    # ------------------------------------------------------- making

    def make(self, members):
        """Make the ports that members lack.

        Members without an address are added to ``short``.

        :param members: some of those passed to ``prepare``.
        :returns: ({member id: requested networks for Zun's container_create},
            {reason: [Member]} of those that are refused).
        :raises: as ``Ports.ensure``, but for Refused.
        """
        made, refused = {}, collections.defaultdict(list)
        parts = [members]
        while parts:
            part = self._without_known_refusals(parts.pop(), refused)
            if not part:
                continue
            own = self._own(part)
            try:
                made.update(
                    self._api.ensure(
                        self._bulk,
                        [(member, member.host) for member in part],
                        self._known,
                        self._defaults,
                        own,
                    )
                )
                self._made_any = True
            except errors.Refused as error:
                parts += self._divide(part, own, error, refused)
        return made, refused

    def _without_known_refusals(self, part, refused):
        """Leave out members whose refusal is already known."""
        if self._refusal:
            refused[self._refusal] += part
            return []
        # A copy, as another thread may add to it.
        dry = set(self._exhausted)
        short = [m for m in part if dry.intersection(self._sources(m))]
        self.short.update(member.id for member in short)
        return [member for member in part if member.id not in self.short]

    def _sources(self, member):
        """List the sources that a member needs.

        These are the project's quota, networks by their ids and, by the
        indexes of their networks, ranges that had no address for it.
        """
        missing = self._missing(member)
        sources = {errors.Kind.QUOTA} if missing else set()
        for index in missing:
            if (member.id, index) in self._given:
                continue
            if index not in self._left:
                sources.add(self._networks[index]['network'])
            elif (member.id, index) not in self._picked:
                sources.add(index)
        return sources

    def _own(self, part):
        """Make the additions to ports for ``Ports.ensure``."""
        names = self._names or {}
        own = collections.defaultdict(dict)
        for member in part:
            for index in self._indexes:
                key = member.id, index
                address = self._given.get(key) or self._picked.get(key)
                if address:
                    own[key]['fixed_ips'] = [{'ip_address': address}]
                if member.id in names:
                    own[key]['dns_name'] = names[member.id]
        return own

    def _divide(self, part, own, error, refused):
        """Decide what to try next after a part was refused.

        :param own: the additions to its ports.
        :param refused: {reason: [Member]}; new refusals are added.
        :returns: parts to try; the last is the next.
        """
        if error.kind is errors.Kind.WHOLE:
            self._refusal = str(error)
            return [part]
        if (
            error.kind is errors.Kind.OTHER
            and 'dns' in str(error).lower()
            and any('dns_name' in said for said in own.values())
        ):
            self._names = None
            return [part]
        if error.kind is errors.Kind.TAKEN:
            missing = [self._missing(member) for member in part]
            self.look(part)
            if missing != [self._missing(member) for member in part]:
                # They are their own ports, made by an unanswered call.
                return [part]
            lost = self._addresses(part, self._picked)
            if len(part) > 1 or self._addresses(part, self._given):
                lost &= error.addresses
            if lost:
                self._pick_again(part, lost)
                return [part]
        if len(part) == 1:
            self._refuse_one(part[0], error, refused)
            return []
        named = [
            member
            for member in part
            if error.addresses & self._addresses([member], self._given)
        ]
        if len(named) == 1:
            self._refuse_one(named[0], error, refused)
            return [[member for member in part if member is not named[0]]]
        half = (len(part) + 1) // 2
        return [part[half:], part[:half]]

    def _addresses(self, part, table):
        return {
            table[member.id, index]
            for member in part
            for index in self._indexes
            if (member.id, index) in table
        }

    def _refuse_one(self, member, error, refused):
        dry = self._find_exhausted(member, error)
        if dry:
            self._exhausted.update(dry)
            self.short.add(member.id)
            return
        reason = str(error)
        others = self._addresses([member], self._given) - error.addresses
        if others:
            reason += ' (asked for %s)' % ', '.join(sorted(others))
        refused[reason].append(member)
        self._refusals[reason] += 1
        if self._refusals[reason] == ALIKE and not self._made_any:
            self._refusal = reason

    def _find_exhausted(self, member, error):
        """Find which sources are exhausted, after one member was refused.

        :returns: {source: message}.
        """
        if error.kind is errors.Kind.QUOTA:
            return {errors.Kind.QUOTA: str(error)}
        if error.kind is not errors.Kind.ADDRESSES:
            return {}
        sources = self._sources(member)
        pools = {
            self._networks[index]['network']: index
            for index in self._indexes
            if self._networks[index]['network'] in sources
        }
        named = {ident for ident in pools if ident in str(error)}
        return {
            ident: 'no address is left on %s' % self._title(pools[ident])
            for ident in named or pools
        }

    # ------------------------------------------------------- shortage

    def shortage_reason(self):
        """Return why members have no address; None if all have one."""
        if not self.short:
            return None
        return '%s: %d of %d containers wait for an address' % (
            '; '.join(self._exhausted.values()),
            len(self.short),
            self._bulk.count,
        )

    def _title(self, index):
        """Name a network as in the template, with its id."""
        ident = self._networks[index]['network']
        nets = self._bulk.template.get('nets') or [{}]
        name = nets[index].get('network', ident)
        if name == ident:
            return 'network ' + ident
        return 'network %s (%s)' % (name, ident)
