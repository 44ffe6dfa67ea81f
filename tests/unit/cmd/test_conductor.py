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

import os
import signal
import subprocess
import sys
import textwrap
import time

import fixtures
from oslotest import base

from tests import database
from zun_bulk.db import bulks as db_bulks


#: Seconds for what takes three on a machine that has nothing else to do.
TIMEOUT = 120
#: Nothing of what a conductor asks for listens there.
CONF_FILE = """
[DEFAULT]
host = host-1
transport_url = fake://
log_file = {path}/conductor.log

[database]
connection = {url}

[keystone_auth]
auth_type = password
auth_url = http://127.0.0.1:1/v3
username = zun
password = zun
project_name = service
user_domain_id = default
project_domain_id = default

[zun_bulk]
poll_interval = 0.2
"""


class TestConductor(base.BaseTestCase):
    """The process itself, which holds a bulk that it cannot place."""

    def setUp(self):
        super().setUp()
        self.path = self.useFixture(fixtures.TempDir()).path
        url = 'sqlite:///%s/db' % self.path
        self.useFixture(database.Database(url))
        self.conf_file = os.path.join(self.path, 'zun.conf')
        self.write(CONF_FILE.format(path=self.path, url=url))
        self.bulk, _members = database.accept(2)

    def write(self, text):
        with open(self.conf_file, 'w') as conf:
            conf.write(text)

    def log(self):
        with open(os.path.join(self.path, 'conductor.log')) as log:
            return log.read()

    def start(self, *argv):
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', 'zun_bulk.cmd.conductor']
            + (list(argv) or ['--config-file', self.conf_file]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def lease(self):
        bulk = db_bulks.get_bulk(self.bulk.uuid)
        return bulk.lease_owner, bulk.epoch

    def wait_for(self, check):
        deadline = time.monotonic() + TIMEOUT
        while not check():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def start_and_wait(self):
        process = self.start()
        self.wait_for(lambda: self.lease()[0] or process.poll() is not None)
        self.assertIsNone(process.poll())
        return process

    def end(self, process, number):
        process.send_signal(number)
        output, _none = process.communicate(timeout=TIMEOUT)
        return process.returncode, output

    def test_ends_and_lets_another_go_on(self):
        for epoch, number in enumerate((signal.SIGTERM, signal.SIGINT), 1):
            process = self.start_and_wait()
            owner = self.lease()
            self.assertTrue(owner[0].startswith('host-1:'), owner)
            self.assertEqual(epoch, owner[1])
            self.assertEqual((0, ''), self.end(process, number))
            self.assertEqual((None, epoch), self.lease())
            self.assertIn('Received %s; stopping' % number.name, self.log())

    def test_several(self):
        first = self.start_and_wait()
        owner = self.lease()
        second = self.start()
        self.wait_for(lambda: self.log().count('Starting zun-bulk') == 2)
        self.assertEqual(owner, self.lease())
        self.assertEqual((0, ''), self.end(first, signal.SIGTERM))
        # Long before the lease would be over.
        self.wait_for(lambda: self.lease()[1] == 2)
        self.assertEqual((0, ''), self.end(second, signal.SIGTERM))

    def test_reads_the_configuration_again(self):
        process = self.start_and_wait()
        with open(self.conf_file) as conf:
            text = conf.read()
        self.write(text.replace('[DEFAULT]', '[DEFAULT]\ndebug = true'))
        process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: 'Reloading the configuration' in self.log())
        self.wait_for(lambda: 'debug changed from' in self.log())
        self.write('[DEFAULT\n')
        process.send_signal(signal.SIGHUP)
        self.wait_for(
            lambda: 'Failed to reload the configuration' in self.log()
        )
        self.assertEqual((0, ''), self.end(process, signal.SIGTERM))

    def test_help(self):
        output, _none = self.start('--help').communicate(timeout=TIMEOUT)
        self.assertIn('usage: zun-bulk-conductor ', output)
        for text in ('Plans bulks', 'SIGTERM', '--config-file'):
            self.assertIn(text, output)

    def test_patches_nothing(self):
        # Under eventlet a call to Neutron would hold what runs beside it.
        program = textwrap.dedent('''
            import sys
            from zun_bulk.cmd import conductor
            from eventlet import patcher
            sys.exit(patcher.is_monkey_patched('thread')
                     or patcher.is_monkey_patched('socket'))
            ''')
        subprocess.run([sys.executable, '-c', program], check=True)
