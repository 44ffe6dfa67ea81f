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

"""The main job: many containers by one request, and nothing left of them."""

from tests.functional import base
from tests.lab.embedded import lab as embedded


class TestMainJob(base.FunctionalTestCase):
    def test_sixty_containers(self):
        self.lab.control('POST', '/reset')
        ident = self.create_bulk(
            60,
            name='sixty',
            template=self.template(
                name='web-{index}', environment={'NUMBER': '{index}'}
            ),
        )
        bulk = self.wait_for_end(ident)
        self.assertEqual('ready', bulk['status'], bulk)
        self.assertEqual(60, bulk['members']['running'])
        self.assertEqual({'host-1': {'running': 60}}, bulk['hosts'])
        self.assertEqual([], bulk['failures'])

        members = self.members(ident)
        self.assertEqual(
            list(range(1, 61)), [member['index'] for member in members]
        )
        ports = self.lab.ports()
        for member in members:
            self.assert_running(member)
            self.assertEqual('web-%d' % member['index'], member['name'])
            self.assertEqual(1, member['attempt'])
            seen = self.inspect(member['container_uuid'])
            self.assertIn('NUMBER=%d' % member['index'], seen['Config']['Env'])
            self.assertEqual(
                member['addresses'],
                [
                    seen['NetworkSettings']['Networks'][self.network][
                        'IPAddress'
                    ]
                ],
            )
        uuids = {member['container_uuid'] for member in members}
        self.assertEqual(
            60, len({member['addresses'][0] for member in members})
        )
        self.assertEqual(uuids, set(ports.values()))
        self.assertEqual(uuids, self.lab.allocations())
        self.assertEqual(
            {'zun-' + uuid for uuid in uuids}, set(self.lab.zun_containers())
        )
        status = self.lab.control('GET', '')
        self.assertEqual(60, status['calls']['container_start'])
        self.assertLessEqual(status['peak'], base.MAX_IN_FLIGHT)

        self.delete_bulk(ident)
        self.assertEqual({}, self.lab.leftovers())

    def test_containers_are_zuns_own(self):
        ident = self.create_bulk(2, template=self.template(name='own'))
        self.wait_for_end(ident)
        names = {
            container['name']: container
            for container in self.ask('GET', '/containers')['containers']
        }
        self.assertEqual({'own-1', 'own-2'}, set(names))
        for container in names.values():
            shown = self.ask('GET', '/containers/' + container['uuid'])
            self.assertEqual('Running', shown['status'])
            self.assertEqual('host-1', shown['host'])
        uuid = names['own-1']['uuid']
        self.ask('POST', '/containers/%s/stop?timeout=1' % uuid, status=202)
        self.wait_for(
            'the container is stopped',
            lambda: not self.inspect(uuid)['State']['Running'],
        )

    def test_only_created(self):
        ident = self.create_bulk(3, run=False)
        bulk = self.wait_for_end(ident)
        self.assertEqual('ready', bulk['status'], bulk)
        for member in self.members(ident):
            self.assertEqual(
                'created',
                self.inspect(member['container_uuid'])['State']['Status'],
            )

    def test_bulks_side_by_side(self):
        idents = [
            self.create_bulk(5, name='side-%d' % number) for number in range(3)
        ]
        for ident in idents:
            self.assertEqual(5, self.wait_for_end(ident)['members']['running'])
        self.delete_bulk(idents[0])
        self.assertEqual(10, len(self.lab.zun_containers()))

    def test_deleting_it_and_keeping_its_containers(self):
        ident = self.create_bulk(2)
        self.assertEqual('ready', self.wait_for_end(ident)['status'])
        uuids = [member['container_uuid'] for member in self.members(ident)]
        self.ask(
            'DELETE', '/bulks/%s?keep_containers=true' % ident, status=202
        )
        self.ask('GET', '/bulks/' + ident, status=404)
        for uuid in uuids:
            self.assertTrue(self.inspect(uuid)['State']['Running'])
            # As any of Zun's own, with its port and claim.
            self.ask('DELETE', '/containers/%s?force=true' % uuid, status=204)
        self.wait_for('all is gone', lambda: not self.lab.leftovers())

    def test_deleting_while_it_builds(self):
        ident = self.create_bulk(12)
        self.wait_for(
            'some are starting',
            lambda: self.bulk(ident)['members']['starting'],
        )
        self.delete_bulk(ident)
        self.assertEqual({}, self.lab.leftovers())


class TestCapsules(base.FunctionalTestCase):
    def test_a_capsule_beside_bulks(self):
        capsule = self.ask(
            'POST',
            '/capsules',
            {
                'template': {
                    'kind': 'capsule',
                    'capsuleVersion': 'beta',
                    'metadata': {'name': 'pod'},
                    'spec': {
                        'containers': [
                            {
                                'image': 'busybox',
                                'command': ['sleep', '100000'],
                                'imagePullPolicy': 'ifnotpresent',
                            }
                        ]
                        * 2,
                        'restartPolicy': 'Never',
                    },
                }
            },
            status=202,
        )
        path = '/capsules/' + capsule['uuid']
        self.addCleanup(self.lab.request, 'DELETE', path)
        self.wait_for(
            'the capsule runs',
            lambda: self.ask('GET', path)['status'] in ('Running', 'Error'),
        )
        self.assertEqual('Running', self.ask('GET', path)['status'])
        # Its sandbox and its containers.
        self.assertEqual(3, len(self.lab.zun_containers()))
        ident = self.create_bulk(4)
        self.assertEqual('ready', self.wait_for_end(ident)['status'])
        self.ask('DELETE', path, status=204)
        self.wait_for(
            'the capsule is gone', lambda: len(self.lab.zun_containers()) == 4
        )


