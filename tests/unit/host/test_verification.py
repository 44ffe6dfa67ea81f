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

import ddt
from oslotest import base

from zun_bulk.host import verification


RUNNING = {
    'Status': 'running',
    'Running': True,
    'Paused': False,
    'Restarting': False,
    'Pid': 42,
    'ExitCode': 0,
    'Error': '',
}


def inspect(restart_count=0, **state):
    return {'State': dict(RUNNING, **state), 'RestartCount': restart_count}


@ddt.ddt
class TestProblem(base.BaseTestCase):
    def test_running(self):
        self.assertIsNone(verification.problem(inspect(), run=True))

    @ddt.unpack
    @ddt.data(
        (
            dict(Status='exited', Running=False, Pid=0, ExitCode=3),
            'exited with code 3',
        ),
        (dict(Status='created', Running=False, Pid=0), 'is created'),
        (dict(Status='paused', Paused=True), 'is paused'),
        (
            dict(
                Status='exited',
                Running=False,
                ExitCode=127,
                Error='no such command',
            ),
            'no such command',
        ),
        (
            dict(Status='restarting', Restarting=True, ExitCode=1),
            'died and was restarted',
        ),
        (dict(restart_count=2, ExitCode=9), 'last exit code was 9'),
        (dict(Pid=0), 'no process'),
        (dict(Health={'Status': 'unhealthy'}), 'health check'),
    )
    def test_not_running(self, state, words):
        self.assertIn(words, verification.problem(inspect(**state), run=True))

    @ddt.data('starting', 'healthy')
    def test_health_that_is_no_problem(self, health):
        self.assertIsNone(
            verification.problem(inspect(Health={'Status': health}), run=True)
        )

    def test_one_that_was_only_to_be_created(self):
        created = inspect(Status='created', Running=False, Pid=0)
        self.assertIsNone(verification.problem(created, run=False))
        self.assertIn('gone', verification.problem(None, run=False))


EXITED = {'Status': 'exited', 'Running': False, 'Pid': 0}


@ddt.ddt
class TestStateAfterRun(base.BaseTestCase):
    def since(self, found, status='Running', task_state=None):
        return verification.state_after_run(found, (status, task_state))

    def test_running_again(self):
        self.assertEqual(('running', None, None), self.since(inspect()))

    @ddt.unpack
    @ddt.data(
        ('Running', {'ExitCode': 0}),
        ('Stopped', {'ExitCode': 137}),
        ('Stopped', {'ExitCode': 143}),
    )
    def test_done_or_told_to_stop(self, status, state):
        self.assertEqual(
            ('stopped', None, None),
            self.since(inspect(**EXITED, **state), status),
        )

    @ddt.unpack
    @ddt.data(
        ('Running', {'ExitCode': 1}, 'exited with code 1 after it had run'),
        ('Running', {'ExitCode': 137}, 'exited with code 137'),
        ('Stopped', {'ExitCode': 2}, 'exited with code 2'),
        ('Stopped', {'ExitCode': 137, 'OOMKilled': True}, 'ran out of memory'),
    )
    def test_died(self, status, state, words):
        found = self.since(inspect(**EXITED, **state), status)
        self.assertEqual(('failed', 'application'), found[:2])
        self.assertIn(words, found[2])

    def test_gone_from_docker(self):
        state, kind, reason = self.since(None)
        self.assertEqual(('failed', 'application'), (state, kind))
        self.assertIn('gone from Docker', reason)

    def test_deleted_by_its_user(self):
        self.assertEqual(
            ('failed', 'deleted'), verification.state_after_run(None, None)[:2]
        )

    def test_not_while_it_is_being_changed(self):
        self.assertIsNone(
            self.since(inspect(**EXITED), task_state='container_stopping')
        )
        self.assertIsNone(self.since(inspect(Restarting=True, Running=False)))

    @ddt.unpack
    @ddt.data(
        (137, '1970-01-01T00:01:39.123456789Z', True),
        (255, '1970-01-01T00:01:39.9Z', True),
        # It exited after the engine was back, or by itself.
        (137, '1970-01-01T00:01:41Z', False),
        (1, '1970-01-01T00:01:39Z', False),
    )
    def test_ended_with_its_engine(self, code, finished, expected):
        found = inspect(**EXITED, ExitCode=code, FinishedAt=finished)
        self.assertEqual(
            expected, verification.ended_with_engine(found, 100.0)
        )

    def test_not_ended_with_its_engine(self):
        self.assertFalse(verification.ended_with_engine(None, 100.0))
        self.assertFalse(verification.ended_with_engine(inspect(), 100.0))
