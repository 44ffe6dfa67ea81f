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


from oslotest import base

from tests import database
from zun_bulk.conductor import leases
from zun_bulk.db import bulks as db_bulks


class TestLeases(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        self.bulk, _members = database.accept(1)
        self.first = leases.Leases('first', 15)
        self.second = leases.Leases('second', 15)

    def acquire(self, leases, now):
        return leases.acquire(db_bulks.get_bulk(self.bulk.uuid), now)

    def test_a_free_bulk_is_taken_once(self):
        self.assertEqual(1, self.acquire(self.first, 0))
        self.assertEqual(1, self.acquire(self.first, 1))
        self.assertIsNone(self.acquire(self.second, 1))

    def test_one_that_is_renewed_is_not_taken(self):
        self.acquire(self.first, 0)
        for now in range(0, 100, 10):
            self.first.renew()
            self.assertIsNone(self.acquire(self.second, now))

    def test_one_that_stands_still_is_taken(self):
        self.acquire(self.first, 0)
        self.assertIsNone(self.acquire(self.second, 100))
        self.assertIsNone(self.acquire(self.second, 114))
        self.assertEqual(2, self.acquire(self.second, 116))
        # The first one wakes up late.
        self.assertIsNone(self.acquire(self.first, 116))
        self.first.renew()
        self.assertEqual(2, self.acquire(self.second, 117))

    def test_report(self):
        self.assertEqual({}, self.first.report())
        self.acquire(self.first, 0)
        self.assertEqual({self.bulk.uuid: 1}, self.first.report())
        self.first.retain_only([])
        self.assertEqual({}, self.first.report())

    def test_only_one_of_two_takes_it(self):
        seen = db_bulks.get_bulk(self.bulk.uuid)
        self.assertEqual(1, self.first.acquire(seen, 0))
        self.assertIsNone(self.second.acquire(seen, 0))

    def test_one_that_is_released_is_taken_at_once(self):
        self.acquire(self.first, 0)
        self.first.release()
        self.assertEqual(2, self.acquire(self.second, 1))
        # What it has not any more it cannot release.
        self.first.release()
        self.assertEqual(
            'second', db_bulks.get_bulk(self.bulk.uuid).lease_owner
        )

    def test_a_lease_lost_to_a_delete_is_noticed(self):
        self.acquire(self.first, 0)
        db_bulks.mark_bulk_deleting(self.bulk.id)
        # What it had under way may come late: others have to wait for that.
        self.assertIsNone(self.acquire(self.second, 1))
        self.assertEqual(3, self.acquire(self.first, 1))

    def test_a_lease_lost_to_a_delete_and_by_death(self):
        self.acquire(self.first, 0)
        self.assertIsNone(self.acquire(self.second, 0))
        db_bulks.mark_bulk_deleting(self.bulk.id)
        # The time begins anew.
        self.assertIsNone(self.acquire(self.second, 14))
        self.assertIsNone(self.acquire(self.second, 28))
        self.assertEqual(3, self.acquire(self.second, 30))

    def test_a_bulk_that_was_changed_is_released(self):
        self.acquire(self.first, 0)
        db_bulks.pause_bulk(self.bulk.id, 'because')
        self.first.release()
        db_bulks.resume_bulk(self.bulk.id)
        self.assertEqual(4, self.acquire(self.second, 0))
