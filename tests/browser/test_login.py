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


class TestLogin(base.BrowserTestCase):
    def test_wrong_password(self):
        self.page.goto('auth/login/')
        self.page.fill('#id_username', 'admin')
        self.page.fill('#id_password', 'wrong')
        self.page.click('#loginBtn')
        base.expect(
            self.page.get_by_text('Invalid credentials')
        ).to_be_visible()
        self.page.screenshot(path=self.pictures / 'login.png')

    def test_both_dashboards_have_our_panels(self):
        self.log_in()
        for panel in ('project/bulks/', 'admin/bulks/', 'admin/bulk_hosts/'):
            base.expect(
                self.page.locator(f'#sidebar a[href="/{panel}"]')
            ).to_have_count(1)
