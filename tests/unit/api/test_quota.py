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

"""Zun's quotas of a project that creates bulks."""

import ddt
from zun import objects
from zun.common import context as zun_context
from zun.db.sqlalchemy import models as zun_models

from tests import threads
from tests.unit.api import base
from zun_bulk.db import models
from zun_bulk.db import zun_rows


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
            'Quota exceeded for resources: containers (4 used, 7 requested, '
            '10 allowed), cpu (1.2 used, 2.1 requested, 2 allowed)',
            error['errors'][0]['detail'],
        )
        error = self.create(
            count=6,
            template={'image': 'busybox', 'cpu': 0.1, 'disk': 12},
            status=403,
        )
        self.assertEqual(
            'Quota exceeded for resources: memory in MB (256 used, 3072 '
            'requested, 1000 allowed), disk in GB (32 used, 72 requested, 100 '
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
                    'containers (18 used, 3 requested, 20 allowed)',
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
