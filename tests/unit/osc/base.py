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

import io
import types

import fixtures
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
from oslotest import base
from requests_mock.contrib import fixture as requests_mock_fixture
from zunclient import api_versions
from zunclient.v1 import client as zun_client


# With a prefix, as most deployments have one.
ENDPOINT = 'http://zun.example.org/container/v1'
BULKS = f'{ENDPOINT}/bulks'
UUID = '3f6c8b1e-54a2-4d0e-9f0b-6a8a0b5f2f11'
HEADERS = {
    'OpenStack-API-Version': 'container-bulk 1.0',
    'Content-Type': 'application/json',
    'x-openstack-request-id': 'req-1',
}

STATES = (
    'queued',
    'placed',
    'starting',
    'running',
    'stopped',
    'failed',
    'cancelled',
    'deleting',
    'deleted',
)


def bulk_view(status='building', **members):
    """A bulk as the API shows it; its count is that of the members."""
    members = members or {'queued': 3}
    return {
        'uuid': UUID,
        'name': 'load',
        'project_id': 'project',
        'user_id': 'user',
        'status': status,
        'status_reason': None,
        'count': sum(members.values()),
        'run': True,
        'max_attempts': 5,
        'on_failure': 'pause',
        'client_token': 'token-1',
        'placement': {'policy': 'spread'},
        'template': {'image': 'busybox', 'name': 'load-{index}'},
        'members': {state: members.get(state, 0) for state in STATES},
        'hosts': {'host-1': {'running': 2}, 'host-2': {'running': 1}},
        'failures': [],
        'created_at': '2026-01-02T03:04:05+00:00',
        'updated_at': None,
        'finished_at': None,
        'links': [{'rel': 'self', 'href': f'{BULKS}/{UUID}'}],
    }


def member_view(index, **values):
    """A member as the API shows it."""
    return {
        'index': index,
        'name': f'load-{index}',
        'container_uuid': f'uuid-{index}',
        'state': 'running',
        'host': 'host-1',
        'floating_ip': '172.24.0.2',
        'floating_ip_state': 'bound',
        'floating_ip_reason': None,
        'attempt': 1,
        'reason_class': None,
        'reason': None,
        'addresses': ['10.0.0.5', 'fd00::5'],
        'created_at': 'c',
        'updated_at': 'u',
        'started_at': 's',
        'finished_at': 'f',
        **values,
    }


def error(status, detail, title='Bad luck'):
    """Return keywords of requests_mock for an error of the bulk API."""
    return {
        'status_code': status,
        'headers': HEADERS,
        'json': {
            'errors': [
                {
                    'request_id': 'req-1',
                    'code': 'container.error',
                    'status': status,
                    'title': title,
                    'detail': detail,
                    'links': [],
                }
            ]
        },
    }


def answer(body, status=200):
    """Return keywords of requests_mock for a response of the bulk API."""
    return {'status_code': status, 'headers': HEADERS, 'json': body}


class Stream(io.StringIO):
    """A stream that a command writes to."""

    terminal = False

    def isatty(self):
        return self.terminal


class Clock:
    """A clock that advances only while the code sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.naps = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds


class CommandTestCase(base.BaseTestCase):
    """Runs commands with the real client against mocked responses."""

    def setUp(self):
        super().setUp()
        self.api = self.useFixture(requests_mock_fixture.Fixture())
        self.clock = Clock()
        for module in ('client', 'delete', 'waiter'):
            self.useFixture(
                fixtures.MonkeyPatch(f'zun_bulk.osc.{module}.time', self.clock)
            )
        container = zun_client.Client(
            session=session.Session(
                auth=token_endpoint.Token(ENDPOINT, 'token')
            ),
            api_version=api_versions.APIVersion('1.40'),
        )
        self.app = types.SimpleNamespace(
            client_manager=types.SimpleNamespace(container=container),
            stdout=Stream(),
            stderr=Stream(),
        )

    def run_command(self, command, *argv):
        """Run a command.

        :param command: its class
        :returns: what it wrote to standard output
        """
        self.app.stdout = Stream()
        command = command(self.app, None)
        parsed_args = command.get_parser('bulk').parse_args(argv)
        self.assertEqual(0, command.run(parsed_args))
        return self.app.stdout.getvalue()

    @property
    def output(self):
        return self.app.stdout.getvalue()

    @property
    def progress(self):
        return self.app.stderr.getvalue()
