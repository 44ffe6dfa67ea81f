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
import subprocess
import time

from tests.lab.real import labapi
from tests.real import base


class TestEngine(base.RealTestCase):
    COUNT = 30

    def setUp(self):
        super().setUp()
        self.pid_file = pathlib.Path(os.environ['LAB_RUN'], 'host-1/dockerd')

    def pid(self):
        return int(self.pid_file.read_text())

    def build(self, interrupt):
        """Have a bulk built and its first engine disturbed halfway.

        :returns: its members, all of which run, once.
        """
        status, bulk, _seconds = self.post_bulk(self.COUNT)
        self.assertEqual(202, status, bulk)
        self.wait_until(
            lambda: self.show(bulk)['members']['running'] >= self.COUNT // 4,
            'some containers are running',
        )
        self.assertGreater(self.COUNT, self.show(bulk)['members']['running'])
        interrupt()
        self.wait_until(
            lambda: self.show(bulk)['status'] != 'building', 'it is finished'
        )
        shown = self.show(bulk)
        self.assertEqual('ready', shown['status'], shown)
        members = self.zun.members(bulk['uuid'])
        addresses, problems = labapi.inspect_members(members)
        self.assertEqual([], problems)
        self.assertEqual(self.COUNT, len(addresses))
        self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()
        return members

    def show(self, bulk):
        status, shown = self.zun.request('GET', f'/bulks/{bulk["uuid"]}')
        self.assertEqual(200, status, shown)
        return shown

    def kill(self):
        """Without live-restore its containers die as it comes back."""
        os.kill(self.pid(), signal.SIGKILL)
        time.sleep(3)
        subprocess.run(
            [os.path.join(os.environ['LAB_DIR'], 'lab'), 'start', 'dockerd-1'],
            check=True,
        )

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
