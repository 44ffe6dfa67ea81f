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

import collections
import os
import pathlib
import subprocess
import sys
from unittest import mock

import fixtures
from oslotest import base

from tests.bench import verify


def make_state(**more):
    return {
        'Status': 'running',
        'Running': True,
        'Pid': 42,
        'ExitCode': 0,
        'Error': '',
        'StartedAt': '2026-01-31T10:00:00.25Z',
        **more,
    }


def make_look(**states):
    return mock.Mock(
        states=states,
        ids={name: f'id-{name}' for name in states},
        hosts=collections.defaultdict(
            list, {name: ['host-1'] for name in states}
        ),
    )


def is_42(pid):
    return pid == 42


class TestJudge(base.BaseTestCase):
    def judge(self, first, second):
        return verify.judge(first, second, alive=is_42)

    def test_verified(self):
        self.assertIsNone(self.judge(make_state(), make_state()))

    def test_missing(self):
        for states in ((None, make_state()), (make_state(), None)):
            self.assertEqual('there is no such container', self.judge(*states))

    def test_ended_within_the_settle_time(self):
        ended = make_state(Running=False, Status='exited', ExitCode=3)
        self.assertEqual(
            'exited, exit code 3', self.judge(make_state(), ended)
        )

    def test_not_running_at_first(self):
        started_late = self.judge(
            make_state(Running=False, Status='created'), make_state()
        )
        self.assertIsNotNone(started_late)

    def test_restarted(self):
        again = make_state(StartedAt='2026-01-31T10:00:03Z')
        self.assertEqual(
            'restarted within the settle time', self.judge(make_state(), again)
        )

    def test_ghost(self):
        for pid in (0, 43):
            self.assertEqual(
                'running without a live process',
                self.judge(make_state(), make_state(Pid=pid)),
            )


class TestVerified(base.BaseTestCase):
    def test_counts(self):
        late = make_state(StartedAt='2026-01-31T10:00:09.5Z')
        ended = make_state(
            Running=False,
            Status='exited',
            ExitCode=1,
            StartedAt='2026-01-31T10:00:20Z',
        )
        first = make_look(one=make_state(), two=late, three=make_state())
        second = make_look(one=make_state(), two=late, three=ended)
        found = verify.Verified(
            first, second, {'one', 'two', 'three', 'four'}, alive=is_42
        )
        self.assertEqual({'host-1': 2}, found.hosts)
        self.assertEqual(
            {'exited, exit code 1': 1, 'there is no such container': 1},
            found.reasons,
        )
        # Not the one that ended, though it was the last to start.
        self.assertEqual(
            verify.parse_time('2026-01-31T10:00:09.5Z'), found.last_start
        )
        self.assertEqual({'id-one', 'id-two'}, set(found.ids))

    def test_twice_is_not_verified(self):
        look = make_look(one=make_state())
        look.hosts['one'].append('host-2')
        found = verify.Verified(look, look, {'one'}, alive=is_42)
        self.assertEqual({'on more than one host': 1}, found.reasons)
        self.assertIsNone(found.last_start)


class TestParseTime(base.BaseTestCase):
    def test_fractions(self):
        for text, seconds in (
            ('1970-01-02T00:00:00Z', 86400.0),
            ('1970-01-02T00:00:00.5Z', 86400.5),
            ('1970-01-02T00:00:00.123456789Z', 86400.123456789),
        ):
            self.assertAlmostEqual(seconds, verify.parse_time(text), 6)


class TestIsAlive(base.BaseTestCase):
    def test_process(self):
        self.assertTrue(verify.is_alive(os.getpid()))

    def test_zombie_and_gone(self):
        child = subprocess.Popen(
            [sys.executable, '-c', ''], stdout=subprocess.PIPE
        )
        # The end of its output: it has ended and nobody has waited for it.
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assertFalse(verify.is_alive(child.pid))
        child.communicate()
        self.assertFalse(verify.is_alive(child.pid))


class TestSettleTime(base.BaseTestCase):
    def test_of_the_last_file(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        first, second = folder / 'a.conf', folder / 'b.conf'
        first.write_text('[DEFAULT]\nstate_path = /x\n')
        second.write_text('[zun_bulk]\nsettle_time = 2.5\n')
        self.useFixture(
            fixtures.EnvironmentVariable(
                'LAB_ZUN_FLAGS',
                f'--config-file {first} --config-file {second}',
            )
        )
        self.assertEqual(2.5, verify.settle_time())

    def test_default(self):
        self.useFixture(fixtures.EnvironmentVariable('LAB_ZUN_FLAGS', ''))
        self.assertEqual(5.0, verify.settle_time())
