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

"""The proxies, before a server that is real."""

from http import server
import http.client
import random
import socket
import threading

import fixtures
from oslotest import base

from tests.faults import proxy


BODY = b'x' * 1000


class Handler(server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.server.asked.append(self.path)
        self.send_response(201)
        if self.close_connection:
            self.send_header('Connection', 'close')
        self.send_header('Content-Length', str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *args):
        pass


class Chosen(random.Random):
    """Chooses what it is told."""

    def __init__(self, what):
        super().__init__(0)
        self._what = what

    def choice(self, found):
        return self._what


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.host)


def serve(case):
    """Start a server, until the test ends."""
    one = server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    one.daemon_threads = True
    one.asked = []
    threading.Thread(
        target=one.serve_forever, args=(0.05,), daemon=True
    ).start()
    case.addCleanup(one.server_close)
    case.addCleanup(one.shutdown)
    return one


class TestDockerProxy(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.engine = serve(self)
        path = self.useFixture(fixtures.TempDir()).join('proxy.sock')
        self.proxy = proxy.DockerProxy(path, self.engine.server_address)
        self.proxy.start()
        self.addCleanup(self.proxy.stop)
        self.connection = UnixConnection(path)
        self.addCleanup(self.connection.close)

    def ask(self, path='/containers/create'):
        self.connection.request('POST', path, b'body')
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def spoil(self, what):
        self.proxy.rng, self.proxy.part = Chosen(what), 1.0

    def test_passes_on(self):
        for _time in range(3):
            self.assertEqual((201, BODY), self.ask())
        self.assertEqual(3, len(self.engine.asked))

    def test_refused(self):
        self.spoil('500')
        status, _body = self.ask()
        self.assertEqual(500, status)
        self.assertEqual([], self.engine.asked)
        self.assertEqual(1, self.proxy.counts['500'])

    def test_done_and_nobody_hears_of_it(self):
        self.spoil('lost')
        self.assertRaises(http.client.RemoteDisconnected, self.ask)
        self.assertEqual(['/containers/create'], self.engine.asked)

    def test_cut_short(self):
        self.spoil('cut')
        self.assertRaises(http.client.IncompleteRead, self.ask)
        self.assertEqual(['/containers/create'], self.engine.asked)

    def test_late(self):
        sleep = self.useFixture(fixtures.MockPatch('time.sleep')).mock
        self.spoil('delay')
        self.assertEqual((201, BODY), self.ask())
        sleep.assert_called_once()

    def test_how_the_engine_is_can_always_be_asked(self):
        self.spoil('500')
        self.assertEqual((201, BODY), self.ask('/v1.40/info'))

    def test_nobody_is_there(self):
        self.engine.shutdown()
        self.engine.server_close()
        self.assertRaises((OSError, http.client.HTTPException), self.ask)


class TestPartition(base.BaseTestCase):
    def test_comes_through_when_it_is_over(self):
        one = serve(self)
        between = proxy.Proxy(('127.0.0.1', 0), one.server_address)
        between.start()
        self.addCleanup(between.stop)
        connection = http.client.HTTPConnection(*between.address, timeout=30)
        self.addCleanup(connection.close)
        between.part()
        connection.request('POST', '/', b'body')
        connection.sock.settimeout(0.3)
        self.assertRaises(TimeoutError, connection.sock.recv, 1)
        self.assertEqual([], one.asked)
        connection.sock.settimeout(30)
        between.heal()
        self.assertEqual(201, connection.getresponse().status)
