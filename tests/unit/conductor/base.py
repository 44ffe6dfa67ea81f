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

import collections
from unittest import mock

import fixtures
from oslo_config import fixture as config_fixture
from oslotest import base

from tests import database
from zun_bulk.conductor import conductor
from zun_bulk.conf import CONF
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import members as db_members
from zun_bulk.network import errors
from zun_bulk.scheduler import hosts
from zun_bulk.scheduler import placement
from zun_bulk.volume import mounts
from zun_bulk.volume import volumes


class FakePlacement:
    def __init__(self):
        self.claimed = {}
        self.full = 0
        self.released = []

    def claim(self, claims, project_id, user_id):
        if self.full:
            self.full -= 1
            raise placement.Full('no room')
        self.claimed.update(claims)

    def claimed_hosts(self):
        return [host for claim in self.claimed.values() for host in claim]

    def release(self, uuids, providers):
        self.released.extend(uuids)
        found = [uuid for uuid in uuids if uuid in self.claimed]
        for uuid in found:
            del self.claimed[uuid]
        return len(found)


class FakePorts:
    """A Neutron with one network.

    :ivar refusal: what is raised of all.
    :ivar refused: {container uuid: reason} of those who get none.
    :ivar room: how many addresses are left.
    :ivar bears: for how many members a call may be.
    :ivar silent: how many calls get no answer.
    :ivar asked: {bulk id: how often its defaults were asked for}.
    """

    DEFAULTS = {'net': {'fixed_ips': []}}

    def __init__(self):
        self.made = {}
        self.swept = []
        self.refusal = None
        self.refused = {}
        self.room = 10000
        self.bears = 10000
        self.silent = 0
        self.sizes = []
        self.asked = collections.Counter()

    def find(self, uuids):
        return {
            (uuid, 'net'): {'id': 'port'}
            for uuid in uuids
            if uuid in self.made
        }

    def has_extension(self, alias):
        return False

    def defaults(self, bulk):
        self.asked[bulk.id] += 1
        return self.DEFAULTS

    def ensure(self, bulk, placements, known, defaults, own):
        assert defaults == self.DEFAULTS
        if self.refusal:
            raise self.refusal
        lacking = [
            pair
            for pair in placements
            if (pair[0].container_uuid, 'net') not in known
        ]
        if lacking:
            self._make(lacking)
        return {
            member.id: [{'network': 'net', 'port': 'port'}]
            for member, _host in placements
        }

    def _make(self, placements):
        self.sizes.append(len(placements))
        if len(placements) > self.bears:
            raise errors.Busy('Neutron: busy')
        for member, _host in placements:
            if member.container_uuid in self.refused:
                raise errors.Refused(self.refused[member.container_uuid])
        if len(placements) > self.room:
            raise errors.Refused('Neutron: no more', errors.Kind.QUOTA)
        self.room -= len(placements)
        for member, host in placements:
            assert member.container_uuid not in self.made
            self.made[member.container_uuid] = host
        if self.silent:
            self.silent -= 1
            raise errors.Busy('Neutron: no answer')

    def sweep(self, bulk, uuids):
        self.swept.extend(uuids)
        return 0


class FakeVolumes:
    """Volumes that are there two looks after they were made."""

    def __init__(self):
        self.made = {}
        self.refused = set()
        self.broken = set()
        self.busy = False
        self.swept = []
        self.swept_all = False

    def look(self, bulk, members):
        found = volumes.Found([], [], [], {})
        for member in members:
            uuid = member.container_uuid
            if uuid in self.broken:
                found.failed.setdefault('broken', []).append(member)
            elif uuid not in self.made:
                found.missing.append((member, '0', 1))
                found.waiting.append(member)
            elif self.made[uuid]:
                self.made[uuid] -= 1
                found.waiting.append(member)
            else:
                found.ready.append(
                    (member, mounts.noted(member, {'0': 'of-' + uuid}))
                )
        return found

    def make(self, bulk, missing):
        refused = {}
        for member, _number, _size in missing:
            if member.container_uuid in self.refused:
                refused.setdefault('quota', []).append(member)
            else:
                self.made[member.container_uuid] = 1
        return refused

    def sweep(self, bulk, uuids):
        if uuids is None:
            self.swept_all = True
        else:
            self.swept += uuids
        if self.busy:
            raise volumes.Busy('volume (creating)')
        return 0


class ConductorTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        self.conf = self.useFixture(config_fixture.Config(CONF))
        # A database in memory is for one thread at a time.
        self.conf.config(group='zun_bulk', port_calls=1)
        self.conductor = conductor.Conductor()
        self.placement = self.conductor._services._placement = FakePlacement()
        self.ports = self.conductor._services._ports = FakePorts()
        self.room = {'host-1': 100, 'host-2': 100}
        self.passing = self.useFixture(
            fixtures.MockPatchObject(
                hosts,
                '_passing',
                side_effect=lambda *_args: (
                    {
                        name: hosts.Host(
                            name, room, {'cpu': 4}, {name: {}}, 'VCPU'
                        )
                        for name, room in self.room.items()
                    },
                    {},
                ),
            )
        ).mock
        self.useFixture(
            fixtures.MockPatch(
                'zun.objects.Container.get_by_uuid',
                side_effect=lambda _context, uuid: mock.Mock(uuid=uuid),
            )
        )
        self.useFixture(
            fixtures.MockPatch('zun.objects.ComputeNode.list', return_value=[])
        )
        self.useFixture(
            fixtures.MockPatch(
                'zun.objects.ZunService.list_by_binary', return_value=[]
            )
        )
        self.wake = self.useFixture(
            fixtures.MockPatch('zun_bulk.rpc.wake_host')
        ).mock

    def cycle(self):
        """Have the conductor look until it would wait."""
        self.conductor.look_after_bulks()
        while not self.conductor._delay:
            self.conductor.look_after_bulks()
        return db_bulks.get_bulk(self.bulk.uuid)

    def accept(self, count, **values):
        self.bulk, members = database.accept(count, **values)
        return members

    def grow(self, number):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        last = db_accepting.last_index_of(bulk) + number
        _bulk, members, containers, actions = database.rows(number)
        for index, member in enumerate(members, last - number + 1):
            member['member_index'] = index
        self.assertTrue(
            db_accepting.grow_bulk(bulk, last, members, containers, actions)
        )

    def states(self):
        return db_counts.count_members([self.bulk.id])[self.bulk.id]

    def members(self, **filters):
        return db_members.list_members(self.bulk.id, filters)
