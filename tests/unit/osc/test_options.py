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


import argparse

import ddt
from oslotest import base

from zun_bulk.osc import options


@ddt.ddt
class TestIndexRanges(base.BaseTestCase):
    @ddt.data(('3', [(3, 3)]), ('1,5-7', [(1, 1), (5, 7)]), ('2-2', [(2, 2)]))
    @ddt.unpack
    def test_indexes(self, text, ranges):
        self.assertEqual(ranges, options.index_ranges(text))

    @ddt.data('', 'a', '1,', '7-5', '-1', '1-', '1' * 10)
    def test_invalid_indexes(self, text):
        self.assertRaises(
            argparse.ArgumentTypeError, options.index_ranges, text
        )
