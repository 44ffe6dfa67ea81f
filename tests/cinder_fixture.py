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

"""An emulated Keystone and Cinder that Zun's clients are pointed to."""

import time

import fixtures
from keystoneauth1 import session
from keystoneauth1.identity import v3
from oslo_config import fixture as config_fixture
from zun.common import context as zun_context

from tests.emulators import cinder
from tests.emulators import keystone
from tests.emulators import server
from zun_bulk import connections
from zun_bulk.conf import CONF


DEMO = keystone.identifier('project', 'demo')


class Cinder(fixtures.Fixture):
    """``cinder`` and ``keystone`` are the emulators.

    :param delay: seconds for which a volume is creating or deleting.
    """

    def __init__(self, delay=0.0):
        self.delay = delay

    def _setUp(self):
        self.keystone = keystone.Keystone()
        self.auth_url = self._serve(self.keystone) + '/v3'
        self.cinder = cinder.Cinder(self.auth_url, self.delay)
        self.keystone.services['volumev3'] = (
            self._serve(self.cinder) + '/v3/%(project_id)s'
        )
        conf = self.useFixture(config_fixture.Config(CONF))
        conf.config(
            group='keystone_authtoken', www_authenticate_uri=self.auth_url
        )
        conf.config(group='keystone_auth', auth_type='password')
        # Read from a file, its options would stay and be wanted of others.
        self.useFixture(
            fixtures.MockPatch(
                'keystoneauth1.loading.load_auth_from_conf_options', self._zun
            )
        )

    def _zun(self, _conf, group, trust_id=None, **scope):
        """How Zun's own user logs in."""
        assert group == 'keystone_auth'
        assert not any(scope.values())
        return v3.Password(
            self.auth_url,
            username='zun',
            password='zun',
            user_domain_id='default',
            **(
                {'trust_id': trust_id}
                if trust_id
                else {
                    'project_name': 'service',
                    'project_domain_id': 'default',
                }
            ),
        )

    def _serve(self, emulator):
        served = server.Server(emulator)
        served.start()
        self.addCleanup(served.stop)
        return served.url

    def context(self, user='demo'):
        """Return the context of a user, with a token."""
        asked = session.Session(
            v3.Password(
                self.auth_url,
                username=user,
                password=user,
                project_name=user,
                user_domain_id='default',
                project_domain_id='default',
            )
        )
        return zun_context.RequestContext(
            auth_token=asked.get_token(),
            auth_token_info={'token': self.keystone.tokens[asked.get_token()]},
            user_id=asked.get_user_id(),
            project_id=asked.get_project_id(),
            roles=list(keystone.USERS[user][1]),
            is_admin=False,
        )

    def volumes(self):
        """Return the resources that exist now."""
        time.sleep(self.delay)
        self.cinder._go_on()
        return list(self.cinder.volumes.values())

    def make(self, user='demo', **values):
        """Make a volume as a user. Returns it as Cinder has it."""
        client = connections.cinder(self.context(user))
        ident = client.volumes.create(1, **values).id
        self.volumes()
        return self.cinder.volumes[ident]
