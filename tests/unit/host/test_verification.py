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
