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

"""What a dry run says is what a create then does, and it does nothing."""

import collections
import signal
import sqlite3
import urllib.parse

from tests.functional import base
from tests.functional import test_filters
from tests.lab.embedded import lab as embedded
from zun_bulk.consts import PlacementPolicy


#: Containers that the host is to have.
MOST = 5


class TestDryRun(test_filters.FilterTestCase):
    @staticmethod
    def conf(lab):
        return {'zun_bulk_scheduler': {'max_containers_per_host': MOST}}

    def body(self, count, policy='spread', partial=False):
        return {
            'count': count,
            'template': self.template(),
            'placement': {'policy': policy, 'allow_partial': partial},
        }

    def dry_run(self, *args, user='admin', status=200):
        body = dict(self.body(*args), dry_run=True)
        return self.ask('POST', '/bulks', body, user=user, status=status)

    def create_as(self, *args):
        """Create a bulk. Returns it, and its members' states, at its end."""
        ident = self.ask('POST', '/bulks', self.body(*args), status=202)[
            'uuid'
        ]
        bulk = self.wait_for_end(ident)
        states = collections.Counter(
            member['state'] for member in self.members(ident)
        )
        return bulk, states

    def contents(self):
        """{table: number of rows} of Zun and Placement, and the ports."""
        found = {'ports': self.lab.ports()}
        for name in ('zun', 'placement'):
            path = self.lab.root / 'data' / (name + '.sqlite')
            connection = sqlite3.connect('file:%s?mode=ro' % path, uri=True)
            tables = connection.execute(
                'SELECT name FROM sqlite_master WHERE type = \'table\''
            ).fetchall()
            for (table,) in tables:
                ((found[name, table],),) = connection.execute(
                    'SELECT count(*) FROM "%s"' % table
                ).fetchall()
            connection.close()
        return found

    def test_create_does_what_it_says(self):
        for policy in PlacementPolicy.ALL:
            said = self.dry_run(8, policy, True)
            bulk, states = self.create_as(8, policy, True)
            self.assertEqual(
                (said['fits'], said['missing']),
                (states['running'], states['failed']),
                (policy, said, bulk),
            )
            self.assertEqual(
                {
                    host['host']: host['members']
                    for host in said['hosts']
                    if host['members']
                },
                {
                    host: states['running']
                    for host, states in (bulk['hosts'] or {}).items()
                    if 'running' in states
                },
            )
            [failure] = bulk['failures']
            self.assertIn(said['explanation'], failure['reason'])
            self.delete_bulk(bulk['uuid'])

    def test_all_or_none(self):
        said = self.dry_run(8)
        self.assertEqual((MOST, 8 - MOST), (said['fits'], said['missing']))
        self.assertEqual(
            '5 of 8 fit: containers on host-1', said['explanation']
        )
        bulk, states = self.create_as(8)
        self.assertEqual({'failed': 8}, dict(states), bulk)
        self.assertEqual({}, self.lab.zun_containers())
        said = self.dry_run(MOST)
        self.assertEqual((MOST, 0), (said['fits'], said['missing']))
        bulk, states = self.create_as(MOST)
        self.assertEqual({'running': MOST}, dict(states), bulk)

    def test_what_is_there_counts(self):
        self.create_as(3)
        said = self.dry_run(3)
        self.assertEqual((2, 1), (said['fits'], said['missing']))
        [host] = said['hosts']
        self.assertEqual(
            ('host-1', 'nova', 2, 2, 'containers'),
            tuple(
                host[key]
                for key in ('host', 'zone', 'members', 'room', 'bound_by')
            ),
        )
        self.create_as(2)
        said = self.dry_run(3)
        self.assertEqual(
            '0 of 3 fit: ContainerDensityFilter on host-1', said['explanation']
        )

    def test_nothing_is_written(self):
        # The first of a project makes rows of it, in Placement too.
        self.create_as(1)
        before = self.contents()
        for user in ('admin', 'demo'):
            for policy in PlacementPolicy.ALL:
                self.dry_run(8, policy, user=user)
        self.assertEqual(before, self.contents())

    def test_a_user_sees_no_hosts(self):
        said = self.dry_run(8, user='demo')
        self.assertEqual('5 of 8 fit', said['explanation'])
        self.assertNotIn('host-1', str(said))

    def test_placement_is_down(self):
        self.addCleanup(self.dry_run, 1)
        self.addCleanup(self.start_placement)
        self.lab.kill('placement', signal.SIGTERM)
        answer = self.dry_run(1, status=503)
        self.assertIn(
            'Placement or Keystone is not available',
            answer['errors'][0]['detail'],
        )

    def start_placement(self):
        url = urllib.parse.urlsplit(self.lab.placement_url)
        self.lab._start_placement(url.port)
        embedded.wait_for(
            'Placement knows the host', base.shared_lab().inventory
        )
