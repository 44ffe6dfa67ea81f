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

from zun_bulk.host import pacer


class TestFixedWindow(base.BaseTestCase):
    def test_never_more_than_the_limit(self):
        window = pacer.FixedWindow(2)
        self.assertEqual(2, window.available(0))
        window.started('a', 0)
        window.started('b', 0)
        self.assertEqual((0, 2), (window.available(1), window.in_flight))

    def test_an_end_frees_one_place_once(self):
        window = pacer.FixedWindow(2)
        window.started('a', 0)
        window.started('b', 0)
        window.finished('a', 1, True)
        window.finished('a', 1, False)
        window.finished('unknown', 1, True)
        self.assertEqual(1, window.available(1))

    def test_the_same_start_twice_counts_once(self):
        window = pacer.FixedWindow(2)
        window.started('a', 0)
        window.started('a', 1)
        self.assertEqual(1, window.available(1))

    def test_a_lowered_limit_grants_nothing_until_it_is_met(self):
        window = pacer.FixedWindow(3)
        for key in 'abc':
            window.started(key, 0)
        window.limit = 1
        self.assertEqual(0, window.available(0))
        window.finished('a', 1, True)
        window.finished('b', 1, True)
        self.assertEqual(0, window.available(1))
        window.finished('c', 1, True)
        self.assertEqual(1, window.available(1))
