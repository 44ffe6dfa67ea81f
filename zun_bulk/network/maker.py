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

"""Making the ports of one bulk: their addresses, and what becomes of refusals.

Neutron makes a batch of ports or none of it. So the members that it refuses
are looked for by halves, and the others get theirs.
"""

import collections
import ipaddress
import re
import threading

from zun_bulk.network import errors
from zun_bulk.network import requested


#: How often one and the same refusal counts as one of all.
ALIKE = 3
#: What Neutron takes of a port's name.
_LABEL = re.compile(r'(?!-)[a-z0-9-]{1,63}(?<!-)')
_DNS = 'dns-integration'


class Maker:
    """For one pass of a bulk's conductor.

    ``make`` may run in several threads; all else is for one.

    :ivar short: {member id} of those for which there is no address left.
    """

    def __init__(self, api, bulk, members, hostnames):
        """:param api: a Ports.

        :param bulk: the Bulk.
        :param members: all that are to have ports in this pass.
        :param hostnames: function of container uuids that tells the hostnames
            in Zun's rows.
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
        #: {(member id, index): address} that members have of their own.
        self._given = {}
        for member in members:
            for index in self._indexes:
                address = self._address_given(member, index)
                if address:
                    self._given[member.id, index] = address
        self._defaults = None
        #: {(container uuid, network id): port}.
        self._known = {}
        #: {member id: dns_name}; None where Neutron does not take them.
        self._names = None
        self._lock = threading.Lock()
        #: {(member id, index): address} chosen of ranges.
        self._picked = {}
        #: {index: iterator of the addresses of its range that are left}.
        self._left = {}
        #: Addresses that others were faster with.
        self._lost = set()
        #: {what there is no more of: which words say so}; see _sources.
        self._dry = {}
        self._made_any = False
        self._refusals = collections.Counter()
        self._refusal = None

    def _address_given(self, member, index):
        own = (member.wanted.addresses or [])[index:][:1]
        address = (own and own[0]) or self._networks[index].get('fixed_ip')
        try:
            # As Neutron writes it.
            return address and str(ipaddress.ip_address(address))
        except ValueError:
            # Neutron will say so.
            return address

    def prepare(self, members):
        """Look what some members have, and choose addresses for the rest.

        In order of members, so that the first have the lowest.
        """
        if self._refusal:
            return
        if self._defaults is None:
            self._defaults = self._api.defaults(self._bulk)
            for index in self._indexes:
                if requested.RANGE in self._networks[index]:
                    self._look_into_range(index)
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
        """Look which ports members have already."""
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
            # Whatever else a hostname may be, it is no reason to fail.
            if _LABEL.fullmatch(name.lower()):
                self._names[member.id] = name.lower()

    def _missing(self, member):
        """Indexes of the networks that a member has no port on."""
        return [
            index
            for index in self._indexes
            if (member.container_uuid, self._networks[index]['network'])
            not in self._known
        ]

    # ------------------------------------------------------- ranges

    def _look_into_range(self, index):
        network = self._networks[index]
        taken = self._api.taken(network['network'])
        # Some that are taken Neutron may not list.
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
            self._dry[index] = 'no address is free in %s-%s on %s' % (
                *self._networks[index][requested.RANGE],
                self._title(index),
            )
        else:
            self._picked[member.id, index] = address

    def _pick_again(self, part, lost):
        """Choose others for addresses that somebody else was faster with."""
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
                self._look_into_range(index)
                for member in mine:
                    self._pick(member, index)

    # ------------------------------------------------------- making

    def make(self, members):
        """Make the ports that members lack.

        What there is no address for is noted in ``short``.

        :param members: some of those that ``prepare`` was called for.
        :returns: ({member id: requested networks as Zun's container_create
            takes them}, {reason: [Member]} of those that are refused).
        :raises: as ``Ports.ensure``, but for Refused.
        """
        made, refused = {}, collections.defaultdict(list)
        parts = [members]
        while parts:
            part = self._servable(parts.pop(), refused)
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

    def _servable(self, part, refused):
        """Leave out what Neutron need not be asked for."""
        if self._refusal:
            refused[self._refusal] += part
            return []
        # In a copy: another thread may add to it.
        dry = set(self._dry)
        short = [m for m in part if dry.intersection(self._sources(m))]
        self.short.update(member.id for member in short)
        return [member for member in part if member.id not in self.short]

    def _sources(self, member):
        """What a member takes of.

        The project's quota, networks by their ids, and, by the indexes of
        their networks, ranges that had no address for it.
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
        """:returns: as ``Ports.ensure`` takes it."""
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
        """Make of a part that was refused what is to be tried next.

        :param own: what was asked for.
        :param refused: {reason: [Member]}, to be added to.
        :returns: parts; the last is the next.
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
                # By themselves, in a call that was not answered.
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
        dry = self._ran_dry(member, error)
        if dry:
            self._dry.update(dry)
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

    def _ran_dry(self, member, error):
        """What there is no more of, which one member alone is refused for.

        :returns: {one of its sources: which words say so}.
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

    def why_short(self):
        """Why members are without an address; None if none is."""
        if not self.short:
            return None
        return '%s: %d of %d containers wait for an address' % (
            '; '.join(self._dry.values()),
            len(self.short),
            self._bulk.count,
        )

    def _title(self, index):
        """A network as its user calls it, and its id."""
        ident = self._networks[index]['network']
        nets = self._bulk.template.get('nets') or [{}]
        name = nets[index].get('network', ident)
        if name == ident:
            return 'network ' + ident
        return 'network %s (%s)' % (name, ident)
