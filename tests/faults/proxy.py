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

"""Proxies that stand between Zun and Docker, or Zun and its broker.

They are what the network does to Zun: real connections, held up, cut or
answered by somebody else.
"""

import json
import os
import socket
import socketserver
import threading
import time


class _Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    daemon_threads = True


class _TcpServer(_Server, socketserver.TCPServer):
    allow_reuse_address = True


class _UnixServer(_Server, socketserver.UnixStreamServer):
    pass


def _connect(address):
    if isinstance(address, str):
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(address)
        return upstream
    return socket.create_connection(address)


class Proxy:
    """Forwards connections, unless it is cut off."""

    def __init__(self, listen, connect):
        """Listen; requests are forwarded from ``start`` on.

        :param listen: (address, port), or the path of a socket.
        :param connect: the same, of the server behind the proxy.
        """
        self._connect_to = connect
        self._through = threading.Event()
        self._through.set()
        if isinstance(listen, str):
            if os.path.exists(listen):
                os.unlink(listen)
            kind = _UnixServer
        else:
            kind = _TcpServer
        self._server = kind(listen, self._handle)

    @property
    def address(self):
        """Where it listens."""
        return self._server.server_address

    def start(self):
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        ).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def part(self):
        """Hold up all there is, as a network that loses every packet."""
        self._through.clear()

    def heal(self):
        """Pass on what was held up."""
        self._through.set()

    def _handle(self, client, _address, _server):
        try:
            with _connect(self._connect_to) as upstream:
                self._serve(client, upstream)
        except OSError:
            # Whoever is asked is not there: the client sees an end.
            pass

    def _serve(self, client, upstream):
        back = threading.Thread(
            target=self._pass_on, args=(upstream, client), daemon=True
        )
        back.start()
        self._pass_on(client, upstream)
        back.join()

    def _pass_on(self, source, sink):
        try:
            while data := source.recv(65536):
                self._through.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _end(source)
            _end(sink)


class DockerProxy(Proxy):
    """Spoils some of the answers of a Docker Engine.

    A connection serves one request, so that each has its chance.

    :ivar rng: chooses; None leaves all answers as they are.
    :ivar part: of the requests that something happens to.
    :ivar counts: {what happened: how often}.
    """

    #: delay: it comes late. lost: it was done, and nobody hears of it. 500:
    #: it was not done. cut: it was done, and half of the answer comes.
    FAULTS = ('delay', 'lost', '500', 'cut')
    #: What never ends, and what has to do with how the engine is.
    _SPARED = (b'/events', b'/_ping', b'/version', b'/info')

    def __init__(self, listen, connect):
        super().__init__(listen, connect)
        self._lock = threading.Lock()
        self.rng = None
        self.part = 0.0
        self.counts = dict.fromkeys(self.FAULTS, 0)

    def _choose(self, path):
        """Return (what is to happen, seconds of a delay)."""
        with self._lock:
            if (
                self.rng is None
                or any(end in path for end in self._SPARED)
                or self.rng.random() >= self.part
            ):
                return None, 0
            fault = self.rng.choice(self.FAULTS)
            self.counts[fault] += 1
            return fault, self.rng.uniform(1, 10)

    def _serve(self, client, upstream):
        head, rest = _read_head(client)
        if not head:
            return
        if b'upgrade' in head.lower():
            upstream.sendall(head + rest)
            super()._serve(client, upstream)
            return
        fault, seconds = self._choose(head.split(b' ', 2)[1])
        if fault == '500':
            _refuse(client)
            return
        if fault == 'delay':
            time.sleep(seconds)
        upstream.sendall(_for_one_request(head) + rest)
        if fault not in ('lost', 'cut'):
            super()._serve(client, upstream)
            return
        threading.Thread(
            target=self._pass_on, args=(client, upstream), daemon=True
        ).start()
        answer = b''.join(iter(lambda: upstream.recv(65536), b''))
        if fault == 'cut':
            client.sendall(answer[: len(answer) // 2])
        _end(client)


def _read_head(client):
    """Return (the head of a request, what came after it)."""
    data = b''
    while b'\r\n\r\n' not in data:
        more = client.recv(65536)
        if not more:
            return b'', b''
        data += more
    head, end, rest = data.partition(b'\r\n\r\n')
    return head + end, rest


def _for_one_request(head):
    lines = [
        line
        for line in head.split(b'\r\n')[:-2]
        if not line.lower().startswith(b'connection:')
    ]
    return b'\r\n'.join([*lines, b'Connection: close', b'', b''])


def _refuse(client):
    body = json.dumps({'message': 'the proxy says no'}).encode()
    client.sendall(
        b'HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n'
        b'Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s'
        % (len(body), body)
    )
    client.shutdown(socket.SHUT_WR)
    # What was not read would have the answer thrown away.
    client.settimeout(5)
    while client.recv(65536):
        pass


def _end(one):
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
