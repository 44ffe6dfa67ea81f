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

"""POST /v1/bulks/{id}/scale: what is written, and what is refused."""

from unittest import mock

import ddt
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import zun_fixtures
from tests.unit.api import base
from zun_bulk.api import accept
from zun_bulk.api.handlers import bulk as handler
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import members as db_members
from zun_bulk.db import models


TEMPLATE = {
    'image': 'busybox',
    'name': 'web-{index}',
    'hostname': 'h{index}',
    'environment': {'NUMBER': '{index}'},
    'cpu': 0.5,
    'memory': '64',
    'security_groups': ['web'],
    'nets': [{'network': 'net-a'}],
    'labels': None,
}


class ScaleTestCase(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.neutron.security_groups = [zun_fixtures.security_group('web')]
        self.uuid = self.create(name='web', count=4, template=TEMPLATE)['uuid']
        self.woken.clear()

    def scale(self, status=202, path='web', request=None, **body):
        return self.request(
            '/v1/bulks/%s/scale' % path,
            'POST',
            body,
            status=status,
            **request or {},
        ).json

    def refuse(self, *texts, status=400, **body):
        """Try what is refused; nothing may change."""
        before = self.dump()
        error = self.scale(status=status, **body)['errors'][0]
        for text in texts:
            self.assertIn(text, error['detail'])
        self.assertEqual(before, self.dump())
        self.assertEqual([], self.woken)

    def dump(self):
        return [
            self.rows(model)
            for model in (
                models.Bulk,
                models.Member,
                zun_models.Container,
                zun_models.ContainerAction,
            )
        ]

    def set_bulk(self, **values):
        with db_base.writer() as session:
            session.execute(sa.update(models.Bulk.__table__).values(**values))

    def set_members(self, *indexes, **values):
        with db_base.writer() as session:
            session.execute(
                sa.update(models.Member.__table__)
                .where(models.Member.member_index.in_(indexes))
                .values(**values)
            )

    def indexes(self):
        bulk = db_bulks.get_bulk(self.uuid)
        return [m.member_index for m in db_members.list_members(bulk.id)]


@ddt.ddt
class TestUp(ScaleTestCase):
    def test_answer(self):
        bulk = self.scale(count=7)
        self.assertEqual(
            (self.uuid, 7, 'building', 7),
            (
                bulk['uuid'],
                bulk['count'],
                bulk['status'],
                bulk['members']['queued'],
            ),
        )
        self.assertEqual([('wake_conductors',)], self.woken)
        self.assertEqual(7, self.request('/v1/bulks/web').json['count'])

    def test_placement_stays(self):
        placement = {'policy': 'zone-spread', 'allow_partial': True}
        bulk = self.create(name='other', placement=placement)
        self.assertEqual(placement, bulk['placement'])
        self.scale(path='other', count=3)
        self.assertEqual(placement, db_bulks.get_bulk('other').placement)

    def test_rows_are_as_those_of_the_create(self):
        self.scale(
            count=6,
            request={'environ': {'openstack.request_id': 'req-' + 36 * '2'}},
        )
        (bulk,) = self.rows(models.Bulk)
        members = self.rows(models.Member)
        containers = self.rows(zun_models.Container)
        actions = self.rows(zun_models.ContainerAction)
        self.assertEqual(
            list(range(1, 7)), [m['member_index'] for m in members]
        )
        uuids = [m['container_uuid'] for m in members]
        self.assertEqual(uuids, [c['uuid'] for c in containers])
        self.assertEqual(uuids, [a['container_uuid'] for a in actions])
        # zun-compute looks for the action by the request that it is told of.
        self.assertEqual(
            {bulk['request_id']}, {a['request_id'] for a in actions}
        )
        self.assertEqual(
            ['web-5', 'h5', {'NUMBER': '5'}],
            [containers[4][key] for key in ('name', 'hostname')]
            + [containers[4]['environment']],
        )
        self.assertEqual('web-5', members[4]['name'])
        own = ('id', 'uuid', 'created_at', 'name', 'hostname', 'environment')
        for container in containers:
            self.assertEqual(
                str(members[containers.index(container)]['member_index']),
                container['labels'].pop('org.openstack.zun_bulk.index'),
            )
            for key in own:
                container.pop(key)
        self.assertEqual([containers[0]] * 6, containers)

    def test_keeps_what_was_found_when_it_was_made(self):
        """Security groups by name, and defaults, may be others by now."""
        self.neutron.security_groups = []
        self.config(default_memory=999)
        self.scale(count=5)
        first, *_others, last = self.rows(zun_models.Container)
        for key in ('security_groups', 'memory', 'cpu', 'disk'):
            self.assertEqual(first[key], last[key])

    def test_an_admin_scales_for_its_owner(self):
        self.scale(
            count=5,
            path=self.uuid,
            request={
                'project': 'project-2',
                'user': 'user-2',
                'roles': 'admin',
            },
        )
        for model in (zun_models.Container, zun_models.ContainerAction):
            self.assertEqual(
                {('project-1', 'user-1')},
                {
                    (row['project_id'], row['user_id'])
                    for row in self.rows(model)
                },
            )

    def test_one_without_index_in_its_name(self):
        bulk = self.create(
            name='one', count=1, template={'image': 'busybox', 'name': 'solo'}
        )
        self.scale(path=bulk['uuid'], count=3)
        self.assertEqual(
            ['solo', 'solo-2', 'solo-3'],
            [row['name'] for row in self.rows(zun_models.Container)[4:]],
        )

    @ddt.data(
        ('building', 'building', None),
        ('paused', 'paused', 'why'),
        ('ready', 'building', None),
        ('error', 'building', None),
    )
    @ddt.unpack
    def test_status(self, before, after, reason):
        self.set_bulk(status=before, status_reason='why', epoch=3)
        bulk = self.scale(count=5)
        self.assertEqual(
            (after, reason, None),
            (bulk['status'], bulk['status_reason'], bulk['finished_at']),
        )
        self.assertEqual(4, self.rows(models.Bulk)[0]['epoch'])

    def test_again_is_a_no_op(self):
        self.scale(count=6)
        self.set_bulk(status='ready')
        self.woken.clear()
        before = self.dump()
        self.assertEqual('ready', self.scale(count=6)['status'])
        self.assertEqual(before, self.dump())
        self.assertEqual([], self.woken)

    def test_indexes_go_on_after_the_highest_ever_used(self):
        self.scale(count=6)
        self.scale(count=3)
        self.assertEqual([1, 2, 3], self.indexes())
        self.scale(count=5)
        self.assertEqual([1, 2, 3, 7, 8], self.indexes())

    def test_more_than_a_bulk_may_have(self):
        self.config(group='zun_bulk', max_members=5)
        self.refuse('count: a bulk has at most 5 members', count=6)
        self.scale(count=5)

    def test_quota(self):
        self.config(group='quota', containers=5)
        self.refuse('containers', status=403, count=6)
        self.scale(count=5)

    def test_what_one_container_only_can_have(self):
        bulk = self.create(
            name='one',
            count=1,
            template={
                'image': 'busybox',
                'nets': [{'network': 'net-a', 'v4-fixed-ip': '10.0.0.5'}],
            },
        )
        self.woken.clear()
        before = self.dump()
        error = self.scale(status=400, path=bulk['uuid'], count=2)
        self.assertIn(
            'nets[0].v4-fixed-ip: one address cannot be used by 2',
            error['errors'][0]['detail'],
        )
        self.assertEqual(before, self.dump())

    def test_names_that_exist(self):
        self.config(group='compute', unique_container_name_scope='project')
        self.create(
            name='other',
            count=1,
            template={'image': 'busybox', 'name': 'web-6'},
        )
        self.woken.clear()
        self.refuse('web-6', status=409, count=6)

    def test_policies_of_the_template(self):
        self.policy.set_rules(container__create='role:nobody')
        self.refuse('container:create', status=403, count=5)
        # Fewer are no matter of it.
        self.scale(count=3)

    def test_one_who_comes_second_looks_again(self):
        grow, calls = accept.grow, []

        def be_late(context, bulk, count):
            calls.append(bulk.count)
            if len(calls) == 1:
                self.assertTrue(grow(context, bulk, 6))
            return grow(context, bulk, count)

        with mock.patch.object(accept, 'grow', be_late):
            self.assertEqual(9, self.scale(count=9)['count'])
        self.assertEqual([4, 6], calls)
        self.assertEqual(list(range(1, 10)), self.indexes())
        self.assertEqual(9, len(self.rows(zun_models.Container)))

    def test_one_who_always_comes_second(self):
        with mock.patch.object(accept, 'grow', return_value=False) as grow:
            self.refuse('by other requests', status=409, count=9)
        self.assertEqual(handler.ATTEMPTS, grow.call_count)

    def test_its_end_comes_first(self):
        def be_late(context, bulk, count):
            db_bulks.mark_bulk_deleting(bulk.id)
            return False

        with mock.patch.object(accept, 'grow', be_late):
            error = self.scale(status=409, count=9)['errors'][0]
        self.assertIn('is deleting', error['detail'])

    def test_within_its_range_of_addresses(self):
        (network, *_others) = self.neutron.networks
        self.neutron.subnets.append(
            zun_fixtures.subnet(network, '10.0.0.0/24')
        )
        self.create(
            name='ranged',
            count=2,
            template={
                'image': 'busybox',
                'nets': [
                    {'network': 'net-a', 'v4-range': '10.0.0.10-10.0.0.12'}
                ],
            },
        )
        self.woken.clear()
        self.refuse(
            'template.nets[0].v4-range',
            'for only 3 of 4',
            path='ranged',
            count=4,
        )
        self.scale(path='ranged', count=3)


@ddt.ddt
class TestDown(ScaleTestCase):
    def states(self):
        return {
            row['member_index']: (row['state'], row['removed'])
            for row in self.rows(models.Member)
        }

    def test_the_highest_go(self):
        self.set_members(1, 3, 4, state='running', host='host-1')
        bulk = self.scale(count=2)
        self.assertEqual(2, bulk['count'])
        self.assertEqual(2, sum(bulk['members'].values()))
        self.assertEqual('building', bulk['status'])
        self.assertEqual(
            {
                1: ('running', False),
                2: ('queued', False),
                3: ('deleting', True),
                4: ('deleting', True),
            },
            self.states(),
        )
        self.assertEqual(
            [('wake_conductors',), ('wake_host', 'host-1')], self.woken
        )
        listed = self.request('/v1/bulks/web/members').json['members']
        self.assertEqual([1, 2], [member['index'] for member in listed])
        shown = self.request('/v1/bulks/%s' % self.uuid, roles='admin').json
        self.assertEqual({'host-1': {'running': 1}}, shown['hosts'])
        # Their containers are still there, and count for the quota.
        self.assertEqual(4, len(self.rows(zun_models.Container)))

    def test_those_that_are_named(self):
        bulk = self.scale(indexes=[3, 1])
        self.assertEqual(2, bulk['count'])
        self.assertEqual([2, 4], self.indexes())

    def test_again_is_a_no_op(self):
        for body in ({'count': 3}, {'indexes': [2]}):
            self.scale(**body)
            self.woken.clear()
            before = self.dump()
            self.scale(**body)
            self.assertEqual(before, self.dump())
            self.assertEqual([], self.woken)
        self.assertEqual([1, 3], self.indexes())

    @ddt.data('paused', 'ready', 'error')
    def test_status(self, before):
        self.set_bulk(status=before, status_reason='why')
        bulk = self.scale(count=3)
        self.assertEqual(
            ('paused', 'why') if before == 'paused' else ('building', None),
            (bulk['status'], bulk['status_reason']),
        )

    def test_failures_that_go_are_borne_no_more(self):
        self.set_members(
            1, 2, 4, state='failed', reason_class='transient', host='host-1'
        )
        self.scale(count=3)
        self.assertEqual(2, self.rows(models.Bulk)[0]['tolerated'])

    def test_needs_no_quota_and_no_neutron(self):
        self.config(group='quota', containers=0)
        self.neutron.networks = []
        self.scale(count=1)

    def test_not_to_nothing(self):
        self.refuse('Invalid input for count: 0 is less than', count=0)
        text = 'indexes: cannot remove every member'
        self.refuse(text, indexes=[1, 2, 3, 4])
        self.scale(count=1)
        self.woken.clear()
        self.refuse(text, indexes=[1])
        self.refuse(text, indexes=[2, 1])

    @ddt.data(
        ('give either count or indexes', {}),
        ('give either count or indexes', {'count': 2, 'indexes': [1]}),
        ('count', {'count': '2'}),
        ('count', {'count': -1}),
        ('count', {'count': 100001}),
        ('count', {'count': True}),
        ('indexes', {'indexes': []}),
        ('indexes[0]', {'indexes': [0]}),
        ('indexes[1]', {'indexes': [1, '2']}),
        ('indexes', {'indexes': [1, 1]}),
        ('indexes', {'indexes': list(range(1, 1002))}),
        ('indexes: no member has had an index above 4', {'indexes': [5]}),
        ('indexes[0]', {'indexes': [2**31]}),
        ('size', {'size': 3}),
    )
    @ddt.unpack
    def test_refused(self, text, body):
        self.refuse(text, **body)


@ddt.ddt
class TestWho(ScaleTestCase):
    @ddt.data('cancelling', 'cancelled', 'deleting')
    def test_not_in_this_status(self, status):
        self.set_bulk(status=status)
        for body in ({'count': 5}, {'count': 4}, {'indexes': [1]}):
            self.refuse(
                'Bulk %s is %s' % (self.uuid, status), status=409, **body
            )

    def test_of_another_project(self):
        self.scale(status=404, request={'project': 'project-2'}, count=5)

    def test_by_policy(self):
        self.policy.set_rules(bulk__scale='role:admin')
        self.refuse('bulk:scale', status=403, count=5)

    def test_method_and_query(self):
        self.request('/v1/bulks/web/scale', 'GET', status=405)
        self.request(
            '/v1/bulks/web/scale?count=5', 'POST', {'count': 5}, status=400
        )
