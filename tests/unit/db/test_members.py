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
from zun_bulk.db import members as db_members
from zun_bulk.states import MemberState


class TestMembers(base.DatabaseTestCase):
    def test_members_by_name(self):
        bulk, _members = database.accept(12, name='Web_1')
        database.accept(12, name='Web_1')

        def indexes(name, **kwargs):
            return [
                member.member_index
                for member in db_members.list_members(
                    bulk.id, name=name, **kwargs
                )
            ]

        self.assertEqual([1, 10, 11, 12], indexes('eb_1-1'))
        self.assertEqual([11], indexes('WEB_1-11'))
        self.assertEqual([1, 10], indexes('1-1', limit=2))
        self.assertEqual([11, 12], indexes('1-1', limit=2, marker=10))
        self.assertEqual([12], indexes('1-1', limit=1, sort_dir='desc'))
        # They stand for nothing else.
        for name in ('web%', 'w_b', '/', '\\'):
            self.assertEqual([], indexes(name))

    def test_pages_of_members(self):
        bulk, members = database.accept(5)
        database.accept(5)

        def indexes(**kwargs):
            return [
                m.member_index
                for m in db_members.list_members(bulk.id, **kwargs)
            ]

        self.assertEqual([1, 2, 3, 4, 5], indexes())
        self.assertEqual([1, 2], indexes(limit=2))
        self.assertEqual([3, 4], indexes(limit=2, marker=2))
        self.assertEqual([5], indexes(limit=2, marker=4))
        self.assertEqual([], indexes(marker=5))
        self.assertEqual([5, 4], indexes(limit=2, sort_dir='desc'))
        self.assertEqual([2, 1], indexes(marker=3, sort_dir='desc'))

        self.place(bulk, [members[0], members[3]], ('host-1', 'host-2'))
        self.assertEqual(
            [1, 4], indexes(filters={'state': MemberState.PLACED})
        )
        self.assertEqual([4], indexes(filters={'host': 'host-2'}))
        self.assertEqual(
            [4], indexes(marker=1, filters={'state': MemberState.PLACED})
        )

    def test_members_in_a_state(self):
        first, members = database.accept(4)
        second, others = database.accept(2)
        self.place(first, members[:3], ('host-1', 'host-2'))
        self.place(second, others[:1])

        def ids(state, **kwargs):
            return [
                m.id for m in db_members.list_members_by_state(state, **kwargs)
            ]

        self.assertEqual(
            [members[3].id, others[1].id], ids(MemberState.QUEUED)
        )
        self.assertEqual(
            [members[0].id, members[2].id, others[0].id],
            ids(MemberState.PLACED, host='host-1'),
        )
        self.assertEqual(
            [others[0].id], ids(MemberState.PLACED, bulk_id=second.id)
        )
        self.assertEqual([], ids(MemberState.PLACED, host=''))
        self.assertEqual(
            [members[3].id], ids(MemberState.QUEUED, host='', bulk_id=first.id)
        )

    def test_members_in_turn(self):
        first, of_first = database.accept(4)
        second, of_second = database.accept(2)
        other, of_other = database.accept(2, project_id='project-2')
        for bulk, members in (
            (first, of_first[:3]),
            (second, of_second),
            (other, of_other),
        ):
            self.place(bulk, members)
        elsewhere, of_elsewhere = database.accept(1, project_id='project-3')
        self.place(elsewhere, of_elsewhere, ('host-2',))
        # Of the one project, of the other one, and so on.
        order = [
            of_first[0],
            of_other[0],
            of_second[0],
            of_other[1],
            of_first[1],
            of_second[1],
            of_first[2],
        ]
        for limit in (1, 4, 7, 9):
            self.assertEqual(
                [member.id for member in order[:limit]],
                [
                    member.id
                    for member in db_members.list_members_in_fair_order(
                        MemberState.PLACED, 'host-1', limit
                    )
                ],
            )
