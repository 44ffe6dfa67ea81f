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

"""What the emulators have in common: HTTP on a TCP or unix socket.

An emulator is a class with a table of routes and a method for each. It keeps
its state in memory, is served by a thread a connection, and runs in the
process that made it or, by ``run``, in one of its own.
"""

import argparse
import collections
import http.client
import http.server
import json
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import time
import urllib.parse


class Response(Exception):
    """An answer; it may be returned, or raised to end a request early.

    :param status: HTTP status.
    :param body: text, bytes, or anything that JSON can express; None is an
        empty body. An iterator of bytes is sent chunk by chunk.
    """

    def __init__(self, status, body=None, headers=None):
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = {
            'Content-Type': 'text/plain'
            if isinstance(body, str)
            else 'application/json',
            **(headers or {}),
        }

    def encode(self):
        """Make the body bytes, unless it is an iterator."""
        body = self.body
        if body is None:
            self.body = b''
        elif isinstance(body, str):
            self.body = body.encode()
        elif isinstance(body, dict | list):
            self.body = json.dumps(body).encode()


class Dropped(Exception):
    """Close the connection without an answer."""


class Request:
    def __init__(self, method, target, headers, body):
        url = urllib.parse.urlsplit(target)
        self.method = method
        self.path = url.path
        self.query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        self.headers = headers
        self.body = body

    def argument(self, name, default=None):
        """The last value of an argument of the query."""
        return self.query.get(name, [default])[-1]

    def flag(self, name):
        return self.argument(name, '').lower() in ('1', 'true')

    def json(self):
        """The body; an empty one is {}. Raises ValueError."""
        return json.loads(self.body) if self.body.strip() else {}


class Fault:
    """Something to go wrong with the next ``count`` calls of an operation.

    :param operation: the method's name of a route, as GET /_emulator counts
        them.
    :param kind: ``error`` answers ``status`` and ``message`` and does
        nothing; ``delay`` takes ``seconds`` longer; ``drop`` does its work
        and closes the connection without an answer. An emulator may know
        more kinds.
    :param name: regular expression that the name of what is acted on must
        match.
    :param every: only each so-manieth of these calls goes wrong.
    """

    def __init__(
        self,
        operation,
        kind='error',
        count=1,
        status=500,
        message='',
        seconds=0.0,
        exit_code=1,
        name='',
        every=1,
    ):
        self.operation = operation
        self.kind = kind
        self.count = count
        self.status = status
        self.message = message
        self.seconds = seconds
        self.exit_code = exit_code
        self.name = name
        self.every = every
        self._calls = 0

    def takes(self, operation, name):
        """Whether this call goes wrong. To be asked once of each."""
        if (
            self.count < 1
            or self.operation != operation
            or re.search(self.name, name) is None
        ):
            return False
        self._calls += 1
        return self._calls % self.every == 0


