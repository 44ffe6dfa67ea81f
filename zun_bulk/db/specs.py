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

"""What a bulk and its members need, as far as no column of theirs says it.

Each is stored as one JSON document: it is written once, read as a whole, and
never searched. Keys that are missing have their defaults, and keys that this
release does not know are ignored, so that a field can be added without a
migration.
"""

import dataclasses


class _Document:
    """A dataclass that is stored as JSON."""

    @classmethod
    def from_json(cls, document):
        """:param document: dict as ``to_json`` returns it, or None."""
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(
            **{
                key: value
                for key, value in (document or {}).items()
                if key in known and value is not None
            }
        )

    def to_json(self):
        """:returns: dict without what has its default; None if all have."""
        document = {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) is not None and value != []
        }
        return document or None


@dataclasses.dataclass
class FloatingIpSpec(_Document):
    """Which floating IPs the members of a bulk get."""

    #: UUID of the external network; None if each member's address is given.
    network_id: str | None = None
    #: Its name.
    network: str | None = None
    #: What becomes of those that zun_bulk made, or all: release or keep.
    on_delete: str = 'release'
    #: Addresses of the project that are given out in the order of indexes.
    pool: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class BulkSpec(_Document):
    """What the API worked out of a bulk's request, for all its members."""

    #: Zun's requested networks, one for each of the template's nets. One with
    #: a range of addresses has the key ``range``: [first, last].
    requested_networks: list = dataclasses.field(default_factory=list)
    #: UUIDs.
    security_groups: list = dataclasses.field(default_factory=list)
    #: As in Zun's API, with the ids of the volumes that were named.
    mounts: list = dataclasses.field(default_factory=list)
    availability_zone: str | None = None
    #: Scheduler hints.
    hints: dict | None = None
    #: The one host that the user asked for, if any.
    requested_host: str | None = None
    #: Of one container: CPUs, memory in MB, disk in GB.
    cpu: float | None = None
    memory: int | None = None
    disk: int | None = None
    cpu_policy: str | None = None
    #: Names of what members have of their own. None if that is not known, as
    #: the bulk is older than this field.
    own_fields: list | None = None
    #: None if no member gets one.
    floating_ips: FloatingIpSpec | None = None
    #: The Keystone trust by which conductors make new volumes.
    trust_id: str | None = None

    @classmethod
    def from_json(cls, document):
        spec = super().from_json(document)
        if spec.floating_ips is not None:
            spec.floating_ips = FloatingIpSpec.from_json(spec.floating_ips)
        return spec

    def to_json(self):
        document = super().to_json() or {}
        if self.floating_ips is not None:
            document['floating_ips'] = self.floating_ips.to_json()
        if self.own_fields is not None:
            document['own_fields'] = self.own_fields
        return document


@dataclasses.dataclass
class MemberSpec(_Document):
    """What one member has of its own, where its container's row has no place.

    A member that is like all others has an empty one.
    """

    #: Addresses, one or None for each requested network.
    addresses: list | None = None
    #: The floating IP that the user gave it.
    floating_ip: str | None = None
    #: Mounts besides those of the bulk.
    mounts: list = dataclasses.field(default_factory=list)
