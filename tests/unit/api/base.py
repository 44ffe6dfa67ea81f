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

import base64

import fixtures
from oslo_serialization import jsonutils
from oslo_utils import uuidutils
from oslotest import base
import sqlalchemy as sa
import webob
from zun import objects
from zun.common import context as zun_context
from zun.db.sqlalchemy import models as zun_models

from tests import zun_fixtures
from zun_bulk.api import middleware
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks


def wrapped_application(environ, start_response):
    """Answer in place of Zun's own API, behind the filter."""
    return webob.Response('passed through')(environ, start_response)


#: A template with a value in most fields.
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


class ApiTestCase(base.BaseTestCase):
    """The filter as paste makes it, on SQLite, with Neutron emulated."""

    def setUp(self):
        super().setUp()
        fixture = self.useFixture(zun_fixtures.Config())
        self.config = fixture.config
        self.config(group='quota', containers=-1, cpu=-1, memory=-1, disk=-1)
        self.policy = self.useFixture(zun_fixtures.Policy())
        self.useFixture(zun_fixtures.Database())
        self.neutron = self.useFixture(zun_fixtures.Neutron())
        self.app = middleware.filter_factory({})(wrapped_application)
        self.log = self.useFixture(fixtures.FakeLogger())
        self.woken = []
        for name in ('wake_conductors', 'wake_host'):
            self.useFixture(
                fixtures.MockPatch(
                    'zun_bulk.rpc.' + name,
                    side_effect=lambda context, *args, name=name: (
                        self.woken.append((name,) + args)
                    ),
                )
            )

    def request(
        self,
        path,
        method='GET',
        body=None,
        project='project-1',
        user='user-1',
        roles='member',
        headers=None,
        status=None,
        environ=None,
        **kwargs,
    ):
        """Ask the filter as a user whom authtoken has let through.

        :param status: the status that has to come.
        """
        req = webob.Request.blank(path, method=method, **kwargs)
        if body is not None:
            req.content_type = 'application/json'
            req.body = (
                body
                if isinstance(body, bytes)
                else jsonutils.dump_as_bytes(body)
            )
        req.headers.update(
            {
                'X-Identity-Status': 'Confirmed',
                'X-Project-Id': project,
                'X-User-Id': user,
                'X-Roles': roles,
                'X-Auth-Token': 'token',
            }
        )
        req.headers.update(headers or {})
        req.environ['keystone.token_info'] = {'token': {}}
        req.environ['openstack.request_id'] = 'req-' + 36 * '1'
        req.environ.update(environ or {})
        response = req.get_response(self.app)
        if status is not None:
            self.assertEqual(status, response.status_int, response.text)
        return response

    def create(self, status=202, request=None, **body):
        """Create a bulk; the template is an image unless it is given."""
        body.setdefault('count', 2)
        body.setdefault('template', {'image': 'busybox'})
        response = self.request(
            '/v1/bulks', 'POST', body, status=status, **request or {}
        )
        return response.json

    def refuse(self, *texts, status=400, **body):
        """Try a bulk that is refused; nothing must be left of it.

        :param texts: what the message has to say.
        """
        error = self.create(status=status, **body)['errors'][0]
        for text in texts:
            self.assertIn(text, error['detail'])
        self.assertEqual([], db_bulks.list_bulks())
        self.assertEqual([], self.rows(zun_models.Container))
        self.assertEqual([], self.rows(zun_models.ContainerAction))
        return error

    def rows(self, model):
        """All rows of a table, in the order of their making, as dicts."""
        table = model.__table__
        with db_base.reader() as session:
            return [
                dict(row._mapping)
                for row in session.execute(table.select().order_by(table.c.id))
            ]