class Emulator:
    """The base of the emulators.

    :cvar ROUTES: (method, regular expression of the path, method's name); the
        expression's groups are the method's arguments after the request.
    """

    NAME = None
    FAULTS = ('error', 'delay', 'drop')
    CONTROL_ROUTES = (
        ('GET', '/_emulator', 'status'),
        ('POST', '/_emulator/faults', 'order_fault'),
        ('DELETE', '/_emulator/faults', 'clear_faults'),
        ('POST', '/_emulator/refuse', 'refuse'),
    )
    ROUTES = ()

    def __init__(self):
        self.lock = threading.RLock()
        self.calls = collections.Counter()
        self.faults = []
        self.server = None

    def handle(self, request):
        """Return the Response to a Request. Raises Response, Dropped."""
        name, groups = self._find_route(request, self.CONTROL_ROUTES)
        if name:
            with self.lock:
                return getattr(self, name)(request, *groups)
        name, groups = self._find_route(self.prepare(request), self.ROUTES)
        if name is None:
            raise self.error(404, 'page not found')
        with self.lock:
            self.calls[name] += 1
            fault = self._take_fault(name, self.subject(name, request, groups))
        kind = fault.kind if fault else None
        if kind == 'delay':
            time.sleep(fault.seconds)
        self.work(name)
        if kind == 'error':
            raise self.error(fault.status, fault.message)
        with self.lock:
            response = self.perform(name, request, groups, fault)
            # What it shows may change as soon as the lock is free.
            response.encode()
        if kind == 'drop':
            raise Dropped
        return response

    @staticmethod
    def _find_route(request, routes):
        for method, pattern, name in routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                return name, [
                    urllib.parse.unquote(group) for group in match.groups()
                ]
        return None, None

    def _take_fault(self, operation, subject):
        for fault in self.faults:
            if fault.takes(operation, subject):
                fault.count -= 1
                return fault

    # What an emulator may replace.

    def prepare(self, request):
        """Look at a request before its route is looked for."""
        return request

    def subject(self, _name, _request, groups):
        """Return the name that a fault's expression is matched with."""
        return groups[0] if groups else ''

    def work(self, name):
        """Take the time that an operation takes."""

    def perform(self, name, request, groups, _fault):
        return getattr(self, name)(request, *groups)

    def error(self, status, message):
        """Return a Response with an error in this service's shape."""
        return Response(status, {'message': message})

    # Control.

    def status(self, _request):
        return Response(
            200,
            {
                'name': self.NAME,
                'calls': dict(self.calls),
                'faults': [vars(fault) for fault in self.faults],
            },
        )

    def order_fault(self, request):
        """Take the arguments of a Fault."""
        try:
            fault = Fault(**request.json())
        except (TypeError, ValueError) as problem:
            raise Response(400, str(problem)) from problem
        if fault.kind not in self.FAULTS:
            raise Response(400, 'kind is one of %s' % ', '.join(self.FAULTS))
        self.faults.append(fault)
        return Response(201)

    def clear_faults(self, _request):
        self.faults.clear()
        return Response(204)

    def refuse(self, request):
        """Refuse connections for ``seconds``, as when it is down."""
        self.server.refuse(request.json()['seconds'])
        return Response(204)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    # Head and body go in one packet; two would wait for each other.
    wbufsize = -1
    emulator = None

    def answer(self):
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(length)
        try:
            response = self.emulator.handle(
                Request(self.command, self.path, self.headers, body)
            )
        except Response as early:
            response = early
        except Dropped:
            self.close_connection = True
            return
        except Exception as error:
            response = Response(500, {'message': repr(error)})
        self.send(response)

    do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = answer

    def send(self, response):
        response.encode()
        streamed = not isinstance(response.body, bytes)
        bodiless = response.status in (204, 304)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if streamed:
            self.send_header('Transfer-Encoding', 'chunked')
        elif not bodiless:
            self.send_header('Content-Length', str(len(response.body)))
        self.end_headers()
        if streamed:
            self.send_chunks(response.body)
        elif self.command != 'HEAD' and not bodiless:
            self.wfile.write(response.body)

    def send_chunks(self, chunks):
        self.wfile.flush()
        for chunk in chunks:
            self.wfile.write(b'%x\r\n%s\r\n' % (len(chunk), chunk))
            self.wfile.flush()
        self.wfile.write(b'0\r\n\r\n')

    def address_string(self):
        return 'client'

    def log_message(self, *_args):
        """Say nothing."""


class _TCPServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def server_bind(self):
        # HTTPServer would ask the resolver for the name of the host.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request, client_address):
        """A client that went away is no news; the rest is."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _UnixServer(_TCPServer):
    address_family = socket.AF_UNIX


class Server:
    """Serves an emulator.

    :param address: ``unix:///path`` or ``http://host:port``; port 0 takes
        a free one.
    :ivar url: the address with the port that was taken.
    """

    def __init__(self, emulator, address='http://127.0.0.1:0'):
        self.emulator = emulator
        self.url = address
        self._handler = type(
            'BoundHandler', (Handler,), {'emulator': emulator}
        )
        self._server = None
        self._thread = None
        emulator.server = self

    def start(self):
        url = urllib.parse.urlsplit(self.url)
        if url.scheme == 'unix':
            if os.path.exists(url.path):
                os.unlink(url.path)
            self._server = _UnixServer(url.path, self._handler)
        else:
            self._server = _TCPServer((url.hostname, url.port), self._handler)
            self.url = 'http://%s:%d' % self._server.server_address[:2]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        url = urllib.parse.urlsplit(self.url)
        if url.scheme == 'unix' and os.path.exists(url.path):
            os.unlink(url.path)

    def refuse(self, seconds):
        """Refuse connections for a while, as a stopped service does."""

        def pause():
            self.stop()
            time.sleep(seconds)
            self.start()

        threading.Thread(target=pause, daemon=True).start()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__('localhost', timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(address, method, path, body=None, headers=None, timeout=60):
    """Send one request to ``unix:///path`` or ``http://host:port``.

    :returns: (status, answer, headers); the answer is text where it is no
        JSON, and None where there is none.
    :raises: OSError, http.client.HTTPException.
    """
    url = urllib.parse.urlsplit(address)
    if url.scheme == 'unix':
        connection = _UnixConnection(url.path, timeout)
    else:
        connection = http.client.HTTPConnection(
            url.hostname, url.port, timeout=timeout
        )
    data = None if body is None else json.dumps(body)
    try:
        connection.request(
            method,
            url.path + path if url.scheme != 'unix' else path,
            data,
            {'Content-Type': 'application/json', **(headers or {})},
        )
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    try:
        answer = json.loads(text) if text else None
    except ValueError:
        answer = text
    return response.status, answer, dict(response.headers)


def argument_parser(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        '--listen',
        default='http://127.0.0.1:0',
        help='unix:///PATH or http://HOST:PORT',
    )
    return parser


def run(emulator, address):
    """Serve until SIGTERM or SIGINT. Prints the address once it answers."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_args: ended.set())
    server = Server(emulator, address)
    server.start()
    print(server.url, flush=True)
    ended.wait()
    server.stop()
