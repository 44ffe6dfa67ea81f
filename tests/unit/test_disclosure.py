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

"""What is told to whom of a text."""

import ddt
from oslotest import base

from zun_bulk import disclosure
from zun_bulk.db import models


@ddt.ddt
class TestDisclosure(base.BaseTestCase):
    @ddt.data(
        (None, None, None),
        ('', '', ''),
        ('no marks: at all', 'no marks: at all', 'no marks: at all'),
        (disclosure.mark_host('host-1', 'no'), 'host-1: no', 'no'),
        (
            'It said %s!' % disclosure.mark('VCPU on\nhost-1', '3 fit'),
            'It said VCPU on\nhost-1!',
            'It said 3 fit!',
        ),
        (
            '%s, %s'
            % (
                disclosure.mark_host('host-1', 'a'),
                disclosure.mark_host('host-2', 'b'),
            ),
            'host-1: a, host-2: b',
            'a, b',
        ),
    )
    @ddt.unpack
    def test_two_readers(self, text, operator, others):
        self.assertEqual(operator, disclosure.render(text))
        self.assertEqual(others, disclosure.render(text, hosts=False))

    @ddt.data(
        (None, None, None),
        ('', None, ''),
        ('host-1: no', None, 'host-1: no'),
        (disclosure.mark_host('host-1', 'no'), 'host-1', 'no'),
        (disclosure.mark_host('a:b', 'it is c: d'), 'a:b', 'it is c: d'),
    )
    @ddt.unpack
    def test_apart(self, text, host, rest):
        self.assertEqual((host, rest), disclosure.split_host(text))

    def test_what_names_a_host_elsewhere_stays_whole(self):
        for text in (
            'the last: ' + disclosure.mark_host('host-1', 'no'),
            disclosure.mark('VCPU on host-1: none', 'none'),
        ):
            self.assertEqual((None, text), disclosure.split_host(text))

    def test_a_text_that_is_cut_off_tells_no_more(self):
        text = 'Why: ' + disclosure.mark('host-1 is full', 'full')
        for length in range(len(text)):
            with self.subTest(length=length):
                shown = disclosure.render(text[:length], hosts=False)
                self.assertNotIn('host', shown)
                self.assertTrue('Why: full'.startswith(shown), shown)

    def test_is_stored_as_it_is(self):
        text = disclosure.mark_host('host-1', 'no')
        self.assertEqual(text, models.storable(text))
