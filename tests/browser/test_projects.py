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


class TestMember(bulks.BulkTestCase):
    """A user without the rights of an administrator."""

    USER = 'demo'

    def test_creates_watches_scales_and_deletes(self):
        name = 'of-demo'
        self.page.goto('project/bulks/')
        base.expect(self.page.locator('#sidebar')).not_to_contain_text('Admin')
        self.delete_afterwards(name)
        self.fill(name)
        base.expect(self.page.locator('#id_count')).to_have_count(1)
        base.expect(self.page.locator('#id_host')).to_have_count(0)
        # The plan shows whether they fit, but not where.
        plan = self.page.locator('#bulk-plan')
        base.expect(plan).to_contain_text('Fit')
        base.expect(plan).not_to_contain_text('Host')
        self.look('member-create-review')
        self.click_create(name)
        self.expect_done(2, 2)
        self.look('member-bulk')
        base.expect(self.page.locator('#bulk-hosts-chart')).to_have_count(0)
        self.tab('members')
        base.expect(self.page.locator('#members tbody tr')).to_have_count(2)
        base.expect(self.page.locator('#bulk-members-host')).to_have_count(0)
        self.look('member-members')
        self.open(name)
        self.scale(1)
        self.expect_done(1, 1)
        self.page.goto('project/bulks/')
        self.click_action(self.row(name), 'delete')
        self.confirm(name)
        base.expect(self.row(name)).to_have_count(
            0, timeout=base.BUILD_PATIENCE
        )

    def test_another_project_cannot_see_it(self):
        name = 'secret'
        self.hold_hosts()
        self.create(name)
        url = self.page.url
        self.log_in_elsewhere('other')
        self.page.goto('project/bulks/')
        base.expect(self.page.locator('#bulks tbody')).to_contain_text(
            'No items to display.'
        )
        self.page.goto(url)
        self.expect_message('Unable to retrieve details of the bulk.')
        base.expect(self.page.locator('#bulks')).to_be_visible()
        base.expect(self.row(name)).to_have_count(0)
        self.look('other-bulks')
        self.log_in_elsewhere()
        self.page.goto('project/bulks/')
        base.expect(self.row(name)).to_have_count(0)
        self.page.goto('admin/bulks/')
        base.expect(self.row(name)).to_contain_text('Building')
        self.look('admin-bulks-of-all')

    def test_has_no_pages_of_administrators(self):
        for path in ('admin/bulks/', 'admin/bulk_hosts/'):
            self.refuse(path, 403)
        self.look('member-refused')
