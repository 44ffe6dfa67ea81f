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

import types

import ddt
from oslotest import base

from zun_bulk.db import models
from zun_bulk.pacing import failures
from zun_bulk.pacing.outcome import Outcome


Kind = failures.FailureClass

#: A complete text of Docker or Zun for each row.
TEXTS = (
    (
        Kind.HOST_DOWN,
        'Cannot connect to the Docker daemon at unix:///run/'
        'docker.sock. Is the docker daemon running?',
    ),
    (
        Kind.HOST_DOWN,
        "('Connection aborted.', ConnectionRefusedError(111, "
        "'Connection refused'))",
    ),
    (
        Kind.HOST_DOWN,
        'client version 1.26 is too old. Minimum supported API '
        'version is 1.44',
    ),
    (
        Kind.PERMANENT,
        'Docker internal error: 404 Client Error: Not Found '
        '("No such image: nope:latest").',
    ),
    (Kind.PERMANENT, 'Image nope could not be found. Image not found'),
    (Kind.PERMANENT, 'Image nope not present with pull policy of Never'),
    (
        Kind.PERMANENT,
        'manifest for nope:1 not found: manifest unknown: manifest unknown',
    ),
    (Kind.PERMANENT, 'pull access denied for nope, may require docker login'),
    (Kind.PERMANENT, 'denied: repository does not exist or is private'),
    (Kind.PERMANENT, 'invalid reference format: must be lowercase'),
    (
        Kind.PERMANENT,
        'OCI runtime create failed: runc create failed: unable '
        'to start container process: exec: "nope": executable file not '
        'found in $PATH: unknown',
    ),
    (
        Kind.BUSY,
        'Docker internal error: 500 Server Error for http+docker://localhost/'
        'v1.40/containers/1fe1/start: Internal Server Error ("task 1fe1: '
        'already exists").',
    ),
    (Kind.PERMANENT, 'Your host does not support disk quota feature.'),
    (Kind.PERMANENT, 'Disk size cannot be smaller than the base size'),
    (Kind.PERMANENT, 'Volume 1fe1 belongs to another project now'),
    (
        Kind.HOST_CAPACITY,
        'adding interface veth1 to bridge docker0 failed: exchange full',
    ),
    (
        Kind.HOST_CAPACITY,
        'OCI runtime create failed: unable to join session '
        'keyring: unable to create session key: disk quota exceeded: unknown',
    ),
    (
        Kind.HOST_CAPACITY,
        'error creating overlay mount to /var/lib/docker/'
        'overlay2: no space left on device',
    ),
    (
        Kind.CLAIM,
        'Insufficient compute resources: Free vcpu 0.00 VCPU < requested 1.00 '
        'VCPU.',
    ),
    (
        Kind.OVERLOAD,
        'failed to create task for container: context deadline '
        'exceeded: unknown',
    ),
    (Kind.OVERLOAD, 'ttrpc: server did not start before the time was out'),
    (
        Kind.OVERLOAD,
        'unable to apply cgroup configuration: Connection timed out: dbus',
    ),
    (Kind.OVERLOAD, 'timed out waiting for systemd to create docker-1.scope'),
    (
        Kind.OVERLOAD,
        'fork/exec /usr/bin/containerd-shim: resource temporarily '
        'unavailable: unknown',
    ),
    (Kind.OVERLOAD, 'fork/exec /usr/bin/runc: cannot allocate memory'),
    (Kind.OVERLOAD, 'pipe2: too many open files: unknown'),
    (
        Kind.DEPENDENCY,
        'toomanyrequests: You have reached your pull rate limit.',
    ),
    (Kind.DEPENDENCY, '429 Client Error: Too Many Requests for url'),
    (Kind.DEPENDENCY, '503 Server Error: Service Unavailable for url'),
    (Kind.DEPENDENCY, '502 Server Error: Bad Gateway for url'),
    (Kind.DEPENDENCY, '504 Server Error: Gateway Timeout for url'),
    (Kind.BUSY, 'Another app is currently holding the xtables lock'),
    (Kind.BUSY, 'error removing rootfs: device or resource busy'),
    (Kind.BUSY, 'failed to start shim: ttrpc: closed: unknown'),
    (Kind.BUSY, 'cannot start a stopped process: unknown'),
    (
        Kind.UNKNOWN,
        'UnixHTTPConnectionPool: Read timed out. (read timeout=60)',
    ),
    (
        Kind.UNKNOWN,
        "('Connection broken: ConnectionResetError(104, "
        "'Connection reset by peer')",
    ),
    (Kind.UNKNOWN, "('Connection aborted.', BadStatusLine(''))"),
    (Kind.UNKNOWN, 'Remote end closed connection without response'),
    (Kind.UNKNOWN, 'error during connect: unexpected EOF'),
    (Kind.PERMANENT, 'exec: "/nope": stat /nope: no such file or directory'),
    (Kind.PERMANENT, 'exec: "/etc/passwd": permission denied: unknown'),
    (Kind.PERMANENT, 'mounting "/a" to rootfs at "/b": not a directory'),
    (Kind.OTHER, 'something that nobody has seen before'),
    (Kind.OTHER, ''),
    (Kind.OTHER, None),
)