class TestReading(base.FunctionalTestCase):
    def test_list_show_and_members(self):
        first = self.create_bulk(5, name='first')
        second = self.create_bulk(1, name='second')
        for ident in (first, second):
            self.wait_for_end(ident)

        self.assertEqual(first, self.bulk('first')['uuid'])
        self.assertEqual(
            {'first', 'second'},
            {bulk['name'] for bulk in self.ask('GET', '/bulks')['bulks']},
        )
        page = self.ask('GET', '/bulks?sort_key=name&sort_dir=asc&limit=1')
        self.assertEqual(['first'], [bulk['name'] for bulk in page['bulks']])
        rest = self.ask('GET', page['next'].partition('/v1')[2])
        self.assertEqual(['second'], [bulk['name'] for bulk in rest['bulks']])
        self.assertEqual([], self.ask('GET', '/bulks?status=error')['bulks'])

        self.assertEqual(
            [3, 4],
            [
                member['index']
                for member in self.members('first', '?marker=2&limit=2')
            ],
        )
        self.assertEqual(
            [5, 4, 3, 2, 1],
            [
                member['index']
                for member in self.members(first, '?sort_dir=desc')
            ],
        )
        self.assertEqual([], self.members(first, '?state=failed'))

    def test_another_projects_bulk(self):
        ident = self.create_bulk(1, user='demo', name='theirs')
        self.assertEqual('ready', self.wait_for_end(ident, 'demo')['status'])
        for method, path in (
            ('GET', '/bulks/' + ident),
            ('GET', '/bulks/theirs'),
            ('GET', '/bulks/%s/members' % ident),
            ('DELETE', '/bulks/' + ident),
            ('DELETE', '/bulks/theirs'),
        ):
            self.ask(method, path, user='other', status=404)
        self.assertEqual([], self.ask('GET', '/bulks', user='other')['bulks'])
        self.assertEqual('ready', self.bulk(ident, 'demo')['status'])
        container, bulk = (
            self.lab.rows('SELECT project_id, user_id FROM ' + table)
            for table in (embedded.CONTAINERS, 'zun_bulk_bulk')
        )
        self.assertEqual(bulk, container)
        self.delete_bulk(ident, 'demo')

    def test_who_is_not_who_he_says(self):
        ident = self.create_bulk(1, name='mine')
        owner = self.bulk(ident)
        forged = {
            'X-Auth-Token': '',
            'X-Project-Id': owner['project_id'],
            'X-User-Id': owner['user_id'],
            'X-Roles': 'admin',
            'X-Identity-Status': 'Confirmed',
        }
        for token in ('', 'forged'):
            headers = {**forged, 'X-Auth-Token': token}
            for method, path, body in (
                ('GET', '/bulks', None),
                ('GET', '/bulks/' + ident, None),
                ('DELETE', '/bulks/' + ident, None),
                ('GET', '/bulks/%s/members' % ident, None),
                ('POST', '/bulks', {'count': 1, 'template': self.template()}),
            ):
                status, answer = self.lab.request(
                    method, path, body, headers=headers
                )
                self.assertEqual(401, status, answer)
        self.assertEqual(
            [(1,)], self.lab.rows('SELECT count(*) FROM zun_bulk_bulk')
        )


class TestBesideZun(base.FunctionalTestCase):
    def test_single_containers_work_unchanged(self):
        container = self.ask(
            'POST',
            '/containers?run=true',
            self.template(name='single'),
            status=202,
        )
        path = '/containers/' + container['uuid']

        def is_now(status):
            shown = self.ask('GET', path)
            self.assertNotEqual(
                'Error', shown['status'], shown['status_reason']
            )
            return shown['status'] == status

        self.wait_for('it runs', lambda: is_now('Running'))
        self.assertTrue(self.inspect(container['uuid'])['State']['Running'])
        self.ask('POST', path + '/stop?timeout=1', status=202)
        self.wait_for('it is stopped', lambda: is_now('Stopped'))
        self.ask('POST', path + '/start', status=202)
        self.wait_for('it runs again', lambda: is_now('Running'))
        self.ask('DELETE', path + '?force=true', status=204)
        self.wait_for(
            'it is gone', lambda: self.lab.request('GET', path)[0] == 404
        )
        self.assertEqual({}, self.lab.leftovers())

    def test_a_single_one_fails_as_ever(self):
        self.lab.control(
            'POST',
            '/faults',
            {
                'operation': 'container_start',
                'kind': 'error',
                'message': 'context deadline exceeded',
            },
        )
        container = self.ask(
            'POST', '/containers?run=true', self.template(), status=202
        )
        shown = self.wait_for(
            'it failed',
            lambda: [
                row
                for row in self.lab.rows(
                    'SELECT status, status_reason FROM ' + embedded.CONTAINERS
                )
                if row[0] == 'Error'
            ],
        )
        self.assertIn('context deadline exceeded', shown[0][1])
        self.assertEqual(
            1,
            self.lab.rows(
                'SELECT count(*) FROM container WHERE uuid = ?',
                container['uuid'],
            )[0][0],
        )
