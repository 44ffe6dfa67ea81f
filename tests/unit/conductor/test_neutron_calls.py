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

"""How often Neutron is asked for a bulk, by a conductor with all it has."""

from tests import emulated_neutron
from tests.unit.conductor import base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import transitions as db_transitions
from zun_bulk.network import ports


class TestNeutronCalls(base.ConductorTestCase):
    def setUp(self):
        super().setUp()
        self.neutron = self.useFixture(
            emulated_neutron.EmulatedNeutron('10.1.0.0/20')
        )
        self.conductor._services._ports = ports.Ports()
        self.room = {'host-%d' % number: 500 for number in range(4)}

    def calls(self):
        return sum(self.neutron.emulator.calls.values())

    def test_a_thousand_members(self):
        network = {
            'network': self.neutron.network['id'],
            'port': '',
            'fixed_ip': '',
            'preserve_on_delete': False,
            'v4_range': ['10.1.4.1', '10.1.7.254'],
        }
        self.accept(
            1000,
            project_id=self.neutron.project,
            spec={'requested_networks': [network], 'mounts': {}},
        )
        self.cycle()
        self.assertEqual({'placed': 1000}, self.states())
        self.assertEqual(
            {member.name for member in self.members()},
            {port['dns_name'] for port in self.neutron.ports()},
        )
        self.assertEqual(1000, len(self.neutron.ports()))
        # 52 to make them, 27 to look what is there, 2 for the range, and one
        # for the extensions.
        self.assertLessEqual(self.calls(), 82)

        # Zun has deleted them, and it is looked what is left.
        before = self.calls()
        db_bulks.mark_bulk_deleting(self.bulk.id)
        self.neutron.emulator.rows['ports'].clear()
        db_transitions.move_members(self.members(), 'deleted')
        self.conductor.look_after_bulks()
        self.assertEqual([], db_bulks.list_bulks())
        self.assertEqual(10, self.calls() - before)
