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

"""Container rows of members, as Zun itself would write them."""

import ddt
import fixtures
import sqlalchemy as sa
from zun.api import app as zun_app
from zun.db.sqlalchemy import models as zun_models

from tests import zun_fixtures
from tests.unit.api import base
from zun_bulk.api import middleware
from zun_bulk.db import base as db_base
from zun_bulk.db import models


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
        base.make_host()
        base.make_registry()

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
        self._compare(dict(base.RICH, name='web'))

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
