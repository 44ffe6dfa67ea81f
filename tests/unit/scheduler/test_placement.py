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

import fixtures
from keystoneauth1 import adapter
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
from oslo_serialization import jsonutils
from oslotest import base
from requests_mock.contrib import fixture as requests_fixture
from zun.common import exception

from zun_bulk.scheduler import placement


URL = 'http://placement'
CONFLICT = {
    'errors': [
        {
            'code': 'placement.concurrent_update',
            'detail': 'consumer generation conflict',
        }
    ]
}
CHANGED = {
    'errors': [
        {
            'code': 'placement.concurrent_update',
            'detail': 'Another thread concurrently updated the '
            'resource provider data.',
        }
    ]
}
FULL = {
    'errors': [
        {
            'code': 'placement.undefined_code',
            'detail': 'Unable to allocate inventory: over capacity',
        }
    ]
}


class PlacementTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.requests = self.useFixture(requests_fixture.Fixture())
        connection = adapter.Adapter(
            session.Session(auth=token_endpoint.Token(URL, 'token'))
        )
        self.useFixture(
            fixtures.MockPatch(
                'zun.common.clients.OpenStackClients.placement',
                return_value=(connection, {'service_type': 'placement'}),
            )
        )
        self.useFixture(
            fixtures.MockPatch('zun.common.context.get_admin_context')
        )
        self.slept = []
        self.placement = placement.Placement(sleep=self.slept.append)


class TestCandidates(PlacementTestCase):
    def test_room(self):
        trait = self.requests.put(
            URL + '/traits/CUSTOM_ZUN_COMPUTE_STATUS_DISABLED', status_code=201
        )
        self.requests.get(
            URL + '/allocation_candidates',
            json={
                'allocation_requests': [
                    {
                        'allocations': {
                            name: {'resources': {'VCPU': 1, 'MEMORY_MB': 32}}
                        }
                    }
                    for name in 'ab'
                ],
                'provider_summaries': {
                    'a': {
                        'resources': {
                            'VCPU': {'capacity': 32, 'used': 2},
                            'MEMORY_MB': {'capacity': 320, 'used': 0},
                        }
                    },
                    'b': {
                        'resources': {
                            'VCPU': {'capacity': 32, 'used': 30},
                            'MEMORY_MB': {'capacity': 320, 'used': 0},
                        }
                    },
                },
            },
        )
        resources = fixtures.MockPatch('zun.scheduler.utils.ResourceRequest')
        resources = self.useFixture(resources).mock
        resources.to_querystring.return_value = 'resources=VCPU:1'
        found = self.placement.candidates(resources)
        self.assertEqual(
            {'a': (10, 'MEMORY_MB'), 'b': (2, 'VCPU')},
            {name: (one.room, one.bound_by) for name, one in found.items()},
        )
        # Placement refuses to forbid a trait that it does not know.
        self.assertTrue(trait.called_once)
        self.assertEqual(
            'placement 1.28',
            self.requests.last_request.headers['OpenStack-API-Version'],
        )


class TestInventories(PlacementTestCase):
    def test_all_classes_of_all_providers(self):
        self.requests.get(
            URL + '/allocation_candidates?resources=VCPU:1',
            json={
                'allocation_requests': [],
                'provider_summaries': {
                    'a': {
                        'resources': {
                            'VCPU': {'capacity': 32, 'used': 2},
                            'MEMORY_MB': {'capacity': 320, 'used': 7},
                        },
                        'traits': [],
                    },
                    'b': {'resources': {}, 'traits': []},
                },
            },
        )
        self.assertEqual(
            {'a': {'VCPU': (32, 2), 'MEMORY_MB': (320, 7)}, 'b': {}},
            self.placement.inventories(),
        )
        self.assertEqual(1, self.requests.call_count)

    def test_no_answer(self):
        self.requests.get(URL + '/allocation_candidates', status_code=503)
        self.assertRaises(exception.ZunException, self.placement.inventories)


class TestClaim(PlacementTestCase):
    def claim(self):
        self.placement.claim(
            {
                'c1': {'rp': {'resources': {'VCPU': 1}}},
                'c2': {'rp': {'resources': {'VCPU': 1}}},
            },
            'project',
            'user',
        )

    def sent(self):
        return jsonutils.loads(self.requests.last_request.body)

    def test_one_call(self):
        self.requests.post(URL + '/allocations', status_code=204)
        self.claim()
        self.assertEqual(1, self.requests.call_count)
        self.assertEqual(
            {
                'allocations': {'rp': {'resources': {'VCPU': 1}}},
                'project_id': 'project',
                'user_id': 'user',
                'consumer_generation': None,
            },
            self.sent()['c2'],
        )

    def test_full(self):
        self.requests.post(URL + '/allocations', status_code=409, json=FULL)
        error = self.assertRaises(placement.Full, self.claim)
        self.assertIn('over capacity', str(error))

    def test_a_provider_that_changed_meanwhile(self):
        self.requests.post(
            URL + '/allocations',
            [
                {'status_code': 409, 'json': CHANGED},
                {'status_code': 409, 'json': CHANGED},
                {'status_code': 204},
            ],
        )
        self.claim()
        self.assertEqual((3, 2), (self.requests.call_count, len(self.slept)))

    def test_gives_up(self):
        self.requests.post(URL + '/allocations', status_code=409, json=CHANGED)
        self.assertRaises(exception.ZunException, self.claim)
        self.assertEqual(placement.CONFLICT_RETRIES, self.requests.call_count)

    def test_claimed_by_an_earlier_owner(self):
        self.requests.post(
            URL + '/allocations',
            [{'status_code': 409, 'json': CONFLICT}, {'status_code': 204}],
        )
        self.requests.get(
            URL + '/allocations/c1',
            json={'allocations': {'rp': {}}, 'consumer_generation': 7},
        )
        self.requests.get(URL + '/allocations/c2', json={'allocations': {}})
        self.claim()
        self.assertEqual(
            {'c1': 7, 'c2': None},
            {
                uuid: claim['consumer_generation']
                for uuid, claim in self.sent().items()
            },
        )

    def test_an_answer_out_of_the_ordinary(self):
        self.requests.post(URL + '/allocations', status_code=503, text='no')
        error = self.assertRaises(exception.ZunException, self.claim)
        self.assertIn('503', str(error))


class TestRelease(PlacementTestCase):
    def test_only_what_is_ours(self):
        self.requests.get(
            URL + '/resource_providers/rp/allocations',
            json={'allocations': {'c1': {}, 'foreign': {}}},
        )
        self.requests.get(
            URL + '/resource_providers/gone/allocations', status_code=404
        )
        delete = self.requests.delete(URL + '/allocations/c1', status_code=204)
        self.assertEqual(
            1, self.placement.release(['c1', 'c2'], ['rp', 'gone'])
        )
        self.assertTrue(delete.called_once)

    def test_a_few_are_asked_for_one_by_one(self):
        for uuid, provider in (('c1', 'rp7'), ('c2', 'foreign')):
            self.requests.get(
                URL + '/allocations/' + uuid,
                json={'allocations': {provider: {}}, 'consumer_generation': 1},
            )
        self.requests.get(URL + '/allocations/c3', json={'allocations': {}})
        self.requests.delete(URL + '/allocations/c1', status_code=204)
        providers = ['rp%d' % number for number in range(1000)]
        self.assertEqual(
            1, self.placement.release(['c1', 'c2', 'c3'], providers)
        )
        self.assertEqual(4, self.requests.call_count)
