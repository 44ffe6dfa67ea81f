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

import contextlib

import fixtures
from oslo_db import exception as db_exc
from oslotest import base
import webob.exc
from zun.common import exception

from tests import cinder_fixture
from tests import database
from tests.emulators import server
from zun_bulk.api import accept
from zun_bulk.api import mounts
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import bulks as db_bulks


class TestCheck(base.BaseTestCase):
    def test_fine(self):
        for mount in (
            {'source': 'name'},
            {'type': 'volume', 'size': 1},
            {'size': '65536'},
            {'type': 'bind', 'source': 'YQ=='},
        ):
            mounts.check('template.mounts[0]', mount)

    def test_refused(self):
        for field, mount in (
            ('', {'source': 'name', 'size': 1}),
            ('', {'type': 'volume'}),
            ('.type', {'type': 'tmpfs', 'size': 1}),
            ('.source', {'source': ''}),
            ('.source', {'source': 256 * 'a'}),
            ('.size', {'size': 0}),
            ('.size', {'size': -1}),
            ('.size', {'size': '1.5'}),
            ('.size', {'size': '²'}),
            ('.size', {'size': True}),
            ('.size', {'size': 65537}),
            ('.size', {'size': '9' * 10000}),
            ('.source', {'type': 'bind', 'source': 'x'}),
            ('.size', {'type': 'bind', 'source': 'YQ==', 'size': 1}),
        ):
            error = self.assertRaises(
                exception.ValidationError,
                mounts.check,
                'template.mounts[7]',
                mount,
            )
            self.assertIn('template.mounts[7]%s: ' % field, str(error))


