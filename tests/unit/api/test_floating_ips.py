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

import ddt
from neutronclient.common import exceptions as neutron_exceptions
from zun.common import context as zun_context
from zun.common import exception

from tests import zun_fixtures
from tests.unit.api import base
from zun_bulk.api import floating_ips
from zun_bulk.api import middleware
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import specs


class FloatingIpsTestCase(base.ApiTestCase):
    def setUp(self):
        super().setUp()
        self.neutron.networks.append(
            zun_fixtures.network(
                'public', tenant_id='service', **{'router:external': True}
            )
        )

    def give(self, *addresses, **values):
        for address in addresses:
            self.neutron.floatingips.append(
                zun_fixtures.floating_ip(address, **values)
            )

    def wanted(self):
        """List the floating IPs of the members.

        :returns: [(index, floating_ip_state, given address)].
        """
        return [
            (
                row['member_index'],
                row['floating_ip_state'],
                row['wanted'].floating_ip,
            )
            for row in self.rows(models.Member)
        ]

    def spec(self):
        (bulk,) = db_bulks.list_bulks()
        return bulk.spec.floating_ips


@ddt.ddt
class TestCreate(FloatingIpsTestCase):
    def test_none(self):
        bulk = self.create()
        self.assertNotIn('floating_ips', bulk)
        self.assertIsNone(self.spec())
        self.assertEqual([(1, None, None), (2, None, None)], self.wanted())
        self.assertNotIn('list_floatingips', self.neutron.calls)

    @ddt.data('public', zun_fixtures.network('public')['id'])
    def test_of_a_network(self, network):
        bulk = self.create(floating_ips={'network': network})
        self.assertEqual(
            {
                'network': 'public',
                'pool': 0,
                'on_delete': 'release',
                'wanted': 2,
                'bound': 0,
                'failed': 0,
            },
            bulk['floating_ips'],
        )
        self.assertEqual(
            specs.FloatingIpSpec(
                network_id=zun_fixtures.network('public')['id'],
                network='public',
            ),
            self.spec(),
        )
        self.assertEqual(
            [(1, 'wanted', None), (2, 'wanted', None)], self.wanted()
        )

    def test_of_a_pool(self):
        pool = ['10.9.0.%d' % number for number in (7, 3, 5)]
        self.give(*pool)
        self.create(floating_ips={'pool': pool, 'on_delete': 'keep'})
        self.assertEqual(
            [(1, 'wanted', '10.9.0.7'), (2, 'wanted', '10.9.0.3')],
            self.wanted(),
        )
        self.assertEqual(
            (pool, None, 'keep'),
            (self.spec().pool, self.spec().network_id, self.spec().on_delete),
        )

    def test_a_pool_is_looked_up_in_parts(self):
        pool = ['10.9.%d.%d' % divmod(number, 200) for number in range(250)]
        self.give(*pool)
        self.create(floating_ips={'pool': pool})
        self.assertEqual(3, self.neutron.calls['list_floatingips'])

    @ddt.data(
        ({'network': 'nosuch'}, 'floating_ips.network: ', 'nosuch'),
        ({'network': 'net-a'}, 'floating_ips.network: ', 'not external'),
        (
            {'on_delete': 'keep'},
            'floating_ips: ',
            'network or pool is required',
        ),
        ({}, 'floating_ips: ', ''),
        ({'network': ''}, 'floating_ips.network', ''),
        ({'pool': []}, 'floating_ips.pool', ''),
        (
            {'pool': ['10.9.0.1']},
            'floating_ips.pool: ',
            'only 1 addresses for 2',
        ),
        ({'pool': ['10.9.0.1', 'x']}, 'floating_ips.pool[1]: ', 'ipv4'),
        ({'pool': ['10.9.0.1', 7]}, 'floating_ips.pool[1]: ', 'string'),
        (
            {'pool': ['10.9.0.1', '10.9.0.2', '10.9.0.1']},
            'floating_ips.pool[2]: 10.9.0.1 is already given in ',
            'floating_ips.pool[0]',
        ),
        (
            {'pool': ['10.9.0.1', '10.9.0.9']},
            'floating_ips.pool[1]: ',
            '10.9.0.9 is not a floating IP of the project',
        ),
        (
            {'pool': ['10.9.0.4', '10.9.0.1']},
            'floating_ips.pool[0]: ',
            '10.9.0.4 is not a floating IP of the project',
        ),
        (
            {'pool': ['10.9.0.1', '10.9.0.3']},
            'floating_ips.pool[1]: 10.9.0.3 is already bound to port port-1',
            '',
        ),
        (
            {'network': 'public', 'pool': ['10.9.0.1', '10.9.0.5']},
            'floating_ips.pool[1]: 10.9.0.5 does not belong to network public',
            '',
        ),
        ({'network': 'public', 'on_delete': 'burn'}, 'on_delete', 'burn'),
        ({'network': 'public', 'number': 7}, 'floating_ips', 'number'),
    )
    @ddt.unpack
    def test_refused(self, wanted, *texts):
        self.give('10.9.0.1', '10.9.0.2')
        self.give('10.9.0.3', port_id='port-1')
        self.give('10.9.0.4', project_id='project-2')
        self.give('10.9.0.5', network_name='other')
        self.refuse(*texts, floating_ips=wanted)

    def test_two_networks_of_one_name(self):
        self.neutron.networks.append(self.neutron.networks[-1])
        self.refuse(
            'floating_ips.network: Multiple neutron networks exist',
            floating_ips={'network': 'public'},
        )

    def test_quota(self):
        self.neutron.floating_ip_quota = {'limit': 4, 'used': 2, 'reserved': 1}
        self.refuse(
            'floating IPs (3 used, 2 requested, 4 allowed)',
            status=403,
            floating_ips={'network': 'public'},
        )
        self.create(count=1, floating_ips={'network': 'public'})

    def test_a_quota_that_users_must_not_know(self):
        self.neutron.floating_ip_quota = neutron_exceptions.Forbidden()
        self.create(floating_ips={'network': 'public'})

    def test_whom_it_is_forbidden_to(self):
        uuid = self.create(floating_ips={'network': 'public'})['uuid']
        self.policy.set_rules(bulk__create__floating_ips='role:operator')
        self.create(status=403, floating_ips={'network': 'public'})
        self.create()
        self.request(
            '/v1/bulks/%s/scale' % uuid, 'POST', {'count': 3}, status=403
        )

    def test_a_neutron_without_floating_ips(self):
        def list_floatingips(**_filters):
            raise neutron_exceptions.NotFound(message='not found')

        self.neutron.list_floatingips = list_floatingips
        self.refuse(
            'floating_ips.pool[0]: not found',
            floating_ips={'pool': ['10.9.0.1', '10.9.0.2']},
        )

    def test_the_same_request_again(self):
        body = {'client_token': 'one', 'floating_ips': {'network': 'public'}}
        uuid = self.create(**body)['uuid']
        body['floating_ips']['on_delete'] = 'release'
        self.assertEqual(uuid, self.create(**body)['uuid'])
        body['floating_ips']['on_delete'] = 'keep'
        self.create(status=409, **body)

    def test_what_is_bound(self):
        self.create(floating_ips={'network': 'public'})
        (bulk,) = db_bulks.list_bulks()
        epoch = db_leases.take_lease(bulk, 'me')
        first, second = db_members.list_members(bulk.id)
        db_floating_ips.set_floating_ip(
            first, epoch, 'bound', address='172.24.0.2'
        )
        db_floating_ips.set_floating_ip(
            second, epoch, 'failed', reason='taken'
        )
        shown = self.request('/v1/bulks/' + bulk.uuid).json
        self.assertEqual(
            (0, 1, 1),
            tuple(
                shown['floating_ips'][state]
                for state in ('wanted', 'bound', 'failed')
            ),
        )
        members = self.request('/v1/bulks/%s/members' % bulk.uuid).json
        self.assertEqual(
            [('172.24.0.2', 'bound', None), (None, 'failed', 'taken')],
            [
                (
                    member['floating_ip'],
                    member['floating_ip_state'],
                    member['floating_ip_reason'],
                )
                for member in members['members']
            ],
        )


