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

"""Placement in a process of its own: its WSGI application on SQLite.

OS_PLACEMENT_CONFIG_DIR is the folder of its configuration.
"""

import argparse
import socketserver
from wsgiref import simple_server

from placement import wsgi


class Server(simple_server.WSGIServer):
    """One request at a time: SQLite has one writer."""

    request_queue_size = 512

    def server_bind(self):
        # HTTPServer would ask the resolver for the name of the host.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address
        self.setup_environ()


class Handler(simple_server.WSGIRequestHandler):
    def address_string(self):
        return self.client_address[0]

    def log_message(self, *_args):
        """Placement writes a log of its own."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--port', type=int, required=True)
    args = parser.parse_args()
    server = Server(('127.0.0.1', args.port), Handler)
    server.set_app(wsgi.init_application())
    server.serve_forever()


if __name__ == '__main__':
    main()
