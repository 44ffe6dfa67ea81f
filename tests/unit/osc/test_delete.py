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

import fixtures
from osc_lib import exceptions
import requests

from tests.unit.osc import base
from zun_bulk.osc import delete


class TestDelete(base.CommandTestCase):
    def setUp(self):
        super().setUp()
        self.logs = self.useFixture(fixtures.FakeLogger('zun_bulk.osc'))
        self.url = f'{base.BULKS}/{base.UUID}'

    def requests(self):
        return [
            (request.method, request.url.rpartition('/')[2])
            for request in self.api.request_history
        ]

    def expect(self, name, **values):
        """Mock a bulk that can be deleted; its name is also its UUID."""
        view = dict(base.bulk_view('ready', running=2), uuid=name, **values)
        self.api.get(f'{base.BULKS}/{name}', **base.answer(view))
        self.api.delete(f'{base.BULKS}/{name}', status_code=202)

    def test_several(self):
        for name in ('a', 'b'):
            self.expect(name)
        self.assertEqual('', self.run_command(delete.DeleteBulk, 'a', 'b'))
        self.assertEqual(
            [(method, name) for name in 'ab' for method in ('GET', 'DELETE')],
            self.requests(),
        )
        self.assertEqual(
            'container-bulk 1.0',
            self.api.last_request.headers['OpenStack-API-Version'],
        )

    def test_keeping_their_containers(self):
        self.expect('a')
        self.run_command(delete.DeleteBulk, '--keep-containers', 'a')
        self.assertEqual(
            {'keep_containers': ['true']}, self.api.last_request.qs
        )

    def test_empty_body_of_type_json(self):
        self.expect('a')
        logs = self.useFixture(fixtures.FakeLogger('zunclient'))
        self.api.delete(
            f'{base.BULKS}/a', status_code=202, headers=base.HEADERS
        )
        self.run_command(delete.DeleteBulk, 'a')
        self.assertEqual('', logs.output)

    def test_continues_after_failures(self):
        self.api.get(f'{base.BULKS}/a', **base.error(404, 'No bulk a.'))
        self.expect('b')
        self.api.get(f'{base.BULKS}/c', **base.error(409, 'Two are c.'))
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            delete.DeleteBulk,
            'a',
            'b',
            'c',
        )
        self.assertEqual('Failed to delete 2 of 3 bulks.', str(error))
        self.assertEqual(4, self.api.call_count)
        self.assertIn(
            "Failed to delete bulk 'a': No bulk a. (HTTP 404)",
            self.logs.output,
        )
        self.assertIn(
            "Failed to delete bulk 'c': Two are c. (HTTP 409)",
            self.logs.output,
        )

    def _members(self, *addresses):
        members = [
            {'index': index, 'floating_ip': address}
            for index, address in enumerate(addresses, 1)
        ]
        self.api.get(
            f'{base.BULKS}/a/members',
            **base.answer({'members': members, 'next': None}),
        )

    def test_shows_kept_floating_ips(self):
        for network, pool, on_delete in (
            ('public', 0, 'keep'),
            ('public', 2, 'release'),
            (None, 0, 'release'),
        ):
            self.app.stderr = base.Stream()
            self.expect(
                'a',
                floating_ips={
                    'network': network,
                    'pool': pool,
                    'on_delete': on_delete,
                },
            )
            self._members('172.24.0.2', None)
            self.run_command(delete.DeleteBulk, 'a')
            self.assertEqual(
                'Floating IPs of Bulk load (a) that are disassociated and '
                'kept: 172.24.0.2\n',
                self.progress,
            )

    def test_does_not_show_released_floating_ips(self):
        self.expect(
            'a',
            floating_ips={
                'network': 'public',
                'pool': 0,
                'on_delete': 'release',
            },
        )
        self.run_command(delete.DeleteBulk, 'a')
        self.assertEqual('', self.progress)
        self.run_command(delete.DeleteBulk, '--keep-containers', 'a')
        self.assertEqual('', self.progress)

    def _wait(self, *answers, argv=()):
        self.api.get(
            f'{base.BULKS}/load',
            **base.answer(base.bulk_view('ready', running=3)),
        )
        self.api.delete(self.url, status_code=202)
        self.api.get(self.url, list(answers))
        self.run_command(delete.DeleteBulk, '--wait', *argv, 'load')

    def test_wait(self):
        self._wait(
            base.answer(base.bulk_view('deleting', deleting=3)),
            base.error(503, 'The server is busy.'),
            {'exc': requests.exceptions.ConnectionError},
            base.answer(base.bulk_view('deleting', deleting=1, deleted=2)),
            base.error(404, 'No such bulk.'),
        )
        self.assertEqual(
            [('GET', 'load'), ('DELETE', base.UUID)]
            + [('GET', base.UUID)] * 5,
            self.requests(),
        )
        lines = self.progress.splitlines()
        self.assertEqual('0 of 3 done: deleting 3', lines[0])
        self.assertEqual(f'Bulk load ({base.UUID}) deleted.', lines[-1])

    def test_wait_timeout(self):
        error = self.assertRaises(
            exceptions.CommandError,
            self._wait,
            base.answer(base.bulk_view('deleting', deleting=2, deleted=1)),
            argv=('--wait-timeout', '5'),
        )
        self.assertEqual('Failed to delete 1 of 1 bulks.', str(error))
        self.assertIn('after 5 s: 1 of 3 done', self.progress)
        self.assertAlmostEqual(5, sum(self.clock.naps))

    def test_404_of_another_service(self):
        self._wait(
            {'status_code': 404, 'text': 'Not Found'},
            base.error(404, 'No such bulk.'),
        )
        self.assertEqual(4, self.api.call_count)
        self.assertIn(
            'zun_bulk is not enabled there (HTTP 404); retrying', self.progress
        )

    def test_wait_refused(self):
        self.assertRaises(
            exceptions.CommandError, self._wait, base.error(403, 'Not yours.')
        )
        self.assertIn('Not yours. (HTTP 403)', self.progress)

    def test_wait_for_one_of_two(self):
        self.api.get(f'{base.BULKS}/gone', **base.error(404, 'No bulk.'))
        self.api.get(f'{base.BULKS}/load', **base.answer(base.bulk_view()))
        self.api.delete(self.url, status_code=202)
        self.api.get(self.url, **base.error(404, 'No bulk.'))
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            delete.DeleteBulk,
            '--wait',
            'gone',
            'load',
        )
        self.assertEqual('Failed to delete 1 of 2 bulks.', str(error))
        self.assertIn('deleted.', self.progress)

    def test_interrupt(self):
        def interrupt(seconds):
            raise KeyboardInterrupt

        self.clock.sleep = interrupt
        self.assertRaises(
            KeyboardInterrupt,
            self._wait,
            base.answer(base.bulk_view('deleting', deleting=3)),
        )
        self.assertIn('The deletion continues', self.progress)
