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

from tests.unit.host import base
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import members as db_members
from zun_bulk.db import zun_rows
from zun_bulk.host import in_flight
from zun_bulk.states import MemberState


class TestDelete(base.AgentTestCase):
    def delete(self):
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.agent.wake()

    def test_paced_and_to_the_end(self):
        uuids = self.accept(6)
        self.delete()
        self.cycle()
        self.assertEqual(uuids[:4], self.compute.deleted)
        zun_rows.delete_containers(uuids[:4])
        self.cycle()
        self.assertEqual(uuids, self.compute.deleted)
        zun_rows.delete_containers(uuids)
        self.cycle()
        self.assertEqual({'deleted': 6}, self.states())
        self.wake.assert_called()

    def test_bulks_in_fair_order(self):
        large = self.accept(6)
        self.delete()
        self.cycle()
        small = self.accept(2)
        self.delete()
        for number in range(2):
            self.cycle()
            self.assertEqual(large[:4] + small[:number], self.compute.deleted)
            zun_rows.delete_containers([large[number]])
        self.cycle()
        self.assertEqual(large[:4] + small, self.compute.deleted)

    def test_asks_again_for_one_that_stays(self):
        (uuid,) = self.accept(1)
        self.delete()
        self.cycle()
        self.cycle(in_flight.LOST + 1)
        self.cycle()
        self.assertEqual([uuid] * 2, self.compute.deleted)

    def test_one_that_zun_forgot_and_docker_did_not(self):
        (uuid,) = self.accept(1)
        self.docker[uuid] = base.running()
        self.delete()
        self.cycle()
        zun_rows.delete_containers([uuid])
        self.stuck = True
        self.cycle()
        self.assertEqual({'deleting': 1}, self.states())
        self.stuck = False
        self.cycle()
        self.assertEqual(({}, {'deleted': 1}), (self.docker, self.states()))

    def test_one_that_its_user_deleted(self):
        uuids = self.accept(1)
        zun_rows.delete_containers(uuids)
        self.delete()
        self.cycle()
        self.cycle()
        self.assertEqual([], self.compute.deleted)
        self.assertEqual({'deleted': 1}, self.states())

    def test_of_a_bulk_that_is_being_started(self):
        uuids = self.accept(6)
        self.cycle()
        self.delete()
        self.start(uuids[:4])
        self.cycle()
        self.cycle(6.0)
        self.assertEqual(uuids[:4], self.compute.created)
        self.assertEqual({'deleting': 6}, self.states())
        self.assertNotIn(MemberState.RUNNING, self.states())


class TestScaledDown(base.AgentTestCase):
    def shrink(self, number):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        db_accepting.shrink_bulk(
            bulk, db_members.list_last_members(bulk.id, number)
        )
        self.agent.wake()

    def removed(self):
        return {
            member.state: member.container_uuid
            for member in db_members.list_members(
                self.bulk.id, with_removed=True
            )
            if member.removed
        }

    def test_deletes_it_and_leaves_the_others(self):
        uuids = self.accept(3)
        self.cycle()
        self.start(uuids)
        self.cycle()
        self.cycle(6.0)
        self.shrink(1)
        self.assertEqual({'running': 2}, self.states())
        self.cycle()
        self.assertEqual(uuids[2:], self.compute.deleted)
        # zun-compute removes it, and then its row.
        del self.docker[uuids[2]]
        zun_rows.delete_containers(uuids[2:])
        self.cycle()
        self.assertEqual({'deleted': uuids[2]}, self.removed())
        self.assertEqual({'running': 2}, self.states())
        self.wake.assert_called()

    def test_one_that_waits_is_not_started(self):
        uuids = self.accept(6)
        self.cycle()
        self.shrink(1)
        self.start(uuids[:4])
        self.cycle()
        self.assertEqual(uuids[:5], self.compute.created)
        self.assertEqual(uuids[5:], self.compute.deleted)

    def test_one_that_is_being_started(self):
        uuids = self.accept(2)
        self.cycle()
        self.shrink(1)
        self.start(uuids)
        self.cycle()
        self.assertEqual(uuids[1:], self.compute.deleted)
        del self.docker[uuids[1]]
        zun_rows.delete_containers(uuids[1:])
        self.cycle(6.0)
        self.cycle()
        self.assertEqual({'running': 1}, self.states())
        self.assertEqual({'deleted': uuids[1]}, self.removed())

    def test_paced(self):
        uuids = self.accept(9)
        self.shrink(8)
        self.cycle()
        self.assertEqual(uuids[1:5], self.compute.deleted)

    def test_of_a_paused_bulk(self):
        uuids = self.accept(3)
        db_bulks.pause_bulk(self.bulk.id, 'why')
        self.shrink(2)
        self.cycle()
        self.assertEqual([], self.compute.created)
        self.assertEqual(uuids[1:], self.compute.deleted)
