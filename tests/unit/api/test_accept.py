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

"""Accepting a request with a client token, again and at once."""

from unittest import mock

import ddt
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import threads
from tests.unit.api import base
from zun_bulk.api import container_rows
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import models


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
