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

"""Bulks that are made larger and smaller."""

import signal

from tests.functional import base


class TestScale(base.FunctionalTestCase):
    def scale(self, ident, status=202, **body):
        return self.ask('POST', '/bulks/%s/scale' % ident, body, status=status)

    def wait_for_running(self, ident, indexes):
        """Wait until a bulk is ready, and see that it is these and no more."""
        bulk = self.wait_for_end(ident)
        self.assertEqual('ready', bulk['status'], bulk)
        self.assertEqual(len(indexes), bulk['count'])
        members = self.members(ident)
        self.assertEqual(
            list(indexes), [member['index'] for member in members]
        )
        for member in members:
            self.assert_running(member)
            self.assertEqual('web-%d' % member['index'], member['name'])
        uuids = {member['container_uuid'] for member in members}
        self.assertEqual(
            {'zun-' + uuid for uuid in uuids}, set(self.lab.zun_containers())
        )
        self.assertEqual(uuids, self.lab.allocations())
        self.assertEqual(uuids, set(self.lab.ports().values()))
        self.assertEqual(
            (len(uuids),),
            self.lab.rows('SELECT count(*) FROM zun_bulk_member')[0],
        )
        return {
            member['index']: (member['container_uuid'], member['started_at'])
            for member in members
        }

    def create(self, count):
        return self.create_bulk(
            count, name='web', template=self.template(name='web-{index}')
        )

    def wait_for_some(self, ident, state='running', number=1):
        self.wait_for(
            '%d are %s' % (number, state),
            lambda: self.bulk(ident)['members'][state] >= number,
        )

    def test_up_when_ready_and_down(self):
        ident = self.create(10)
        before = self.wait_for_running(ident, range(1, 11))
        self.assertEqual('building', self.scale(ident, count=20)['status'])
        after = self.wait_for_running(ident, range(1, 21))
        # Those that ran were left alone.
        self.assertEqual(before, {i: after[i] for i in range(1, 11)})

        bulk = self.scale(ident, count=5)
        self.assertEqual((5, 'building'), (bulk['count'], bulk['status']))
        self.assertEqual(5, sum(bulk['members'].values()))
        kept = self.wait_for_running(ident, range(1, 6))
        self.assertEqual(kept, {i: before[i] for i in range(1, 6)})

        # Numbers are not used again.
        self.scale(ident, count=6)
        self.wait_for_running(ident, [1, 2, 3, 4, 5, 21])

    def test_up_while_it_builds(self):
        ident = self.create(10)
        self.wait_for_some(ident, 'starting')
        self.scale(ident, count=20)
        self.wait_for_running(ident, range(1, 21))

    def test_down_while_it_builds(self):
        ident = self.create(20)
        self.wait_for_some(ident, 'starting')
        # Starting ones among them.
        starting = self.members(ident, '?state=starting')
        self.scale(ident, indexes=[member['index'] for member in starting])
        left = [member['index'] for member in self.members(ident)]
        self.assertEqual(20 - len(starting), len(left))
        self.scale(ident, count=5)
        self.wait_for_running(ident, left[:5])

    def test_by_indexes(self):
        ident = self.create(5)
        before = self.wait_for_running(ident, range(1, 6))
        self.scale(ident, indexes=[4, 2])
        after = self.wait_for_running(ident, [1, 3, 5])
        self.assertEqual(after, {i: before[i] for i in (1, 3, 5)})

    def test_again_is_no_matter(self):
        ident = self.create(4)
        self.wait_for_running(ident, range(1, 5))
        for body, indexes in (
            ({'count': 6}, range(1, 7)),
            ({'count': 3}, range(1, 4)),
            ({'indexes': [2, 5]}, [1, 3]),
        ):
            # The second may come before the first is done, the third after.
            for _time in range(2):
                self.scale(ident, **body)
            self.wait_for_running(ident, indexes)
            self.assertEqual('ready', self.scale(ident, **body)['status'])

    def test_up_and_down_and_up_at_once(self):
        ident = self.create(10)
        for count in (14, 3, 8, 2, 6):
            self.scale(ident, count=count)
        self.wait_for_running(ident, [1, 2, 20, 21, 22, 23])

    def test_paused_and_resumed(self):
        ident = self.create(12)
        self.wait_for_some(ident, 'starting')
        self.ask('POST', '/bulks/%s/pause' % ident, status=202)
        self.assertEqual('paused', self.scale(ident, count=6)['status'])
        self.wait_for(
            'the others are gone',
            lambda: (
                self.lab.rows('SELECT count(*) FROM zun_bulk_member') == [(6,)]
            ),
        )
        self.assertEqual('paused', self.scale(ident, count=8)['status'])
        self.ask('POST', '/bulks/%s/resume' % ident, status=202)
        self.wait_for_running(ident, [1, 2, 3, 4, 5, 6, 13, 14])

    def test_not_to_nothing_and_not_on_its_way_out(self):
        ident = self.create(2)
        error = self.scale(ident, status=400, count=0)['errors'][0]
        self.assertIn('for count: 0 is less', error['detail'])
        self.wait_for_running(ident, [1, 2])
        self.ask('DELETE', '/bulks/' + ident, status=202)
        status, _answer = self.lab.request(
            'POST', '/bulks/%s/scale' % ident, {'count': 5}
        )
        # It may be gone already.
        self.assertIn(status, (404, 409))

    def test_deleted_while_it_is_scaled_down(self):
        ident = self.create(10)
        self.wait_for_some(ident)
        self.scale(ident, count=4)
        self.delete_bulk(ident)
        self.assertEqual({}, self.lab.leftovers())

    def test_zun_killed_while_it_is_scaled(self):
        ident = self.create(10)
        self.wait_for_running(ident, range(1, 11))
        for count, wanted in (
            (4, lambda: len(self.lab.zun_containers()) <= 8),
            (12, lambda: len(self.lab.zun_containers()) >= 6),
        ):
            self.scale(ident, count=count)
            self.wait_for('some are done', wanted)
            self.lab.kill('zun', signal.SIGKILL)
            self.lab.start_zun()
            self.wait_for_end(ident)
        self.wait_for_running(ident, [1, 2, 3, 4, *range(11, 19)])
