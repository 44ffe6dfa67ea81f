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
import datetime
import io
import json
import os
import threading
import time
import tracemalloc
from unittest import mock
from urllib import parse

import ddt
import fixtures
from osc_lib import exceptions
from oslotest import base as test_base

from tests.unit.osc import base
from tests.unit.osc import test_show_list
from zun_bulk.osc import client
from zun_bulk.osc import logs


#: 2026-01-02T03:04:05Z, in nanoseconds.
NOW = 1767323045 * logs.SECOND
MILLISECOND = 10**6

JSON = {'Content-Type': 'application/json'}


def stamp(moment):
    """Docker's way to write a time."""
    seconds, nanoseconds = divmod(moment, logs.SECOND)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f'{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z'


@ddt.ddt
class TestTimes(test_base.BaseTestCase):
    @ddt.data(
        ('2026-01-02T03:04:05.123456789Z text', NOW + 123456789, 'text'),
        ('2026-01-02T03:04:05.000000001Z  a b ', NOW + 1, ' a b '),
        ('2026-01-02T03:04:05Z ', NOW, ''),
        ('2026-01-02T03:04:05.5Z text', NOW + 500 * MILLISECOND, 'text'),
        ('2026-01-02T05:04:05.7+02:00 x', NOW + 700 * MILLISECOND, 'x'),
        ('2026-13-02T03:04:05Z text', None, '2026-13-02T03:04:05Z text'),
        ('2026-01-02T03:04:05 text', None, '2026-01-02T03:04:05 text'),
        ('no time', None, 'no time'),
        ('', None, ''),
    )
    @ddt.unpack
    def test_line(self, line, moment, text):
        self.assertEqual((moment, text), logs.parse_line(line))

    @ddt.data(
        ('2026-01-02T03:04:05Z', NOW),
        ('2026-01-02T03:04:05.123456789Z', NOW + 123456789),
        ('2026-01-02T04:04:05.1+01:00', NOW + 100 * MILLISECOND),
        ('1767323045', NOW),
        ('1767323045.000000009', NOW + 9),
        ('0', 0),
    )
    @ddt.unpack
    def test_since(self, text, moment):
        self.assertEqual(moment, logs.since_time(text))

    @ddt.data(
        ('10m', 600), ('1h30m', 5400), ('2d', 172800), ('1m5s', 65), ('0s', 0)
    )
    @ddt.unpack
    def test_since_a_time_ago(self, text, ago):
        with mock.patch.object(logs.time, 'time', return_value=1767323045.0):
            self.assertEqual(NOW - ago * logs.SECOND, logs.since_time(text))

    def test_since_a_time_of_here(self):
        self.addCleanup(logs._unix_time.cache_clear)
        self.addCleanup(time.tzset)
        self.useFixture(fixtures.EnvironmentVariable('TZ', 'UTC-2'))
        time.tzset()
        logs._unix_time.cache_clear()
        for text in ('2026-01-02T05:04:05', '2026-01-02 05:04:05'):
            self.assertEqual(NOW, logs.since_time(text))
        self.assertEqual(
            NOW - (5 * 3600 + 245) * logs.SECOND, logs.since_time('2026-01-02')
        )

    @ddt.data(
        '', 'yesterday', '-5', '10x', 'm', '2026-13-01', '9' * 12, '5m1h'
    )
    def test_no_since(self, text):
        self.assertRaises(argparse.ArgumentTypeError, logs.since_time, text)

    @ddt.data(('3', [(3, 3)]), ('1,5-7', [(1, 1), (5, 7)]), ('2-2', [(2, 2)]))
    @ddt.unpack
    def test_indexes(self, text, ranges):
        self.assertEqual(ranges, logs.index_ranges(text))

    @ddt.data('', 'a', '1,', '7-5', '-1', '1-', '1' * 10)
    def test_no_indexes(self, text):
        self.assertRaises(argparse.ArgumentTypeError, logs.index_ranges, text)


