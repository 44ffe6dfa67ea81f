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

from unittest import mock

import fixtures

from tests import host_reports
from tests.unit.host import base
from zun_bulk.db import base as db_base
from zun_bulk.db import hosts as db_hosts


class TestGuruReport(base.AgentTestCase):
    def test_what_is_in_hand(self):
        uuids = self.accept(6)
        self.cycle()
        self.start(uuids[:1])
        self.cycle()
        with self.agent.working(uuids[1]):
            report = self.agent.report()
        self.assertEqual(4, report['starts']['limit'])
        self.assertEqual(4, report['starts']['in_flight'])
        self.assertEqual({}, report['held_by'])
        self.assertEqual(1, report['settling'])
        self.assertEqual(3, report['pulls']['limit'])
        self.assertEqual(set(uuids[1:5]), set(report['starting']))
        found = report['starting'][uuids[1]]
        self.assertEqual(
            ('web-2', self.bulk.uuid, 1, True),
            (
                found['name'],
                found['bulk'],
                found['attempt'],
                found['driver_is_at_it'],
            ),
        )
        self.assertFalse(report['starting'][uuids[2]]['driver_is_at_it'])
        self.assertEqual({}, report['being_deleted'])

    def test_no_database(self):
        with mock.patch.object(db_base, 'reader', side_effect=OSError):
            self.assertEqual({}, self.agent.report()['starting'])


class TestShow(base.AgentTestCase):
    def test_the_fixtures_of_other_tests_have_the_same_keys(self):
        def keys(value):
            if isinstance(value, dict):
                return {name: keys(item) for name, item in value.items()}

        shown = keys(self.agent.show())
        fixture = keys(host_reports.make_report())
        for kind in ('starts', 'deletes'):
            # None before the first cut.
            for kinds in (shown, fixture):
                kinds[kind]['last_cut'] = None
        self.assertEqual(shown, fixture)


class TestReport(base.AgentTestCase):
    """What the agent writes into the host's row."""

    def setUp(self):
        super().setUp()
        self.reports = []
        write = db_hosts.report_host
        self.useFixture(
            fixtures.MockPatchObject(
                db_hosts,
                'report_host',
                side_effect=lambda host, report: (
                    self.reports.append((self.now, report)),
                    write(host, report),
                ),
            )
        )

    def times(self):
        return [now for now, _report in self.reports]

    def test_at_rest_once(self):
        for _cycle in range(20):
            self.cycle()
        self.assertEqual([1001.0], self.times())
        self.assertEqual(
            self.reports[0][1], db_hosts.get_host('host-1').report
        )

    def test_at_work_every_five_seconds(self):
        self.accept(1)
        for _cycle in range(11):
            self.cycle()
        self.assertEqual([1001.0, 1006.0, 1011.0], self.times())
        self.assertEqual(1, self.reports[-1][1]['starts']['in_flight'])

    def test_never_twice_a_second(self):
        uuids = self.accept(40)
        self.cycle()
        for number in range(40):
            self.start(uuids[number : number + 1])
            self.cycle(0.05)
        times = self.times()
        self.assertLessEqual(len(times), 3)
        for before, after in zip(times, times[1:], strict=False):
            self.assertGreaterEqual(after - before, 0.999)

    def test_the_last_one_is_of_a_host_at_rest(self):
        uuids = self.accept(2)
        self.cycle()
        self.start(uuids)
        self.cycle(0.1)
        self.cycle(5.0)
        self.assertEqual({'running': 2}, self.states())
        # Whatever was too early for a report is made up for.
        wait = self.agent._seconds_to_wait(self.now)
        self.cycle(wait)
        _now, report = self.reports[-1]
        self.assertEqual(
            (0, 0), (report['queued'], report['starts']['in_flight'])
        )
        self.assertAlmostEqual(2 / 60, report['starts']['per_second'])
        self.assertAlmostEqual(5.0, report['settle']['median'])
        count = len(self.reports)
        for _cycle in range(80):
            self.cycle()
        # One more: a minute later there is no rate any more.
        self.assertEqual(count + 1, len(self.reports))
        self.assertEqual(0.0, self.reports[-1][1]['starts']['per_second'])

    def test_members_waiting_at_a_held_host_are_reported(self):
        self.cycle()
        db_hosts.change_host(db_hosts.get_host('host-1'), held=True)
        self.agent.wake()
        self.cycle()
        self.accept(3)
        self.agent.wake()
        self.cycle(0.1)
        self.assertEqual(0, self.reports[-1][1]['queued'])
        # Not counted more than once a second; counted in a later cycle.
        self.cycle(1)
        self.assertEqual(3, self.reports[-1][1]['queued'])
        count = len(self.reports)
        for _cycle in range(20):
            self.cycle()
        self.assertEqual(count, len(self.reports))

    def test_a_hold_is_reported(self):
        self.cycle()
        db_hosts.change_host(
            db_hosts.get_host('host-1'), held=True, held_reason='why'
        )
        self.agent.wake()
        self.cycle()
        self.assertEqual(
            {'operator': 'why'}, db_hosts.get_host('host-1').report['held_by']
        )
