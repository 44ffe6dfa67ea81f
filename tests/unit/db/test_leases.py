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


from tests import database
from tests.unit.db import base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import leases as db_leases
from zun_bulk.states import BulkStatus


class TestLease(base.DatabaseTestCase):
    def test_one_of_two_takes_it(self):
        bulk, _members = database.accept(1)
        seen = [db_bulks.get_bulk(bulk.uuid) for _contender in range(2)]
        self.assertEqual(1, db_leases.take_lease(seen[0], 'host-1'))
        self.assertIsNone(db_leases.take_lease(seen[1], 'host-2'))
        bulk = db_bulks.get_bulk(bulk.uuid)
        self.assertEqual(('host-1', 1), (bulk.lease_owner, bulk.epoch))

    def test_sign_of_life_keeps_it(self):
        bulk, _members = database.accept(1)
        epoch = self.owned(bulk, 'host-1')
        seen = db_bulks.get_bulk(bulk.uuid)
        self.assertTrue(db_leases.renew_lease(bulk.id, epoch))
        self.assertGreater(
            db_bulks.get_bulk(bulk.uuid).heartbeat, seen.heartbeat
        )
        self.assertIsNone(db_leases.take_lease(seen, 'host-2'))
        self.assertEqual('host-1', db_bulks.get_bulk(bulk.uuid).lease_owner)

    def test_work_is_a_sign_of_life(self):
        bulk, members = database.accept(1)
        epoch = self.owned(bulk, 'host-1')
        seen = db_bulks.get_bulk(bulk.uuid)
        database.place(bulk.id, epoch, [(members[0], 'host-1', [], {})])
        self.assertIsNone(db_leases.take_lease(seen, 'host-2'))

    def test_lost_owner_can_do_nothing(self):
        bulk, members = database.accept(1)
        old = self.owned(bulk, 'host-1')
        new = self.owned(bulk, 'host-2')
        self.assertEqual(old + 1, new)
        before = self.dump()

        self.assertFalse(db_leases.renew_lease(bulk.id, old))
        db_leases.release_lease(bulk.id, old)
        self.assertFalse(
            db_bulks.set_bulk_status(
                bulk.id, old, BulkStatus.BUILDING, BulkStatus.READY
            )
        )
        self.assertIsNone(
            database.place(bulk.id, old, [(members[0], 'host-1', [], {})])
        )
        self.assertFalse(db_bulks.destroy_bulk(bulk.id, old))
        self.assertEqual(before, self.dump())

        self.assertTrue(db_leases.renew_lease(bulk.id, new))

    def test_release(self):
        bulk, _members = database.accept(1)
        db_leases.release_lease(bulk.id, self.owned(bulk, 'host-1'))
        self.assertIsNone(db_bulks.get_bulk(bulk.uuid).lease_owner)
        self.assertEqual(2, self.owned(bulk, 'host-2'))

    def test_bulks_with_work(self):
        by_status = {
            status: database.accept(1, status=status)[0].id
            for status in BulkStatus.ALL
        }
        self.assertEqual(
            [
                by_status[BulkStatus.BUILDING],
                by_status[BulkStatus.CANCELLING],
                by_status[BulkStatus.DELETING],
            ],
            [bulk.id for bulk in db_leases.list_bulks_with_work()],
        )
