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

"""Tests against the embedded lab with the emulated Docker Engine.

The lab is started once a test process, by the first test that needs it.
"""

import atexit
import shutil
import tempfile

from oslotest import base
from testtools import content

from tests import openapi
from tests.lab.embedded import lab as embedded


MAX_IN_FLIGHT = 4
#: Shorter than the defaults, so that tests are quick.
SETTINGS = {
    'zun_bulk': {'settle_time': 0.5, 'poll_interval': 1, 'lease_time': 3},
    'zun_bulk_pacing': {'max_in_flight': MAX_IN_FLIGHT},
    'oslo_messaging_notifications': {'driver': 'log'},
}
TIMEOUT = 300

# Taken now: while a test runs, it is a directory that goes with the test.
_temporary = tempfile.gettempdir()
_lab = None


class DocumentedLab(embedded.Lab):
    """One that fails where the API's document says something else."""

    def request(self, method, path, *args, **kwargs):
        status, answer = super().request(method, path, *args, **kwargs)
        if openapi.is_ours('/v1' + path):
            openapi.check(method, '/v1' + path, status, None, answer)
        return status, answer


def shared_lab():
    """Return this process's lab, brought up by the first call."""
    global _lab
    if _lab is None:
        root = tempfile.mkdtemp(prefix='zun-bulk-lab-', dir=_temporary)
        conf = {
            **SETTINGS,
            'zun_bulk': {
                **SETTINGS['zun_bulk'],
                'metrics_port': embedded.free_ports(1)[0],
            },
        }
        lab = DocumentedLab(root, conf=conf, scale=0.3, volumes=True)
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        atexit.register(lab.stop)
        lab.start()
        _lab = lab
    return _lab


class FunctionalTestCase(base.BaseTestCase):
    """After each test nothing may be left of what it made."""

    # The first test of a process waits for the lab, too.
    TIMEOUT_SCALING_FACTOR = 6

    def setUp(self):
        super().setUp()
        self.lab = shared_lab()
        self.addOnException(self._attach_logs)
        self.addCleanup(self.leave_nothing)
        self.lab.control('DELETE', '/faults')
        self.network = self.lab.network_id()

    def _attach_logs(self, _exc_info):
        for name in (
            'zun',
            'zun-bulk-conductor',
            'placement',
            'neutron',
            'cinder',
            'docker-engine',
        ):
            self.addDetail(
                name, content.text_content(self.lab.log_tail(name, 300))
            )

    # ------------------------------------------------------------- requests

    def ask(
        self, method, path, body=None, user='admin', status=200, version=None
    ):
        """Ask zun-api and return the body of the answer that has to be.

        :param version: of our API. Zun's own takes no header that names two.
        """
        found, answer = self.lab.request(
            method,
            path,
            body,
            user=user,
            headers=version
            and {'OpenStack-API-Version': 'container-bulk ' + version},
        )
        self.assertEqual(status, found, answer)
        return answer

    def template(self, **kwargs):
        return {
            'image': 'busybox',
            'command': ['sleep', '100000'],
            'nets': [{'network': 'lab'}],
            **kwargs,
        }

    def create_bulk(self, count, user='admin', template=None, **kwargs):
        """Ask for a bulk. Returns its uuid."""
        body = {
            'count': count,
            'template': template or self.template(),
            **kwargs,
        }
        return self.ask('POST', '/bulks', body, user=user, status=202)['uuid']

    def bulk(self, ident, user='admin'):
        return self.ask('GET', '/bulks/' + ident, user=user)

    def members(self, ident, query=''):
        return self.ask('GET', '/bulks/%s/members%s' % (ident, query))[
            'members'
        ]

    def wait_for(self, what, check, timeout=TIMEOUT):
        return embedded.wait_for(what, check, timeout, 0.5)

    def wait_for_end(self, ident, user='admin'):
        """Wait until a bulk is no longer building. Returns it."""

        def finished():
            bulk = self.bulk(ident, user)
            self.assertEqual(bulk['count'], sum(bulk['members'].values()))
            return bulk['status'] != 'building' and bulk

        return self.wait_for('the bulk is finished', finished)

    def delete_bulk(self, ident, user='admin'):
        """Delete a bulk and wait until it is gone."""
        self.ask('DELETE', '/bulks/' + ident, user=user, status=202)
        self.wait_for(
            'the bulk is gone',
            lambda: (
                self.lab.request('GET', '/bulks/' + ident, user=user)[0] == 404
            ),
        )

    # --------------------------------------------------------- verification

    def inspect(self, container_uuid):
        """What the engine says of a container, asked by a client of ours."""
        return self.lab.engine().inspect_container('zun-' + container_uuid)

    def assert_running(self, member):
        self.assertEqual('running', member['state'], member)
        state = self.inspect(member['container_uuid'])['State']
        self.assertTrue(state['Running'])
        self.assertGreater(state['Pid'], 0)

    def assert_all_running(self, ident, count):
        """A bulk ends ready with so many members. Returns them."""
        bulk = self.wait_for_end(ident)
        self.assertEqual('ready', bulk['status'], bulk)
        members = self.members(ident)
        self.assertEqual(count, len(members))
        for member in members:
            self.assert_running(member)
        return members

    def leave_nothing(self):
        """Delete what a test has made, and see that all of it goes."""
        self.lab.control('DELETE', '/faults')
        for row in self.lab.rows(
            'SELECT uuid FROM zun_bulk_bulk WHERE status != \'deleting\''
        ):
            self.lab.request('DELETE', '/bulks/' + row[0])
        self.wait_for(
            'bulks are gone',
            lambda: not self.lab.rows('SELECT uuid FROM zun_bulk_bulk'),
        )
        rows = 'SELECT uuid FROM ' + embedded.CONTAINERS
        for row in self.lab.rows(rows):
            self.lab.request(
                'DELETE',
                '/containers/%s?force=true&all_projects=true' % row[0],
            )
        self.wait_for('containers are gone', lambda: not self.lab.rows(rows))
        self.assertEqual({}, self.lab.leftovers())
