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

from oslotest import base

from tests.bench import report


def make_run(kind='bulk', pinned=False, count=60, seconds=10.0, **more):
    values = {
        'kind': kind,
        'label': kind,
        'size': 1,
        'pinned': pinned,
        'count': count,
        'seconds': seconds,
        'told': 16.0,
        'hosts': {'host-1': count // 2, 'host-2': count - count // 2},
        'reasons': {},
        'cpu': {'machine': 30.0},
    }
    return report.Run(**{**values, **more})


class TestRun(base.BaseTestCase):
    def test_rate_counts_verified_ones_only(self):
        run = make_run(count=60, seconds=10.0, hosts={'host-1': 50})
        self.assertEqual(50, run.verified)
        self.assertEqual(10, run.failed)
        self.assertEqual(5.0, run.per_s)

    def test_nothing_verified(self):
        run = make_run(count=60, seconds=None, hosts={})
        self.assertEqual(60, run.failed)
        self.assertEqual(0.0, run.per_s)
        self.assertEqual(0.0, run.cpu_each)
        self.assertEqual(0.0, run.cpu_lab_each)

    def test_cpu(self):
        run = make_run(
            count=10,
            cpu={
                'machine': 20.0,
                'neutron': 5.0,
                'dockerd-1': 3.0,
                'bench': 1.0,
            },
        )
        self.assertEqual(2.0, run.cpu_each)
        self.assertEqual(0.8, run.cpu_lab_each)


class TestBest(base.BaseTestCase):
    def test_fastest_of_its_kind_and_mode(self):
        runs = [
            make_run('raw', seconds=8.0),
            make_run('raw', seconds=6.0),
            make_run('raw', seconds=7.0),
            make_run('raw', pinned=True, seconds=5.0),
            make_run('stock', seconds=1.0),
        ]
        self.assertIs(runs[1], report.best(runs, 'raw'))
        self.assertIs(runs[3], report.best(runs, 'raw', pinned=True))

    def test_failures_lose_against_a_slower_run(self):
        whole = make_run('stock', seconds=60.0)
        broken = make_run('stock', seconds=5.0, hosts={'host-1': 59})
        self.assertIs(whole, report.best([broken, whole], 'stock'))
        self.assertIs(broken, report.best([broken], 'stock'))

    def test_none(self):
        self.assertIsNone(report.best([make_run('raw')], 'bulk'))


class TestSummary(base.BaseTestCase):
    def test_all(self):
        found = report.summary(
            [
                make_run('raw', seconds=6.0),
                make_run('raw', seconds=8.0),
                make_run(
                    'stock',
                    seconds=24.0,
                    count=60,
                    hosts={'host-1': 58},
                    cpu={'machine': 58.0},
                ),
                make_run('bulk', seconds=10.0),
                make_run('raw', pinned=True, seconds=5.0),
                make_run('stock', pinned=True, seconds=20.0),
                make_run(
                    'bulk',
                    pinned=True,
                    seconds=8.0,
                    hosts={'host-1': 30, 'host-2': 29},
                ),
            ]
        )
        self.assertEqual(10.0, found['raw_per_s'])
        self.assertEqual(2.417, found['stock_per_s'])
        self.assertEqual(6.0, found['bulk_per_s'])
        self.assertEqual(0.6, found['ratio_raw'])
        self.assertEqual(0.615, found['ratio_raw_pinned'])
        self.assertEqual(2.483, found['ratio_stock'])
        self.assertEqual(0.5, found['cpu_s_per_container'])
        self.assertEqual(1.0, found['cpu_s_per_container_stock'])
        # Of the pinned bulk as well as of the other.
        self.assertEqual(1, found['failed'])
        self.assertEqual(2, found['failed_stock'])
        self.assertEqual(0, found['failed_raw'])

    def test_without_pinned_runs(self):
        found = report.summary([make_run('raw', seconds=5.0), make_run()])
        self.assertEqual(0.5, found['ratio_raw'])
        self.assertIsNone(found['ratio_raw_pinned'])
        self.assertIsNone(found['ratio_stock'])
        self.assertIsNone(found['stock_per_s'])

    def test_ratio_to_nothing(self):
        nothing = make_run('stock', seconds=None, hosts={})
        self.assertIsNone(report.ratio(make_run(), nothing))
        self.assertEqual(0.0, report.ratio(nothing, make_run()))


class TestTables(base.BaseTestCase):
    def test_columns_are_aligned(self):
        self.assertEqual(
            ['name   n', 'a      1', 'bcd   22'],
            report.table(['name', 'n'], [['a', 1], ['bcd', 22]]),
        )

    def test_runs(self):
        lines = report.run_table(
            [
                make_run(
                    label='bulk', count=3, seconds=1.5, cpu={'machine': 0.75}
                ),
                make_run(
                    label='raw, 4 in flight',
                    pinned=True,
                    count=2,
                    seconds=None,
                    hosts={},
                ),
            ]
        )
        self.assertEqual(
            [
                'bulk',
                'share',
                '3',
                '0',
                '1.5',
                '2.00',
                '16.0',
                '0.25',
                'host-1:',
                '1',
                'host-2:',
                '2',
            ],
            lines[1].split(),
        )
        self.assertEqual(
            [
                'raw,',
                '4',
                'in',
                'flight',
                'own',
                'CPU',
                '2',
                '2',
                '-',
                '0.00',
                '16.0',
                '0.00',
                '-',
            ],
            lines[2].split(),
        )

    def test_cpu_sums_hosts_and_says_what_is_left(self):
        lines = report.cpu_table(
            [
                make_run(
                    label='bulk',
                    count=10,
                    cpu={
                        'machine': 10.0,
                        'dockerd-1': 2.0,
                        'dockerd-2': 3.0,
                        'neutron': 1.0,
                        'memcached': 0.0,
                    },
                ),
                make_run(label='nothing', seconds=None, hosts={}),
            ]
        )
        self.assertEqual(
            [
                ['CPU', 'ms', 'each', 'bulk'],
                ['all', '1000'],
                ['dockerd', '500'],
                ['other', '400'],
                ['neutron', '100'],
            ],
            [line.split() for line in lines],
        )

    def test_reasons(self):
        self.assertEqual(
            ['bulk: 2 x no', 'bulk: 1 x none'],
            report.reason_lines(
                [make_run(), make_run(reasons={'none': 1, 'no': 2})]
            ),
        )
