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

"""What Zun leans on dies while a bulk is built, and comes back."""

import os
import pathlib
import signal
import time

from tests.real import base


class TestRestarts(base.DisturbedTestCase):
    #: Seconds for which it is away.
    AWAY = 5

    def kill(self, *names):
        """Kill processes of the lab, and start them again."""
        for name in names:
            pid = pathlib.Path(os.environ['LAB_RUN'], name + '.pid')
            os.killpg(int(pid.read_text().split()[0]), signal.SIGKILL)
        time.sleep(self.AWAY)
        for name in names:
            self.lab('start', name)

    def test_database(self):
        self.build(lambda: self.kill('mariadb'))

    def test_broker(self):
        self.build(lambda: self.kill('rabbitmq'))

    def test_placement_and_neutron(self):
        self.build(lambda: self.kill('placement', 'neutron'))

    def test_all_of_zun(self):
        self.build(
            lambda: self.kill('zun-api', 'zun-compute-1', 'zun-compute-2')
        )

    def test_one_after_the_other(self):
        """As in a rolling upgrade: told to end, and started again."""
        self.build(self.roll)

    def roll(self):
        for name in ('zun-api', 'zun-compute-1', 'zun-compute-2'):
            self.lab('stop', name)
            self.lab('start', name)
