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

"""POST /v1/bulks with dry_run: what it says, and that nothing is written."""

from unittest import mock

import ddt
from keystoneauth1 import exceptions as ks_exc
import sqlalchemy as sa
from zun import objects
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from tests import zun_fixtures
from tests.unit.api import base
from zun_bulk import notifications
from zun_bulk.api import dry_run
from zun_bulk.api.views import plan as view
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import hosts as db_hosts
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import planner


ADMIN = {'roles': 'admin'}
CONTAINER = zun_models.Container
TEMPLATE = {'image': 'busybox', 'cpu': 2}


class DryRunTestCase(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.hosts = self.useFixture(
            zun_fixtures.Hosts(host_1=20, host_2=10, host_3=1)
        )
        notified = mock.patch.object(notifications, 'send')
        self.notified = notified.start()
        self.addCleanup(notified.stop)

    def dump(self):
        """All rows of all tables."""
        tables = sa.MetaData()
        tables.reflect(db_base.get_engine())
        with db_base.reader() as session:
            return {
                name: session.execute(sa.select(table)).all()
                for name, table in tables.tables.items()
            }

    def dry_run(self, status=200, request=None, **body):
        """Ask what would be; nothing may come of it."""
        before = self.dump()
        body = {'count': 9, 'template': TEMPLATE, 'dry_run': True} | body
        response = self.request(
            '/v1/bulks', 'POST', body, status=status, **request or {}
        )
        self.assertEqual(before, self.dump())
        self.assertEqual([], self.woken)
        self.notified.assert_not_called()
        return response.json


@ddt.ddt
class TestAnswer(DryRunTestCase):
    def test_all_fit(self):
        self.assertEqual(
            {
                'count': 9,
                'fits': 9,
                'missing': 0,
                'explanation': 'all 9 fit',
                'hosts': [
                    {
                        'host': 'host-1',
                        'zone': 'nova',
                        'members': 6,
                        'room': 10,
                        'bound_by': 'VCPU',
                    },
                    {
                        'host': 'host-2',
                        'zone': 'nova',
                        'members': 3,
                        'room': 5,
                        'bound_by': 'VCPU',
                    },
                    {
                        'host': 'host-3',
                        'zone': 'nova',
                        'members': 0,
                        'room': 0,
                        'bound_by': 'VCPU',
                    },
                ],
                'hosts_omitted': 0,
            },
            self.dry_run(request=ADMIN),
        )

    def test_some_do_not(self):
        answer = self.dry_run(count=20, request=ADMIN)
        self.assertEqual(
            (20, 15, 5),
            tuple(answer[key] for key in ('count', 'fits', 'missing')),
        )
        self.assertEqual(
            '15 of 20 fit: VCPU on host-1, host-2 and host-3',
            answer['explanation'],
        )

    def test_no_hosts(self):
        self.hosts.vcpus = dict.fromkeys(self.hosts.vcpus, 0)
        answer = self.dry_run(request=ADMIN)
        self.assertEqual((0, 9), (answer['fits'], answer['missing']))
        self.assertEqual([0, 0, 0], [h['room'] for h in answer['hosts']])

    @ddt.data(
        ('pack', 9, [9, 0, 0]),
        ('affinity', 12, [10, 0, 0]),
        ('anti-affinity', 3, [1, 1, 0]),
        ('soft-anti-affinity', 9, [5, 4, 0]),
    )
    @ddt.unpack
    def test_policies(self, policy, count, members):
        answer = self.dry_run(
            count=count, placement={'policy': policy}, request=ADMIN
        )
        self.assertEqual(members, [h['members'] for h in answer['hosts']])
        self.assertEqual(sum(members), answer['fits'])

    def test_partial_or_not_is_planned_alike(self):
        self.assertEqual(
            self.dry_run(count=20),
            self.dry_run(count=20, placement={'allow_partial': True}),
        )

    def test_a_host_that_is_held(self):
        db_hosts.add_host('host-1')
        db_hosts.change_host(
            db_hosts.get_host('host-1'), held=True, held_reason='a new disk'
        )
        first = self.dry_run(request=ADMIN)['hosts'][0]
        self.assertEqual(
            (0, 0, 'held by its operator: a new disk'),
            tuple(first[key] for key in ('members', 'room', 'bound_by')),
        )

    def test_the_container_is_what_create_writes(self):
        """Filters see the same, whether it is in the table or not."""
        seen = []
        survey = dry_run.hosts.survey

        def look(context, container, spec, *args):
            seen.append((container, spec))
            return survey(context, container, spec, *args)

        self.policy.set_rules(container__create__runtime='@')
        template = dict(
            TEMPLATE,
            name='web-{index}',
            hostname='h{index}',
            runtime='runc',
            labels={'role': 'web'},
            environment={'N': '{index}'},
            restart_policy={'Name': 'always'},
            memory='64',
            hints={'group': 'a'},
        )
        with mock.patch.object(dry_run.hosts, 'survey', look):
            self.dry_run(template=template)
        ((ours, spec),) = seen
        bulk = self.create(count=9, template=template)
        context = dry_run.zun_context.get_admin_context(all_projects=True)
        theirs = objects.Container.list(context, filters={'name': 'web-1'})[0]
        ours, theirs = ours.as_dict(), theirs.as_dict()
        for values in (ours, theirs):
            for name in ('id', 'uuid', 'created_at'):
                del values[name]
            del values['labels']['org.openstack.zun_bulk.bulk']
            values['cpuset'] = values['cpuset']._to_dict()
        self.assertEqual(theirs, ours)
        self.assertEqual(db_bulks.get_bulk(bulk['uuid']).spec, spec)

    def test_false_is_a_create(self):
        self.assertIn('uuid', self.create(dry_run=False))
        self.assertEqual(2, len(self.rows(CONTAINER)))


@ddt.ddt
class TestUsers(DryRunTestCase):
    def test_hosts_are_not_for_all(self):
        for count, text in ((9, 'all 9 fit'), (20, '15 of 20 fit')):
            answer = self.dry_run(count=count)
            self.assertEqual(text, answer['explanation'])
            self.assertIsNone(answer['hosts'])
            self.assertIsNone(answer['hosts_omitted'])
            self.assertNotIn('host-', str(answer))

    def test_as_zun_shows_hosts(self):
        self.policy.set_rules(container__get_one__host='role:operator')
        self.assertIsNone(self.dry_run(request=ADMIN)['hosts'])
        operator = {'roles': 'operator,member'}
        self.assertEqual(3, len(self.dry_run(request=operator)['hosts']))

    @ddt.data('bulk:create', 'bulk:create:dry_run', 'container:create')
    def test_policies(self, rule):
        self.policy.set_rules(**{rule: 'role:operator'})
        error = self.dry_run(403)['errors'][0]
        self.assertIn(rule, error['detail'])
        self.dry_run(request={'roles': 'operator,member'})

    def test_create_does_not_need_it(self):
        self.policy.set_rules(bulk__create__dry_run='!')
        self.create()
        self.woken.clear()
        self.notified.reset_mock()
        self.dry_run(403, request=ADMIN)


@ddt.ddt
class TestRefused(DryRunTestCase):
    """What create refuses, in the same words."""

    @ddt.data(
        {'count': 0},
        {'count': 10001},
        {'placement': {'policy': 'heap'}},
        {'placement': {'allow_partial': 'yes'}},
        {'other': 1},
        {'template': {'image': 'busybox', 'cpu': 100}},
        {'template': {'image': 'busybox', 'privileged': True}},
        {'template': {'image': 'busybox', 'nets': [{'network': 'none'}]}},
        {'template': {'image': 'busybox', 'nets': [{'port': 'port-1'}]}},
        {'template': {'image': 'busybox', 'security_groups': ['none']}},
        {'template': {'image': 'busybox', 'host': 'none'}},
        {'template': {'image': 'busybox', 'hostname': 'x' * 256}},
        {'template': {'image': 'busybox', 'labels': {'a': 'b' * 70000}}},
    )
    def test_as_by_create(self, body):
        self.policy.set_rules(container__create__requested_destination='@')
        body = {'count': 9, 'template': TEMPLATE} | body
        refused = self.request('/v1/bulks', 'POST', body)
        self.assertIn(refused.status_int, (400, 403))
        self.assertEqual(
            refused.json, self.dry_run(refused.status_int, **body)
        )

    def test_quota(self):
        self.config(group='quota', containers=10)
        self.create(count=2)
        self.woken.clear()
        self.notified.reset_mock()
        self.assertEqual(
            'Quota exceeded for resources: containers (2 used, 9 requested, '
            '10 allowed)',
            self.dry_run(403)['errors'][0]['detail'],
        )
        self.dry_run(count=8)

    def test_names(self):
        self.config(group='compute', unique_container_name_scope='project')
        template = dict(TEMPLATE, name='web-{index}')
        self.create(count=2, template=template)
        self.woken.clear()
        self.notified.reset_mock()
        error = self.dry_run(409, template=template)['errors'][0]
        self.assertIn('web-1', error['detail'])

    @ddt.data('yes', 1, None)
    def test_no_boolean(self, value):
        error = self.dry_run(400, dry_run=value)['errors'][0]
        self.assertIn('dry_run', error['detail'])


class TestClientToken(DryRunTestCase):
    def test_is_not_used_up(self):
        for _number in range(2):
            self.dry_run(client_token='once')
        bulk = self.create(
            count=9, template=TEMPLATE, client_token='once', dry_run=False
        )
        self.assertEqual('once', bulk['client_token'])

    def test_is_not_part_of_what_is_asked_for(self):
        body = {'count': 9, 'template': TEMPLATE, 'client_token': 'once'}
        bulk = self.create(**body)
        self.assertEqual(bulk, self.create(dry_run=False, **body))

    def test_has_made_a_bulk(self):
        body = {'count': 9, 'template': TEMPLATE, 'client_token': 'once'}
        uuid = self.create(**body)['uuid']
        self.woken.clear()
        self.notified.reset_mock()
        for other, text in (({}, 'already'), ({'count': 8}, 'different')):
            error = self.dry_run(409, **body | other)['errors'][0]
            self.assertIn('client_token', error['detail'])
            self.assertIn(uuid, error['detail'])
            self.assertIn(text, error['detail'])


@ddt.ddt
class TestNoAnswer(DryRunTestCase):
    @ddt.data(
        ks_exc.ConnectFailure('http://10.0.0.1/'),
        ks_exc.ConnectTimeout('http://10.0.0.1/'),
        ks_exc.EndpointNotFound('http://10.0.0.1/'),
        ks_exc.Unauthorized('http://10.0.0.1/'),
        exception.AuthorizationFailure(client='placement', message='10.0.0.1'),
        placement.BadAnswer('Placement answered 503 10.0.0.1'),
    )
    def test_of_placement(self, error):
        self.hosts.error = error
        answer = self.dry_run(503)['errors'][0]
        self.assertIn('Placement or Keystone is not', answer['detail'])
        self.assertNotIn('10.0.0.1', str(answer))
        self.assertIn('10.0.0.1', self.log.output)
        self.assertNotIn('Traceback', self.log.output)

    def test_of_keystone(self):
        with mock.patch.object(
            placement, 'Placement', side_effect=ks_exc.ConnectFailure('')
        ):
            self.dry_run(503)

    def test_another_error(self):
        self.hosts.error = RuntimeError()
        self.dry_run(500)
        self.assertIn('Traceback', self.log.output)


class TestManyHosts(base.base.BaseTestCase):
    def test_the_table_is_cut(self):
        rooms = [
            planner.Room('host-%04d' % number, room=number)
            for number in range(3000)
        ]
        plan = planner.plan(10**5, rooms, 'pack')
        answer = view.plan(plan, True)
        self.assertEqual(view.MAX_HOSTS, len(answer['hosts']))
        self.assertEqual(3000 - view.MAX_HOSTS, answer['hosts_omitted'])
        # None is left out that gets any.
        self.assertEqual(10**5, sum(h['members'] for h in answer['hosts']))
        names = [host['host'] for host in answer['hosts']]
        self.assertEqual(sorted(names), names)
