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


from zun.common import exception

from tests import database
from tests.unit.db import base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import transitions as db_transitions


class TestHosts(base.DatabaseTestCase):
    def test_added_once(self):
        db_hosts.add_host('host-1')
        row = db_hosts.get_host('host-1')
        db_hosts.change_host(row, held=True)
        db_hosts.add_host('host-1')
        self.assertEqual((row.id, True), self.seen('id', 'held'))

    def seen(self, *names):
        row = db_hosts.get_host('host-1')
        return tuple(getattr(row, name) for name in names)

    def test_as_it_begins(self):
        db_hosts.add_host('host-1')
        self.assertEqual(
            (0, False, None, None, None, None, None, None),
            self.seen(
                'epoch',
                'held',
                'held_reason',
                'mode',
                'max_in_flight',
                'start_interval',
                'report',
                'reported_at',
            ),
        )

    def test_unknown(self):
        error = self.assertRaises(
            exception.ResourceNotFound, db_hosts.get_host, 'host-9'
        )
        self.assertIn('host-9', str(error))
        db_hosts.report_host('host-9', {})
        self.assertEqual([], db_hosts.list_hosts())

    def test_list(self):
        for name in ('host-2', 'host-3', 'host-1'):
            db_hosts.add_host(name)
        self.assertEqual(
            ['host-1', 'host-2', 'host-3'],
            [row.host for row in db_hosts.list_hosts()],
        )
        self.assertEqual(
            ['host-2'],
            [
                row.host
                for row in db_hosts.list_hosts(limit=1, marker='host-1')
            ],
        )

    def test_of_two_who_change_it_the_second_changes_nothing(self):
        db_hosts.add_host('host-1')
        row = db_hosts.get_host('host-1')
        self.assertTrue(
            db_hosts.change_host(row, held=True, held_reason='disk')
        )
        self.assertFalse(db_hosts.change_host(row, held=False))
        self.assertEqual(
            (1, True, 'disk'), self.seen('epoch', 'held', 'held_reason')
        )
        self.assertTrue(
            db_hosts.change_host(
                db_hosts.get_host('host-1'), mode='fixed', start_interval=0.5
            )
        )
        self.assertEqual(
            (2, True, 'fixed', 0.5),
            self.seen('epoch', 'held', 'mode', 'start_interval'),
        )

    def test_a_report_is_no_change(self):
        db_hosts.add_host('host-1')
        row = db_hosts.get_host('host-1')
        db_hosts.report_host('host-1', {'queued': 3})
        self.assertEqual(
            (0, {'queued': 3}, None),
            self.seen('epoch', 'report', 'updated_at'),
        )
        self.assertIsNotNone(db_hosts.get_host('host-1').reported_at)
        self.assertTrue(db_hosts.change_host(row, held=True))
        self.assertEqual({'queued': 3}, db_hosts.get_host('host-1').report)

    def test_count_members(self):
        bulk, members = database.accept(5)
        members = self.place(bulk, members, ('host-1', 'host-2'))
        db_transitions.start_members(members[:1])
        self.assertEqual({'placed': 2}, db_hosts.count_members_on('host-1'))
        db_bulks.pause_bulk(bulk.id, 'why not')
        self.assertEqual({}, db_hosts.count_members_on('host-1'))
        db_bulks.mark_bulk_deleting(bulk.id)
        self.assertEqual({'deleting': 3}, db_hosts.count_members_on('host-1'))
        self.assertEqual({}, db_hosts.count_members_on('host-3'))
