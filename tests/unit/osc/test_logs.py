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


from urllib import parse

import fixtures
from osc_lib import exceptions

from tests.unit.osc import base
from tests.unit.osc import log_fixtures
from zun_bulk.osc import log_lines
from zun_bulk.osc import log_merger
from zun_bulk.osc import logs


JSON = {'Content-Type': 'application/json'}


class Clock(base.Clock):
    """Runs the next step during each sleep.

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
        member = base.member_view(index, **values)
        self.members.append(member)
        container = log_fixtures.Container()
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
            (log_fixtures.NOW + milliseconds * log_fixtures.MILLISECOND, text)
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
        self.containers[10].lines[0] = (log_fixtures.NOW + 1, 'b')
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
            self.containers[index].lines = [
                (log_fixtures.NOW + nanoseconds, 'x')
            ]
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
            self.show(
                '--since',
                log_fixtures.stamp(
                    log_fixtures.NOW + log_fixtures.MILLISECOND
                ),
            ),
        )
        self.assertEqual(
            str(log_fixtures.NOW // log_lines.SECOND),
            self.containers[1].queries[-1]['since'],
        )
        self.assertEqual([], self.show('--tail', '0'))

    def test_indexes(self):
        for index in range(1, 7):
            self.add(index, (index, 'x'))
        self.assertEqual(
            [f'load-{index} | x' for index in (1, 3, 4, 6)],
            self.show('--index', '1,3-4', '--index', '6-9', '--index', '8'),
        )
        self.assertEqual('No container matches index 8.\n', self.progress)
        self.assertEqual([], self.containers[2].queries)

    def test_no_such_index(self):
        self.add(1)
        self.assertEqual('No containers match.', self.fail('--index', '2-3'))
        self.assertIn('No container matches index 2-3.', self.progress)

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
            'No log exists for load-2 (queued), load-3 (starting), '
            'load-4 (failed).\n',
            self.progress,
        )
        self.assertEqual([], self.containers[2].queries)

    def test_log_that_fails(self):
        self.add(1, (0, 'a'))
        self.add(2)
        self.containers[2].problem = 500, 'Docker internal error.'
        self.add(3, (1, 'b'))
        self.add(4)
        self.containers[4].problem = 409, 'Cannot logs it now.'
        self.assertEqual(
            'Failed to read the logs of 2 of 4 containers.', self.fail()
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
        self.assertEqual('No log exists for load-2 (queued).\n', self.progress)

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

    def test_follow_log_that_fails_for_a_while(self):
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

    def test_follow_ends_although_one_log_fails(self):
        self.add(1, (0, 'a'), state='failed')
        self.add(2, state='failed')
        self.add(3, state='failed')
        self.containers[2].problem = 500, 'No such container.'
        self.containers[3].problem = 400, 'Cannot operate an uncreated one.'
        self.clock.steps = [lambda: None] * log_merger.FINAL_ATTEMPTS
        self.assertEqual(
            'Failed to read the logs of 1 of 3 containers.',
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

    def test_interrupt_shows_lines_held_back(self):
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
