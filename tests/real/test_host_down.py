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

"""A host that is lost while a bulk is built, and comes back."""

import os
import pathlib
import signal

from tests.real import base


class TestHostDown(base.RealTestCase):
    COUNT = 20

    def setUp(self):
        super().setUp()
        pid = pathlib.Path(os.environ['LAB_RUN'], 'zun-compute-2.pid')
        self.compute = int(pid.read_text().split()[0])

    def force_down(self, forced):
        status, answer = self.zun.request(
            'PUT',
            '/services/force_down?host=host-2&binary=zun-compute'
            f'&forced_down={forced}',
        )
        self.assertEqual(200, status, answer)

    def test_all_run_once_elsewhere(self):
        os.killpg(os.getpgid(self.compute), signal.SIGSTOP)
        try:
            status, bulk, _seconds = self.post_bulk(self.COUNT)
            self.assertEqual(202, status, bulk)
            self.wait_until(
                lambda: (
                    self.show(bulk)['hosts'].get('host-2', {}).get('placed', 0)
                    >= self.COUNT // 3
                ),
                'its members wait there',
            )
            self.force_down(True)
            self.addCleanup(self.force_down, False)
            self.wait_until(
                lambda: (
                    self.show(bulk)['hosts']
                    == {'host-1': {'running': self.COUNT}}
                ),
                'all run on the other one',
            )
        finally:
            os.killpg(os.getpgid(self.compute), signal.SIGCONT)
        self.force_down(False)
        self.assert_all_run(bulk['uuid'], self.COUNT)
        self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()