@ddt.ddt
class TestJsonText(test_base.BaseTestCase):
    TEXT = 'a "q" \\ \\n\n\u00e9 \U0001f600 \x00 \ud83d\udc4d/'

    @ddt.data(1, 2, 3, 7, 1000)
    def test_in_chunks(self, size):
        text = self.TEXT.encode('utf-16', 'surrogatepass').decode('utf-16')
        for ascii_only in (True, False):
            data = json.dumps(text, ensure_ascii=ascii_only).encode()
            chunks = [
                data[start : start + size]
                for start in range(0, len(data), size)
            ]
            self.assertEqual(text, ''.join(client.json_text(chunks)))

    @ddt.data(b'', b'"abc', b'"abc\\', b'"\\ud83d"', b'{"a": 1}', b'null')
    def test_anything_else(self, data):
        self.assertRaises(ValueError, list, client.json_text([data]))


class TestLines(test_base.BaseTestCase):
    def test_only_newlines_end_lines(self):
        self.assertEqual(
            ['a\rb\x0b\u2028c', '', 'de', 'f'],
            list(logs.split_lines(['a\rb\x0b\u2028', 'c\n\nd', 'e\n', 'f'])),
        )
        self.assertEqual([], list(logs.split_lines([])))

    def test_long_lines_are_cut_always_alike(self):
        length = logs.LONGEST_LINE
        text = f'{"a" * length}\n{"b" * (2 * length + 5)}\nc\n'
        wanted = ['a' * length, 'b' * length, 'b' * length, 'bbbbb', 'c']
        for size in (length // 3, length, length + 1, len(text)):
            pieces = [
                text[start : start + size]
                for start in range(0, len(text), size)
            ]
            self.assertEqual(wanted, list(logs.split_lines(pieces)))


class TestSpool(test_base.BaseTestCase):
    def test_many_write_at_a_time(self):
        self.useFixture(
            fixtures.MonkeyPatch('zun_bulk.osc.logs.SPOOL_MEMORY', 4096)
        )
        spool = logs.Spool()
        self.addCleanup(spool.close)
        written = {
            name: [(n, f'{name} {n} ' + 'ü' * (n % 50)) for n in range(3000)]
            for name in 'abcd'
        }
        places = {}

        def store(name):
            places[name] = spool.store(iter(written[name]))

        threads = [
            threading.Thread(target=store, args=name) for name in written
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, lines in written.items():
            self.assertEqual(lines, list(spool.read(places[name])))

    def test_what_is_no_text(self):
        spool = logs.Spool()
        self.addCleanup(spool.close)
        places = spool.store([(1, 'a\ud800'), (2, ''), (3, 'b\rc d')])
        self.assertEqual(
            [(1, 'a?'), (2, ''), (3, 'b\rc d')], list(spool.read(places))
        )
        self.assertEqual([], spool.store([]))


class Container:
    """What the container API knows of a log.

    :ivar lines: pairs of a time and a text, as they were written
    :ivar problem: (status, text) to answer instead
    """

    def __init__(self, *lines):
        self.lines = list(lines)
        self.problem = None
        self.queries = []

    def answer(self, query):
        self.queries.append(query)
        lines = self.lines
        if query['tail'] != 'all':
            lines = lines[max(0, len(lines) - int(query['tail'])) :]
        since = int(query.get('since', 0)) * logs.SECOND
        return [
            f'{stamp(moment)} {text}'
            for moment, text in lines
            if moment >= since
        ]


class TestPosition(test_base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.container = Container()
        self.position = logs.Position()

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
            (NOW + milliseconds * MILLISECOND, text) for text in texts
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
            [None, None, *[NOW // logs.SECOND] * 4, NOW // logs.SECOND + 2],
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
        self.container.lines.append((NOW + 6 * MILLISECOND, 'c'))
        moments = [
            moment
            for moment, _line, _text in self.position.new_lines(
                self.container.answer(self.position.query())
            )
        ]
        self.assertEqual(sorted(moments), moments)

    def test_lines_without_a_time(self):
        answer = [f'{stamp(NOW)} a', 'continued', f'{stamp(NOW + 1)} b']
        found = list(self.position.new_lines(iter(answer)))
        self.assertEqual(
            [
                (NOW, answer[0], 'a'),
                (NOW, 'continued', 'continued'),
                (NOW + 1, answer[2], 'b'),
            ],
            found,
        )
        self.assertEqual([], list(self.position.new_lines(iter(answer))))

    def test_a_log_begun_anew(self):
        self.write(0, 'a', 'b', 'c')
        self.assertEqual(['a', 'b', 'c'], self.read())
        self.container.lines = []
        self.write(300, 'new', 'newer')
        self.assertEqual(['new', 'newer'], self.read())
        self.assertEqual([], self.read())

    def test_an_answer_that_breaks_off_counts_for_nothing(self):
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
        self.position = logs.Position(since=NOW + 5 * MILLISECOND)
        self.write(4, 'too old')
        self.write(5, 'a')
        self.assertEqual(['a'], self.read())
        self.write(5, 'b')
        self.assertEqual(['b'], self.read())
        self.assertEqual(
            NOW // logs.SECOND, self.container.queries[0]['since']
        )

    def test_since_the_beginning(self):
        # The engine's client does not take 0.
        self.assertEqual(1, logs.Position(since=1).query()['since'])
        self.assertNotIn('since', logs.Position(since=0).query())

    def test_tail(self):
        self.position = logs.Position(tail=2)
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
        self.position = logs.Position(tail=5)
        self.write(0, 'a')
        self.assertEqual(['a'], self.read())
        self.write(0, 'b')
        self.assertEqual(['b'], self.read())

    def test_no_tail(self):
        self.position = logs.Position(tail=0)
        self.write(0, 'a', 'b')
        self.assertEqual([], self.read())
        self.write(1, 'c')
        self.assertEqual(['c'], self.read())
        self.position = logs.Position(tail=0)
        self.container.lines = []
        self.assertEqual([], self.read())
        self.write(1, 'd')
        self.assertEqual(['d'], self.read())


class Body(io.RawIOBase):
    """An answer that is made while it is read."""

    def __init__(self, size):
        self.left = size
        self.given = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.left:
            return 0
        line = json.dumps(f'{stamp(NOW)} {"x" * 63}\n')[1:-1].encode()
        data = b'"' if not self.given else line * (len(buffer) // len(line))
        data = data or line
        if len(data) >= self.left:
            data, self.left = b'"', 0
        else:
            self.left -= len(data)
        buffer[: len(data)] = data
        self.given += len(data)
        return len(data)


class TestContainerClient(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.client = client.ContainerClient(self.app.client_manager.container)
        self.url = f'{base.ENDPOINT}/containers/uuid-1/logs'

    def test_answer_is_not_held(self):
        body = Body(50 * 1024 * 1024)
        self.api.get(self.url, headers=JSON, body=body)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        size = sum(map(len, self.client.logs('uuid-1', tail='all')))
        peak = tracemalloc.get_traced_memory()[1]
        self.assertGreater(size, 45 * 1024 * 1024)
        self.assertLess(peak, 5 * 1024 * 1024)

    def test_version_is_the_containers(self):
        self.api.get(self.url, headers=JSON, text='""')
        self.assertEqual('', ''.join(self.client.logs('uuid-1')))
        self.assertEqual(
            'container 1.40',
            self.api.last_request.headers['OpenStack-API-Version'],
        )

    def test_what_is_no_log(self):
        for text in ('"abc', '{}', '"\\q"'):
            self.api.get(self.url, headers=JSON, text=text)
            self.assertRaises(
                client.ApiError, list, self.client.logs('uuid-1')
            )

    def test_refused(self):
        self.api.get(self.url, **base.error(404, 'No such container.'))
        error = self.assertRaises(
            client.ApiError, list, self.client.logs('uuid-1')
        )
        self.assertEqual(404, error.status)
        self.assertEqual(
            'No such container. (HTTP 404) (Request-ID: req-1)', str(error)
        )


class Clock(base.Clock):
    """While someone sleeps, the next thing happens.

    :ivar steps: functions
    """

    def __init__(self):
        super().__init__()
        self.steps = []

    def sleep(self, seconds):
        super().sleep(seconds)
        self.steps.pop(0)()


class TestLogs(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.useFixture(
            fixtures.MonkeyPatch('zun_bulk.osc.logs.time', self.clock)
        )
        self.members = []
        self.containers = {}
        self.api.get(
            f'{base.BULKS}/load', **base.answer(base.bulk_view('ready'))
        )
        self.api.get(
            f'{base.BULKS}/{base.UUID}/members',
            json=self._list_members,
            headers=base.HEADERS,
        )

    def _list_members(self, request, context):
        if not self.members:
            context.status_code = 404
            return base.error(404, 'Bulk gone.')['json']
        state = request.qs.get('state', [None])[0]
        return {
            'members': [
                member
                for member in self.members
                if state in (None, member['state'])
            ],
            'next': None,
        }

    def add(self, index, *lines, **values):
        """Add a member whose log has these lines, at these milliseconds."""
        member = test_show_list.member(index, **values)
        self.members.append(member)
        container = Container()
        self.containers[index] = container
        self.write(index, *lines)

        def answer(request, context):
            query = dict(parse.parse_qsl(parse.urlsplit(request.url).query))
            lines = container.answer(query)
            if container.problem:
                context.status_code, text = container.problem
                return base.error(context.status_code, text)['json']
            return ''.join(line + '\n' for line in lines)

        self.api.get(
            f'{base.ENDPOINT}/containers/uuid-{index}/logs',
            json=answer,
            headers=JSON,
        )
        return member

    def write(self, index, *lines):
        self.containers[index].lines += [
            (NOW + milliseconds * MILLISECOND, text)
            for milliseconds, text in lines
        ]

    def show(self, *argv):
        return self.run_command(logs.ShowBulkLogs, 'load', *argv).splitlines()

    def fail(self, *argv):
        return str(
            self.assertRaises(exceptions.CommandError, self.show, *argv)
        )

    def test_merged_by_time(self):
        self.add(1, (0, 'a'), (20, 'd'), (20, 'e'))
        self.add(2, (10, 'c'), (21, 'f'))
        self.add(10, (0, 'b'))
        self.containers[10].lines[0] = (NOW + 1, 'b')
        self.assertEqual(
            [
                'load-1  | a',
                'load-10 | b',
                'load-2  | c',
                'load-1  | d',
                'load-1  | e',
                'load-2  | f',
            ],
            self.show(),
        )
        self.assertEqual('', self.progress)
        self.assertEqual(
            [
                {
                    'stdout': 'True',
                    'stderr': 'True',
                    'timestamps': 'True',
                    'tail': 'all',
                }
            ],
            self.containers[1].queries,
        )

    def test_nanoseconds(self):
        for index, nanoseconds in ((1, 999), (2, 1001), (3, 1000)):
            self.add(index)
            self.containers[index].lines = [(NOW + nanoseconds, 'x')]
        self.assertEqual(
            [
                '2026-01-02T03:04:05.000000999Z x',
                '2026-01-02T03:04:05.000001000Z x',
                '2026-01-02T03:04:05.000001001Z x',
            ],
            self.show('--timestamps', '--no-prefix'),
        )

    def test_streams(self):
        self.add(1)
        for argv, wanted in (
            ((), ('True', 'True')),
            (('--stdout',), ('True', 'False')),
            (('--stderr',), ('False', 'True')),
            (('--stdout', '--stderr'), ('True', 'True')),
        ):
            self.show(*argv)
            query = self.containers[1].queries[-1]
            self.assertEqual(wanted, (query['stdout'], query['stderr']))

    def test_tail_and_since(self):
        self.add(1, (0, 'a'), (1, 'b'), (2, 'c'))
        self.add(2, (3, 'd'))
        self.assertEqual(
            ['load-1 | c', 'load-2 | d'], self.show('--tail', '1')
        )
        self.assertEqual(
            ['load-1 | b', 'load-1 | c', 'load-2 | d'],
            self.show('--since', stamp(NOW + MILLISECOND)),
        )
        self.assertEqual(
            str(NOW // logs.SECOND), self.containers[1].queries[-1]['since']
        )
        self.assertEqual([], self.show('--tail', '0'))

    def test_indexes(self):
        for index in range(1, 7):
            self.add(index, (index, 'x'))
        self.assertEqual(
            [f'load-{index} | x' for index in (1, 3, 4, 6)],
            self.show('--index', '1,3-4', '--index', '6-9', '--index', '8'),
        )
        self.assertEqual('There is no container 8.\n', self.progress)
        self.assertEqual([], self.containers[2].queries)

    def test_no_such_index(self):
        self.add(1)
        self.assertEqual(
            'There are no such containers.', self.fail('--index', '2-3')
        )
        self.assertIn('There is no container 2-3.', self.progress)

    def test_state(self):
        self.add(1, (0, 'a'))
        self.add(2, (0, 'b'), state='failed')
        self.assertEqual(['load-2 | b'], self.show('--state', 'failed'))

    def test_without_a_log(self):
        self.add(1, (0, 'a'))
        self.add(2, state='queued')
        self.add(3, state='starting')
        self.containers[3].problem = 409, 'Cannot logs it in Creating state'
        self.add(4, state='failed')
        self.containers[4].problem = 400, 'Cannot operate an uncreated one'
        # It runs and has written nothing.
        self.add(5)
        self.assertEqual(['load-1 | a'], self.show())
        self.assertEqual(
            'There is no log of load-2 (queued), load-3 (starting), '
            'load-4 (failed).\n',
            self.progress,
        )
        self.assertEqual([], self.containers[2].queries)

    def test_one_that_fails(self):
        self.add(1, (0, 'a'))
        self.add(2)
        self.containers[2].problem = 500, 'Docker internal error.'
        self.add(3, (1, 'b'))
        self.add(4)
        self.containers[4].problem = 409, 'Cannot logs it now.'
        self.assertEqual(
            'The logs of 2 of 4 containers could not be read.', self.fail()
        )
        self.assertEqual(
            ['load-1 | a', 'load-3 | b'], self.output.splitlines()
        )
        lines = self.progress.splitlines()
        self.assertIn('load-2: Docker internal error. (HTTP 500)', lines[0])
        self.assertIn('load-4: Cannot logs it now. (HTTP 409)', lines[1])

    def test_follow(self):
        first = self.add(1, (0, 'a'))
        second = self.add(2, (5, 'b'))

        def later():
            # Written to before what another one is heard of first.
            self.write(2, (1200, 'd'))

        def more():
            self.write(1, (1100, 'c'), (1300, 'e'))
            self.add(3, (1250, 'new'), state='starting')

        def ending():
            self.write(2, (1300, 'f'))
            for member in (first, second, self.members[2]):
                member.update(state='stopped', finished_at='later')

        self.clock.steps = [later, more, ending]
        self.assertEqual(
            [
                'load-1 | a',
                'load-2 | b',
                'load-1 | c',
                'load-2 | d',
                'load-3 | new',
                'load-1 | e',
                'load-2 | f',
            ],
            self.show('--follow'),
        )
        self.assertEqual('', self.progress)
        self.assertEqual([], self.clock.steps)

    def test_follow_from_now_on(self):
        self.add(1, (0, 'a'))
        member = self.add(2, state='queued')

        def starts():
            self.write(1, (1, 'b'))
            member['state'] = 'running'
            self.write(2, (2, 'c'), (3, 'd'))

        def ends():
            for member in self.members:
                member['state'] = 'stopped'

        self.clock.steps = [starts, ends]
        self.assertEqual(
            ['load-1 | b', 'load-2 | c', 'load-2 | d'],
            self.show('--follow', '--tail', '0'),
        )
        self.assertEqual(
            'There is no log of load-2 (queued).\n', self.progress
        )

    def test_follow_over_a_restart(self):
        ended = self.add(1, (0, 'a'), state='stopped')
        self.add(2)
        asked = []

        def nothing():
            asked.append(len(self.containers[1].queries))

        def again():
            nothing()
            ended.update(state='running', started_at='again')
            self.write(1, (3000, 'b'))

        def end():
            for member in self.members:
                member['state'] = 'stopped'

        self.clock.steps = [nothing, again, end]
        self.assertEqual(['load-1 | a', 'load-1 | b'], self.show('--follow'))
        # One that has ended is not asked over and over.
        self.assertEqual([1, 1], asked)

    def test_follow_one_that_fails_for_a_while(self):
        self.add(1, (0, 'a'))

        def broken():
            self.write(1, (1, 'b'))
            self.containers[1].problem = 500, 'Bad luck.'

        def well():
            self.containers[1].problem = None

        def end():
            self.members[0]['state'] = 'stopped'

        self.clock.steps = [broken, lambda: None, well, end]
        self.assertEqual(['load-1 | a', 'load-1 | b'], self.show('--follow'))
        self.assertEqual(1, self.progress.count('load-1: Bad luck.'))

    def test_follow_ends_though_one_fails(self):
        self.add(1, (0, 'a'), state='failed')
        self.add(2, state='failed')
        self.add(3, state='failed')
        self.containers[2].problem = 500, 'No such container.'
        self.containers[3].problem = 400, 'Cannot operate an uncreated one.'
        self.clock.steps = [lambda: None] * logs.LAST_TRIES
        self.assertEqual(
            'The logs of 1 of 3 containers could not be read.',
            self.fail('--follow'),
        )
        self.assertEqual('load-1 | a\n', self.output)

    def test_follow_a_bulk_that_is_deleted(self):
        self.add(1, (0, 'a'))

        def delete():
            self.write(1, (5, 'b'))
            self.containers[1].problem = 404, 'None such.'
            self.members.clear()

        self.clock.steps = [delete]
        self.assertEqual(['load-1 | a'], self.show('--follow'))
        self.assertEqual('The bulk was deleted.\n', self.progress)

    def test_interrupt_shows_what_was_held_back(self):
        self.add(1, (0, 'a'))

        def write():
            self.write(1, (5, 'b'))

        def interrupt():
            raise KeyboardInterrupt

        self.clock.steps = [write, interrupt]
        self.assertRaises(KeyboardInterrupt, self.show, '--follow')
        self.assertEqual('load-1 | a\nload-1 | b\n', self.output)

    def test_state_cannot_be_followed(self):
        parser = logs.ShowBulkLogs(self.app, None).get_parser('bulk')
        for argv in (
            ['--follow', '--state', 'failed'],
            ['--parallel', '0'],
            ['--parallel', '11'],
            ['--tail', '-1'],
            ['--since', 'then'],
            ['--index', '3-1'],
        ):
            self.assertRaises(SystemExit, parser.parse_args, ['load', *argv])


class Endless:
    """Logs of so many lines for each container, made while they are read."""

    def __init__(self, lines, text=''):
        self._lines = lines
        self._text = text

    def logs(self, uuid, **_query):
        number = int(uuid.partition('-')[2])
        for line in range(self._lines):
            yield f'{stamp(NOW + line * MILLISECOND + number)} {self._text}\n'


class TestBounds(test_base.BaseTestCase):
    def merge(self, containers, count, write):
        members = [test_show_list.member(index) for index in range(count)]
        merger = logs.Merger(
            containers, {}, None, None, lambda line, text, name, width: line
        )
        with logs.pools.ThreadPool(4) as pool:
            spool, places = merger.read(members, pool)
        merger.write(spool, places, write, True)

    def test_memory(self):
        self.useFixture(
            fixtures.MonkeyPatch('zun_bulk.osc.logs.SPOOL_MEMORY', 2**20)
        )
        size = 0

        def write(text):
            nonlocal size
            size += len(text)

        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.merge(Endless(2000, 'x' * 2000), 8, write)
        peak = tracemalloc.get_traced_memory()[1]
        self.assertGreater(size, 30 * 2**20)
        self.assertLess(peak, 5 * 2**20)

    def test_a_thousand_members(self):
        self.useFixture(
            fixtures.MonkeyPatch('zun_bulk.osc.logs.SPOOL_MEMORY', 2**10)
        )
        before = len(os.listdir('/proc/self/fd'))
        lines, most = [], 0

        def write(text):
            nonlocal most
            lines.append(text)
            if len(lines) % 500 == 0:
                most = max(most, len(os.listdir('/proc/self/fd')))

        self.merge(Endless(3), 1000, write)
        self.assertEqual(3000, len(lines))
        self.assertEqual(sorted(lines), lines)
        self.assertLess(most - before, 10)