class TestFailures(base.BaseTestCase):
    def test_texts_of_docker(self):
        for expected, text in TEXTS:
            self.assertIs(expected, failures.classify(text), text)

    def test_each_row_is_met(self):
        met = {failures.find(text) for _kind, text in TEXTS}
        self.assertEqual(set(), set(failures.TABLE) - met)

    def test_texts_are_in_lower_case(self):
        for row in failures.TABLE:
            self.assertEqual(row.text.lower(), row.text)

    def test_its_socket_is_not_the_users_permission(self):
        self.assertIs(
            Kind.HOST_DOWN,
            failures.classify(
                'Cannot connect to the Docker daemon: dial unix '
                '/run/docker.sock: permission denied'
            ),
        )

    def test_only_what_was_asked_for_is_not_tried_again(self):
        self.assertEqual(
            [Kind.PERMANENT], [kind for kind in Kind if not kind.retried]
        )

    def test_what_is_not_the_hosts_fault_does_not_slow_it(self):
        for kind in (Kind.PERMANENT, Kind.DEPENDENCY, Kind.OTHER):
            self.assertIs(Outcome.NEUTRAL, kind.outcome)

    def test_a_full_host_is_told_what_lifts_its_limit(self):
        for row in failures.TABLE:
            self.assertEqual(
                row.failure is Kind.HOST_CAPACITY, bool(row.hint), row
            )


class TestStripWrapping(base.BaseTestCase):
    def test_docker(self):
        self.assertEqual(
            'Docker: failed to create shim task: exec: "/no": stat (no): '
            'no such file or directory: unknown',
            failures.strip_wrapping(
                'Docker internal error: 400 Client Error for http+docker://'
                'localhost/v1.40/containers/41e93fe6/start: Bad Request '
                '("failed to create shim task: exec: "/no": stat (no): no '
                'such file or directory: unknown").'
            ),
        )

    def test_others(self):
        for reason in ('Image x not present', 'host-1: a ("b").'):
            self.assertEqual(reason, failures.strip_wrapping(reason))


@ddt.ddt
class TestWhyPause(base.BaseTestCase):
    def why(self, count=1000, tolerated=0, on_failure='pause', **outcomes):
        """Return why a bulk is paused.

        :param outcomes: numbers by state, or by state__reason_class.
        """
        return failures.pause_reason(
            models.Bulk(
                count=count, tolerated=tolerated, on_failure=on_failure
            ),
            {
                tuple((name.split('__') + [None])[:2]): number
                for name, number in outcomes.items()
            },
            'host-1: no',
            types.SimpleNamespace(max_failed_percent=5, max_failed=10),
        )

    def test_one_that_all_share_is_enough(self):
        why = self.why(placed=900, queued=99, failed__permanent=1)
        self.assertIn('host-1: no', why)

    @ddt.data(
        # Some can be started.
        {'running': 1, 'placed': 1, 'failed__permanent': 1},
        # The user knows and goes on.
        {'placed': 1, 'failed__permanent': 1, 'tolerated': 1},
        # There is nothing to pause.
        {'starting': 1, 'failed__permanent': 99},
        {'placed': 1, 'failed__permanent': 99, 'on_failure': 'continue'},
        # As many as a bulk bears.
        {'placed': 1, 'failed__application': 50},
        {'placed': 1, 'failed__application': 10, 'count': 20},
        # No start failed.
        {'placed': 1, 'failed__capacity': 400},
    )
    def test_goes_on(self, outcomes):
        self.assertIsNone(self.why(**outcomes))

    @ddt.data(
        {'placed': 1, 'failed__application': 51},
        {'placed': 1, 'failed__application': 30, 'failed__transient': 21},
        {'placed': 1, 'failed__application': 11, 'count': 20},
        {'queued': 1, 'failed__application': 81, 'tolerated': 30},
        {'queued': 1, 'failed__permanent': 2, 'tolerated': 1},
    )
    def test_pauses(self, outcomes):
        self.assertIn('host-1: no', self.why(**outcomes))
