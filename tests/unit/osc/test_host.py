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

import json

from osc_lib import exceptions

from tests import host_reports
from tests.unit.osc import base
from zun_bulk.osc import client
from zun_bulk.osc import host


HOSTS = f'{base.ENDPOINT}/bulk_hosts'
CUT = {'ago': 125.0, 'why': 'overload'}


def host_view(name='host-1', **values):
    """A host as the API shows it."""
    starts = host_reports.make_paced(
        waiting=1, per_second=1.25, p95=2.0, last_cut=CUT
    )
    pace = host_reports.make_report(
        starts=starts,
        deletes=dict(starts, last_cut=None, median=None),
        settle={'median': 5.04, 'p95': 5.5},
    )
    return host_reports.make_view(name, **{'pace': pace, **values})


UNKNOWN = {'state': 'unknown', 'source': None, 'age': None, 'pace': None}


class HostTestCase(base.CommandTestCase):
    def table(self, command, *argv):
        """Run a command; return the cells of its table."""
        return [
            [cell.strip() for cell in line.split('|')[1:-1]]
            for line in self.run_command(command, *argv).splitlines()
            if '|' in line
        ]


class TestList(HostTestCase):
    def list(self, *hosts):
        self.api.get(HOSTS, **base.answer({'hosts': hosts, 'next': None}))

    def test_table(self):
        self.list(
            host_view(),
            host_view('host-2', state='held'),
            host_view('host-3', **UNKNOWN),
        )
        rows = self.table(host.ListBulkHost)
        self.assertEqual(
            [
                'host',
                'state',
                'limit',
                'in_flight',
                'queued',
                'starts_per_second',
                'median',
                'p95',
                'last_cut',
            ],
            rows[0],
        )
        self.assertEqual(
            [
                'host-1',
                'ok',
                '4',
                '3',
                '17',
                '1.2',
                '0.8',
                '2.0',
                '2 min ago: overload',
            ],
            rows[1],
        )
        self.assertEqual(['host-2', 'held'], rows[2][:2])
        self.assertEqual(['host-3', 'unknown'], rows[3][:2])
        self.assertEqual({'None', ''}, set(rows[3][2:]))

    def test_json_keeps_numbers(self):
        self.list(host_view())
        (row,) = json.loads(self.run_command(host.ListBulkHost, '-f', 'json'))
        self.assertEqual(
            (1.25, 0.84, CUT),
            (row['starts_per_second'], row['median'], row['last_cut']),
        )

    def test_pages(self):
        following = f'{HOSTS}?limit=1&marker=host-1'
        self.list()
        self.api.get(
            HOSTS, **base.answer({'hosts': [host_view()], 'next': following})
        )
        self.api.get(
            following,
            **base.answer({'hosts': [host_view('host-2')], 'next': None}),
        )
        self.assertEqual(
            ['host-1', 'host-2'],
            [row[0] for row in self.table(host.ListBulkHost)[1:]],
        )


class TestShow(HostTestCase):
    def show(self, view, *argv):
        self.api.get(f'{HOSTS}/host-1', **base.answer(view))
        return self.table(host.ShowBulkHost, 'host-1', *argv)

    def test_table(self):
        view = host_view(state='held', held=True, hold_reason='disk')
        view['pace']['held_by'] = {'operator': 'disk', 'memory': 'none left'}
        rows = self.show(view)
        for row in (
            ['state', 'held'],
            ['hold_reason', 'disk'],
            ['held_by', 'memory: none left'],
            ['', 'operator: disk'],
            ['source', 'live'],
            ['queued', '17'],
            ['starts_limit', '4'],
            ['starts_waiting', '1'],
            ['starts_breaker', 'closed'],
            ['starts_p95', '2.0'],
            ['starts_last_cut', '2 min ago: overload'],
            ['deletes_in_flight', '3'],
            ['deletes_median', ''],
            ['settle_median', '5.0'],
        ):
            self.assertIn(row, rows)

    def test_host_without_report(self):
        rows = self.show(host_view(**UNKNOWN))
        for row in (
            ['state', 'unknown'],
            ['source', 'None'],
            ['age', ''],
            ['starts_limit', 'None'],
        ):
            self.assertIn(row, rows)

    def test_missing(self):
        self.api.get(
            f'{HOSTS}/host-9', **base.error(404, 'host-9 was not found')
        )
        error = self.assertRaises(
            client.ApiError, self.run_command, host.ShowBulkHost, 'host-9'
        )
        self.assertIn('host-9 was not found', str(error))

    def test_name_is_quoted(self):
        self.api.get(f'{HOSTS}/a%2Fb', **base.answer(host_view('a/b')))
        self.assertIn('a/b', self.run_command(host.ShowBulkHost, 'a/b'))


class TestSet(HostTestCase):
    def set(self, *argv):
        """Run the command; return the request body."""
        self.api.patch(f'{HOSTS}/host-1', **base.answer(host_view()))
        self.run_command(host.SetBulkHost, 'host-1', *argv)
        return self.api.last_request.json()

    def test_request(self):
        for body, *argv in (
            ({'held': True, 'hold_reason': 'disk'}, '--hold', 'disk'),
            ({'held': False}, '--release'),
            ({'max_in_flight': 0}, '--max-in-flight', '0'),
            (
                {'mode': 'fixed', 'start_interval': 0.5},
                '--mode',
                'fixed',
                '--start-interval',
                '.5',
            ),
            (
                {'mode': None, 'max_in_flight': None, 'start_interval': None},
                '--reset',
            ),
            (
                {'mode': None, 'max_in_flight': 4, 'start_interval': None},
                '--reset',
                '--max-in-flight',
                '4',
            ),
        ):
            self.assertEqual(body, self.set(*argv))

    def test_invalid_values(self):
        for argv in (
            ('--hold', 'disk', '--release'),
            ('--mode', 'fast'),
            ('--max-in-flight', '-1'),
            ('--max-in-flight', '1.5'),
            ('--start-interval', 'inf'),
            ('--start-interval', 'nan'),
            ('--hold',),
        ):
            self.assertRaises(SystemExit, self.set, *argv)

    def test_nothing(self):
        error = self.assertRaises(exceptions.CommandError, self.set)
        self.assertIn('--release', str(error))

    def test_refused(self):
        self.api.patch(
            f'{HOSTS}/host-1',
            **base.error(400, 'Invalid input for max_in_flight: 999'),
        )
        error = self.assertRaises(
            client.ApiError,
            self.run_command,
            host.SetBulkHost,
            'host-1',
            '--max-in-flight',
            '999',
        )
        self.assertIn('max_in_flight', str(error))


class TestFormatAge(HostTestCase):
    def test_units(self):
        self.assertEqual(
            ['5 s', '2 min', '3 h', '4 d'],
            [host._format_age(seconds) for seconds in (5, 125, 10800, 345600)],
        )
