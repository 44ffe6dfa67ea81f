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

"""POST /v1/bulks with ``members``: what each has of its own."""

import base64
from unittest import mock

import ddt
from zun.db.sqlalchemy import models as zun_models

from tests import zun_fixtures
from tests.unit.api import base
from zun_bulk.api import accept
from zun_bulk.api import container_rows
from zun_bulk.api import validation
from zun_bulk.db import models
from zun_bulk.db import specs


FILE = base64.b64encode(b'motd').decode()
TEMPLATE = {
    'image': 'busybox',
    'name': 'web',
    'hostname': 'h{index}',
    'environment': {'A': '1', 'B': '2'},
    'labels': {'role': 'web'},
    'nets': [{'network': 'net-a'}, {'network': 'net-b'}],
}


def mount(destination='/etc/motd', **values):
    return dict(
        {'type': 'bind', 'source': FILE, 'destination': destination}, **values
    )


class OwnTestCase(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        first, second = self.neutron.networks
        self.neutron.subnets = [
            zun_fixtures.subnet(first, '10.0.0.0/16'),
            zun_fixtures.subnet(second, '10.1.0.0/24'),
            zun_fixtures.subnet(second, '2001:db8::/64'),
        ]

    def create(self, members, template=None, **body):
        body.setdefault('count', len(members))
        return super().create(
            members=members, template=dict(TEMPLATE, **template or {}), **body
        )

    def wrong(self, members, template=None, **body):
        """Check that a create is refused.

        :returns: the lines of the error, one per fault.
        """
        error = self.refuse(members=members, template=template, **body)
        return error['detail'].split('\n')

    def wanted(self):
        return [
            member['wanted'].to_json() for member in self.rows(models.Member)
        ]


class TestWritten(OwnTestCase):
    def test_nothing_of_their_own(self):
        self.create([{}, {}])
        self.assertEqual([None, None], self.wanted())
        containers = self.rows(zun_models.Container)
        self.assertEqual(['web-1', 'web-2'], [c['name'] for c in containers])
        self.assertEqual(['h1', 'h2'], [c['hostname'] for c in containers])
        self.assertNotIn('list_subnets', self.neutron.calls)

    def test_names(self):
        self.create(
            [{'name': 'first', 'hostname': 'one'}, {'name': 'n-{index}'}, {}]
        )
        containers = self.rows(zun_models.Container)
        names = ['first', 'n-2', 'web-3']
        self.assertEqual(names, [c['name'] for c in containers])
        self.assertEqual(names, [m['name'] for m in self.rows(models.Member)])
        self.assertEqual(
            ['one', 'h2', 'h3'], [c['hostname'] for c in containers]
        )

    def test_environment_and_labels_are_added(self):
        bulk = self.create(
            [
                {
                    'environment': {'B': 'two', 'C': 'c{index}'},
                    'labels': {'role': 'db', 'rack': '7', 'a b': ''},
                },
                {},
            ]
        )
        first, second = self.rows(zun_models.Container)
        self.assertEqual(
            {'A': '1', 'B': 'two', 'C': 'c1'}, first['environment']
        )
        self.assertEqual({'A': '1', 'B': '2'}, second['environment'])
        ours = {'org.openstack.zun_bulk.bulk': bulk['uuid']}
        index = 'org.openstack.zun_bulk.index'
        self.assertEqual(
            {'role': 'db', 'rack': '7', 'a b': '', index: '1'} | ours,
            first['labels'],
        )
        self.assertEqual({'role': 'web', index: '2'} | ours, second['labels'])

    def test_template_without_any(self):
        self.create(
            [{'environment': {'A': '1'}, 'labels': {'a': 'b'}}],
            template={'environment': None, 'labels': None, 'hostname': 'h'},
        )
        (container,) = self.rows(zun_models.Container)
        self.assertEqual({'A': '1'}, container['environment'])
        self.assertEqual('b', container['labels']['a'])

    def test_what_no_row_has_a_place_for(self):
        self.neutron.floatingips = [zun_fixtures.floating_ip('172.24.4.9')]
        self.create(
            [
                {
                    'addresses': ['10.0.0.5', '2001:DB8:0::5'],
                    'floating_ip': '172.24.4.9',
                    'mounts': [mount()],
                },
                {'addresses': [None, '10.1.0.5'], 'mounts': []},
                {'addresses': ['10.0.0.6']},
            ]
        )
        self.assertEqual(
            [
                {
                    'addresses': ['10.0.0.5', '2001:db8::5'],
                    'floating_ip': '172.24.4.9',
                    'mounts': [mount()],
                },
                {'addresses': [None, '10.1.0.5']},
                {'addresses': ['10.0.0.6']},
            ],
            self.wanted(),
        )
        self.assertEqual(
            ['wanted', None, None],
            [row['floating_ip_state'] for row in self.rows(models.Member)],
        )
        self.assertEqual(2, self.neutron.calls['list_subnets'])
        (bulk,) = self.rows(models.Bulk)
        self.assertEqual([], bulk['spec'].mounts)
        self.assertNotIn('members', bulk['template'])

    def test_dry_run(self):
        hosts = zun_fixtures.Hosts(host_1=10)
        self.useFixture(hosts)
        plan = self.create([{'name': 'first'}, {}], dry_run=True, status=200)
        self.assertEqual(2, plan['fits'])
        lines = self.wrong([{'name': '-'}, {}], dry_run=True)
        self.assertIn('members[0].name', lines[0])

    def test_those_that_are_added_are_like_the_template(self):
        bulk = self.create([{'name': 'first', 'environment': {'A': 'a'}}])
        self.request(
            '/v1/bulks/%s/scale' % bulk['uuid'],
            'POST',
            {'count': 2},
            status=202,
        )
        _first, second = self.rows(zun_models.Container)
        self.assertEqual('web-2', second['name'])
        self.assertEqual(TEMPLATE['environment'], second['environment'])
        self.assertEqual(
            specs.MemberSpec(), self.rows(models.Member)[1]['wanted']
        )

    def test_token_is_of_members_too(self):
        bulk = self.create([{'name': 'first'}], client_token='t')
        again = self.create([{'name': 'first'}], client_token='t')
        self.assertEqual(bulk['uuid'], again['uuid'])
        self.create([{'name': 'other'}], client_token='t', status=409)
        self.create([{}], client_token='t', status=409)

    def test_hash_without_members_is_what_it_was(self):
        body = accept._with_defaults(
            {'count': 1, 'template': {'image': 'a'}, 'placement': {}}
        )
        self.assertEqual(
            '29bc75b47b9ac32309301482569d4a44aef9c6607c1af64adb8364a997c34431',
            accept._hash(body),
        )


@ddt.ddt
class TestRefused(OwnTestCase):
    @ddt.data(
        ({'name': 256 * 'n'}, 'name', 'too long'),
        ({'name': None}, 'name', 'string'),
        ({'name': 'a b'}, 'name', 'match'),
        ({'name': '{INDEX}'}, 'name', 'match'),
        ({'hostname': 'a b'}, 'hostname', 'match'),
        ({'hostname': 256 * 'h'}, 'hostname', 'too long'),
        ({'hostname': 5}, 'hostname', 'string'),
        ({'environment': {'A': 1}}, 'environment.A', 'string'),
        ({'environment': ['A=1']}, 'environment', 'object'),
        ({'environment': {'A': 70000 * 'x'}}, 'environment', 'too long'),
        ({'labels': {'a': None}}, 'labels.a', 'string'),
        ({'labels': {'org.openstack.zun_bulk.x': ''}}, 'labels', 'reserved'),
        ({'labels': {'a': 70000 * 'x'}}, 'labels', 'too long'),
        ({'addresses': '10.0.0.5'}, 'addresses', 'array'),
        ({'addresses': 3 * [None]}, 'addresses', 'have 2 networks'),
        ({'addresses': [5, None]}, 'addresses[0]', 'string'),
        ({'addresses': ['10.0.0']}, 'addresses[0]', '10.0.0'),
        ({'addresses': ['fe80::1%eth0']}, 'addresses[0]', 'scope'),
        ({'addresses': ['10.1.0.5']}, 'addresses[0]', '10.0.0.0/16'),
        ({'addresses': ['10.0.0.0']}, 'addresses[0]', 'not a usable address'),
        ({'addresses': [None, '10.1.0.255']}, 'addresses[1]', 'not a usable'),
        ({'addresses': [None, '10.0.0.5']}, 'addresses[1]', '2001:db8::/64'),
        ({'floating_ip': '2001:db8::5'}, 'floating_ip', '2001'),
        ({'floating_ip': '172.24.4'}, 'floating_ip', '172.24.4'),
        ({'floating_ip': None}, 'floating_ip', 'string'),
        ({'mounts': {}}, 'mounts', 'array'),
        ({'mounts': 65 * [mount()]}, 'mounts', 'too long'),
        (
            {'mounts': [mount(destination='')]},
            'mounts[0].destination',
            'non-empty',
        ),
        ({'mounts': [mount(source='é')]}, 'mounts[0].source', 'base64'),
        (
            {'mounts': [mount(type='tmpfs')]},
            'mounts[0].type',
            'volume or bind',
        ),
        (
            {'mounts': [mount('/own')] * 2},
            'mounts[1].destination',
            'used by another',
        ),
        (
            {'mounts': [mount('/all')]},
            'mounts[0].destination',
            'used by another',
        ),
        ({'image': 'other'}, 'image', 'unknown field'),
        ('web', '', 'object'),
        (None, '', 'object'),
    )
    @ddt.unpack
    def test_field(self, member, field, text):
        (line,) = self.wrong(
            [{}, member, {}], template={'mounts': [mount('/all')]}
        )
        path, _, said = line.partition(': ')
        self.assertEqual(('members[1].' + field).rstrip('.'), path, line)
        self.assertIn(text, said)
        self.assertLess(len(line), 300)

    @ddt.data(1, 3)
    def test_count(self, count):
        (line,) = self.wrong([{}, {}], count=count)
        self.assertEqual(
            'count: %d given, but members has 2 entries' % count, line
        )

    def test_count_is_needed(self):
        self.refuse('count', members=[{}], count=None)

    @ddt.data([], {}, 'web')
    def test_no_list(self, members):
        self.refuse('members', members=members, count=2)

    def test_too_many_addresses(self):
        lines = self.wrong([{'addresses': 65 * [None]}])
        self.assertIn('members[0].addresses: ', lines[0])

    def test_all_at_once(self):
        lines = self.wrong(
            [
                {'name': 'a b', 'hostname': '?', 'addresses': ['10.9.0.1']},
                {},
                {'addresses': ['10.0.0.5'], 'floating_ip': '172.24.4.9'},
                {'addresses': ['10.0.0.5'], 'floating_ip': '172.24.4.9'},
            ]
        )
        self.assertEqual(
            [
                'members[0].addresses[0]',
                'members[0].hostname',
                'members[0].name',
                'members[3].addresses[0]',
                'members[3].floating_ip',
            ],
            [line.split(':')[0] for line in lines],
        )
        self.assertIn('already used in members[2]', lines[-1])

    def test_so_many(self):
        lines = self.wrong([{'hostname': '?'}] * 117)
        self.assertEqual(101, len(lines))
        self.assertIn('members[99].hostname: ', lines[99])
        self.assertEqual('and 17 more', lines[100])

    def test_one_address_on_two_networks(self):
        # They have nothing to do with each other.
        self.neutron.subnets[1]['cidr'] = '10.0.0.0/24'
        self.create(
            [{'addresses': ['10.0.0.5', None]}]
            + [{'addresses': [None, '10.0.0.5']}]
        )

    def test_one_network_twice(self):
        nets = [{'network': 'net-a'}] * 2
        (line,) = self.wrong(
            [{'addresses': ['10.0.0.5', '10.0.0.5']}], template={'nets': nets}
        )
        self.assertIn('addresses[0]: the network is given twice', line)

    @ddt.data({'v4-fixed-ip': '10.0.0.7'}, {'port': 'port-1'})
    def test_the_template_says_the_address(self, net):
        self.neutron.ports = [zun_fixtures.port('port-1')]
        if 'port' not in net:
            net = dict(net, network='net-a')
        (line,) = self.wrong(
            [{'addresses': ['10.0.0.5']}], template={'nets': [net]}
        )
        self.assertIn('template', line)

    def test_networks_that_zun_chooses(self):
        self.neutron.networks = self.neutron.networks[:1]
        (line,) = self.wrong(
            [{'addresses': ['10.0.0.5', None]}], template={'nets': []}
        )
        self.assertIn('1 network', line)
        self.create([{'addresses': ['10.0.0.5']}], template={'nets': []})

    def test_a_network_that_is_none(self):
        lines = self.wrong(
            [{'addresses': ['10.0.0.5']}],
            template={'nets': [{'network': 'none'}]},
        )
        self.assertIn('template.nets', lines[0])

    def test_names_are_unique_if_zun_wants_it(self):
        members = [{'name': 'web-3'}, {'name': 'a1'}, {}, {'name': 'A1'}]
        self.config(group='compute', unique_container_name_scope='project')
        lines = self.wrong(members)
        self.assertEqual(
            [
                'members[2].name: web-3 is already used in members[0]',
                'members[3].name: A1 is already used in members[1]',
            ],
            lines,
        )
        self.config(group='compute', unique_container_name_scope='')
        self.create(members)

    def test_a_name_that_is_taken(self):
        self.config(group='compute', unique_container_name_scope='project')
        self.create([{'name': 'mine'}])
        self.create([{}, {'name': 'Mine'}], status=409)

    def test_too_much_together(self):
        member = {'environment': {'A': 1000 * 'x'}}
        with mock.patch.object(container_rows, 'MAX_ROWS_SIZE', 5000):
            (line,) = self.wrong([{}, member, member, member, member])
        self.assertIn('5 containers', line)
        with mock.patch.object(container_rows, 'MAX_ROWS_SIZE', 7000):
            self.create([{}, member, member, member, member])

    def test_too_large_a_body(self):
        large = {'environment': {'A': validation.MAX_BODY_SIZE * 'x'}}
        # It may, for its members.
        (line,) = self.wrong([large])
        self.assertIn('environment', line)
        with mock.patch.object(validation, 'MAX_LARGE_SIZE', 1000):
            self.create([large], status=413)
        # But the template may not.
        error = self.create([{}], template=large, status=413)
        self.assertIn('members', error['errors'][0]['detail'])


class TestMany(OwnTestCase):
    def members(self, count):
        return [
            {
                'name': 'node-%d' % number,
                'hostname': 'n%d' % number,
                'environment': {'RACK': str(number), 'ROLE': 'web-{index}'},
                'labels': {'rack': str(number // 40), 'row': 'a'},
                'addresses': ['10.0.%d.%d' % divmod(number + 10, 256)],
                'floating_ip': '172.24.%d.%d' % divmod(number + 10, 256),
                'mounts': [mount()],
            }
            for number in range(count)
        ]

    def test_a_thousand(self):
        members = self.members(1000)
        self.neutron.floatingips = [
            zun_fixtures.floating_ip(member['floating_ip'])
            for member in members
        ]
        self.create(members)
        rows = self.rows(zun_models.Container)
        for member, row, wanted in zip(
            members, rows, self.wanted(), strict=True
        ):
            self.assertEqual(
                (member['name'], member['hostname']),
                (row['name'], row['hostname']),
            )
            self.assertEqual(
                member['environment']['RACK'], row['environment']['RACK']
            )
            self.assertEqual(member['labels']['rack'], row['labels']['rack'])
            self.assertEqual(
                {
                    key: member[key]
                    for key in ('addresses', 'floating_ip', 'mounts')
                },
                wanted,
            )

    def test_each_of_a_thousand_is_wrong(self):
        members = [dict(member, hostname='?') for member in self.members(1000)]
        lines = self.wrong(members)
        self.assertEqual('and 900 more', lines[100])
