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
import pathlib
import queue
import signal
import threading

import fixtures
from oslo_reports import guru_meditation_report as gmr
from oslo_reports import opts
from oslotest import base

from tests import zun_fixtures
from zun_bulk import guru_meditation
from zun_bulk.conf import CONF


SECRET = 'not-to-be-seen'
CONFIG = """
[DEFAULT]
transport_url = fake://user:%(secret)s@broker/

[database]
connection = mysql+pymysql://zun:%(secret)s@db/zun

[keystone_auth]
auth_type = password
password = %(secret)s

[profiler]
hmac_keys = %(secret)s
connection_string = redis://:%(secret)s@host:6379

[docker]
default_registry_password = %(secret)s

[oslo_reports]
log_dir = %(path)s
"""


class ReportsTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.useFixture(fixtures.TempDir()).path
        self.config = self.useFixture(
            zun_fixtures.Config(CONFIG % {'secret': SECRET, 'path': self.path})
        ).config
        self.useFixture(
            fixtures.MonkeyPatch(
                'oslo_reports.guru_meditation_report.TextGuruMeditation.'
                'persistent_sections',
                [],
            )
        )

    def written(self):
        """Return [(name of the file, text)]"""
        return [
            (path.name, path.read_text())
            for path in pathlib.Path(self.path).iterdir()
        ]


class TestText(ReportsTestCase):
    def write(self):
        self.assertTrue(guru_meditation.configure('zun-compute'))
        guru_meditation.write('zun-compute')
        ((name, text),) = self.written()
        self.assertRegex(name, r'^zun-compute_gurumeditation_\d{14}$')
        return text

    def test_sections(self):
        guru_meditation.add(
            'Bulks on this host',
            lambda: {
                'starts': {'limit': 4, 'median': None},
                'held_by': {'memory': 'none left'},
            },
        )
        text = self.write()
        self.assertIn('Guru Meditation', text)
        self.assertIn('product = zun_bulk', text)
        self.assertRegex(text, r'version = \S+ beside Zun \d+')
        self.assertIn('test_sections', text)
        _before, _title, section = text.partition('Bulks on this host')
        self.assertEqual(
            [
                'held_by =',
                '  memory = none left',
                'starts =',
                '  limit = 4',
                '  median = None',
            ],
            [
                line.rstrip()
                for line in section.splitlines()
                if line.strip(' =') and '====' not in line
            ],
        )

    def test_no_secret(self):
        text = self.write()
        self.assertNotIn(SECRET, text)
        for option in ('transport_url', 'connection', 'hmac_keys'):
            self.assertIn('%s = ***' % option, text)
        self.assertIn('default_registry_password = ***', text)
        self.assertIn('connection_string = redis://:***@host:6379', text)


class TestSignal(ReportsTestCase):
    def setUp(self):
        super().setUp()
        before = signal.getsignal(signal.SIGUSR2)
        self.addCleanup(signal.signal, signal.SIGUSR2, before)
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        self.told = queue.Queue()
        self.useFixture(
            fixtures.MockPatchObject(
                gmr.TextGuruMeditation,
                'handle_signal',
                side_effect=lambda _version, *args: self.told.put(
                    (threading.current_thread().name, *args)
                ),
            )
        )

    def test_each_is_answered_by_a_thread(self):
        guru_meditation.on_signal('zun-compute')
        for _signal in range(2):
            os.kill(os.getpid(), signal.SIGUSR2)
            self.assertEqual(
                ('zun-bulk-report', 'zun-compute', self.path, None),
                self.told.get(timeout=60),
            )

    def test_one_that_is_taken_is_left(self):
        taken = []
        signal.signal(signal.SIGUSR2, lambda *args: taken.append(args))
        guru_meditation.on_signal('zun-compute')
        os.kill(os.getpid(), signal.SIGUSR2)
        self.assertEqual(1, len(taken))

    def test_outside_the_main_thread(self):
        log = self.useFixture(fixtures.FakeLogger('zun_bulk.guru_meditation'))
        thread = threading.Thread(
            target=guru_meditation.on_signal, args=('zun-compute',)
        )
        thread.start()
        thread.join()
        self.assertIn('Failed to set a handler for SIGUSR2', log.output)
        self.assertIs(signal.SIG_DFL, signal.getsignal(signal.SIGUSR2))

    def test_a_file_instead(self):
        path = os.path.join(self.path, 'asked')
        open(path, 'w').close()
        watch = self.useFixture(
            fixtures.MockPatchObject(
                gmr.TextGuruMeditation, '_setup_file_watcher'
            )
        ).mock
        opts.set_defaults(CONF)
        self.config(group='oslo_reports', file_event_handler=path)
        guru_meditation.on_signal('zun-compute')
        self.assertIs(signal.SIG_DFL, signal.getsignal(signal.SIGUSR2))
        watch.assert_called_once()
