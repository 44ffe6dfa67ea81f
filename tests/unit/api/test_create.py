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

import base64
from unittest import mock

import ddt
import fixtures
from oslo_utils import uuidutils
import sqlalchemy as sa
from zun import objects
from zun.api import app as zun_app
from zun.common import context as zun_context
from zun.common import rpc as zun_rpc
from zun.db.sqlalchemy import models as zun_models

from tests import threads
from tests import zun_fixtures
from tests.unit.api import base
from zun_bulk import rpc
from zun_bulk.api import container_rows
from zun_bulk.api import middleware
from zun_bulk.api import validation
from zun_bulk.conf import CONF
from zun_bulk.consts import MemberState
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import models
from zun_bulk.db import zun_rows


ADMIN = {'roles': 'admin'}
WAKE_CONDUCTORS = rpc.wake_conductors

RICH = {
    'image': 'registry.example/web:1',
    'command': ['sleep', '1000'],
    'entrypoint': ['/bin/sh', '-c'],
    'cpu': 0.5,
    'cpu_policy': 'shared',
    'memory': '128',
    'disk': 2,
    'workdir': '/srv',
    'auto_remove': False,
    'auto_heal': True,
    'image_pull_policy': 'never',
    'labels': {'role': 'web', 'rack': '1'},
    'environment': {'A': '1', 'B': ''},
    'restart_policy': {'Name': 'on-failure', 'MaximumRetryCount': '3'},
    'interactive': True,
    'tty': True,
    'image_driver': 'docker',
    'security_groups': ['web', 'web'],
    'hints': {'group': 'a'},
    'nets': [{'network': 'net-a'}, {'network': 'net-b'}],
    'runtime': 'runc',
    'hostname': 'web',
    'availability_zone': 'nova',
    'healthcheck': {'cmd': 'true', 'interval': 10, 'retries': 2, 'timeout': 5},
    'registry': 'private',
    'host': 'host-1',
}


def encode(text):
    return base64.b64encode(text.encode()).decode()


def make_host(name='host-1'):
    node = {
        'uuid': uuidutils.generate_uuid(),
        'hostname': name,
        'rp_uuid': uuidutils.generate_uuid(),
        'numa_topology': {},
    }
    with db_base.writer() as session:
        session.execute(sa.insert(zun_models.ComputeNode.__table__), [node])


def make_registry(name='private', project='project-1'):
    context = zun_context.RequestContext(
        is_admin=True, project_id=project, user_id='user-1'
    )
    registry = objects.Registry(
        context,
        name=name,
        domain='registry.example',
        username='u',
        password='p',
        project_id=project,
        user_id='user-1',
    )
    registry.create(context)
    return registry


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
        make_host()
        make_registry()
        mounts = [
            {
                'type': 'bind',
                'source': encode('text'),
                'destination': '/etc/motd',
            }
        ]
        self.create(template=dict(RICH, mounts=mounts))
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
            row['spec'],
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
            [
                network['network']
                for network in row['spec']['requested_networks']
            ],
        )
        self.assertEqual(
            (1.0, 512, None, None),
            tuple(
                row['spec'][key]
                for key in ('cpu', 'memory', 'disk', 'cpu_policy')
            ),
        )
        self.assertEqual([], row['spec']['mounts'])

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
                for network in self.rows(models.Bulk)[0]['spec'][
                    'requested_networks'
                ]
            ],
        )

    def test_a_port_for_one(self):
        self.neutron.ports.append(zun_fixtures.port('port-1'))
        self.create(
            count=1,
            template={'image': 'busybox', 'nets': [{'port': 'port-1'}]},
        )
        (network,) = self.rows(models.Bulk)[0]['spec']['requested_networks']
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


