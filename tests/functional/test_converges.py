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

"""What was asked of a bulk comes true, whenever it is asked and what dies."""

import signal

from tests.functional import base
from zun_bulk.states import MemberState


class ConvergesTestCase(base.FunctionalTestCase):
    COUNT = 12
    #: Seconds after which it has to be as it was asked for.
    PATIENCE = 60

    def build(self, part):
        """Ask for a bulk, and wait until a part of it is running."""
        ident = self.create_bulk(self.COUNT)
        self.wait_for(
            'a part of it is running',
            lambda: (
                self.bulk(ident)['members']['running'] >= part * self.COUNT
            ),
        )
        return ident

    def die(self):
        self.lab.kill('zun', signal.SIGKILL)
        self.lab.start_zun()


class TestDeleted(ConvergesTestCase):
    def delete(self, part, kill):
        ident = self.build(part)
        self.ask('DELETE', '/bulks/' + ident, status=202)
        if kill:
            self.die()
        self.wait_for(
            'the bulk is gone',
            lambda: self.lab.request('GET', '/bulks/' + ident)[0] == 404,
            timeout=self.PATIENCE,
        )
        self.assertEqual({}, self.lab.leftovers())

    def test_at_any_time(self):
        for part in (0, 0.5, 1):
            self.delete(part, kill=False)

    def test_at_any_time_and_killed(self):
        for part in (0, 0.25, 0.5, 0.75, 1):
            self.delete(part, kill=True)


class TestCancelled(ConvergesTestCase):
    def cancel(self, part, kill):
        ident = self.build(part)
        # Of one that is finished there is nothing to be cancelled.
        status, answer = self.lab.request('POST', '/bulks/%s/cancel' % ident)
        self.assertIn(status, (202, 409), answer)
        if kill:
            self.die()
        bulk = self.wait_for(
            'nothing of it is under way',
            lambda: self.settled(ident),
            timeout=self.PATIENCE,
        )
        self.assertIn(bulk['status'], ('cancelled', 'ready'))
        # Of what was cancelled nothing is left.
        members = self.members(ident)
        running = {
            'zun-' + member['container_uuid']
            for member in members
            if member['state'] == MemberState.RUNNING
        }
        self.assertEqual(
            {MemberState.RUNNING, MemberState.CANCELLED},
            {member['state'] for member in members}
            | {MemberState.RUNNING, MemberState.CANCELLED},
        )
        self.assertEqual(running, set(self.lab.zun_containers()))
        for found in (self.lab.ports(), self.lab.allocations()):
            self.assertEqual(len(running), len(found))
        self.delete_bulk(ident)

    def settled(self, ident):
        bulk = self.bulk(ident)
        self.assertEqual(self.COUNT, sum(bulk['members'].values()))
        return bulk['status'] not in ('building', 'cancelling') and bulk

    def test_at_any_time(self):
        for part in (0, 0.5, 1):
            self.cancel(part, kill=False)

    def test_at_any_time_and_killed(self):
        for part in (0, 0.25, 0.5, 0.75, 1):
            self.cancel(part, kill=True)


class TestStates(base.FunctionalTestCase):
    def test_add_up_at_any_time(self):
        ident = self.create_bulk(40)
        seen = []
        # As fast as it goes, for as long as they change.
        while True:
            bulk = self.bulk(ident)
            self.assertEqual(40, sum(bulk['members'].values()), bulk)
            if bulk['status'] != 'building':
                break
            seen.append(bulk['members'])
        self.assertEqual('ready', bulk['status'])
        self.assertTrue(any(members['starting'] for members in seen))
        self.assertGreater(len(seen), 20)
