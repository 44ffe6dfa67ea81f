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

import argparse
import collections
from unittest import mock

import fixtures
from oslotest import base

from tests.bench import e2e
from tests.bench import exceptions
from tests.bench import loads
from tests.bench import measure
from tests.bench import verify


class TestStall(base.BaseTestCase):
    def test_only_after_standing_still(self):
        now = [0.0]
        watch = loads.Stall(10, clock=lambda: now[0])
        for when, value, stalled in (
            (0, 1, False),
            (10, 1, False),
            (11, 2, False),
            (21, 2, False),
            (22, 2, True),
            (23, 3, False),
        ):
            now[0] = when
            self.assertEqual(stalled, watch.stalled(value), when)


class Engine:
    """Remembers what it was asked."""

    def __init__(self, status=200):
        self.status, self.asked = status, []

    def call(self, method, path, body=None):
        self.asked.append((method, path, body))
        return self.status, {'message': 'no such image'}


class TestRaw(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        for name, value in (
            ('LAB_HOSTS', '1 2'),
            ('LAB_IMAGE', 'busy:1'),
            ('LAB_NETWORK', 'net-id'),
        ):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        self.engines = collections.defaultdict(Engine)
        patcher = mock.patch.object(
            loads.labapi.Docker, 'of_host', lambda host: self.engines[host]
        )
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_spread_and_steps(self):
        load = loads.Raw(1, 'none')
        load.run(5)
        self.assertEqual(5, len(load.names))
        self.assertEqual({}, load.reasons)
        creates = {
            host: [path for method, path, body in engine.asked if body]
            for host, engine in self.engines.items()
        }
        self.assertEqual(3, len(creates['host-1']))
        self.assertEqual(2, len(creates['host-2']))
        # Each is started and inspected after it was made.
        methods = [method for method, *_ in self.engines['host-2'].asked]
        self.assertEqual(['POST', 'POST', 'GET'] * 2, methods)

    def test_network(self):
        for net, mode in (('none', 'none'), ('kuryr', 'net-id')):
            self.engines.clear()
            loads.Raw(1, net).run(1)
            _method, _path, body = self.engines['host-1'].asked[0]
            self.assertEqual(mode, body['HostConfig']['NetworkMode'])

    def test_refused(self):
        self.engines['host-1'] = Engine(status=404)
        load = loads.Raw(2, 'none')
        load.run(4)
        self.assertEqual([2], list(load.reasons.values()))
        self.assertIn('no such image', list(load.reasons)[0])
        self.assertEqual(2, len(self.engines['host-1'].asked))


class Zun:
    """Answers with what it is given, one after the other."""

    token = 'token'

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def request(self, method, path, body=None):
        self.asked.append((method, path, body))
        return self.answers.pop(0)

    def members(self, uuid):
        return [
            {'container_uuid': 'a', 'state': 'running', 'reason': None},
            {'container_uuid': 'b', 'state': 'failed', 'reason': 'no'},
        ]


class TestBulk(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        for name in ('LAB_IMAGE', 'LAB_NETWORK'):
            self.useFixture(fixtures.EnvironmentVariable(name, 'x'))
        sleep = mock.patch.object(loads.time, 'sleep')
        sleep.start()
        self.addCleanup(sleep.stop)

    def bulk(self, *answers):
        zun = Zun(*answers)
        patcher = mock.patch.object(
            loads.labapi, 'Zun', lambda token=None: zun
        )
        patcher.start()
        self.addCleanup(patcher.stop)
        return loads.Bulk(), zun

    def test_run_until_finished(self):
        bulk, zun = self.bulk(
            (202, {'uuid': 'u'}),
            (200, {'status': 'building', 'members': {'queued': 2}}),
            (200, {'status': 'error', 'members': {'running': 1}}),
        )
        bulk.run(2)
        self.assertEqual([], zun.answers)
        self.assertEqual({'zun-a', 'zun-b'}, bulk.names)
        self.assertEqual({'failed: no': 1}, bulk.reasons)
        self.assertEqual(2, zun.asked[0][2]['count'])
        self.assertIn('{index}', zun.asked[0][2]['template']['name'])

    def test_refused(self):
        bulk, _zun = self.bulk((403, 'quota'))
        error = self.assertRaises(exceptions.BenchError, bulk.run, 2)
        self.assertEqual('403 quota', str(error))

    def test_clear_waits_until_it_is_gone(self):
        bulk, zun = self.bulk(
            (202, {'uuid': 'u'}),
            (202, ''),
            (200, {'members': {'deleting': 1}}),
            (404, ''),
        )
        bulk.create(1)
        bulk.names = {'zun-a'}
        with mock.patch.object(verify, 'wait_until_gone') as gone:
            bulk.clear()
        gone.assert_called_once_with({'zun-a'})
        self.assertEqual([], zun.answers)
        self.assertEqual(('DELETE', '/bulks/u', None), zun.asked[1])


class TestMeasure(base.BaseTestCase):
    def measure(self, started, **found):
        """Measure a load that began at 100 and was told of at 107."""
        load = mock.Mock(names={'a'}, label='bulk', size=1, reasons={})
        verified = mock.Mock(
            **{
                'last_start': started,
                'hosts': {'host-1': 1},
                'reasons': {},
                'ids': ['id'],
                'pids': [1],
                **found,
            }
        )
        seconds = [
            {'machine': 10.0, 'neutron': 1.0},
            {'machine': 14.0, 'neutron': 1.5, 'shims': 0.25},
        ]
        pinned = mock.Mock()
        with mock.patch.multiple(
            measure,
            cpu_seconds=lambda ids=(): seconds.pop(0),
            lab=mock.Mock(),
            verify=mock.Mock(verify=mock.Mock(return_value=verified)),
            time=mock.Mock(time=mock.Mock(side_effect=[100.0, 107.0])),
        ):
            run = measure.measure(load, 'bulk', 1, 5.0, pinned)
        load.clear.assert_called_once_with()
        pinned.check.assert_called_once_with(verified.pids)
        return run

    def test_clock_stops_at_the_last_verified_start(self):
        run = self.measure(104.0)
        self.assertEqual(4.0, run.seconds)
        self.assertEqual(7.0, run.told)
        self.assertTrue(run.pinned)
        self.assertEqual(
            {'machine': 4.0, 'neutron': 0.5, 'shims': 0.25}, run.cpu
        )

    def test_nothing_verified(self):
        run = self.measure(None, hosts={}, reasons={'gone': 1})
        self.assertIsNone(run.seconds)
        self.assertEqual({'gone': 1}, run.reasons)


class TestNumbers(base.BaseTestCase):
    def test_list(self):
        self.assertEqual([1, 4, 8], e2e.numbers('1,4,8'))

    def test_zero(self):
        self.assertRaises(argparse.ArgumentTypeError, e2e.numbers, '0,1')
