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

from tests.unit.osc import log_fixtures
from zun_bulk.osc import client
from zun_bulk.osc import log_lines
from zun_bulk.osc import log_position


class TestPosition(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.container = log_fixtures.Container()
        self.position = log_position.Position()

    def read(self):
        query = self.position.query()
        return [
            text
            for _moment, _line, text in self.position.new_lines(
                self.container.answer(query)
            )
        ]

    def write(self, milliseconds, *texts):
        self.container.lines += [
            (log_fixtures.NOW + milliseconds * log_fixtures.MILLISECOND, text)
            for text in texts
        ]

    def test_each_line_once(self):
        self.assertEqual([], self.read())
        self.write(0, 'a', 'b')
        self.assertEqual(['a', 'b'], self.read())
        self.assertEqual([], self.read())
        # As alike as can be, and of the same nanosecond.
        self.write(0, 'b', 'b')
        self.assertEqual(['b', 'b'], self.read())
        self.write(999, 'c')
        self.assertEqual(['c'], self.read())
        self.write(1000, 'd')
        self.write(2500, 'e', 'f')
        self.assertEqual(['d', 'e', 'f'], self.read())
        self.assertEqual([], self.read())
        self.assertEqual(
            [
                None,
                None,
                *[log_fixtures.NOW // log_lines.SECOND] * 4,
                log_fixtures.NOW // log_lines.SECOND + 2,
            ],
            [query.get('since') for query in self.container.queries],
        )

    def test_streams_that_are_out_of_order(self):
        self.write(500, 'a')
        self.assertEqual(['a'], self.read())
        self.write(499, 'late')
        self.assertEqual(['late'], self.read())
        self.assertEqual([], self.read())

    def test_order_within_a_member_stays(self):
        self.write(5, 'a')
        self.write(4, 'b')
        self.container.lines.append(
            (log_fixtures.NOW + 6 * log_fixtures.MILLISECOND, 'c')
        )
        moments = [
            moment
            for moment, _line, _text in self.position.new_lines(
                self.container.answer(self.position.query())
            )
        ]
        self.assertEqual(sorted(moments), moments)

    def test_lines_without_a_time(self):
        answer = [
            f'{log_fixtures.stamp(log_fixtures.NOW)} a',
            'continued',
            f'{log_fixtures.stamp(log_fixtures.NOW + 1)} b',
        ]
        found = list(self.position.new_lines(iter(answer)))
        self.assertEqual(
            [
                (log_fixtures.NOW, answer[0], 'a'),
                (log_fixtures.NOW, 'continued', 'continued'),
                (log_fixtures.NOW + 1, answer[2], 'b'),
            ],
            found,
        )
        self.assertEqual([], list(self.position.new_lines(iter(answer))))

    def test_restarted_log(self):
        self.write(0, 'a', 'b', 'c')
        self.assertEqual(['a', 'b', 'c'], self.read())
        self.container.lines = []
        self.write(300, 'new', 'newer')
        self.assertEqual(['new', 'newer'], self.read())
        self.assertEqual([], self.read())

    def test_incomplete_response_does_not_count(self):
        self.write(0, 'a', 'b')
        self.assertEqual(['a', 'b'], self.read())
        self.write(1500, 'c', 'd')

        def broken():
            yield from self.container.answer(self.position.query())[:3]
            raise client.ApiError('gone')

        self.assertRaises(
            client.ApiError, list, self.position.new_lines(broken())
        )
        self.assertEqual(['c', 'd'], self.read())

    def test_since(self):
        self.position = log_position.Position(
            since=log_fixtures.NOW + 5 * log_fixtures.MILLISECOND
        )
        self.write(4, 'too old')
        self.write(5, 'a')
        self.assertEqual(['a'], self.read())
        self.write(5, 'b')
        self.assertEqual(['b'], self.read())
        self.assertEqual(
            log_fixtures.NOW // log_lines.SECOND,
            self.container.queries[0]['since'],
        )

    def test_since_the_beginning(self):
        # The engine's client does not take 0.
        self.assertEqual(1, log_position.Position(since=1).query()['since'])
        self.assertNotIn('since', log_position.Position(since=0).query())

    def test_tail(self):
        self.position = log_position.Position(tail=2)
        self.write(0, 'a', 'b', 'c', 'd')
        self.assertEqual(['c', 'd'], self.read())
        # There is more of that second than was asked for.
        self.assertEqual([], self.read())
        self.write(1, 'e')
        self.assertEqual(['e'], self.read())
        self.write(2000, 'f', 'g', 'h')
        self.assertEqual(['f', 'g', 'h'], self.read())
        self.assertEqual(
            [2, *['all'] * 3],
            [query['tail'] for query in self.container.queries],
        )

    def test_tail_of_a_short_log(self):
        self.position = log_position.Position(tail=5)
        self.write(0, 'a')
        self.assertEqual(['a'], self.read())
        self.write(0, 'b')
        self.assertEqual(['b'], self.read())

    def test_no_tail(self):
        self.position = log_position.Position(tail=0)
        self.write(0, 'a', 'b')
        self.assertEqual([], self.read())
        self.write(1, 'c')
        self.assertEqual(['c'], self.read())
        self.position = log_position.Position(tail=0)
        self.container.lines = []
        self.assertEqual([], self.read())
        self.write(1, 'd')
        self.assertEqual(['d'], self.read())
