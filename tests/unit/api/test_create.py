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

"""POST /v1/bulks: what is written, and what is refused."""

from unittest import mock

import ddt
import sqlalchemy as sa
from zun.common import rpc as zun_rpc
from zun.db.sqlalchemy import models as zun_models

from tests import zun_fixtures
from tests.unit.api import base
from zun_bulk import rpc
from zun_bulk.api import container_rows
from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base
from zun_bulk.db import models
from zun_bulk.states import MemberState


ADMIN = {'roles': 'admin'}
WAKE_CONDUCTORS = rpc.wake_conductors


class TestWritten(base.ApiTestCase):
    def test_answer(self):
        response = self.request(
            '/v1/bulks',
            'POST',
            status=202,
            body={
                'count': 3,
                'template': {'image': 'busybox', 'name': 'a-b'},
                'name': 'first',
                'run': False,
                'max_attempts': 5,
            },
        )
        bulk = response.json
        self.assertEqual(
            'http://localhost/v1/bulks/' + bulk['uuid'], response.location
        )
        self.assertEqual('application/json', response.content_type)
        expected = {
            'name': 'first',
            'project_id': 'project-1',
            'user_id': 'user-1',
            'status': 'building',
            'status_reason': None,
            'count': 3,
            'run': False,
            'max_attempts': 5,
            'on_failure': 'pause',
            'image': 'busybox',
            'client_token': None,
            'placement': {'policy': 'spread', 'allow_partial': False},
            'template': {'image': 'busybox', 'name': 'a-b'},
            'hosts': None,
            'failures': [],
            'updated_at': None,
            'finished_at': None,
            'members': dict.fromkeys(MemberState.ALL, 0) | {'queued': 3},
            'links': [
                {'rel': 'self', 'href': response.location},
                {'rel': 'members', 'href': response.location + '/members'},
                {'rel': 'events', 'href': response.location + '/events'},
            ],
        }
        self.assertEqual(
            expected
            | {'uuid': bulk['uuid'], 'created_at': bulk['created_at']},
            bulk,
        )
        self.assertRegex(bulk['created_at'], r'^\d{4}(-\d\d){2}T.{8}Z$')
        self.assertEqual([('wake_conductors',)], self.woken)

    def test_defaults(self):
        bulk = self.create(template={'image': 'busybox'})
        self.assertEqual((True, 5), (bulk['run'], bulk['max_attempts']))
        self.assertEqual(
            {'policy': 'spread', 'allow_partial': False}, bulk['placement']
        )

    def test_rows_point_at_each_other(self):
        bulk = self.create(count=3, template={'image': 'busybox'})
        (row,) = self.rows(models.Bulk)
        self.assertEqual('req-' + 36 * '1', row['request_id'])
        members = self.rows(models.Member)
        containers = self.rows(zun_models.Container)
        actions = self.rows(zun_models.ContainerAction)
        self.assertEqual([1, 2, 3], [m['member_index'] for m in members])
        self.assertEqual({'queued'}, {m['state'] for m in members})
        uuids = [m['container_uuid'] for m in members]
        self.assertEqual(3, len(set(uuids)))
        self.assertEqual(uuids, [c['uuid'] for c in containers])
        self.assertEqual(uuids, [a['container_uuid'] for a in actions])
        self.assertEqual({'create'}, {a['action'] for a in actions})
        self.assertEqual(
            {row['request_id']}, {a['request_id'] for a in actions}
        )
        self.assertEqual(
            [m['name'] for m in members], [c['name'] for c in containers]
        )
        for index, container in enumerate(containers, 1):
            self.assertEqual(
                {
                    'org.openstack.zun_bulk.bulk': bulk['uuid'],
                    'org.openstack.zun_bulk.index': str(index),
                },
                container['labels'],
            )

    def test_index_is_put_in(self):
        self.create(
            count=2,
            template={
                'image': 'busybox',
                'name': 'web-{index}-{index}',
                'hostname': 'h{index}',
                'command': ['echo', '{index}'],
                'environment': {'N{index}': 'no {index}', 'OTHER': 'same'},
            },
        )
        first, second = self.rows(zun_models.Container)
        self.assertEqual(('web-1-1', 'h1'), (first['name'], first['hostname']))
        self.assertEqual(
            ('web-2-2', 'h2'), (second['name'], second['hostname'])
        )
        self.assertEqual(
            {'N{index}': 'no 2', 'OTHER': 'same'}, second['environment']
        )
        self.assertEqual(['echo', '{index}'], second['command'])

    def test_one_hostname_for_all(self):
        self.create(count=2, template={'image': 'busybox', 'hostname': 'same'})
        self.assertEqual(
            ['same', 'same'],
            [row['hostname'] for row in self.rows(zun_models.Container)],
        )

    def test_spec(self):
        self.policy.set_rules(
            container__create__image_pull_policy='@',
            container__create__runtime='@',
            container__create__requested_destination='@',
        )
        self.neutron.security_groups.append(zun_fixtures.security_group('web'))
        base.make_host()
        base.make_registry()
        mounts = [
            {
                'type': 'bind',
                'source': base.encode('text'),
                'destination': '/etc/motd',
            }
        ]
        self.create(template=dict(base.RICH, mounts=mounts))
        (row,) = self.rows(models.Bulk)
        net_a, net_b = (network['id'] for network in self.neutron.networks)
        common = {
            'port': '',
            'router:external': False,
            'shared': False,
            'fixed_ip': '',
            'preserve_on_delete': False,
            'pci_request_id': None,
        }
        self.assertEqual(
            {
                'requested_networks': [
                    dict(common, network=net_a),
                    dict(common, network=net_b, shared=True),
                ],
                'security_groups': [self.neutron.security_groups[0]['id']],
                'mounts': mounts,
                'availability_zone': 'nova',
                'hints': {'group': 'a'},
                'requested_host': 'host-1',
                'cpu': 0.5,
                'memory': 128,
                'disk': 2,
                'cpu_policy': 'shared',
                'own_fields': [],
            },
            row['spec'].to_json(),
        )
        self.assertEqual(
            {None},
            {
                container['host']
                for container in self.rows(zun_models.Container)
            },
        )

    def test_spec_of_a_bare_template(self):
        self.create(
            template={
                'image': 'busybox',
                'cpu': None,
                'nets': None,
                'memory': None,
                'mounts': None,
                'labels': None,
                'security_groups': None,
                'healthcheck': None,
                'environment': None,
                'restart_policy': None,
                'hints': None,
                'availability_zone': None,
            }
        )
        (row,) = self.rows(models.Bulk)
        # Zun's own default: the first network of the project.
        self.assertEqual(
            [self.neutron.networks[0]['id']],
            [network['network'] for network in row['spec'].requested_networks],
        )
        self.assertEqual(
            (1.0, 512, None, None),
            tuple(
                getattr(row['spec'], key)
                for key in ('cpu', 'memory', 'disk', 'cpu_policy')
            ),
        )
        self.assertEqual([], row['spec'].mounts)

    def test_a_range(self):
        net_a, _net_b = self.neutron.networks
        self.neutron.subnets += [
            zun_fixtures.subnet(net_a, '10.9.0.0/24'),
            zun_fixtures.subnet(net_a, '10.0.0.0/24'),
        ]
        nets = [
            {'network': 'net-b'},
            {'network': 'net-a', 'v4-range': '10.0.0.1-10.0.0.4'},
        ]
        view = self.create(
            count=3, template={'image': 'busybox', 'nets': nets}
        )
        self.assertEqual(nets, view['template']['nets'])
        self.assertEqual(
            [None, ['10.0.0.1', '10.0.0.4']],
            [
                network.get('v4_range')
                for network in self.rows(models.Bulk)[0][
                    'spec'
                ].requested_networks
            ],
        )

    def test_a_port_for_one(self):
        self.neutron.ports.append(zun_fixtures.port('port-1'))
        self.create(
            count=1,
            template={'image': 'busybox', 'nets': [{'port': 'port-1'}]},
        )
        (network,) = self.rows(models.Bulk)[0]['spec'].requested_networks
        self.assertEqual(self.neutron.ports[0]['id'], network['port'])
        self.assertTrue(network['preserve_on_delete'])

    def test_admin_is_told_hosts(self):
        self.assertEqual({}, self.create(request=ADMIN)['hosts'])

    def test_number_of_statements_and_calls_does_not_grow(self):
        def count_for(number):
            statements = []

            def listener(conn, cursor, statement, parameters, context, many):
                statements.append(statement)

            engine = db_base.get_engine()
            sa.event.listen(engine, 'before_cursor_execute', listener)
            self.create(count=number, template={'image': 'busybox'})
            sa.event.remove(engine, 'before_cursor_execute', listener)
            return len(statements)

        small = count_for(2)
        calls = dict(self.neutron.calls)
        self.assertEqual(small, count_for(500))
        self.assertEqual(
            {name: 2 * number for name, number in calls.items()},
            self.neutron.calls,
        )

    def test_most_members_by_default(self):
        self.create(count=10000)
        self.assertEqual(10000, len(self.rows(zun_models.Container)))

    def test_no_broker(self):
        self.config(transport_url='rabbit://a:b@127.0.0.1:1/')
        zun_rpc.init(CONF)
        with mock.patch('zun_bulk.rpc.wake_conductors', WAKE_CONDUCTORS):
            self.create()
        self.assertIn('Failed to send a wake-up message', self.log.output)

    def test_lost_message_loses_nothing(self):
        with mock.patch(
            'zun_bulk.rpc.wake_conductors',
            side_effect=RuntimeError('no broker'),
        ):
            self.create()
        self.assertEqual(2, len(self.rows(models.Member)))


