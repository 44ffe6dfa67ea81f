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

"""What goes wrong at the engine, and what a bulk makes of it."""

import signal
import time

from tests.functional import base


class FailureTestCase(base.FunctionalTestCase):
    def order(self, operation, kind='error', **fault):
        self.lab.control(
            'POST', '/faults', {'operation': operation, 'kind': kind, **fault}
        )

    def calls(self, operation):
        return self.lab.control('GET', '')['calls'].get(operation, 0)

    def assert_all_running(self, ident, count):
        """And the engine has nothing else."""
        members = super().assert_all_running(ident, count)
        self.assertEqual(
            {'zun-' + member['container_uuid'] for member in members},
            set(self.lab.zun_containers()),
        )
        return members


class TestStarts(FailureTestCase):
    def test_a_passing_failure_is_tried_again(self):
        self.order(
            'container_start',
            count=2,
            status=500,
            message='context deadline exceeded',
        )
        members = self.assert_all_running(self.create_bulk(6), 6)
        self.assertEqual(2, sum(member['attempt'] - 1 for member in members))

    def test_one_start_in_twenty_fails(self):
        for operation, message in (
            ('container_create', 'device or resource busy'),
            ('container_start', 'context deadline exceeded'),
        ):
            self.order(
                operation, count=1000, every=20, status=500, message=message
            )
        members = self.assert_all_running(self.create_bulk(80), 80)
        tries = sum(member['attempt'] for member in members)
        self.assertGreater(tries, 80)
        self.assertLessEqual(tries, 1.15 * 80)

    def test_a_failure_that_does_not_pass(self):
        self.order(
            'container_start',
            count=1000,
            status=500,
            message='context deadline exceeded',
        )
        ident = self.create_bulk(2, max_attempts=2)
        bulk = self.wait_for_end(ident)
        self.assertEqual('error', bulk['status'])
        self.assertEqual(2, bulk['members']['failed'])
        for member in self.members(ident):
            self.assertEqual(2, member['attempt'])
            self.assertIn('context deadline exceeded', member['reason'])

    def test_its_user_is_not_told_the_host(self):
        self.order('container_start', 'exit', exit_code=3)
        ident = self.create_bulk(1, user='demo')
        self.wait_for_end(ident, 'demo')
        (failed,) = self.members(ident)
        self.assertEqual(
            ('host-1', 'host-1: the container exited with code 3'),
            (failed['host'], failed['reason']),
        )
        path = '/bulks/%s' % ident
        for path in (path, path + '/members', path + '/events', '/bulks'):
            answer = self.ask('GET', path, user='demo')
            self.assertNotIn('host-1', str(answer), path)
            if path != '/bulks':
                self.assertIn('the container exited with code 3', str(answer))
        container = self.ask(
            'GET', '/containers/' + failed['container_uuid'], user='demo'
        )
        self.assertNotIn('host-1', str(container))

    def test_a_container_that_ends_at_once(self):
        self.order('container_start', 'exit', exit_code=3)
        ident = self.create_bulk(4)
        bulk = self.wait_for_end(ident)
        self.assertEqual('error', bulk['status'])
        self.assertEqual(
            (3, 1), (bulk['members']['running'], bulk['members']['failed'])
        )
        (failed,) = self.members(ident, '?state=failed')
        self.assertIn('exited with code 3', failed['reason'])
        self.assertEqual(1, failed['attempt'])
        self.assertEqual(
            [('application', failed['reason'], 1)],
            [
                (failure['class'], failure['reason'], failure['count'])
                for failure in bulk['failures']
            ],
        )

    def test_a_container_that_ends_while_it_settles(self):
        ident = self.create_bulk(
            1, template=self.template(command=['sleep', '0.2'])
        )
        bulk = self.wait_for_end(ident)
        self.assertEqual('error', bulk['status'])
        self.assertIn('exited with code 0', bulk['failures'][0]['reason'])

    def test_an_image_that_is_not_there(self):
        pulls = self.calls('image_pull')
        ident = self.create_bulk(
            12, template=self.template(image='nosuch'), on_failure='continue'
        )
        bulk = self.wait_for_end(ident)
        self.assertEqual('error', bulk['status'])
        self.assertEqual(12, bulk['members']['failed'])
        self.assertEqual(
            ['permanent'], [failure['class'] for failure in bulk['failures']]
        )
        self.assertIn(
            'pull access denied for nosuch, repository does not exist',
            bulk['failures'][0]['reason'],
        )
        self.assertEqual(0, len(self.lab.zun_containers()))
        self.assertLessEqual(self.calls('image_pull') - pulls, 12)

    def test_an_image_that_is_not_there_stops_the_bulk(self):
        ident = self.create_bulk(200, template=self.template(image='nosuch'))
        bulk = self.wait_for_end(ident)
        self.assertEqual('paused', bulk['status'], bulk)
        self.assertIn('pull access denied for nosuch', bulk['status_reason'])
        tried = self.wait_for(
            'no start is under way',
            lambda: (
                not self.bulk(ident)['members']['starting']
                and self.bulk(ident)['members']['failed']
            ),
        )
        self.assertLessEqual(tried, base.MAX_IN_FLIGHT + 1)
        self.ask('POST', '/bulks/%s/cancel' % ident, status=202)
        bulk = self.wait_for(
            'it is cancelled',
            lambda: (
                self.bulk(ident)['status'] == 'cancelled' and self.bulk(ident)
            ),
        )
        self.assertEqual(
            (tried, 200 - tried),
            (bulk['members']['failed'], bulk['members']['cancelled']),
        )
        self.assertEqual({}, self.lab.zun_containers() or {})

    def test_a_command_that_is_not_there(self):
        reason = (
            'OCI runtime create failed: container_linux.go:380: '
            'starting container process caused: exec: "nosuch": '
            'executable file not found in $PATH: unknown'
        )
        self.order('container_start', count=1000, status=400, message=reason)
        ident = self.create_bulk(20)
        bulk = self.wait_for_end(ident)
        self.assertEqual('paused', bulk['status'])
        self.assertIn(reason, bulk['status_reason'])
        self.assertIn(reason, bulk['failures'][0]['reason'])
        self.assertEqual(
            {1},
            {
                member['attempt']
                for member in self.members(ident, '?state=failed')
            },
        )

        # Its user helps it, and has it go on.
        self.wait_for(
            'none is starting',
            lambda: not self.bulk(ident)['members']['starting'],
        )
        self.lab.control('DELETE', '/faults')
        self.ask('POST', '/bulks/%s/retry' % ident, status=202)
        self.assert_all_running(ident, 20)

    def test_paused_and_resumed_by_its_user(self):
        ident = self.create_bulk(20)
        self.wait_for(
            'some are starting',
            lambda: self.bulk(ident)['members']['starting'],
        )
        self.ask('POST', '/bulks/%s/pause' % ident, status=202)
        self.wait_for(
            'what was starting has ended',
            lambda: not self.bulk(ident)['members']['starting'],
        )
        up = len(self.lab.zun_containers())
        self.assertGreater(20, up)
        time.sleep(3 * base.SETTINGS['zun_bulk']['poll_interval'])
        self.assertEqual(up, len(self.lab.zun_containers()))
        self.ask('POST', '/bulks/%s/resume' % ident, status=202)
        self.assert_all_running(ident, 20)


