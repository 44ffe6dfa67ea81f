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

"""Details of a bulk and its members that have no column of their own.

Each is stored as one JSON document, because it is written once, read as a
whole and never searched. Missing keys get their defaults and unknown keys are
ignored, so that a field can be added without a migration.
"""

import dataclasses


class _Document:
    """A dataclass that is stored as JSON."""

    @classmethod
    def from_json(cls, document):
        """Create an object from its JSON document.

        :param document: dict as ``to_json`` returns it, or None.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(
            **{
                key: value
                for key, value in (document or {}).items()
                if key in known and value is not None
            }
        )

    def to_json(self):
        """Return the JSON document of an object.

        :returns: dict without fields that have their defaults; None if all
            have.
        """
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
    #: Name of the external network.
    network: str | None = None
    #: What becomes of those that zun_bulk made, or all: release or keep.
    on_delete: str = 'release'
    #: The project's addresses that members get in the order of indexes.
    pool: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class BulkSpec(_Document):
    """Values that the API derived from a bulk's request for all members."""

    #: Zun's requested networks, one for each of the template's nets. One with
    #: a range of addresses has the key ``range``: [first, last].
    requested_networks: list = dataclasses.field(default_factory=list)
    #: UUIDs of security groups.
    security_groups: list = dataclasses.field(default_factory=list)
    #: As in Zun's API, with ids in place of the names of volumes.
    mounts: list = dataclasses.field(default_factory=list)
    availability_zone: str | None = None
    #: Scheduler hints.
    hints: dict | None = None
    #: The one host that the user asked for, if any.
    requested_host: str | None = None
    #: Resources of one container: CPUs, memory in MB, disk in GB.
    cpu: float | None = None
    memory: int | None = None
    disk: int | None = None
    cpu_policy: str | None = None
    #: Names of per-container values. None if unknown, because the bulk is
    #: older than this field.
    own_fields: list | None = None
    #: None if no member gets one.
    floating_ips: FloatingIpSpec | None = None
    #: The Keystone trust with which conductors create new volumes.
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
    """Per-container values that have no column in Zun's container row.

    It is empty for a member without such values.
    """

    #: Addresses, one or None for each requested network.
    addresses: list | None = None
    #: The floating IP that the user gave it.
    floating_ip: str | None = None
    #: Mounts in addition to those of the bulk.
    mounts: list = dataclasses.field(default_factory=list)
