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

"""What the tests on a real lab share.

They want the environment that ``tests/lab/real/lab env`` prints, and a lab
with zun_bulk and two hosts.
"""

import http.client
import json
import os
import subprocess
import time

import openstack
import testtools

from tests.lab.real import labapi


#: Seconds after which nothing is waited for any longer.
PATIENCE = 600


class RealTestCase(testtools.TestCase):
    """A test against the running lab, which it leaves empty."""

    def setUp(self):
        super().setUp()
        self.assertIn(
            'LAB_ZUN_URL',
            os.environ,
            'no lab is up: eval "$(tests/lab/real/lab env)"',
        )
        self.network = os.environ['LAB_NETWORK']
        self.image = os.environ['LAB_IMAGE']
        self.zun = labapi.Zun()
        self.cloud = openstack.connect()
        self.addCleanup(self.cloud.close)
        self.db = labapi.database()
        self.addCleanup(self.db.close)

    def openstack(self, *arguments, status=0):
        """Run the command line.

        :param status: the exit status it should end with.
        :returns: what it wrote to standard output.
        """
        done = subprocess.run(
            [
                os.path.join(os.environ['LAB_ZUN_VENV'], 'bin', 'openstack'),
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        self.assertEqual(
            status,
            done.returncode,
            f'{arguments}: {done.stdout} {done.stderr}',
        )
        return done.stdout

    def openstack_json(self, *arguments):
        """Run a command and parse its output.

        The format goes before all other options: what follows an image is
        the container's command.
        """
        words = next(
            (
                number
                for number, word in enumerate(arguments)
                if word.startswith('-')
            ),
            len(arguments),
        )
        return json.loads(
            self.openstack(
                *arguments[:words], '-f', 'json', *arguments[words:]
            )
        )

    def post_bulk(self, count, template=None, zun=None, **more):
        """Ask for a bulk by the API and have it deleted afterwards.

        :param template: overrides of a template that would run.
        :returns: (status, answer, seconds).
        """
        zun = zun or self.zun
        body = {
            'count': count,
            **more,
            'template': {
                **labapi.container_body('c-{index}', self.network),
                **(template or {}),
            },
        }
        began = time.monotonic()
        status, answer = zun.request('POST', '/bulks', body)
        taken = time.monotonic() - began
        if status == 202:
            self.addCleanup(self.delete_bulk, answer['uuid'])
        return status, answer, taken

    def show(self, bulk):
        status, shown = self.zun.request('GET', f'/bulks/{bulk["uuid"]}')
        self.assertEqual(200, status, shown)
        return shown

    def delete_bulk(self, uuid):
        """Delete a bulk, unless it is gone already, and wait until it is."""
        status, answer = self.zun.request('DELETE', f'/bulks/{uuid}')
        self.assertIn(status, (202, 404), answer)
        self.wait_until(
            lambda: self.zun.request('GET', f'/bulks/{uuid}')[0] == 404,
            f'bulk {uuid} is gone',
        )

    @staticmethod
    def lab(*arguments):
        """Run a verb of the lab's script."""
        subprocess.run(
            [os.path.join(os.environ['LAB_DIR'], 'lab'), *arguments],
            check=True,
        )

    def wait_until(self, condition, what, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(
                time.monotonic(), deadline, f'in {seconds} s not: {what}'
            )
            time.sleep(0.5)

    def assert_all_run(self, ident, count):
        """So many containers of a bulk run, and nothing is wrong with any.

        :returns: (members, {container uuid: address}).
        """
        members = self.zun.members(ident)
        addresses, problems = labapi.inspect_members(members)
        self.assertEqual([], problems)
        self.assertEqual(count, len(addresses))
        return members, addresses

    def assert_nothing_left(self):
        """No container, port, allocation, bulk or row is in the lab."""
        found = labapi.find_leaks(self.cloud, self.db, empty=True)
        self.assertEqual(([], [], [], []), tuple(found))


class DisturbedTestCase(RealTestCase):
    """Bulks that are built while something dies and comes back."""

    COUNT = 20

    def build(self, interrupt):
        """Have a bulk built and something disturbed halfway.

        :param interrupt: function that disturbs it.
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
        self.wait_until(lambda: self.answers(bulk), 'zun-api answers')
        self.db.ping(reconnect=True)
        self.wait_until(
            lambda: self.show(bulk)['status'] != 'building', 'it is finished'
        )
        shown = self.show(bulk)
        self.assertEqual('ready', shown['status'], shown)
        members, _addresses = self.assert_all_run(bulk['uuid'], self.COUNT)
        self.delete_bulk(bulk['uuid'])
        self.assert_nothing_left()
        return members

    def answers(self, bulk):
        try:
            status, _ = self.zun.request('GET', f'/bulks/{bulk["uuid"]}')
        except (OSError, http.client.HTTPException):
            return False
        return status == 200
