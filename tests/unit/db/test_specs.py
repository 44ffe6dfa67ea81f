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
from oslotest import base

from tests import database
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import members as db_members
from zun_bulk.db import specs


@ddt.ddt
class TestSpecs(base.BaseTestCase):
    @ddt.data(
        specs.MemberSpec(),
        specs.MemberSpec(addresses=[None, '10.0.0.1'], mounts=[{'size': 1}]),
        specs.MemberSpec(floating_ip='10.9.0.1'),
        specs.BulkSpec(),
        specs.BulkSpec(cpu=0.5, memory=64, own_fields=[], hints={'a': 'b'}),
        specs.BulkSpec(
            requested_networks=[{'network': 'net'}],
            floating_ips=specs.FloatingIpSpec(pool=['10.9.0.1']),
            trust_id='trust',
        ),
    )
    def test_there_and_back(self, spec):
        self.assertEqual(spec, type(spec).from_json(spec.to_json()))

    def test_defaults_are_not_stored(self):
        self.assertIsNone(specs.MemberSpec().to_json())
        self.assertEqual({}, specs.BulkSpec().to_json())
        self.assertEqual(
            {'own_fields': []}, specs.BulkSpec(own_fields=[]).to_json()
        )

    def test_of_other_releases(self):
        """Fields may be missing, null or not known yet."""
        spec = specs.BulkSpec.from_json(
            {
                'mounts': None,
                'extra': {'field': 1},
                'floating_ips': {'network_id': 'net', 'burst': 7},
            }
        )
        self.assertEqual([], spec.mounts)
        self.assertEqual('net', spec.floating_ips.network_id)
        self.assertEqual('release', spec.floating_ips.on_delete)
        self.assertIsNone(spec.own_fields)

    def test_lists_are_not_shared(self):
        specs.BulkSpec().mounts.append({'size': 1})
        self.assertEqual([], specs.BulkSpec().mounts)


class TestColumns(base.BaseTestCase):
    def test_stored(self):
        self.useFixture(database.Database())
        spec = specs.BulkSpec(cpu=0.5, hints={'group': 'a'})
        bulk, (first, _second) = database.accept(2, spec=spec)
        self.assertEqual(spec, db_bulks.get_bulk(bulk.uuid).spec)
        self.assertEqual(specs.MemberSpec(), first.wanted)
        self.assertIsNone(db_members.list_members(bulk.id)[0].volumes)
