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

from tests.real import base


class TestSingleContainer(base.RealTestCase):
    """Zun's ordinary commands, with zun_bulk's driver and paste file."""

    def setUp(self):
        super().setUp()
        self.name = 'single'
        #: Of the commands that make it.
        self.arguments = (
            '--name',
            self.name,
            '--image-pull-policy',
            'never',
            '--net',
            f'network={self.network}',
            self.image,
        )
        self.addCleanup(self.delete)

    def delete(self):
        path = f'/containers/{self.name}?force=true'
        if self.zun.request('DELETE', path)[0] != 404:
            self.wait_until(
                lambda: self.zun.request('GET', path)[0] == 404,
                'the container is gone',
            )

    def show(self):
        return self.openstack_json('appcontainer', 'show', self.name)

    def wait_for(self, status):
        def reached():
            shown = self.show()
            self.assertNotEqual('Error', shown['status'], shown)
            return shown['status'] == status and not shown['task_state']

        self.wait_until(reached, status, seconds=120)

    def assert_deleted_by_command(self):
        self.openstack('appcontainer', 'delete', '--force', self.name)
        self.wait_until(
            lambda: (
                self.zun.request('GET', f'/containers/{self.name}')[0] == 404
            ),
            'the container is gone',
            seconds=120,
        )
        self.assert_nothing_left()

    def test_life_of_a_container(self):
        self.openstack(
            'appcontainer',
            'create',
            *self.arguments,
            'sh',
            '-c',
            'echo I am here; sleep 100000',
        )
        self.wait_for('Created')
        self.openstack('appcontainer', 'start', self.name)
        self.wait_for('Running')
        self.assertIn(
            'I am here', self.openstack('appcontainer', 'logs', self.name)
        )
        self.assertIn(
            'inside',
            self.openstack(
                'appcontainer', 'exec', self.name, 'echo', 'inside'
            ),
        )
        self.openstack('appcontainer', 'stop', '--time', '1', self.name)
        self.wait_for('Stopped')
        self.openstack('appcontainer', 'start', self.name)
        self.wait_for('Running')
        self.assertEqual(0, len(self.zun.request('GET', '/bulks')[1]['bulks']))
        self.assert_deleted_by_command()

    def test_run(self):
        shown = self.openstack_json(
            'appcontainer', 'run', *self.arguments, 'sleep', '100000'
        )
        self.assertEqual(self.name, shown['name'])
        self.wait_for('Running')
        self.assert_deleted_by_command()
