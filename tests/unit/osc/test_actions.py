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

import ddt
from osc_lib import exceptions

from tests.unit.osc import base
from zun_bulk.osc import actions


COMMANDS = {
    'pause': actions.PauseBulk,
    'resume': actions.ResumeBulk,
    'cancel': actions.CancelBulk,
    'retry': actions.RetryBulk,
    'scale': actions.ScaleBulk,
}


@ddt.ddt
class TestActions(base.CommandTestCase):
    def act(self, action, *answers, argv=()):
        """Run a command.

        :param answers: responses to the GETs that follow the POST
        """
        self.api.post(
            f'{base.BULKS}/load/{action}',
            **base.answer(base.bulk_view('building', queued=3), 202),
        )
        self.api.get(f'{base.BULKS}/{base.UUID}', list(answers))
        return self.run_command(COMMANDS[action], *argv, 'load', '-f', 'json')

    @ddt.data('pause', 'resume', 'cancel', 'retry')
    def test_requests_and_shows(self, action):
        view = json.loads(self.act(action))
        self.assertEqual(base.UUID, view['uuid'])
        (request,) = self.api.request_history
        self.assertEqual('POST', request.method)
        self.assertEqual({}, request.json())

    @ddt.data('resume', 'retry')
    def test_waits(self, action):
        self.act(
            action,
            base.answer(base.bulk_view(starting=3)),
            base.answer(base.bulk_view('ready', running=3)),
            argv=['--wait'],
        )
        self.assertIn('3 of 3 containers running', self.progress)

    def test_waits_for_members_being_started(self):
        self.act(
            'cancel',
            base.answer(base.bulk_view('cancelling', starting=1, queued=2)),
            base.answer(base.bulk_view('cancelled', failed=1, cancelled=2)),
            argv=['--wait'],
        )
        self.assertIn('0 of 3 containers running', self.progress)

    @ddt.data(
        (['--count', '3'], {'count': 3}),
        (
            ['--remove', '7', '--remove', '2', '--remove', '7'],
            {'indexes': [2, 7]},
        ),
    )
    @ddt.unpack
    def test_scales(self, argv, body):
        self.assertEqual(
            base.UUID, json.loads(self.act('scale', argv=argv))['uuid']
        )
        (request,) = self.api.request_history
        self.assertEqual(body, request.json())

    def test_waits_until_surplus_members_are_deleted(self):
        self.act(
            'scale',
            base.answer(base.bulk_view(running=3)),
            base.answer(base.bulk_view('ready', running=3)),
            argv=['--count', '3', '--wait'],
        )
        self.assertIn('3 of 3 containers running', self.progress)
        self.assertEqual(3, len(self.api.request_history))

    @ddt.data(
        [],
        ['--count', '0'],
        ['--count', 'many'],
        ['--remove', '0'],
        ['--count', '3', '--remove', '1'],
    )
    def test_scale_refuses_options(self, argv):
        self.assertRaises(
            SystemExit, self.run_command, actions.ScaleBulk, *argv, 'load'
        )

    def test_wait_fails(self):
        error = self.assertRaises(
            exceptions.CommandError,
            self.act,
            'retry',
            base.answer(base.bulk_view('error', running=2, failed=1)),
            argv=['--wait'],
        )
        self.assertIn('is error', str(error))

    def test_refused(self):
        self.api.post(
            f'{base.BULKS}/load/pause', **base.error(409, 'It is ready.')
        )
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            actions.PauseBulk,
            'load',
        )
        self.assertIn('It is ready. (HTTP 409)', str(error))

    def test_timeout_without_wait(self):
        self.assertRaises(
            exceptions.CommandError,
            self.act,
            'resume',
            argv=['--wait-timeout', '5'],
        )
