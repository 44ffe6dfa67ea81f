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

from tests.browser import base
from tests.browser import bulks


class TestHosts(bulks.BulkTestCase):
    def setUp(self):
        super().setUp()
        self.page.goto('admin/bulk_hosts/')
        self.host = self.page.locator('#bulk_hosts tbody tr').first

    def test_hold_and_release(self):
        self.look('hosts')
        self.addCleanup(self.release_hosts)
        self.click_action(self.host, 'hold')
        self.look('host-hold', '.modal.in')
        self.submit_dialog(hold_reason='a test in a browser')
        base.expect(self.host).to_contain_text('Held')
        base.expect(self.host).to_contain_text('a test in a browser')
        self.look('hosts-held')
        self.click_action(self.host, 'release')
        base.expect(self.host).not_to_contain_text('Held')
        self.expect_message('Released Host')

    def test_set_limits(self):
        self.addCleanup(
            self.set_hosts, mode=None, max_in_flight=None, start_interval=None
        )
        self.click_action(self.host, 'limits')
        self.look('host-limits', '.modal.in')
        dialog = self.submit_dialog(max_in_flight='257')
        base.expect(
            dialog.locator('[name=max_in_flight]:invalid')
        ).to_be_focused()
        self.submit_dialog(
            mode='fixed', max_in_flight='3', start_interval='0.5'
        )
        for text in (
            'Fixed',
            'Maximum parallel starts: 3',
            'Start interval: 0.5 s',
        ):
            base.expect(self.host).to_contain_text(text)
        self.look('hosts-limited')
        self.click_action(self.host, 'limits')
        self.submit_dialog(mode='', max_in_flight='', start_interval='')
        base.expect(self.host).not_to_contain_text(
            'Maximum parallel starts: 3'
        )

    def test_filter(self):
        row = self.page.locator('#bulk_hosts tr[data-object-id="host-1"]')
        field = self.page.locator('[name=bulk_hosts__filter__q]')
        field.press_sequentially('no-such-host')
        base.expect(row).to_be_hidden()
        field.clear()
        field.press_sequentially('host-1')
        base.expect(row).to_be_visible()
