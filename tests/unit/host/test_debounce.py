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

from zun_bulk.host import debounce


class TestSeldom(base.BaseTestCase):
    def test_nothing_wished_for(self):
        rare = debounce.Debounce()
        self.assertFalse(rare.take(5))
        self.assertIsNone(rare.wait(5))

    def test_at_once_and_then_after_a_second(self):
        rare = debounce.Debounce()
        rare.request()
        self.assertEqual(0.0, rare.wait(5))
        self.assertTrue(rare.take(5))
        self.assertFalse(rare.take(5))
        for _wish in range(3):
            rare.request()
        self.assertEqual(0.75, rare.wait(5.25))
        self.assertFalse(rare.take(5.25))
        self.assertTrue(rare.take(6))
        self.assertIsNone(rare.wait(6))


class TestReports(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.reports = debounce.Reports()

    def test_at_rest(self):
        self.assertTrue(self.reports.is_due(0, 'rest', False))
        self.assertFalse(self.reports.is_due(99, 'rest', False))
        self.assertIsNone(self.reports.wait(99))

    def test_at_work(self):
        due = [
            now for now in range(12) if self.reports.is_due(now, 'work', True)
        ]
        self.assertEqual([0, 5, 10], due)

    def test_a_change_that_comes_too_soon_is_not_lost(self):
        self.reports.is_due(0, 'work', True)
        self.assertFalse(self.reports.is_due(0.5, 'rest', False))
        self.assertEqual(0.5, self.reports.wait(0.5))
        self.assertTrue(self.reports.is_due(1, 'rest', False))
        self.assertIsNone(self.reports.wait(1))
