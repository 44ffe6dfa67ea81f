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

"""A Docker Engine that stops, dies and comes back while a bulk is built."""

import os
import pathlib
import signal
import time

from tests.real import base


class TestEngine(base.DisturbedTestCase):
    def setUp(self):
        super().setUp()
        self.pid_file = pathlib.Path(os.environ['LAB_RUN'], 'host-1/dockerd')

    def pid(self):
        return int(self.pid_file.read_text())

    def kill(self):
        """Without live-restore its containers die as it comes back."""
        os.kill(self.pid(), signal.SIGKILL)
        time.sleep(3)
        self.lab('start', 'dockerd-1')

    def stop(self):
        pid = self.pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(15)
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_killed_and_started_again(self):
        members = self.build(self.kill)
        self.assertIn(2, {member['attempt'] for member in members})

    def test_stopped_for_a_while(self):
        members = self.build(self.stop)
        # It is slow, and has failed none.
        self.assertEqual({1}, {member['attempt'] for member in members})