class TestLikeStock(base.ApiTestCase):
    """A member's rows are those of a stock create of the same body."""

    def setUp(self):
        super().setUp()
        self.app = middleware.filter_factory({})(zun_app.setup_app())
        self.useFixture(
            fixtures.MockPatch('zun.scheduler.client.query.SchedulerClient')
        )
        self.useFixture(fixtures.MockPatch('zun.compute.rpcapi.API'))
        self.policy.set_rules(
            container__create__image_pull_policy='@',
            container__create__runtime='@',
            container__create__privileged='@',
            container__create__requested_destination='@',
        )
        self.neutron.security_groups.append(zun_fixtures.security_group('web'))
        make_host()
        make_registry()

    def _compare(self, template):
        self.request(
            '/v1/containers',
            'POST',
            template,
            status=202,
            headers={'OpenStack-API-Version': 'container 1.40'},
        )
        (stock,) = self.rows(zun_models.Container)
        (stock_action,) = self.rows(zun_models.ContainerAction)
        bulk = self.create(count=1, template=template)
        ours = self.rows(zun_models.Container)[-1]
        our_action = self.rows(zun_models.ContainerAction)[-1]

        self.assertEqual(
            bulk['uuid'], ours['labels'].pop('org.openstack.zun_bulk.bulk')
        )
        self.assertEqual(
            '1', ours['labels'].pop('org.openstack.zun_bulk.index')
        )
        for mine, theirs in ((ours, stock), (our_action, stock_action)):
            for column in (
                'id',
                'uuid',
                'container_uuid',
                'created_at',
                'start_time',
            ):
                if column in theirs:
                    self.assertIs(type(theirs[column]), type(mine[column]))
                    mine[column] = theirs[column]
            self.assertEqual(theirs, mine)
        # NULL and an empty document are not the same to Zun.
        with db_base.reader() as session:
            raw = session.execute(
                sa.text('SELECT * FROM container ORDER BY id')
            ).mappings()
            stock, ours = (dict(row) for row in raw)
        for row in (stock, ours):
            for column in ('id', 'uuid', 'created_at', 'labels'):
                row.pop(column)
        self.assertEqual(stock, ours)

    def test_rich(self):
        self._compare(dict(RICH, name='web'))

    def test_bare(self):
        self._compare({'image': 'busybox', 'name': 'bare'})

    def test_other_values(self):
        self._compare(
            {
                'image': 'busybox',
                'name': 'other',
                'cpu': '2',
                'memory': 64,
                'cpu_policy': 'dedicated',
                'privileged': True,
                'exposed_ports': {},
                'disk': '3',
                'restart_policy': {'Name': 'always'},
                'image_driver': 'None',
                'auto_remove': True,
                'interactive': 'true',
                'labels': {'number': 1},
                'command': ['echo', 1],
            }
        )

    def test_other_requests_reach_zun(self):
        stock = {'image': 'busybox', 'name': 'mine'}
        self.request(
            '/v1/containers',
            'POST',
            stock,
            status=202,
            headers={'OpenStack-API-Version': 'container 1.40'},
        )
        listed = self.request(
            '/v1/containers',
            status=200,
            headers={'OpenStack-API-Version': 'container 1.40'},
        ).json
        self.assertEqual(
            ['mine'], [container['name'] for container in listed['containers']]
        )