class TestOwn(FloatingIpsTestCase):
    """Members that have floating IPs of their own."""

    def setUp(self):
        super().setUp()
        middleware.register_policies()

    def check(self, wanted, own):
        context = zun_context.get_admin_context()
        context.project_id = 'project-1'
        spec = floating_ips.check(
            context,
            wanted and floating_ips.with_defaults(wanted),
            len(own),
            own,
        )
        members = [
            {'wanted': specs.MemberSpec(floating_ip=address)}
            for address in own
        ]
        floating_ips.distribute(spec, members)
        return [
            (member['floating_ip_state'], member['wanted'].floating_ip)
            for member in members
        ]

    def test_all_ways(self):
        self.give('10.9.0.1', '10.9.0.2', '10.9.0.3')
        for wanted, own, came in (
            (None, ['10.9.0.2', None], [('wanted', '10.9.0.2'), (None, None)]),
            (
                {'network': 'public'},
                ['10.9.0.2', None],
                [('wanted', '10.9.0.2'), ('wanted', None)],
            ),
            (
                {'pool': ['10.9.0.3', '10.9.0.1']},
                [None, '10.9.0.2', None],
                [
                    ('wanted', '10.9.0.3'),
                    ('wanted', '10.9.0.2'),
                    ('wanted', '10.9.0.1'),
                ],
            ),
        ):
            self.assertEqual(came, self.check(wanted, own))

    def test_names_the_member(self):
        self.give('10.9.0.1', '10.9.0.2')
        for wanted, own, text in (
            (None, [None, '10.9.0.9'], 'members[1].floating_ip: 10.9.0.9 is'),
            (
                {'pool': ['10.9.0.2']},
                [None, '10.9.0.2'],
                'members[1].floating_ip: 10.9.0.2 is already given in '
                'floating_ips.pool[0]',
            ),
        ):
            error = self.assertRaises(
                exception.ValidationError, self.check, wanted, own
            )
            self.assertIn(text, str(error))


