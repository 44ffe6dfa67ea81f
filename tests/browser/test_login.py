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

import re

from tests.browser import base


class TestLogin(base.BrowserTestCase):
    def test_wrong_password(self):
        self.page.goto('auth/login/')
        self.fill_in_login(password='wrong')
        base.expect(
            self.page.get_by_text('Invalid credentials')
        ).to_be_visible()
        self.page.screenshot(path=self.pictures / 'login.png')

    def test_login_leads_to_the_requested_page(self):
        self.page.goto('admin/bulk_hosts/')
        base.expect(self.page).to_have_url(re.compile('/auth/login/'))
        self.fill_in_login()
        base.expect(self.page.locator('#bulk_hosts')).to_be_visible()
        for panel in ('project/bulks/', 'admin/bulks/', 'admin/bulk_hosts/'):
            base.expect(
                self.page.locator(f'#sidebar a[href="/{panel}"]')
            ).to_have_count(1)
        self.page.click('.user-menu .dropdown-toggle')
        # A link in Horizon 25, a form's button in later ones.
        self.page.click('.user-menu :is([type=submit], [href*="logout"])')
        base.expect(self.page.locator('#loginBtn')).to_be_visible()
        self.page.goto('project/bulks/')
        base.expect(self.page).to_have_url(re.compile('/auth/login/'))