class TestEffectsWithoutAnswers(FailureTestCase):
    def test_a_create(self):
        """The next try finds the container and makes no second one."""
        self.order('container_create', 'drop', count=3)
        creates = self.calls('container_create')
        self.assert_all_running(self.create_bulk(6), 6)
        self.assertEqual(6, self.calls('container_create') - creates)

    def test_a_start(self):
        """It is looked at, and runs: nothing is started a second time."""
        self.order('container_start', 'drop', count=3)
        starts = self.calls('container_start')
        members = self.assert_all_running(
            self.create_bulk(6, max_attempts=1), 6
        )
        self.assertEqual(6, self.calls('container_start') - starts)
        self.assertEqual({1}, {member['attempt'] for member in members})

    def test_an_engine_that_is_down_for_a_while(self):
        ident = self.create_bulk(12)
        self.wait_for(
            'some are running', lambda: self.bulk(ident)['members']['starting']
        )
        self.lab.control('POST', '/refuse', {'seconds': 1})
        self.assert_all_running(ident, 12)


class TestSince(FailureTestCase):
    def test_containers_that_end_after_they_have_run(self):
        ident = self.create_bulk(4)
        died, done, stopped, _stays = self.assert_all_running(ident, 4)
        for member, code in ((died, 3), (done, 0)):
            self.lab.control(
                'POST',
                '/containers/zun-%s/exit' % member['container_uuid'],
                {'exit_code': code},
            )
        self.ask(
            'POST',
            '/containers/%s/stop?timeout=1' % stopped['container_uuid'],
            status=202,
        )
        self.wait_for(
            'the members say so',
            lambda: (
                [member['state'] for member in self.members(ident)]
                == ['failed', 'stopped', 'stopped', 'running']
            ),
            timeout=10,
        )
        bulk = self.bulk(ident)
        self.assertEqual('error', bulk['status'])
        self.assertIn('exited with code 3', bulk['failures'][0]['reason'])
        self.assertEqual(
            'Stopped',
            self.ask('GET', '/containers/' + died['container_uuid'])['status'],
        )

        self.ask('POST', '/bulks/%s/retry' % ident, status=202)
        self.wait_for(
            'it runs again',
            lambda: self.bulk(ident)['members']['running'] == 2,
        )


class TestDelete(FailureTestCase):
    def test_an_engine_that_would_not_remove(self):
        """Zun forgets such containers; a bulk does not."""
        ident = self.create_bulk(4)
        self.assert_all_running(ident, 4)
        self.order(
            'container_remove',
            count=2,
            status=500,
            message='driver "overlay2" failed to remove root '
            'filesystem: device or resource busy',
        )
        self.order('container_remove', 'drop')
        self.order('network_disconnect', status=500, message='busy')
        self.delete_bulk(ident)
        self.assertEqual({}, self.lab.leftovers())


class TestRestart(FailureTestCase):
    def test_zun_killed_while_it_starts_containers(self):
        ident = self.create_bulk(12)
        self.wait_for(
            'some have started', lambda: len(self.lab.zun_containers()) >= 4
        )
        self.lab.kill('zun', signal.SIGKILL)
        self.lab.start_zun()
        self.assert_all_running(ident, 12)

    def test_zun_killed_while_it_deletes(self):
        ident = self.create_bulk(8)
        self.assert_all_running(ident, 8)
        self.ask('DELETE', '/bulks/' + ident, status=202)
        self.wait_for(
            'some are gone', lambda: len(self.lab.zun_containers()) <= 6
        )
        self.lab.kill('zun', signal.SIGKILL)
        self.lab.start_zun()
        self.wait_for(
            'the bulk is gone',
            lambda: self.lab.request('GET', '/bulks/' + ident)[0] == 404,
        )
        self.assertEqual({}, self.lab.leftovers())
