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

from tests.unit.osc import base
from zun_bulk.osc import bulks


class TestShow(base.CommandTestCase):
    def show(self, view, *argv):
        self.api.get(f'{base.BULKS}/load', **base.answer(view))
        return self.run_command(bulks.ShowBulk, 'load', *argv)

    def test_json_is_the_view(self):
        view = base.bulk_view('error', running=3, failed=1)
        view['failures'] = [{'class': 'image', 'reason': 'none', 'count': 1}]
        self.assertEqual(view, json.loads(self.show(view, '-f', 'json')))

    def test_table(self):
        view = base.bulk_view('error', running=3, failed=2)
        view['failures'] = [
            {'class': 'image', 'reason': 'no such image', 'count': 1},
            {'class': 'start', 'reason': None, 'count': 1},
        ]
        view['template']['nets'] = []
        rows = [
            [cell.strip() for cell in line.split('|')[1:3]]
            for line in self.show(view).splitlines()
            if '|' in line
        ]
        for row in (
            ['status_reason', 'None'],
            ['members', 'running=3, failed=2'],
            ['hosts', 'host-1: running=2'],
            ['', 'host-2: running=1'],
            ['placement', "policy='spread'"],
            ['template', 'image=busybox'],
            ['', 'name=load-{index}'],
            ['failures', '1 × image: no such image'],
            ['', '1 × start: no reason given'],
        ):
            self.assertIn(row, rows)
        self.assertNotIn(['', 'nets=[]'], rows)

    def test_rates(self):
        view = base.bulk_view('ready', running=3, failed=1)
        view['own_fields'] = ['name', 'labels']
        view['rates'] = {
            'start': '2026-01-02T03:04:05Z',
            'end': '2026-01-02T03:04:10Z',
            'step': 2,
            'running': [0, 3, 0],
            'stopped': [0, 0, 0],
            'failed': [0, 0, 1],
        }
        text = self.show(view, '--rate-window', '60')
        self.assertEqual(
            f'{base.BULKS}/load?rate_window=60', self.api.last_request.url
        )
        self.assertEqual(
            'container-bulk 1.1',
            self.api.last_request.headers['OpenStack-API-Version'],
        )
        rows = [
            [cell.strip() for cell in line.split('|')[1:3]]
            for line in text.splitlines()
            if '|' in line
        ]
        for row in (
            ['own_fields', 'labels, name'],
            ['rates', '2026-01-02T03:04:07Z  1.5/s  running=3'],
            # The last step is as long as there was time.
            ['', '2026-01-02T03:04:09Z  1.0/s  failed=1'],
        ):
            self.assertIn(row, rows)
        self.assertNotIn('03:04:05Z  0', text)

    def test_requests_the_first_version(self):
        self.show(base.bulk_view())
        self.assertEqual(
            'container-bulk 1.0',
            self.api.last_request.headers['OpenStack-API-Version'],
        )
        self.assertEqual(f'{base.BULKS}/load', self.api.last_request.url)

    def test_missing(self):
        self.api.get(
            f'{base.BULKS}/load',
            **base.error(404, 'Bulk load could not be found.'),
        )
        error = self.assertRaises(
            exceptions.CommandError, self.run_command, bulks.ShowBulk, 'load'
        )
        self.assertEqual(
            'Bulk load could not be found. (HTTP 404) (Request-ID: req-1)',
            str(error),
        )

    def test_name_is_quoted(self):
        self.api.get(f'{base.BULKS}/a%2Fb%3F', **base.answer(base.bulk_view()))
        self.assertIn(base.UUID, self.run_command(bulks.ShowBulk, 'a/b?'))


class TestList(base.CommandTestCase):
    def list(self, *argv, pages=None):
        pages = pages or [
            {
                'bulks': [base.bulk_view('ready', running=2, failed=1)],
                'next': None,
            }
        ]
        self.api.get(base.BULKS, [base.answer(page) for page in pages])
        return json.loads(
            self.run_command(bulks.ListBulk, '-f', 'json', *argv)
        )

    def queries(self):
        return [request.query for request in self.api.request_history]

    def test_columns(self):
        self.assertEqual(
            [
                {
                    'uuid': base.UUID,
                    'name': 'load',
                    'status': 'ready',
                    'count': 3,
                    'running': 2,
                    'failed': 1,
                    'created_at': '2026-01-02T03:04:05+00:00',
                }
            ],
            self.list(),
        )
        self.assertEqual([''], self.queries())

    def test_long(self):
        (row,) = self.list('--long')
        self.assertEqual(2, row['members']['running'])
        self.assertEqual(
            {
                'uuid',
                'name',
                'status',
                'count',
                'running',
                'failed',
                'created_at',
                'status_reason',
                'members',
                'project_id',
                'user_id',
                'updated_at',
                'finished_at',
            },
            set(row),
        )

    def test_filters(self):
        self.list(
            '--status',
            'ready',
            '--name',
            'a b',
            '--all-projects',
            '--marker',
            base.UUID,
            '--sort-key',
            'name',
            '--sort-dir',
            'desc',
        )
        self.assertEqual(
            {
                'status': ['ready'],
                'name': ['a b'],
                'all_projects': ['1'],
                'marker': [base.UUID],
                'sort_key': ['name'],
                'sort_dir': ['desc'],
            },
            self.api.last_request.qs,
        )

    def test_follows_next(self):
        pages = [
            {
                'bulks': [base.bulk_view()] * 2,
                'next': f'{base.BULKS}?status=ready&marker=m{n}',
            }
            for n in range(2)
        ]
        pages.append({'bulks': [base.bulk_view()], 'next': None})
        self.assertEqual(5, len(self.list('--status', 'ready', pages=pages)))
        self.assertEqual(
            [
                'status=ready',
                'status=ready&marker=m0',
                'status=ready&marker=m1',
            ],
            self.queries(),
        )

    def test_next_behind_another_prefix(self):
        pages = [
            {
                'bulks': [base.bulk_view()],
                'next': 'http://10.0.0.1:9517/v1/bulks?marker=m',
            },
            {'bulks': [], 'next': None},
        ]
        self.assertEqual(1, len(self.list(pages=pages)))
        self.assertEqual(f'{base.BULKS}?marker=m', self.api.last_request.url)

    def test_limit_ends_it(self):
        pages = [
            {
                'bulks': [base.bulk_view()] * 3,
                'next': f'{base.BULKS}?limit=3&marker=m',
            }
        ]
        self.assertEqual(3, len(self.list('--limit', '3', pages=pages)))
        self.assertEqual(['limit=3'], self.queries())

    def test_limit_beyond_a_page(self):
        pages = [
            {
                'bulks': [base.bulk_view()] * 3,
                'next': f'{base.BULKS}?limit=5&marker=m',
            }
        ] * 2
        self.assertEqual(5, len(self.list('--limit', '5', pages=pages)))
        self.assertEqual(2, len(self.queries()))

    def test_none(self):
        self.assertEqual([], self.list(pages=[{'bulks': [], 'next': None}]))

    def test_refused(self):
        self.api.get(base.BULKS, **base.error(403, 'Not for you.'))
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            bulks.ListBulk,
            '--all-projects',
        )
        self.assertIn('Not for you. (HTTP 403)', str(error))

    def test_not_enabled(self):
        self.api.get(base.BULKS, status_code=404, text='Not Found')
        error = self.assertRaises(
            exceptions.CommandError, self.run_command, bulks.ListBulk
        )
        self.assertIn('zun_bulk is not enabled', str(error))
