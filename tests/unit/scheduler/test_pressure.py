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

from unittest import mock

from oslotest import base

from tests import database
from tests import host_reports
from zun_bulk.consts import OPERATOR
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import models
from zun_bulk.scheduler import filters
from zun_bulk.scheduler import pressure
from zun_bulk.scheduler.filters import host_pressure


def row(name='host-1', held=False, held_reason=None, **report):
    return models.Host(
        host=name,
        held=held,
        held_reason=held_reason,
        report=host_reports.make_report(**report) if report else None,
    )


class TestFind(base.BaseTestCase):
    def why(self, **kwargs):
        return pressure.find([row(**kwargs)]).get('host-1')

    def test_nothing_holds_it(self):
        self.assertIsNone(self.why())
        for breaker in ('closed', 'half-open'):
            starts = host_reports.make_paced(breaker=breaker)
            self.assertIsNone(self.why(starts=starts))

    def test_its_operator(self):
        self.assertEqual(
            'held by its operator: new disk',
            self.why(held=True, held_reason='new disk'),
        )

    def test_its_operator_has_let_go(self):
        # Its agent has not said so yet.
        self.assertIsNone(self.why(held_by={OPERATOR: 'new disk'}))

    def test_gates(self):
        self.assertEqual(
            'no memory; too many mounts',
            self.why(
                held_by={'mounts': 'too many mounts', 'memory': 'no memory'}
            ),
        )

    def test_its_breaker(self):
        starts = host_reports.make_paced(breaker='open')
        self.assertIn('engine', self.why(starts=starts))


class TestFilter(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        host_pressure.pressed.invalidate()
        self.addCleanup(host_pressure.pressed.invalidate)
        db_hosts.add_host('host-1')
        db_hosts.change_host(
            db_hosts.get_host('host-1'), held=True, held_reason='full'
        )

    def passing(self):
        hosts = [mock.Mock(hostname='host-%d' % n) for n in (1, 2)]
        return [
            host.hostname
            for host in host_pressure.HostPressureFilter().filter_all(
                hosts, mock.Mock(uuid='uuid'), {}
            )
        ]

    def test_leaves_out_what_is_held(self):
        self.assertEqual(['host-2'], self.passing())

    def test_reads_once_for_a_burst(self):
        with mock.patch.object(
            db_hosts, 'list_hosts', side_effect=db_hosts.list_hosts
        ) as reads:
            for _time in range(10):
                self.passing()
        self.assertEqual(1, reads.call_count)


class TestLoading(base.BaseTestCase):
    def test_all_that_are_registered(self):
        found = mock.Mock(plugin=host_pressure.HostPressureFilter)
        filters._filters.cache_clear()
        self.addCleanup(filters._filters.cache_clear)
        with mock.patch(
            'stevedore.extension.ExtensionManager', return_value=[found]
        ) as manager:
            for _time in range(2):
                self.assertEqual(
                    [host_pressure.HostPressureFilter], filters.all_filters()
                )
        manager.assert_called_once_with('zun_bulk.scheduler.filters')
