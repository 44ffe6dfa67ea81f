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


import fixtures
from keystoneauth1 import exceptions as ks_exc

from tests.unit.conductor import base
from zun_bulk.conductor import conductor
from zun_bulk.conf import CONF
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.states import BulkStatus
from zun_bulk.volume import mounts


class TestVolumes(base.ConductorTestCase):
    def setUp(self):
        super().setUp()
        self.volumes = self.conductor._services._volumes = base.FakeVolumes()
        self.forget = self.useFixture(
            fixtures.MockPatch('zun_bulk.volume.trusts.delete')
        ).mock

    def accept(self, count):
        return super().accept(
            count,
            spec={
                'mounts': [{'size': 1}],
                'trust_id': 'trust',
                'requested_networks': [],
            },
        )

    def test_members_wait_for_them(self):
        self.accept(3)
        for _made_or_waited_for in range(2):
            self.cycle()
            self.assertEqual({'queued': 3}, self.states())
            self.assertEqual(conductor.LOOK_AGAIN, self.conductor._delay)
        self.cycle()
        self.assertEqual({'placed': 3}, self.states())
        self.assertEqual(CONF.zun_bulk.poll_interval, self.conductor._delay)
        for member in self.members():
            self.assertFalse(mounts.lacks(self.bulk, member))
            self.assertEqual(
                {'0': 'of-' + member.container_uuid}, mounts.volume_ids(member)
            )

    def test_others_do_not_wait_for_long(self):
        self.conf.config(group='zun_bulk', claim_batch=2)
        self.accept(3)
        self.cycle()
        self.assertEqual(2, len(self.volumes.made))
        self.cycle()
        self.assertEqual(3, len(self.volumes.made))

    def test_refused_or_broken(self):
        first, second, _third = self.accept(3)
        self.volumes.refused = {first.container_uuid}
        self.volumes.broken = {second.container_uuid}
        for _cycle in range(3):
            self.cycle()
        self.assertEqual({'failed': 2, 'placed': 1}, self.states())
        self.assertEqual(
            {('volume', 'quota', 1), ('volume', 'broken', 1)},
            set(db_counts.list_failures(self.bulk.id, 9)),
        )
        self.assertEqual(
            {first.container_uuid, second.container_uuid},
            set(self.volumes.swept),
        )

    def test_a_bulk_goes_once_its_volumes_have(self):
        self.accept(2)
        self.cycle()
        self.volumes.busy = True
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.cycle()
        self.assertEqual(conductor.LOOK_AGAIN, self.conductor._delay)
        self.forget.assert_not_called()
        self.volumes.busy = False
        self.assertFalse(self.volumes.swept_all)
        self.conductor.look_after_bulks()
        self.assertTrue(self.volumes.swept_all)
        self.forget.assert_called_with('trust')
        self.assertEqual([], db_bulks.list_bulks())

    def test_a_bulk_goes_once_its_trust_has(self):
        self.accept(1)
        self.cycle()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.forget.side_effect = ks_exc.ConnectFailure()
        self.assertEqual(BulkStatus.DELETING, self.cycle().status)
        self.forget.side_effect = None
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())

    def test_deleted_while_they_are_made(self):
        members = self.accept(2)
        make = self.volumes.make

        def make_late(bulk, missing):
            db_bulks.mark_bulk_deleting(bulk.id)
            return make(bulk, missing)

        self.volumes.make = make_late
        self.cycle()
        self.assertEqual(
            {member.container_uuid for member in members},
            set(self.volumes.swept),
        )
