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

import functools
from http import server
import json
import os
import pty
import signal
import subprocess
import sys
import threading

from oslotest import base

from tests.unit.osc import base as osc_base


SHELL = 'import sys; from openstackclient import shell; sys.exit(shell.main())'

#: Seconds for a command that takes two on a machine that has nothing else
#: to do.
TIMEOUT = 300


class Api(server.ThreadingHTTPServer):
    """A bulk API that shows one bulk, in given states.

    :ivar views: what each GET answers; the last one for ever
    :ivar asked: set at the first GET
    """

    daemon_threads = True

    def __init__(self, *views):
        super().__init__(('127.0.0.1', 0), Handler)
        self.views = list(views)
        self.asked = threading.Event()
        self.posted = None

    @property
    def url(self):
        return 'http://127.0.0.1:%d/v1' % self.server_port


class Handler(server.BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers['Content-Length'])
        self.server.posted = json.loads(self.rfile.read(length))
        self._answer(202, osc_base.bulk_view())

    def do_GET(self):
        views = self.server.views
        self._answer(200, views.pop(0) if len(views) > 1 else views[0])
        self.server.asked.set()

    def _answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in osc_base.HEADERS.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class TestShell(base.BaseTestCase):
    """The commands as openstack itself runs them."""

    def start(self, *views, stderr=subprocess.PIPE):
        """Start a create that waits for a bulk; the API shows these views."""
        self.api = Api(*views)
        self.addCleanup(self.api.server_close)
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.addCleanup(self.api.shutdown)
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith('OS_')
            and not name.lower().endswith('_proxy')
        }
        # No proxy of the machine and no clouds.yaml of the user.
        environ['HOME'] = self.create_tempfiles([('nothing', '')])[0]
        process = subprocess.Popen(
            [
                sys.executable,
                '-c',
                SHELL,
                '--os-auth-type',
                'admin_token',
                '--os-token',
                'token',
                '--os-endpoint',
                self.api.url,
                '--os-container-api-version',
                '1.40',
                'appcontainer',
                'bulk',
                'create',
                '-f',
                'json',
                '--count',
                '3',
                '--wait',
                'busybox',
                'sleep',
                '600',
            ],
            env=environ,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            # Who runs the tests in the background may ignore it.
            preexec_fn=functools.partial(
                signal.signal, signal.SIGINT, signal.SIG_DFL
            ),
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def test_failure(self):
        view = osc_base.bulk_view('error', running=2, failed=1)
        view['failures'] = [
            {'class': 'image', 'reason': 'none such', 'count': 1}
        ]
        process = self.start(view)
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        self.assertEqual(1, process.returncode)
        self.assertEqual(view, json.loads(stdout))
        self.assertEqual('1 × image: none such', stderr.splitlines()[-1])

    def test_interrupt(self):
        process = self.start(osc_base.bulk_view())
        self.assertTrue(self.api.asked.wait(TIMEOUT))
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        self.assertEqual(130, process.returncode, stderr)
        self.assertEqual('', stdout)
        self.assertIn('openstack appcontainer bulk show', stderr)
        self.assertNotIn('Traceback', stderr)

    def test_terminal(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        view = osc_base.bulk_view('ready', running=3)
        process = self.start(
            osc_base.bulk_view(queued=1, running=2), view, stderr=theirs
        )
        os.close(theirs)
        stdout, _stderr = process.communicate(timeout=TIMEOUT)
        text = os.read(ours, 65536).decode()
        self.assertEqual(0, process.returncode, text)
        self.assertEqual(view, json.loads(stdout))
        self.assertEqual(
            ['sleep', '600'], self.api.posted['template']['command']
        )
        self.assertIn('\r[#', text)
        self.assertIn('] 3/3', text)
        self.assertIn('3 of 3 containers running', text)
