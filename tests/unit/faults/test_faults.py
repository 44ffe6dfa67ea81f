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
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
from unittest import mock

import fixtures
from oslotest import base

from tests.faults import history
from tests.faults import points


REPOSITORY = pathlib.Path(__file__).parents[3]


SAMPLE = """
import sqlalchemy as sa

engine = sa.create_engine('{url}')

def make(name):
    with engine.begin() as connection:
        insert = sa.text('INSERT INTO made VALUES (:name)')
        connection.execute(insert, {{'name': name}})
"""


class TestTrigger(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = self.folder / 'order'
        self.trigger = points.Trigger(self.file)
        self.kill = self.useFixture(fixtures.MockPatch('os.kill')).mock

    def order(self, **order):
        written = self.folder / 'new'
        written.write_text(json.dumps(order))
        written.rename(self.file)

    def test_nothing_is_asked_for(self):
        self.trigger.reached('a')
        self.kill.assert_not_called()

    def test_points_are_recorded(self):
        self.order(record=str(self.folder / 'record'))
        for point in 'aba':
            self.trigger.reached(point)
        self.assertEqual('a\nb\na\n', (self.folder / 'record').read_text())

    def test_the_signal_comes_once(self):
        self.order(point='a', hit=2, signal='SIGKILL')
        for point in 'abb':
            self.trigger.reached(point)
        self.kill.assert_not_called()
        self.trigger.reached('a')
        self.kill.assert_called_once_with(mock.ANY, signal.SIGKILL)
        for _time in range(5):
            self.trigger.reached('a')
        self.kill.assert_called_once()

    def test_messages_are_lost(self):
        self.assertFalse(self.trigger.drops('wake'))
        self.order(drop=0.3, seed=1)
        self.assertTrue(self.trigger.drops('wake'))
        lost = [self.trigger.drops('container_create') for _n in range(1000)]
        self.assertAlmostEqual(300, lost.count(True), delta=60)
        self.order(drop=0, seed=1)
        self.assertFalse(self.trigger.drops('container_create'))
        self.assertTrue(self.trigger.drops('wake'))

    def test_the_clock_is_wrong_for_a_while(self):
        self.order(point='a', hit=1, clock=-600, seconds=5)
        self.assertEqual(0, self.trigger.clock.wrong())
        self.trigger.reached('a')
        self.kill.assert_not_called()
        self.assertEqual(-600, self.trigger.clock.wrong())
        later = time.monotonic() + 6
        self.useFixture(
            fixtures.MockPatch('time.monotonic', return_value=later)
        )
        self.assertEqual(0, self.trigger.clock.wrong())

    def test_it_is_told_of_another_order(self):
        self.order(point='a', hit=1, signal='SIGKILL')
        self.file.unlink()
        self.trigger.reached('a')
        self.kill.assert_not_called()


class TestInstalled(base.BaseTestCase):
    """In a process of its own, as in a lab."""

    def test_a_process_dies_before_its_effect(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        order = folder / 'order'
        made = sqlite3.connect(folder / 'db')
        self.addCleanup(made.close)
        made.execute('CREATE TABLE made (name text)')
        package = folder / 'zun_bulk'
        package.mkdir()
        (package / '__init__.py').touch()
        (package / 'sample.py').write_text(
            SAMPLE.format(url='sqlite:///%s' % (folder / 'db'))
        )
        for name, when, left in (
            ('one', 'before', []),
            ('two', 'after', ['two']),
        ):
            order.write_text(
                json.dumps(
                    {
                        'point': 'zun_bulk.sample.make COMMIT ' + when,
                        'hit': 1,
                        'signal': 'SIGKILL',
                    }
                )
            )
            ended = subprocess.run(
                [
                    sys.executable,
                    '-c',
                    'from zun_bulk import sample; sample.make("%s")' % name,
                ],
                cwd=folder,
                env={
                    'PYTHONPATH': '%s:%s'
                    % (folder, REPOSITORY / 'tests' / 'faults' / 'site'),
                    points.VARIABLE: str(order),
                },
                timeout=60,
            )
            self.assertEqual(-signal.SIGKILL, ended.returncode)
            self.assertEqual(
                left, [name for (name,) in made.execute('SELECT * FROM made')]
            )


class TestHistory(base.BaseTestCase):
    FOREIGN = history.World(
        {'id-f': 'zun-f'}, {'port-f': 'f'}, {'f'}, {'f'}, {'fip-f': 'f'}
    )

    def world(self, *uuids):
        return history.World(
            {**self.FOREIGN.docker, **{'id-' + u: 'zun-' + u for u in uuids}},
            {**self.FOREIGN.ports, **{'port-' + u: u for u in uuids}},
            {*self.FOREIGN.allocations, *uuids},
            {*self.FOREIGN.containers, *uuids},
            {**self.FOREIGN.floating_ips, **{'fip-' + u: u for u in uuids}},
        )

    def check(self, world, states, wanted=2):
        found = history.Findings()
        members = [
            {'container_uuid': uuid, 'state': state, 'reason': 'why'}
            for uuid, state in states.items()
        ]
        bulk = {'members': {}, 'floating_ips': {}}
        history.check_bulk(found, bulk, members, wanted, world, self.FOREIGN)
        return {kind: number for kind, number in found.items() if number}

    RUNNING = {'a': 'running', 'b': 'running'}

    def test_all_is_well(self):
        self.assertEqual({}, self.check(self.world('a', 'b'), self.RUNNING))

    def test_one_does_not_run(self):
        self.assertEqual(
            {'lost': 1, 'restart_errors': 1, 'orphans': 4},
            self.check(self.world('a', 'b'), {'a': 'running', 'b': 'failed'}),
        )

    def test_one_is_not_there(self):
        world = self.world('a', 'b')
        del world.docker['id-b']
        self.assertEqual({'lost': 1}, self.check(world, self.RUNNING))

    def test_a_port_too_many(self):
        world = self.world('a', 'b')
        world.ports['another'] = 'b'
        self.assertEqual({'duplicate': 1}, self.check(world, self.RUNNING))

    def test_a_floating_ip_too_few(self):
        world = self.world('a', 'b')
        del world.floating_ips['fip-b']
        self.assertEqual({'lost': 1}, self.check(world, self.RUNNING))

    def test_a_floating_ip_that_is_bound_to_nothing(self):
        world = self.world('a', 'b')
        world.floating_ips['another'] = None
        self.assertEqual({'orphans': 1}, self.check(world, self.RUNNING))

    def test_a_claim_too_many(self):
        world = self.world('a', 'b')
        world.allocations.add('c')
        self.assertEqual({'orphans': 1}, self.check(world, self.RUNNING))

    def test_a_cancelled_one_left_something(self):
        self.assertEqual(
            {'orphans': 4},
            self.check(
                self.world('a', 'b'),
                {'a': 'running', 'b': 'cancelled'},
                wanted=None,
            ),
        )

    def test_others_were_touched(self):
        world = self.world('a', 'b')
        del world.ports['port-f']
        del world.docker['id-f']
        self.assertEqual(
            {'foreign_touched': 2}, self.check(world, self.RUNNING)
        )

    def test_something_is_left(self):
        found = history.Findings()
        history.check_gone(found, self.world('a'), self.FOREIGN)
        self.assertEqual(5, found['orphans'])
        found = history.Findings()
        history.check_gone(found, self.FOREIGN, self.FOREIGN)
        self.assertFalse(any(found.values()))
