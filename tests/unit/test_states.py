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

import pathlib
import re

import ddt
from oslotest import base

from zun_bulk.states import BulkStatus
from zun_bulk.states import InvalidTransition
from zun_bulk.states import MemberState


ROOT = pathlib.Path(__file__).parents[2]
ARCHITECTURE = ROOT / 'doc' / 'source' / 'contributor' / 'architecture.rst'


@ddt.ddt
class TestStateMachines(base.BaseTestCase):
    @ddt.data(MemberState, BulkStatus)
    def test_transitions_are_between_states(self, machine):
        self.assertEqual(set(machine.ALL), set(machine.TRANSITIONS))
        for state, following in machine.TRANSITIONS.items():
            self.assertLessEqual(set(following), set(machine.ALL))
            self.assertNotIn(state, following)
            self.assertEqual(len(set(following)), len(following))

    @ddt.data(MemberState, BulkStatus)
    def test_all_can_be_deleted(self, machine):
        for state in machine.ALL:
            if state not in (MemberState.DELETING, MemberState.DELETED):
                machine.check(state, machine.DELETING)

    @ddt.data(MemberState, BulkStatus)
    def test_the_docs_show_the_same(self, machine):
        """The diagram in the architecture page has a line for each state."""
        text = ARCHITECTURE.read_text()
        start = text.index(machine.__name__)
        lines = re.findall(
            r'^   (\w+) +─► (.+)$',
            text[start : text.index('\n\n\n', start)],
            re.MULTILINE,
        )
        self.assertEqual(
            {
                state: set(following)
                for state, following in machine.TRANSITIONS.items()
            },
            {
                state: set(following.split(' | ')) - {'(removed)'}
                for state, following in lines
            },
        )

    def test_check(self):
        MemberState.check(MemberState.QUEUED, MemberState.PLACED)
        MemberState.check(MemberState.DELETED, MemberState.DELETED)
        error = self.assertRaises(
            InvalidTransition,
            MemberState.check,
            MemberState.QUEUED,
            MemberState.RUNNING,
        )
        self.assertEqual('MemberState: queued to running', str(error))
        self.assertRaises(
            InvalidTransition,
            BulkStatus.check,
            BulkStatus.DELETING,
            BulkStatus.READY,
        )

    def test_before(self):
        self.assertEqual(
            (BulkStatus.BUILDING,), BulkStatus.before(BulkStatus.PAUSED)
        )
        self.assertEqual(
            (MemberState.PLACED,), MemberState.before(MemberState.STARTING)
        )
