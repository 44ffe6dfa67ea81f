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

"""Hosts as operators see and set them."""

import datetime
from unittest import mock

import fixtures
from oslo_utils import fixture as time_fixture
from zun import objects
from zun.common import context as zun_context

from tests import host_reports
from tests.unit.api import base
from zun_bulk.api.handlers import host as handler
from zun_bulk.db import hosts as db_hosts


CUT = {'ago': 10.0, 'why': 'overload'}
PACE = host_reports.make_report(starts=host_reports.make_paced(last_cut=CUT))


class HostsTestCase(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.clock = self.useFixture(
            time_fixture.TimeFixture(datetime.datetime(2026, 1, 2, 3, 4, 5))
        )
        db_hosts.add_host('host-1')
        self.service = objects.ZunService(
            zun_context.get_admin_context(),
            host='host-1',
            binary='zun-compute',
            availability_zone='nova',
        )
        self.service.create()
        self.service.report_state_up()
        self.get_pace = self.useFixture(
            fixtures.MockPatch('zun_bulk.rpc.get_pace', return_value=PACE)
        ).mock
        self.tell = self.useFixture(
            fixtures.MockPatch('zun_bulk.rpc.tell_host')
        ).mock

    def show(self, **kwargs):
        return self.request(
            '/v1/bulk_hosts/host-1', roles='admin', status=200, **kwargs
        ).json

    def list(self):
        return self.request('/v1/bulk_hosts', roles='admin', status=200).json[
            'hosts'
        ]

    def patch(self, status=200, **body):
        return self.request(
            '/v1/bulk_hosts/host-1',
            'PATCH',
            body,
            roles='admin',
            status=status,
        ).json

    def told(self):
        return [
            call.args[1:] + (call.kwargs,) for call in self.tell.call_args_list
        ]


class TestShow(HostsTestCase):
    def test_live(self):
        self.assertEqual(
            {
                'host': 'host-1',
                'state': 'ok',
                'held': False,
                'hold_reason': None,
                'mode': None,
                'max_in_flight': None,
                'start_interval': None,
                'updated_at': None,
                'source': 'live',
                'age': 0.0,
                'pace': PACE,
                'links': [
                    {
                        'rel': 'self',
                        'href': 'http://localhost/v1/bulk_hosts/host-1',
                    }
                ],
            },
            self.show(),
        )
        self.assertEqual('host-1', self.get_pace.call_args.args[1])

    def test_the_last_report_where_there_is_no_answer(self):
        db_hosts.report_host('host-1', dict(PACE, queued=9))
        self.clock.advance_time_seconds(90)
        self.get_pace.side_effect = RuntimeError('no broker')
        shown = self.show()
        self.assertEqual(
            ('unknown', 'report', 90.0, 9, 100.0),
            (
                shown['state'],
                shown['source'],
                shown['age'],
                shown['pace']['queued'],
                shown['pace']['starts']['last_cut']['ago'],
            ),
        )
        self.assertNotIn('no broker', str(shown))
        self.assertIn('no broker', self.log.output)

    def test_neither_an_answer_nor_a_report(self):
        self.get_pace.side_effect = RuntimeError('no broker')
        shown = self.show()
        self.assertEqual(
            ('unknown', None, None, None),
            tuple(shown[name] for name in ('state', 'source', 'age', 'pace')),
        )

    def test_states(self):
        for state, pace in (
            ('held', dict(PACE, held_by={'memory': 'none left'})),
            (
                'breaker open',
                dict(PACE, starts=dict(PACE['starts'], breaker='open')),
            ),
            (
                'ok',
                dict(PACE, starts=dict(PACE['starts'], breaker='half-open')),
            ),
        ):
            self.get_pace.return_value = pace
            self.assertEqual(state, self.show()['state'])

    def test_a_name_with_dots(self):
        db_hosts.add_host('compute-1.example.org')
        shown = self.request(
            '/v1/bulk_hosts/compute-1.example.org', roles='admin', status=200
        ).json
        self.assertEqual('compute-1.example.org', shown['host'])


class TestList(HostsTestCase):
    def test_asks_no_host(self):
        db_hosts.report_host('host-1', PACE)
        (shown,) = self.list()
        self.assertEqual(
            ('ok', 'report', 17),
            (shown['state'], shown['source'], shown['pace']['queued']),
        )
        self.get_pace.assert_not_called()

    def test_a_host_that_is_down(self):
        db_hosts.report_host('host-1', PACE)
        self.clock.advance_time_seconds(3600)
        (shown,) = self.list()
        self.assertEqual(('unknown', 3600.0), (shown['state'], shown['age']))

    def test_a_clock_that_is_ahead(self):
        db_hosts.report_host('host-1', PACE)
        self.clock.advance_time_seconds(-5)
        self.assertEqual(0.0, self.list()[0]['age'])


class TestUpdate(HostsTestCase):
    def test_hold_and_release(self):
        self.patch(held=True, hold_reason='disk')
        row = db_hosts.get_host('host-1')
        self.assertEqual(
            (True, 'disk', 1), (row.held, row.held_reason, row.epoch)
        )
        self.assertEqual([('host-1', 'hold', {'reason': 'disk'})], self.told())
        self.patch(held=False)
        row = db_hosts.get_host('host-1')
        self.assertEqual(
            (False, None, 2), (row.held, row.held_reason, row.epoch)
        )
        self.assertEqual(('host-1', 'release', {}), self.told()[-1])

    def test_a_hold_goes_before_what_was_reported(self):
        db_hosts.report_host(
            'host-1', dict(PACE, held_by={'operator': 'old', 'disk': 'full'})
        )
        self.assertEqual(
            {'disk': 'full'}, self.patch(held=False)['pace']['held_by']
        )
        db_hosts.report_host('host-1', dict(PACE, held_by={'operator': 'old'}))
        shown = self.patch(held=False)
        self.assertEqual(
            ('ok', {}), (shown['state'], shown['pace']['held_by'])
        )
        shown = self.patch(held=True, hold_reason='new')
        self.assertEqual(
            ('held', {'operator': 'new'}),
            (shown['state'], shown['pace']['held_by']),
        )

    def test_a_hold_without_a_reason_takes_no_old_one(self):
        self.patch(held=True, hold_reason='disk')
        self.assertIsNone(self.patch(held=True)['hold_reason'])

    def test_released_for_a_reason(self):
        self.patch(held=True)
        error = self.patch(held=False, hold_reason='why', status=400)
        self.assertIn('hold_reason', error['errors'][0]['detail'])
        self.assertTrue(db_hosts.get_host('host-1').held)

    def test_only_what_is_given_changes(self):
        self.patch(mode='fixed', max_in_flight=0)
        self.patch(start_interval=30, held=True)
        self.patch(mode=None)
        row = db_hosts.get_host('host-1')
        self.assertEqual(
            (None, 0, 30.0, True),
            (row.mode, row.max_in_flight, row.start_interval, row.held),
        )
        self.assertEqual(
            [
                ('set_pace', {'mode': 'fixed', 'max_in_flight': 0}),
                ('hold', {'reason': None}),
                ('set_pace', {'start_interval': 30}),
                ('set_pace', {'mode': None}),
            ],
            [told[1:] for told in self.told()],
        )

    def test_another_change_at_the_same_time(self):
        seen = [db_hosts.get_host('host-1')]
        db_hosts.change_host(seen[0], mode='fixed')
        find = handler._find
        with mock.patch.object(
            handler,
            '_find',
            side_effect=lambda name: seen.pop() if seen else find(name),
        ):
            shown = self.patch(held=True)
        self.assertEqual(('fixed', True), (shown['mode'], shown['held']))

    def test_others_change_it_all_the_time(self):
        with mock.patch.object(db_hosts, 'change_host', return_value=False):
            error = self.patch(held=True, status=409)
        self.assertIn('try again', error['errors'][0]['detail'])
        self.assertEqual([], self.told())

    def test_the_host_cannot_be_told(self):
        self.tell.side_effect = RuntimeError('no broker')
        self.assertTrue(self.patch(held=True)['held'])

    def test_numbers_beyond_all_bounds(self):
        for field, value in (
            ('max_in_flight', -1),
            ('max_in_flight', 1.5),
            ('max_in_flight', True),
            ('max_in_flight', 10**30),
            ('start_interval', -0.1),
            ('start_interval', 3600.1),
            ('held', None),
            ('held', 'true'),
            ('hold_reason', 'x' * 256),
            ('hold_reason', 7),
            ('mode', ['fixed']),
        ):
            error = self.patch(**{field: value}, status=400)
            self.assertIn(field, error['errors'][0]['detail'])
        self.request(
            '/v1/bulk_hosts/host-1',
            'PATCH',
            b'{"start_interval": 1e999}',
            roles='admin',
            status=400,
        )

    def test_a_reason_that_not_every_database_takes(self):
        shown = self.patch(held=True, hold_reason='\U0001f525 \ud800 disk')
        self.assertEqual('? ? disk', shown['hold_reason'])
