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

from oslo_config import fixture as config_fixture
from oslotest import base
from zun import objects
from zun.common import consts
from zun.common import exception

from tests import host_reports
from zun_bulk.conf import CONF
from zun_bulk.db import specs
from zun_bulk.scheduler import filters
from zun_bulk.scheduler import hosts
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import planner
from zun_bulk.scheduler import usage
from zun_bulk.scheduler.filters import container_density
from zun_bulk.scheduler.filters import host_pressure
from zun_bulk.scheduler.filters import overcommit


ALL = (
    container_density.ContainerDensityFilter,
    host_pressure.HostPressureFilter,
    overcommit.CpuOvercommitFilter,
    overcommit.MemoryOvercommitFilter,
)


class TestSurvey(base.BaseTestCase):
    """Zun's own scheduler, with what it reads made up."""

    def setUp(self):
        super().setUp()
        self.conf = self.useFixture(config_fixture.Config(CONF))
        self.conf.config(
            group='scheduler',
            available_filters=[
                'zun.scheduler.filters.all_filters',
                'zun_bulk.scheduler.filters.all_filters',
            ],
        )
        self.enable('AvailabilityZoneFilter')
        self.rows = []
        self.reported = []
        self.patch(
            hosts.db_hosts, 'list_hosts', side_effect=lambda: self.reported
        )
        self.patch(filters, '_filters', return_value=ALL)
        self.patch(
            usage.db_hosts,
            'list_container_usage',
            side_effect=lambda: tuple(self.rows),
        )
        self.patch(usage.db_hosts, 'list_shared_hosts', return_value=[])
        self.patch(usage, 'inventories', return_value={})
        self.addCleanup(usage.forget)
        self.patch('zun.scheduler.client.report.SchedulerReportClient')
        self.patch('zun.objects.ComputeNode.list', side_effect=self.nodes)
        self.patch(
            'zun.objects.ZunService.list_by_binary',
            return_value=[
                objects.ZunService(host=host, availability_zone=zone)
                for host, zone in (('host-1', 'east'), ('host-2', None))
            ],
        )
        self.placement = mock.Mock()
        self.placement.short_of.return_value = {'host-2': 'VCPU'}.get
        self.placement.candidates.return_value = {
            host: placement.Candidate(
                {host: {'resources': {'VCPU': 1, 'MEMORY_MB': 64}}},
                {
                    host: {
                        'resources': {
                            'VCPU': {'capacity': 40, 'used': used},
                            'MEMORY_MB': {'capacity': 1280, 'used': 0},
                        }
                    }
                },
            )
            for host, used in (('host-1', 0), ('host-2', 25), ('other', 0))
        }

    def patch(self, target, *args, **kwargs):
        patch = (
            mock.patch(target, **kwargs)
            if isinstance(target, str)
            else mock.patch.object(target, *args, **kwargs)
        )
        patch.start()
        self.addCleanup(patch.stop)

    def enable(self, *names):
        self.conf.config(group='scheduler', enabled_filters=names)

    @staticmethod
    def nodes(context, filters=None):
        return [
            objects.ComputeNode(
                hostname=name,
                rp_uuid=name,
                cpus=4,
                cpu_used=0,
                mem_total=4096,
                mem_free=4096,
                mem_available=4096,
                mem_used=0,
                disk_total=100,
                disk_used=0,
                numa_topology=None,
                labels={},
                pci_device_pools=None,
                disk_quota_supported=True,
                runtimes=[],
                enable_cpu_pinning=False,
                updated_at=None,
            )
            for name in ('host-1', 'host-2', 'other')
        ]

    def survey(self, taken=None, **spec):
        return hosts.survey(
            mock.Mock(),
            objects.Container(
                uuid='c-1',
                project_id='project-1',
                cpu=0.5,
                memory='64',
                disk=0,
            ),
            specs.BulkSpec(**spec),
            self.placement,
            taken,
        )

    def passing(self, **spec):
        return self.survey(**spec).hosts

    def rooms(self, **spec):
        return {
            room.host: (room.room, room.bound_by)
            for room in self.survey(**spec).rooms
        }

    def test_placement_alone(self):
        self.assertEqual(
            {'host-1': (20, 'MEMORY_MB'), 'host-2': (15, 'VCPU')}, self.rooms()
        )

    def test_zones(self):
        found = self.passing()
        self.assertEqual(
            {'host-1': 'east', 'host-2': 'nova'},
            {name: host.zone for name, host in found.items()},
        )
        self.assertEqual(
            ['host-1'], list(self.passing(availability_zone='east'))
        )

    def test_full_hosts(self):
        del self.placement.candidates.return_value['host-2']
        self.assertEqual(
            {'host-1': (20, 'MEMORY_MB'), 'host-2': (0, 'VCPU')}, self.rooms()
        )
        self.placement.candidates.return_value = {}
        self.placement.short_of.return_value = lambda _provider: None
        self.assertEqual({}, self.passing())
        self.assertEqual({(0, hosts.TRAITS)}, set(self.rooms().values()))

    def test_all_hosts_are_asked_for(self):
        self.survey()
        [asked] = self.placement.candidates.call_args.args
        self.assertNotIn('limit', asked.to_querystring())
        self.placement.short_of.assert_not_called()

    def test_refused_by_a_filter(self):
        self.assertEqual(
            {
                'host-1': (20, 'MEMORY_MB'),
                'host-2': (0, 'AvailabilityZoneFilter'),
            },
            self.rooms(availability_zone='east'),
        )
        self.assertEqual(
            {'host-1': (0, hosts.OTHER_REQUESTED), 'host-2': (15, 'VCPU')},
            self.rooms(requested_host='host-2'),
        )

    def test_members_on_a_host_that_is_down(self):
        rooms = {room.host: room for room in self.survey({'h': 3}).rooms}
        self.assertEqual(
            planner.Room('h', None, 0, hosts.NOT_UP, None, 3), rooms['h']
        )

    def test_pace(self):
        def report(**starts):
            started = {
                'ended': {'done': 20},
                'limit': 8,
                'interval': 0,
                'median': 2.0,
                **starts,
            }
            return host_reports.make_report(
                starts=host_reports.make_paced(**started)
            )

        for starts, pace in (
            ({}, 4.0),
            ({'ended': {'done': 19}}, None),
            ({'median': None}, None),
            ({'interval': 10}, 0.1),
        ):
            self.reported = [mock.Mock(held=False, report=report(**starts))]
            self.reported[0].host = 'host-1'
            [room] = [
                room for room in self.survey().rooms if room.host == 'host-1'
            ]
            self.assertEqual(pace, room.pace)

    def test_an_unknown_host(self):
        with mock.patch.object(
            hosts.utils,
            'resources_from_request_spec',
            side_effect=exception.NoValidHost(reason=''),
        ):
            self.assertEqual({}, self.passing(requested_host='host-9'))

    def test_what_binds_most(self):
        self.enable('CpuOvercommitFilter', 'ContainerDensityFilter')
        self.conf.config(
            group='zun_bulk_scheduler',
            cpu_allocation_ratios={'host-1': 2},
            max_containers_by_host={'host-2': 14},
        )
        self.assertEqual(
            {'host-1': (16, 'VCPU'), 'host-2': (14, 'containers')},
            self.rooms(),
        )
        self.rows.append(('host-1', consts.TYPE_CONTAINER, 0.5, '64', 0, 15))
        found = self.passing()
        self.assertEqual(1, found['host-1'].room)
        self.assertAlmostEqual(8, found['host-1'].limits['cpu'], 5)
        # What was placed since is read at once.
        self.rows.append(('host-1', consts.TYPE_CONTAINER, 0.5, '64', 0, 1))
        self.assertEqual((0, 'CpuOvercommitFilter'), self.rooms()['host-1'])

    def test_held_hosts_pass_and_have_no_room(self):
        self.enable('HostPressureFilter')
        held = mock.Mock(held=True, held_reason='a new disk', report=None)
        held.host = 'host-1'
        self.reported = [held]
        survey = self.survey()
        self.assertEqual({'host-1', 'host-2'}, set(survey.hosts))
        self.assertEqual(
            {'host-1': 'held by its operator: a new disk'}, survey.held
        )
        self.assertEqual(20, survey.hosts['host-1'].room)