@ddt.ddt
class TestNames(base.ApiTestCase):
    @ddt.data(
        # template, bulk, count, first member's, last member's, bulk's
        ('web-{index}', None, 2, 'web-1', 'web-2', 'web'),
        ('web', None, 2, 'web-1', 'web-2', 'web'),
        ('web', None, 1, 'web', 'web', 'web'),
        ('web-{index}', None, 1, 'web-1', 'web-1', 'web'),
        ('{index}-web', 'own', 2, '1-web', '2-web', 'own'),
        ('a{index}._-', None, 2, 'a1._-', 'a2._-', None),
        (None, 'own', 2, 'own-1', 'own-2', 'own'),
        (None, 'own', 1, 'own-1', 'own-1', 'own'),
    )
    @ddt.unpack
    def test_name(self, template, name, count, first, last, bulk_name):
        body = {'name': name} if name else {}
        bulk = self.create(
            count=count,
            template={'image': 'busybox', 'name': template},
            **body,
        )
        members = self.rows(models.Member)
        self.assertEqual(
            (first, last), (members[0]['name'], members[-1]['name'])
        )
        if bulk_name:
            self.assertEqual(bulk_name, bulk['name'])
        else:
            self.assertRegex(bulk['name'], '^bulk-[0-9a-f]{8}$')

    def test_no_name_at_all(self):
        bulk = self.create(count=1)
        self.assertRegex(bulk['name'], '^bulk-[0-9a-f]{8}$')
        self.assertEqual(
            bulk['name'] + '-1', self.rows(models.Member)[0]['name']
        )

    def test_the_last_name_is_too_long(self):
        name = 'n' * 254 + '{index}'
        self.refuse(
            'template.name',
            count=10,
            template={'image': 'busybox', 'name': name},
        )
        self.create(count=9, template={'image': 'busybox', 'name': name})

    def test_unique_in_project(self):
        self.config(group='compute', unique_container_name_scope='project')
        template = {'image': 'busybox', 'name': 'Web-{index}'}
        self.create(count=2, template=template)
        error = self.create(
            count=3,
            status=409,
            template={'image': 'busybox', 'name': 'web-{index}'},
        )['errors'][0]
        self.assertIn('name web-1 already exists', error['detail'])
        self.assertEqual('container.container-already-exists', error['code'])
        self.create(
            count=2, template=template, request={'project': 'project-2'}
        )

    def test_unique_everywhere(self):
        self.config(group='compute', unique_container_name_scope='global')
        template = {'image': 'busybox', 'name': 'web-{index}'}
        self.create(template=template)
        self.create(
            template=template, status=409, request={'project': 'project-2'}
        )


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
            'template.mounts[0]: there is no Cinder in this cloud',
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
        (network,) = self.rows(models.Bulk)[0]['spec']['requested_networks']
        self.assertEqual('10.0.0.3', network['fixed_ip'])

    @ddt.data(
        ({'v4-range': '10.0.0.10'}, 'two IPv4 addresses'),
        ({'v4-range': '10.0.0.10-10.0.0.20-10.0.0.30'}, 'two IPv4 addresses'),
        ({'v4-range': '10.0.0.10-10.0.0.300'}, 'two IPv4 addresses'),
        ({'v4-range': 'fd00::1-fd00::9'}, 'two IPv4 addresses'),
        ({'v4-range': '10.0.0.20-10.0.0.10'}, 'comes after'),
        ({'v4-range': '10.0.0.10-10.0.0.10'}, 'for 1 of 2'),
        # The gateway is nobody's.
        ({'v4-range': '10.0.0.1-10.0.0.2'}, 'for 1 of 2'),
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
        make_registry('foreign', 'project-2')
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
        make_host()
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


@ddt.ddt
class TestClientToken(base.ApiTestCase):
    BODY = {'count': 2, 'template': {'image': 'busybox', 'name': 'web'}}

    def post(self, status=202, request=None, **body):
        body = {**self.BODY, 'client_token': 'once', **body}
        return self.request(
            '/v1/bulks', 'POST', body, status=status, **request or {}
        )

    def assert_one_bulk(self):
        self.assertEqual(
            [1, 2, 2, 2],
            [
                len(self.rows(model))
                for model in (
                    models.Bulk,
                    models.Member,
                    zun_models.Container,
                    zun_models.ContainerAction,
                )
            ],
        )

    def test_again(self):
        first, second = self.post(), self.post()
        self.assertEqual(first.json, second.json)
        self.assertEqual(first.location, second.location)
        self.assertEqual('once', first.json['client_token'])
        self.assert_one_bulk()

    @ddt.data(
        {'run': True},
        {'max_attempts': 5},
        {'on_failure': 'pause'},
        {'placement': {}},
        {'placement': {'policy': 'spread'}},
        {'placement': {'allow_partial': False}},
        {'dry_run': False},
        {'template': {'name': 'web', 'image': 'busybox'}},
        {'template': {'image': 'busybox', 'name': 'web', 'cpu': None}},
    )
    def test_the_same_in_other_words(self, body):
        self.assertEqual(
            self.post().json['uuid'], self.post(**body).json['uuid']
        )
        self.assert_one_bulk()

    @ddt.data(
        {'count': 3},
        {'name': 'other'},
        {'run': False},
        {'max_attempts': 4},
        {'on_failure': 'continue'},
        {'placement': {'policy': 'pack'}},
        {'placement': {'allow_partial': True}},
        {'template': {'image': 'busybox', 'name': 'web', 'cpu': 1}},
        {'template': {'image': 'busybox', 'name': 'Web'}},
    )
    def test_another_body(self, body):
        uuid = self.post().json['uuid']
        error = self.post(409, **body).json['errors'][0]
        self.assertIn('client_token', error['detail'])
        self.assertIn(uuid, error['detail'])
        self.assertIn('different request body', error['detail'])
        self.assert_one_bulk()

    def test_tokens_tell_requests_apart(self):
        uuids = {
            self.post(client_token=token).json['uuid']
            for token in ('a', 'A', 'b', 'x' * 64, '0_.:-')
        }
        self.assertEqual(5, len(uuids))

    def test_without_a_token_each_is_one(self):
        self.assertNotEqual(
            self.create(**self.BODY)['uuid'], self.create(**self.BODY)['uuid']
        )

    def test_another_project(self):
        first = self.post().json
        second = self.post(request={'project': 'project-2'}).json
        self.assertNotEqual(first['uuid'], second['uuid'])

    def test_is_shown_to_its_project_only(self):
        path = '/v1/bulks/' + self.post().json['uuid']
        for project, token in (('project-1', 'once'), ('project-2', None)):
            admin = {'project': project, 'roles': 'admin'}
            self.assertEqual(
                token, self.request(path, **admin).json['client_token']
            )
            (bulk,) = self.request(
                '/v1/bulks?all_projects=true', **admin
            ).json['bulks']
            self.assertEqual(token, bulk['client_token'])

    @ddt.data(
        {'template': {'image': 'busybox', 'nets': [{'network': 'none'}]}},
        {'template': {'image': 'busybox', 'privileged': True}},
        {'count': 10001},
        {'other': 1},
    )
    def test_what_is_refused_burns_no_token(self, body):
        self.assertIn(self.post(None, **body).status_int, (400, 403))
        self.assertEqual([], self.rows(models.Bulk))
        self.post()
        self.assert_one_bulk()

    def test_a_bulk_on_its_way_out(self):
        bulk = self.post().json
        self.request('/v1/bulks/' + bulk['uuid'], 'DELETE', status=202)
        again = self.post().json
        self.assertEqual(
            (bulk['uuid'], 'deleting'), (again['uuid'], again['status'])
        )
        self.assert_one_bulk()

    def test_after_its_bulk_is_gone(self):
        bulk = self.post().json
        with db_base.writer() as session:
            session.execute(sa.delete(models.Member))
            session.execute(sa.delete(models.Bulk))
        self.assertNotEqual(bulk['uuid'], self.post().json['uuid'])

    def post_twice_at_once(self, **body):
        """Post, and post again when the first is just about to be written."""
        accept_bulk, later = db_accepting.accept_bulk, []

        def overtaken(*args, **kwargs):
            patch.stop()
            later.append(self.post(**body).json)
            return accept_bulk(*args, **kwargs)

        patch = mock.patch.object(db_accepting, 'accept_bulk', overtaken)
        patch.start()
        self.addCleanup(patch.stop)
        return self.post(**body).json, later[0]

    def test_the_same_at_once(self):
        first, second = self.post_twice_at_once()
        self.assertEqual(first, second)
        self.assert_one_bulk()

    def test_the_same_at_once_has_taken_the_names(self):
        self.config(group='compute', unique_container_name_scope='project')
        check, later = container_rows.check_names, []

        def overtaken(*args):
            patch.stop()
            later.append(self.post().json)
            check(*args)

        patch = mock.patch.object(container_rows, 'check_names', overtaken)
        patch.start()
        self.addCleanup(patch.stop)
        self.assertEqual(self.post().json['uuid'], later[0]['uuid'])
        self.assert_one_bulk()

    def test_many_at_once(self):
        uuids = threads.at_once([lambda: self.post().json['uuid']] * 20)
        self.assertEqual(1, len(set(uuids)))
        self.assert_one_bulk()

    def test_bodies_that_differ_at_once(self):
        responses = threads.at_once(
            [
                lambda attempts=number: self.post(None, max_attempts=attempts)
                for number in range(1, 11)
            ]
        )
        self.assertEqual(
            [202] + [409] * 9,
            sorted(response.status_int for response in responses),
        )
        self.assert_one_bulk()


@ddt.ddt
class TestQuotas(base.ApiTestCase):
    @ddt.data(
        ({'containers': 5}, {}, 5),
        ({'cpu': 4}, {'cpu': 1}, 4),
        # What is left out counts as its default: 1 CPU, 512 MB.
        ({'cpu': 3}, {}, 3),
        ({'cpu': 3}, {'cpu': None}, 3),
        ({'cpu': 1}, {'cpu': 0.3}, 3),
        ({'cpu': 1}, {'cpu': '.5'}, 2),
        ({'memory': 1024}, {}, 2),
        ({'memory': 1024}, {'memory': '256'}, 4),
        ({'disk': 7}, {'disk': 2}, 3),
    )
    @ddt.unpack
    def test_limit(self, quotas, template, fits):
        self.config(group='quota', **quotas)
        template = dict({'image': 'busybox'}, **template)
        error = self.refuse(
            list(quotas)[0], status=403, count=fits + 1, template=template
        )
        self.assertEqual('container.over-quota', error['code'])
        self.create(count=fits, template=template)
        # What is there counts too; other projects have their own.
        self.create(count=fits, template=template, status=403)
        self.create(
            count=fits, template=template, request={'project': 'project-2'}
        )

    def test_without_limits(self):
        self.config(group='quota', driver='zun.common.quota.NoopQuotaDriver')
        self.create(count=50)
        self.assertEqual([], self.rows(models.Project))

    def test_what_the_message_says(self):
        self.config(group='quota', containers=10, cpu=2, memory=1000, disk=100)
        template = {'image': 'busybox', 'cpu': 0.3, 'memory': '64', 'disk': 8}
        self.create(count=4, template=template)
        error = self.create(count=7, template=template, status=403)
        self.assertEqual(
            'Quota exceeded for resources: containers (4 used, 7 asked for, '
            '10 allowed), cpu (1.2 used, 2.1 asked for, 2 allowed)',
            error['errors'][0]['detail'],
        )
        error = self.create(
            count=6,
            template={'image': 'busybox', 'cpu': 0.1, 'disk': 12},
            status=403,
        )
        self.assertEqual(
            'Quota exceeded for resources: memory in MB (256 used, 3072 asked '
            'for, 1000 allowed), disk in GB (32 used, 72 asked for, 100 '
            'allowed)',
            error['errors'][0]['detail'],
        )

    def test_parts_of_a_cpu_add_up(self):
        self.config(group='quota', cpu=1)
        template = {'image': 'busybox', 'cpu': 0.1}
        for _number in range(10):
            self.create(count=1, template=template)
        self.create(count=1, template=template, status=403)

    def test_of_the_project_and_of_its_class(self):
        context = zun_context.get_admin_context()
        objects.QuotaClass(
            context, class_name='default', resource='containers', hard_limit=3
        ).create(context)
        objects.Quota(
            context,
            project_id='project-2',
            resource='containers',
            hard_limit=5,
        ).create(context)
        self.refuse('3 allowed', status=403, count=4)
        self.create(count=3)
        self.create(count=5, request={'project': 'project-2'})

    def test_no_limit_of_its_own(self):
        self.config(group='quota', containers=3)
        context = zun_context.get_admin_context()
        objects.Quota(
            context,
            project_id='project-1',
            resource='containers',
            hard_limit=None,
        ).create(context)
        self.create(count=4)

    def test_many_at_once_at_the_edge(self):
        self.config(group='quota', containers=20)
        responses = threads.at_once(
            [
                lambda: self.request(
                    '/v1/bulks',
                    'POST',
                    {'count': 3, 'template': {'image': 'busybox'}},
                )
            ]
            * 20
        )
        self.assertEqual(
            [202] * 6 + [403] * 14,
            sorted(response.status_int for response in responses),
        )
        self.assertEqual(18, len(self.rows(zun_models.Container)))
        for response in responses:
            if response.status_int == 403:
                self.assertIn(
                    'containers (18 used, 3 asked for, 20 allowed)',
                    response.json['errors'][0]['detail'],
                )

    def test_a_repetition_needs_no_room(self):
        self.config(group='quota', containers=3)
        uuids = threads.at_once(
            [lambda: self.create(count=3, client_token='once')['uuid']] * 10
        )
        self.assertEqual(1, len(set(uuids)))

    def test_what_does_not_fit_burns_no_token(self):
        self.config(group='quota', containers=3)
        self.refuse('containers', status=403, count=4, client_token='once')
        self.create(count=3, client_token='once')

    def test_what_is_gone_makes_room(self):
        self.config(group='quota', containers=3)
        bulk = self.create(count=3)
        self.create(count=1, status=403)
        self.request('/v1/bulks/' + bulk['uuid'], 'DELETE', status=202)
        # Not yet: the containers are there.
        self.create(count=1, status=403)
        zun_rows.delete_containers(
            [row['uuid'] for row in self.rows(zun_models.Container)][:1]
        )
        self.create(count=1)
        self.create(count=1, status=403)


@ddt.ddt
class TestBody(base.ApiTestCase):
    @ddt.data(
        b'',
        b'{',
        b'[]',
        b'"x"',
        b'1',
        b'null',
        b'\xff',
        b'{"count": NaN, "template": {"image": "busybox"}}',
        b'{"count": 1e999, "template": {"image": "busybox"}}',
        b'{"template": {"image": "busybox"}}',
        b'{"count": 2}',
        b'[' * 100000,
        b'{"count":' + b'1' * 5000 + b'}',
    )
    def test_not_a_bulk(self, body):
        response = self.request('/v1/bulks', 'POST', body, status=400)
        error = response.json['errors'][0]
        self.assertEqual('container.schema-validation-error', error['code'])
        self.assertNotEqual('', error['detail'])
        self.assertLess(len(error['detail']), 1000)

    @ddt.data('text/plain', 'application/x-www-form-urlencoded', '')
    def test_content_type(self, content_type):
        response = self.request(
            '/v1/bulks',
            'POST',
            b'{}',
            status=415,
            environ={'CONTENT_TYPE': content_type},
        )
        self.assertIn('Content-Type', response.json['errors'][0]['detail'])

    def test_charset_is_no_other_type(self):
        self.request(
            '/v1/bulks',
            'POST',
            {'count': 1, 'template': {'image': 'busybox'}},
            status=202,
            environ={'CONTENT_TYPE': 'application/json; charset=utf-8'},
        )

    def test_too_large(self):
        body = b' ' * (validation.MAX_LARGE_SIZE + 1)
        self.request('/v1/bulks', 'POST', body, status=413)
        self.request(
            '/v1/bulks',
            'POST',
            body,
            status=413,
            environ={'CONTENT_LENGTH': '', 'wsgi.input_terminated': True},
        )
        self.request('/v1/bulks', 'POST', body[1:], status=400)

    def test_no_query(self):
        error = self.request(
            '/v1/bulks?run=1', 'POST', b'{}', status=400
        ).json['errors'][0]
        self.assertIn("'run'", error['detail'])
