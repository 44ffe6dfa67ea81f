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


import json

from osc_lib import exceptions
import requests

from tests.unit.osc import base
from zun_bulk.osc import create
from zun_bulk.osc import waiter


class TestWait(base.CommandTestCase):
    def create(self, *answers, argv=(), count=3):
        """Run the command.

        :param answers: to each GET that follows the POST
        """
        self.api.post(
            base.BULKS, **base.answer(base.bulk_view(queued=count), 202)
        )
        self.api.get(f'{base.BULKS}/{base.UUID}', list(answers))
        return self.run_command(
            create.CreateBulk,
            '--count',
            str(count),
            '--wait',
            *argv,
            'busybox',
        )

    def failing(self, *answers, argv=()):
        return str(
            self.assertRaises(
                exceptions.CommandError, self.create, *answers, argv=argv
            )
        )

    def test_success(self):
        output = self.create(
            base.answer(base.bulk_view(queued=3)),
            base.answer(base.bulk_view(starting=2, running=1)),
            base.answer(base.bulk_view('ready', running=3)),
            argv=('-f', 'json'),
        )
        view = json.loads(output)
        self.assertEqual('ready', view['status'])
        self.assertEqual(3, view['members']['running'])
        self.assertEqual(
            ['POST', 'GET', 'GET', 'GET'],
            [request.method for request in self.api.request_history],
        )
        lines = self.progress.splitlines()
        self.assertEqual(
            f'Bulk load ({base.UUID}): 3 containers, building.', lines[0]
        )
        self.assertEqual('3 of 3 containers running after 1.0 s.', lines[-1])
        self.assertNotIn('\r', self.progress)

    def test_success_without_run(self):
        view = {**base.bulk_view('ready', running=3), 'run': False}
        self.create(base.answer(view), argv=('--no-run',))
        self.assertIn('3 of 3 containers created after', self.progress)

    def test_without_wait(self):
        self.api.post(base.BULKS, **base.answer(base.bulk_view(), 202))
        view = json.loads(
            self.run_command(
                create.CreateBulk, '-f', 'json', '--count', '3', 'busybox'
            )
        )
        self.assertEqual('building', view['status'])
        self.assertEqual('', self.progress)
        self.assertEqual(1, self.api.call_count)

    def test_progress_is_not_on_stdout(self):
        output = self.create(
            base.answer(base.bulk_view('ready', running=3)),
            argv=('-f', 'value', '-c', 'uuid'),
        )
        self.assertEqual(base.UUID, output.strip())

    def test_plain_lines_are_few(self):
        self.create(
            *[
                base.answer(base.bulk_view(queued=300 - n, running=n))
                for n in range(200)
            ],
            base.answer(base.bulk_view('ready', running=300)),
            count=300,
        )
        seconds = sum(self.clock.naps)
        lines = self.progress.splitlines()
        self.assertTrue(50 < seconds < 400, seconds)
        self.assertTrue(10 < len(lines) <= 4 + seconds / 5, len(lines))

    def test_no_line_without_a_change(self):
        self.create(
            *[base.answer(base.bulk_view(starting=3)) for _n in range(99)],
            base.answer(base.bulk_view('ready', running=3)),
        )
        self.assertEqual(4, len(self.progress.splitlines()))

    def test_bar_on_a_terminal(self):
        self.app.stderr.terminal = True
        self.create(
            base.answer(base.bulk_view(queued=3)),
            base.answer(base.bulk_view(queued=1, running=2)),
            base.answer(base.bulk_view('ready', running=3)),
        )
        first, bar, last, end = self.progress.split('\n')
        self.assertIn('3 containers, building', first)
        drawn = bar.split('\r')
        self.assertEqual(4, len(drawn))
        self.assertIn('0/3', drawn[1])
        self.assertIn('2/3  running 2, queued 1  4.0/s  1 s left', drawn[2])
        self.assertIn('#' * 40 + '] 3/3', drawn[3])
        self.assertTrue(all(len(text) < 80 for text in drawn))
        self.assertIn('3 of 3 containers running', last)
        self.assertEqual('', end)

    def test_failures(self):
        view = base.bulk_view('error', running=3, failed=6)
        view['failures'] = [
            {'class': 'image', 'reason': 'no such\nimage', 'count': 3},
            {'class': None, 'reason': 'exited with 1', 'count': 1},
        ]
        view['status_reason'] = '6 of 9 members failed'
        message = self.failing(base.answer(view), argv=('-f', 'json'))
        self.assertEqual(
            [
                f'Bulk load ({base.UUID}) is error: 3 of 9 containers '
                'running, 6 failed.',
                '3 × image: no such image',
                '1 × exited with 1',
                '2 × other reasons: see "openstack appcontainer bulk member '
                f'list --state failed {base.UUID}"',
            ],
            message.splitlines(),
        )
        # The bulk is shown all the same.
        self.assertEqual(view, json.loads(self.output))

    def test_error_without_failures(self):
        view = base.bulk_view('error', queued=3)
        view['status_reason'] = 'It was too much.'
        message = self.failing(base.answer(view))
        self.assertEqual('It was too much.', message.splitlines()[-1])

    def test_failed_member_of_a_ready_bulk(self):
        self.assertIn(
            '1 failed',
            self.failing(
                base.answer(base.bulk_view('ready', running=2, failed=1))
            ),
        )

    def test_status_of_a_later_api(self):
        self.assertIn(
            'is asleep',
            self.failing(base.answer(base.bulk_view('asleep', queued=3))),
        )

    def test_paused(self):
        view = base.bulk_view('paused', queued=2, failed=1)
        view['status_reason'] = (
            'the others would fail the same way: no such image'
        )
        view['failures'] = [
            {'class': 'permanent', 'reason': 'no such image', 'count': 1}
        ]
        lines = self.failing(base.answer(view)).splitlines()
        self.assertIn('is paused: 0 of 3 containers running', lines[0])
        self.assertEqual(view['status_reason'], lines[1])
        self.assertEqual('1 × permanent: no such image', lines[2])
        self.assertIn('bulk resume', lines[3])

    def test_timeout(self):
        message = self.failing(
            base.answer(base.bulk_view(starting=1, running=2)),
            argv=('--wait-timeout', '7'),
        )
        self.assertEqual(
            f'Stopped waiting for Bulk load ({base.UUID}): not finished '
            'after 7 s. It is building: 2 of 3 done: running 2, starting 1; '
            '0.0/s',
            message,
        )
        self.assertAlmostEqual(7, sum(self.clock.naps))
        self.assertIn(base.UUID, self.output)

    def test_transient_errors(self):
        output = self.create(
            base.error(503, 'The server is busy.'),
            {'exc': requests.exceptions.ConnectTimeout},
            {'exc': requests.exceptions.ConnectionError},
            {'status_code': 502, 'text': 'Bad Gateway'},
            base.answer(base.bulk_view(running=1, starting=2)),
            base.error(500, 'Database is away.'),
            base.answer(base.bulk_view('ready', running=3)),
        )
        self.assertIn('ready', output)
        self.assertEqual(2, self.progress.count('retrying'))
        self.assertIn(
            'The server is busy. (HTTP 503) (Request-ID: req-1); retrying',
            self.progress,
        )
        self.assertIn('Database is away.', self.progress)

    def test_transient_errors_until_the_timeout(self):
        message = self.failing(
            base.error(503, 'The server is busy.'),
            argv=('--wait-timeout', '9'),
        )
        self.assertIn('not finished after 9 s. It is building', message)
        self.assertAlmostEqual(9, sum(self.clock.naps))

    def test_api_stays_unavailable(self):
        message = self.failing(base.error(503, 'The server is busy.'))
        self.assertIn('The server is busy.', message)
        self.assertAlmostEqual(waiter.PATIENCE, sum(self.clock.naps), delta=2)
        self.assertIn(base.UUID, self.output)

    def test_refused_while_waiting(self):
        self.assertIn(
            'Not yours. (HTTP 403)',
            self.failing(base.error(403, 'Not yours.')),
        )
        self.assertEqual([], self.clock.naps)

    def test_deleted_during_the_wait(self):
        self.assertEqual(
            f'Bulk load ({base.UUID}) was deleted during the wait.',
            self.failing(
                base.answer(base.bulk_view()), base.error(404, 'No such bulk.')
            ),
        )

    def test_being_deleted(self):
        self.assertIn(
            'is being deleted',
            self.failing(base.answer(base.bulk_view('deleting', deleting=3))),
        )

    def test_interrupt(self):
        def interrupt(seconds):
            raise KeyboardInterrupt

        self.clock.sleep = interrupt
        self.assertRaises(
            KeyboardInterrupt, self.create, base.answer(base.bulk_view())
        )
        self.assertIn(
            f'Stopped waiting. Work on Bulk load ({base.UUID}) continues; see '
            f'"openstack appcontainer bulk show {base.UUID}".',
            self.progress,
        )

    def test_timeout_of_gets_only(self):
        self.create(base.answer(base.bulk_view('ready', running=3)))
        post, get = self.api.request_history
        self.assertIsNone(post.timeout)
        self.assertEqual(60, get.timeout)
