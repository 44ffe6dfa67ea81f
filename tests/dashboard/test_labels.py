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

"""Tests of the labels for values of the API."""

import unittest

from tests.dashboard import base
from zun_bulk import consts
from zun_bulk.dashboard import api
from zun_bulk.dashboard import labels


class TestLabels(unittest.TestCase):
    def test_each_value_has_a_label(self):
        for values, shown in (
            (consts.BulkStatus.ALL, labels.STATUSES),
            (consts.MemberState.ALL, labels.STATES),
            (consts.ReasonClass.ALL, labels.REASONS),
            (consts.PlacementPolicy.ALL, labels.PLACEMENTS),
            (consts.OnFailure.ALL, labels.ON_FAILURE),
        ):
            self.assertEqual(set(values), set(shown))
            for value, label in shown.items():
                self.assertTrue(str(label), value)

    def test_each_event_has_a_label(self):
        self.assertEqual(
            set(), set(consts.EventName.ALL) - labels.EVENTS.keys()
        )

    def test_the_constants_name_all_of_their_values(self):
        """A value that is missing in ALL would escape the tests above."""
        for group in (
            consts.BulkStatus,
            consts.MemberState,
            consts.ReasonClass,
            consts.PlacementPolicy,
            consts.OnFailure,
        ):
            values = {
                value
                for name, value in vars(group).items()
                if isinstance(value, str) and name.isupper()
            }
            self.assertEqual(values, set(group.ALL), group)

    def test_each_state_is_in_a_list_of_counts(self):
        self.assertEqual(set(consts.MemberState.ALL), set(api.STATES))


class TestFailures(base.BaseTestCase):
    def test_each_reason_class_is_shown_by_its_label(self):
        bulk = self.add_bulk(
            failures=[
                {'class': name, 'reason': 'x', 'count': 1}
                for name in consts.ReasonClass.ALL
            ]
        )
        page = self.client.get(f'/project/bulks/{bulk["uuid"]}/')
        for name in consts.ReasonClass.ALL:
            self.assertContains(page, f'<td>{labels.REASONS[name]}</td>')
            self.assertNotContains(page, f'<td>{name}</td>')