class TestResolve(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        self.cloud = self.useFixture(cinder_fixture.Cinder())
        self.context = self.cloud.context()

    def resolve(self, *asked, context=None):
        return mounts.resolve(
            context or self.context,
            [
                mounts.Wish('m[%d]' % number, mount, containers)
                for number, (mount, containers) in enumerate(asked)
            ],
        )

    def refuse(self, text, *asked, kind=exception.ValidationError, **kwargs):
        error = self.assertRaises(kind, self.resolve, *asked, **kwargs)
        self.assertIn(text, str(error))

    def test_what_is_kept(self):
        shared = self.cloud.make(name='common', volume_type='multiattach')
        single = self.cloud.make(name='single')
        file = {'type': 'bind', 'source': 'YQ==', 'destination': '/f'}
        self.assertEqual(
            [
                {
                    'type': 'volume',
                    'source': shared['id'],
                    'destination': '/a',
                },
                {
                    'type': 'volume',
                    'source': single['id'],
                    'destination': '/b',
                },
                file,
                {'type': 'volume', 'size': 3, 'destination': '/c'},
            ],
            self.resolve(
                ({'source': 'common', 'destination': '/a'}, 5),
                ({'source': single['id'], 'destination': '/b'}, 1),
                (file, 5),
                ({'size': '3', 'destination': '/c'}, 5),
            ),
        )

    def test_files_alone_ask_nobody(self):
        self.resolve(({'type': 'bind', 'source': ''}, 2))
        self.assertEqual({}, self.cloud.cinder.calls)

    def test_cannot_be_shared(self):
        volume = self.cloud.make(name='single')
        self.refuse(
            'm[0].source: volume %s cannot be shared by 2 containers; give '
            'size for a new volume per container, or a multiattach volume'
            % volume['id'],
            ({'source': 'single'}, 2),
        )
        # However it is named.
        self.refuse(
            'm[1].source: volume %s cannot be shared by 2 containers'
            % volume['id'],
            ({'source': 'single'}, 1),
            ({'source': volume['id']}, 1),
        )

    def test_not_the_projects(self):
        volume = self.cloud.make('other', name='hers')
        for source in volume['id'], 'hers':
            for user in 'demo', 'admin':
                self.refuse(
                    'm[0].source: the project has no volume ' + source,
                    ({'source': source}, 1),
                    context=self.cloud.context(user),
                )

    def test_many(self):
        asked = [
            self.cloud.make(name='vol-%d' % number)[
                'id' if number % 2 else 'name'
            ]
            for number in range(12)
        ]
        self.cloud.cinder.calls.clear()
        resolved = self.resolve(*(({'source': one}, 1) for one in asked))
        self.assertEqual({'volume_list': 1}, dict(self.cloud.cinder.calls))
        self.assertEqual(asked[1::2], [m['source'] for m in resolved[1::2]])
        self.refuse(
            'm[12].source: the project has no volume vol-99',
            *(({'source': one}, 1) for one in [*asked, 'vol-99']),
        )

    def test_a_name_of_two(self):
        for _number in range(2):
            self.cloud.make(name='twin')
        self.refuse('has 2 volumes named twin', ({'source': 'twin'}, 1))

    def test_not_available(self):
        volume = self.cloud.make(name='broken')
        volume['status'] = 'error'
        self.refuse(
            'volume %s is error; it must be available' % volume['id'],
            ({'source': 'broken'}, 1),
        )

    def test_quota(self):
        self.cloud.make(name='one')
        self.cloud.cinder.quotas[cinder_fixture.DEMO] = {
            'volumes': 3,
            'gigabytes': 10,
        }
        self.resolve(({'size': 4}, 2))
        self.refuse(
            'volumes (1 used, 3 requested, 3 allowed), '
            'GB of volumes (1 used, 12 requested, 10 allowed)',
            ({'size': 4}, 3),
            kind=exception.OverQuota,
        )

    def test_no_cinder(self):
        del self.cloud.keystone.services['volumev3']
        self.refuse(
            'm[0]: this cloud has no Cinder service',
            ({'size': 4}, 3),
            context=self.cloud.context(),
        )

    def test_cinder_does_not_answer(self):
        self.cloud.cinder.faults.append(
            server.Fault('limit_show', status=500, message='secret')
        )
        error = self.assertRaises(
            webob.exc.HTTPServiceUnavailable, self.resolve, ({'size': 4}, 3)
        )
        self.assertNotIn('secret', str(error))

    def test_trust(self):
        wish = mounts.Wish('m[0]', {'size': 1}, 2)
        self.assertIsNone(
            mounts.trust(
                self.context, 'uuid', [mounts.Wish('m[0]', {'source': 'a'}, 1)]
            )
        )
        trust_id = mounts.trust(self.context, 'uuid', [wish])
        trust = self.cloud.keystone.trusts[trust_id]
        self.assertEqual(
            (cinder_fixture.DEMO, self.context.user_id),
            (trust['project_id'], trust['trustor_user_id']),
        )

    def test_no_trust(self):
        self.context.roles = ['admin']
        error = self.assertRaises(
            exception.ValidationError,
            mounts.trust,
            self.context,
            'uuid',
            [mounts.Wish('m[0]', {'size': 1}, 2)],
        )
        self.assertIn('m[0].size: new volumes need a trust', str(error))

    def fail_to_write(self, write=lambda bulk: None):
        bulk, *rest = database.rows(1, spec={'mounts': [{'size': 1}]})
        with (
            contextlib.suppress(db_exc.DBConnectionError),
            accept._trusted(self.context, bulk, rest[0]),
        ):
            write((bulk, *rest))
            raise db_exc.DBConnectionError()
        return list(self.cloud.keystone.trusts)

    def test_a_trust_goes_with_a_bulk_that_is_not_written(self):
        self.assertEqual([], self.fail_to_write())

    def test_a_trust_stays_if_only_the_answer_was_lost(self):
        (trust_id,) = self.fail_to_write(
            lambda rows: db_accepting.accept_bulk(*rows)
        )
        (bulk,) = db_bulks.list_bulks()
        self.assertEqual(trust_id, bulk.spec.trust_id)

    def test_a_trust_stays_if_nobody_knows(self):
        self.useFixture(
            fixtures.MockPatchObject(
                db_bulks, 'get_bulk', side_effect=db_exc.DBConnectionError()
            )
        )
        self.assertEqual(1, len(self.fail_to_write()))
