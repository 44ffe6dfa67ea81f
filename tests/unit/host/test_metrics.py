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

import random
import socket
import urllib.error
import urllib.request

from oslotest import base
from prometheus_client import parser

from tests import host_reports
from zun_bulk.host import gates
from zun_bulk.host import metrics
from zun_bulk.pacing.adaptive import FixedLimit
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.pacing.pacer import Pacer


def show():
    """What the agent shows of a host that has started two containers."""
    paced = Pacer(FixedLimit(4), random.Random(0))
    for key, seconds, outcome in (
        ('a', 1.0, Outcome.DONE),
        ('b', 3.0, Outcome.DONE),
        ('c', 9.0, Outcome.HARD),
    ):
        paced.started(key, 0)
        paced.finished(key, seconds, outcome)
    paced.started('d', 10)
    idle = Pacer(FixedLimit(2), random.Random(0))
    return host_reports.make_report(
        starts=dict(paced.show(10), waiting=5),
        deletes=dict(idle.show(10), waiting=0),
        held_by={'memory': 'none left', 'operator': 'a new disk'},
        settle={'median': 5.0, 'p95': None},
    )


class TestMetrics(base.BaseTestCase):
    def serve(self, shown=show, address='127.0.0.1'):
        server = metrics.serve(address, 0, shown, 'operator')
        self.addCleanup(server.server_close)
        return 'http://localhost:%d/metrics' % server.server_port

    def read(self, *args):
        """Return {(name, values of labels): value}."""
        with urllib.request.urlopen(self.serve(*args), timeout=10) as answer:
            text = answer.read().decode()
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in parser.text_string_to_metric_families(text)
            for sample in family.samples
        }

    def test_values(self):
        found = self.read()
        for value, *key in (
            (4, 'limit', 'starts'),
            (2, 'limit', 'deletes'),
            (1, 'in_flight', 'starts'),
            (5, 'waiting', 'starts'),
            (17, 'queued'),
            (0, 'deleting'),
            (1, 'held', 'memory'),
            (1, 'held', 'operator'),
            (0, 'held', 'disk'),
            (1, 'breaker', 'closed', 'starts'),
            (0, 'breaker', 'open', 'starts'),
            (2, 'ended_total', 'done', 'starts'),
            (1, 'ended_total', 'hard', 'starts'),
            (0, 'ended_total', 'done', 'deletes'),
            (1, 'seconds', '0.5', 'starts'),
            (3, 'seconds', '0.95', 'starts'),
            (4, 'seconds_sum', 'starts'),
            (2, 'seconds_count', 'starts'),
            (0, 'seconds_count', 'deletes'),
            (5, 'settle_seconds', '0.5'),
        ):
            name, *labels = key
            self.assertEqual(
                value, found['zun_bulk_host_' + name, *sorted(labels)], key
            )
        self.assertNotIn(('zun_bulk_host_seconds', '0.5', 'deletes'), found)
        self.assertNotIn(('zun_bulk_host_settle_seconds', '0.95'), found)

    def test_every_gate_is_there(self):
        found = self.read()
        texts = gates.held(
            gates.Readings(
                memory_available=0,
                memory_total=1,
                bridge_ports=10**6,
                containers=10**6,
                **{
                    share.name: gates.Usage(100, 100)
                    for share in gates._SHARES
                },
            ),
            Everything(),
        )
        self.assertEqual(set(gates.NAMES), set(texts))
        for gate in texts:
            self.assertIn(('zun_bulk_host_held', gate), found)

    def test_nothing_to_show(self):
        def fail():
            raise OSError('secret')

        self.assertEqual({}, self.read(fail))

    def test_a_client_that_says_nothing_is_in_nobodys_way(self):
        url = self.serve()
        port = int(url.split(':')[2].split('/')[0])
        with socket.create_connection(('127.0.0.1', port)):
            with urllib.request.urlopen(url, timeout=5) as answer:
                self.assertEqual(200, answer.status)

    def test_a_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            self.assertIsNone(
                metrics.serve(
                    '127.0.0.1', taken.getsockname()[1], show, 'operator'
                )
            )


class Everything:
    """Limits of one for all gates."""

    def __getattr__(self, name):
        return 1