class TestScale(FloatingIpsTestCase):
    def scale(self, uuid, count, status=202):
        return self.request(
            '/v1/bulks/%s/scale' % uuid,
            'POST',
            {'count': count},
            status=status,
        ).json

    def test_of_a_network(self):
        uuid = self.create(floating_ips={'network': 'public'})['uuid']
        self.scale(uuid, 3)
        self.assertEqual([(3, 'wanted', None)], self.wanted()[2:])
        self.neutron.floating_ip_quota = {'limit': 3, 'used': 3, 'reserved': 0}
        error = self.scale(uuid, 4, status=403)['errors'][0]
        self.assertIn('floating IPs (3 used, 1 requested', error['detail'])

    def test_of_a_pool(self):
        pool = ['10.9.0.%d' % number for number in range(1, 5)]
        self.give(*pool)
        uuid = self.create(floating_ips={'pool': pool})['uuid']
        self.scale(uuid, 3)
        self.assertEqual([(3, 'wanted', '10.9.0.3')], self.wanted()[2:])
        error = self.scale(uuid, 5, status=409)['errors'][0]
        self.assertIn(
            'floating_ips.pool: only 1 free addresses for 2 containers',
            error['detail'],
        )
        # What is scaled away is not free before it is released.
        self.scale(uuid, 2)
        self.scale(uuid, 4, status=409)
        (bulk,) = db_bulks.list_bulks()
        epoch = db_leases.take_lease(bulk, 'me')
        db_floating_ips.clear_floating_ips(
            bulk.id, epoch, db_members.list_removed(bulk.id)
        )
        self.scale(uuid, 4)
        self.assertEqual(
            [(4, 'wanted', '10.9.0.3'), (5, 'wanted', '10.9.0.4')],
            self.wanted()[3:],
        )
