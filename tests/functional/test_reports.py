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

"""What processes write when SIGUSR2 asks them for a report."""

import signal

from tests.functional import base


#: The last line of the last section.
END = 'stopping = False'


class TestReports(base.FunctionalTestCase):
    def report(self, name):
        """Have a process write a report. Returns it."""
        path = self.lab.root / 'log' / (name + '.out')
        before = path.stat().st_size
        self.lab.processes[name].send_signal(signal.SIGUSR2)

        def written():
            text = path.read_bytes()[before:].decode()
            return END in text and text

        text = self.wait_for('a report of %s' % name, written)
        self.assertIn('Guru Meditation', text)
        # The lab's passwords are the users' names.
        self.assertNotIn('password = zun', text)
        self.assertIn('connection = ***', text)
        return text

    def test_zun_compute(self):
        self.lab.control(
            'POST',
            '/faults',
            {
                'operation': 'container_start',
                'kind': 'delay',
                'seconds': 5,
                'count': 1000,
            },
        )
        ident = self.create_bulk(6)
        self.wait_for(
            'starts are under way',
            lambda: self.members(ident, '?state=starting'),
        )
        text = self.report('zun')
        host, conductor = text.split('Conductor of bulks')
        host = host.split('Bulks on this host')[1]
        self.assertIn('max_in_flight = %d' % base.MAX_IN_FLIGHT, host)
        self.assertIn('bulk = %s' % ident, host)
        self.assertIn('%s = 1' % ident, conductor)
        self.assertIn('zun_bulk/host/agent.py', text)
        self.assertIn('password = ***', text)
        self.lab.control('DELETE', '/faults')
        self.assert_all_running(ident, 6)

    def test_conductor(self):
        # A log of its own: before it has begun, a signal would end it.
        name = 'zun-bulk-conductor-reports'
        self.lab.start_conductor(name)
        self.addCleanup(self.lab.kill, name, signal.SIGTERM)
        self.wait_for(
            'it has begun',
            lambda: 'Starting zun-bulk-conductor' in self.lab.log_tail(name),
        )
        text = self.report(name)
        self.assertIn('owner = ', text.split('Conductor of bulks')[1])
        self.assertIn('zun_bulk/conductor/conductor.py', text)
        # It goes on.
        self.report(name)