@ddt.ddt
class TestRefused(base.ApiTestCase):
    @ddt.data(
        ({'count': 0}, 'count'),
        ({'count': -1}, 'count'),
        ({'count': '2'}, 'count'),
        ({'count': True}, 'count'),
        ({'count': 1.5}, 'count'),
        ({'count': None}, 'count'),
        ({'count': 10001}, 'count'),
        ({'count': 10**30}, 'count'),
        ({'name': 'x'}, 'name'),
        ({'name': 'x' * 256}, 'name'),
        ({'name': '-x'}, 'name'),
        ({'name': None}, 'name'),
        ({'run': 'yes'}, 'run'),
        ({'max_attempts': 0}, 'max_attempts'),
        ({'max_attempts': 11}, 'max_attempts'),
        ({'placement': {'policy': 'heap'}}, 'placement.policy'),
        ({'placement': {'policy': None}}, 'placement.policy'),
        ({'placement': {'allow_partial': 1}}, 'placement.allow_partial'),
        ({'placement': 'spread'}, 'placement'),
        ({'placement': {'other': 1}}, "'other'"),
        ({'client_token': ''}, 'client_token'),
        ({'client_token': 'x' * 65}, 'client_token'),
        ({'client_token': 'a b'}, 'client_token'),
        ({'client_token': 'é'}, 'client_token'),
        ({'client_token': 'x\n'}, 'client_token'),
        ({'client_token': 1}, 'client_token'),
        ({'client_token': None}, 'client_token'),
        ({'other': 1}, "'other'"),
        ({'template': []}, 'template'),
        ({'template': None}, 'template'),
    )
    @ddt.unpack
    def test_body(self, body, field):
        self.refuse(field, **body)

    @ddt.data(
        ({'image': None}, 'template.image'),
        ({'image': 'i' * 256}, 'template.image'),
        ({'image': 'busy\U0001f4a5box'}, 'template.image'),
        ({'image': 'busybox\0'}, 'template.image'),
        ({'image': 'busybox\ud800'}, 'template.image'),
        ({'other': 1}, "'other'"),
        ({'name': 'a b'}, 'template.name'),
        ({'name': 'ab/{index}'}, 'template.name'),
        ({'hostname': 'h' * 63 + '{index}'}, 'template.hostname'),
        ({'hostname': 'a b'}, 'template.hostname'),
        ({'environment': {'A': 1}}, 'template.environment.A'),
        ({'environment': {'A': 'x' * 70000}}, 'template.environment'),
        ({'cpu': 'many'}, 'template.cpu'),
        ({'cpu': 17}, 'template.cpu'),
        ({'cpu': '17'}, 'template.cpu'),
        ({'cpu': 0}, 'template.cpu'),
        ({'memory': 1}, 'template.memory'),
        ({'memory': '9' * 5000}, 'template.memory'),
        ({'disk': 1000}, 'template.disk'),
        ({'workdir': '/' + 'w' * 255}, 'template.workdir'),
        ({'runtime': 'r' * 33}, 'template.runtime'),
        ({'command': 'sleep'}, 'template.command'),
        ({'command': [['sleep']]}, 'command'),
        ({'labels': {'a': {}}}, 'labels'),
        ({'labels': {'org.openstack.zun_bulk.bulk': 'x'}}, 'template.labels'),
        ({'healthcheck': {'cmd': 1}}, 'template.healthcheck.cmd'),
        ({'healthcheck': {'interval': 'x'}}, 'template.healthcheck.interval'),
        ({'restart_policy': {}}, 'template.restart_policy'),
        (
            {'restart_policy': {'Name': 'sometimes'}},
            'template.restart_policy.Name',
        ),
        (
            {'restart_policy': {'Name': 'always', 'MaximumRetryCount': 3}},
            'template.restart_policy',
        ),
        (
            {
                'restart_policy': {
                    'Name': 'on-failure',
                    'MaximumRetryCount': '9' * 5000,
                }
            },
            'template.restart_policy.MaximumRetryCount',
        ),
        ({'exposed_ports': {'80/tcp': {}}}, 'template.exposed_ports'),
        ({'exposed_ports': {}, 'security_groups': ['a']}, "'exposed_ports'"),
        ({'security_groups': ['none']}, 'template.security_groups'),
        ({'security_groups': ['%d']}, 'template.security_groups'),
        ({'security_groups': ['a'] * 65}, 'template.security_groups'),
        ({'security_groups': ['twice']}, 'template.security_groups'),
        ({'nets': [{'network': 'none'}]}, 'template.nets'),
        ({'nets': [{'network': 'twice'}]}, 'template.nets'),
        ({'nets': [{}]}, 'template.nets[0]'),
        ({'nets': [{'network': 'net-a'}] * 65}, 'template.nets'),
        ({'nets': [{'port': 'port-1'}]}, 'template.nets[0].port'),
        (
            {
                'nets': [
                    {'network': 'net-a'},
                    {'network': 'net-a', 'v4-fixed-ip': '10.0.0.3'},
                ]
            },
            'template.nets[1].v4-fixed-ip',
        ),
        (
            {'nets': [{'network': 'net-a', 'v6-fixed-ip': '::3'}]},
            'template.nets[0].v6-fixed-ip',
        ),
        ({'registry': 'none'}, 'template.registry'),
        (
            {'mounts': [{'source': 'vol', 'destination': '/a'}]},
            'template.mounts[0]: this cloud has no Cinder service',
        ),
        (
            {'mounts': [{'type': 'tmpfs', 'size': 1, 'destination': '/a'}]},
            'template.mounts[0].type',
        ),
        (
            {'mounts': [{'type': 'bind', 'source': 'x', 'destination': '/a'}]},
            'template.mounts[0].source',
        ),
        (
            {'mounts': [{'type': 'bind', 'source': 'é', 'destination': '/a'}]},
            'template.mounts[0].source',
        ),
        (
            {
                'mounts': [
                    {'type': 'bind', 'source': '', 'destination': '/' * 256}
                ]
            },
            'template.mounts[0].destination',
        ),
        (
            {
                'mounts': [{'type': 'bind', 'source': '', 'destination': '/a'}]
                * 65
            },
            'template.mounts',
        ),
    )
    @ddt.unpack
    def test_template(self, template, field):
        self.neutron.security_groups += [
            dict(zun_fixtures.security_group('twice'), id=ident)
            for ident in ('1', '2')
        ]
        self.neutron.networks += [
            zun_fixtures.network('twice', id=ident) for ident in ('1', '2')
        ]
        self.policy.set_rules(container__create__runtime='@')
        self.refuse(field, template=dict({'image': 'busybox'}, **template))

    def test_no_image(self):
        self.refuse("'image'", template={})

    def test_unknown_host(self):
        self.policy.set_rules(container__create__requested_destination='@')
        self.refuse(
            'template.host', template={'image': 'busybox', 'host': 'host-9'}
        )

    def test_too_large_together(self):
        template = {'image': 'busybox', 'environment': {'A': 'x' * 60000}}
        self.refuse('template', 'too large', count=2000, template=template)
        self.create(count=10, template=template)

    def test_fixed_address_for_one_is_taken(self):
        self.create(
            count=1,
            template={
                'image': 'busybox',
                'nets': [{'network': 'net-a', 'v4-fixed-ip': '10.0.0.3'}],
            },
        )
        (network,) = self.rows(models.Bulk)[0]['spec'].requested_networks
        self.assertEqual('10.0.0.3', network['fixed_ip'])

    @ddt.data(
        ({'v4-range': '10.0.0.10'}, 'two IPv4 addresses'),
        ({'v4-range': '10.0.0.10-10.0.0.20-10.0.0.30'}, 'two IPv4 addresses'),
        ({'v4-range': '10.0.0.10-10.0.0.300'}, 'two IPv4 addresses'),
        ({'v4-range': 'fd00::1-fd00::9'}, 'two IPv4 addresses'),
        ({'v4-range': '10.0.0.20-10.0.0.10'}, 'is higher than'),
        ({'v4-range': '10.0.0.10-10.0.0.10'}, 'for only 1 of 2'),
        # The gateway is nobody's.
        ({'v4-range': '10.0.0.1-10.0.0.2'}, 'for only 1 of 2'),
        ({'v4-range': '10.0.0.250-10.0.1.5'}, 'not inside a subnet'),
        ({'v4-range': '10.0.0.0-10.0.0.20'}, 'not inside a subnet'),
        ({'v4-range': '10.0.0.10-10.0.0.255'}, 'not inside a subnet'),
        ({'v4-range': '10.5.0.10-10.5.0.20'}, 'not inside a subnet'),
        (
            {'v4-range': '10.0.0.10-10.0.0.20', 'v4-fixed-ip': '10.0.0.10'},
            'v4-fixed-ip',
        ),
        ({'v4-range': ['10.0.0.10', '10.0.0.20']}, 'string'),
        ({'v4-range': '1' * 36}, 'too long'),
    )
    @ddt.unpack
    def test_range(self, net, text):
        net_a, net_b = self.neutron.networks
        self.neutron.subnets += [
            zun_fixtures.subnet(net_a, 'fd00::/64'),
            zun_fixtures.subnet(net_a, '10.0.0.0/24'),
            # Of the other network.
            zun_fixtures.subnet(net_b, '10.5.0.0/24'),
        ]
        self.refuse(
            'template.nets[1].v4-range',
            text,
            template={
                'image': 'busybox',
                'nets': [{'network': 'net-b'}, {'network': 'net-a', **net}],
            },
        )

    def test_range_of_a_port(self):
        self.refuse(
            'template.nets[0].v4-range',
            template={
                'image': 'busybox',
                'nets': [{'port': 'port-1', 'v4-range': '10.0.0.1-10.0.0.9'}],
            },
        )

    def test_range_of_a_network_that_is_left_out(self):
        """Zun attaches the last one, and a network only once."""
        self.refuse(
            'template.nets[0].v4-range',
            'twice',
            template={
                'image': 'busybox',
                'nets': [
                    {'network': 'net-a', 'v4-range': '10.0.0.1-10.0.0.9'},
                    {'network': 'net-a'},
                ],
            },
        )

    def test_sriov_port(self):
        self.neutron.networks.append(
            zun_fixtures.network(
                'net-p', **{'provider:physical_network': 'physnet'}
            )
        )
        self.neutron.ports.append(
            zun_fixtures.port(
                'port-1', 'net-p', **{'binding:vnic_type': 'direct'}
            )
        )
        self.refuse(
            'template.nets',
            'SR-IOV',
            count=1,
            template={'image': 'busybox', 'nets': [{'port': 'port-1'}]},
        )

    def test_port_in_use(self):
        self.neutron.ports.append(
            zun_fixtures.port('port-1', device_id='other')
        )
        self.refuse(
            'template.nets',
            count=1,
            template={'image': 'busybox', 'nets': [{'port': 'port-1'}]},
        )

    def test_no_network_at_all(self):
        del self.neutron.networks[:]
        self.refuse('template.nets')

    def test_external_network(self):
        self.neutron.networks.append(
            zun_fixtures.network('net-x', **{'router:external': True})
        )
        self.refuse(
            status=403,
            template={'image': 'busybox', 'nets': [{'network': 'net-x'}]},
        )

    def test_neutron_is_down(self):
        with mock.patch.object(
            self.neutron, 'list_networks', side_effect=OSError('secret place')
        ):
            error = self.refuse(status=500)
        self.assertNotIn('secret', str(error))
        self.assertEqual([], self.woken)

    def test_database_fails_midway(self):
        with (
            mock.patch.object(container_rows.templates, 'LABEL_PREFIX', 'x'),
            mock.patch(
                'oslo_utils.uuidutils.generate_uuid', return_value='same'
            ),
        ):
            error = self.refuse(status=500)
        self.assertNotIn('UNIQUE', str(error))
        self.assertEqual([], self.woken)

    def test_registry_of_another_project(self):
        base.make_registry('foreign', 'project-2')
        self.refuse(
            'template.registry',
            template={'image': 'busybox', 'registry': 'foreign'},
        )
        self.create(
            template={'image': 'busybox', 'registry': 'foreign'}, request=ADMIN
        )


@ddt.ddt
class TestPolicies(base.ApiTestCase):
    @ddt.data(
        ('image_pull_policy', 'never', ''),
        ('runtime', 'runc', ''),
        ('host', 'host-1', 'container:create:requested_destination'),
    )
    @ddt.unpack
    def test_for_admins(self, field, value, rule):
        base.make_host()
        template = {'image': 'busybox', field: value}
        self.refuse(
            rule or 'container:create:' + field, status=403, template=template
        )
        self.create(template=template, request=ADMIN)

    def test_for_nobody(self):
        self.refuse(
            'container:create:privileged',
            status=403,
            template={'image': 'busybox', 'privileged': True},
        )
        self.create(
            template={'image': 'busybox', 'privileged': True},
            status=403,
            request=ADMIN,
        )

    @ddt.data('bulk:create', 'container:create')
    def test_overridden(self, rule):
        self.policy.set_rules(**{rule: 'role:operator'})
        self.refuse(rule, status=403)
        self.create(request={'roles': 'operator,member'})
