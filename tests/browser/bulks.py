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

"""Base class of the tests of the pages of bulks."""

import collections

from tests.browser import base
from tests.lab.real import labapi


STEPS = ('what', 'where', 'network', 'members', 'review')


class BulkTestCase(base.BrowserTestCase):
    """Actions on the pages of bulks."""

    def setUp(self):
        super().setUp()
        self.log_in(self.USER)

    # ------------------------------------------------------------- the form

    def fill(self, name, **fields):
        """Fill in the form, step by step, up to the review.

        :param fields: {field: value} that replace the default values; None
            leaves a field unchanged.
        """
        self.page.goto('project/bulks/')
        self.page.click('#bulks__action_create')
        self.fill_steps(
            **{
                'name': name,
                'container_name': f'{name}-{{index}}',
                'image': self.image,
                # No lab has a registry.
                'image_pull_policy': 'never',
                'command': 'sleep 100000',
                'count': '2',
                'networks': self.network,
                **fields,
            }
        )
        base.expect(self.page.locator('#step-review')).to_be_visible()

    def fill_steps(self, **fields):
        """Fill in all steps from the visible one up to the review."""
        for step in STEPS[:-1]:
            if not self.page.locator(f'#step-{step}').is_visible():
                continue
            for field, value in fields.items():
                element = self.page.locator(f'#step-{step} #id_{field}')
                if value is None or not element.count():
                    continue
                if element.evaluate('e => e.tagName') == 'SELECT':
                    element.select_option(value)
                elif element.get_attribute('type') == 'file':
                    element.set_input_files(value)
                else:
                    element.fill(value)
            self.page.click('#bulk-next')

    def create(self, name, **fields):
        """Create a bulk with the form, which opens its page."""
        self.delete_afterwards(name)
        self.fill(name, **fields)
        self.click_create(name)

    def click_create(self, name):
        self.page.click('#bulk-create:enabled')
        base.expect(self.page.locator('h1')).to_have_text(name)
        base.expect(self.page.locator('#bulk-live')).to_be_visible()

    # -------------------------------------------------------- a bulk's page

    def open(self, name):
        """Open a bulk's page, from the list."""
        self.page.goto('project/bulks/')
        self.page.get_by_role('link', name=name, exact=True).click()
        base.expect(self.page.locator('#bulk-live')).to_be_visible()

    def act(self, action):
        """Click on an action of the bulk whose page is open."""
        self.click_action(self.page.locator('.detail-actions'), action)

    def click_action(self, where, action):
        button = where.locator(f'[id$="__action_{action}"]')
        if not button.is_visible():
            where.locator('.dropdown-toggle').click()
        button.click()

    def confirm(self, name):
        """Confirm an action in the dialog that names the bulk."""
        dialog = self.page.locator('.modal.in')
        base.expect(dialog).to_contain_text(name)
        dialog.locator('.btn-danger').click()

    def scale(self, count):
        """Scale the bulk whose page is open."""
        self.act('scale')
        self.submit_dialog(count=str(count))
        self.expect_message(f'to {count} container')

    def submit_dialog(self, **fields):
        """Fill in the form of a dialog and submit it.

        :returns: the dialog.
        """
        dialog = self.page.locator('.modal.in')
        base.expect(dialog).to_be_visible()
        for name, value in fields.items():
            field = dialog.locator(f'[name={name}]')
            if field.evaluate('e => e.tagName') == 'SELECT':
                field.select_option(value)
            else:
                field.fill(value)
        dialog.locator('[type=submit]').click()
        return dialog

    def expect_message(self, text):
        """Expect a message on top of the page."""
        base.expect(self.page.locator('.messages')).to_contain_text(text)

    def expect_status(self, status):
        base.expect(self.page.locator('#bulk-status')).to_have_text(
            status, timeout=base.BUILD_PATIENCE
        )

    def expect_done(self, done, count):
        """Expect progress without a reload of the page."""
        self.page.evaluate('window.notReloaded = true')
        base.expect(self.page.locator('#bulk-live')).to_contain_text(
            f'{done} of {count} done ({100 * done // count}%)',
            timeout=base.BUILD_PATIENCE,
        )
        self.assertTrue(self.page.evaluate('window.notReloaded'))

    def bar(self):
        """Return the Running part of the bar, from 0 to 1."""
        return self.page.locator('#bulk-live > .bulk-progress').evaluate(
            """bar => bar.querySelector('.bulk-running').offsetWidth
               / bar.clientWidth"""
        )

    def tab(self, name):
        """Go to a tab of a bulk's page."""
        self.page.click(f'.nav-tabs a[data-target="#bulk_details__{name}"]')
        base.expect(self.page.locator(f'#{name}')).to_be_visible()

    # -------------------------------------------------------------- the list

    def row(self, name):
        return self.page.locator('#bulks tbody tr').filter(
            has=self.page.get_by_role('link', name=name, exact=True)
        )

    # --------------------------------------------------------- without pages

    def hold_hosts(self):
        """Hold all hosts until ``release_hosts``."""
        self.addCleanup(self.release_hosts)
        self.set_hosts(held=True, hold_reason='a test in a browser')

    def release_hosts(self):
        self.set_hosts(held=False)

    def set_hosts(self, **body):
        admin = labapi.Zun()
        _status, answer = admin.request('GET', '/bulk_hosts')
        for host in answer['hosts']:
            status, answer = admin.request(
                'PATCH', f'/bulk_hosts/{host["host"]}', body
            )
            self.assertEqual(200, status, answer)

    def post(self, name):
        """Create a bulk with the API, without the form."""
        self.delete_afterwards(name)
        template = labapi.container_body(f'{name}-{{index}}', self.network)
        status, answer = self.zun.request(
            'POST', '/bulks', {'name': name, 'count': 2, 'template': template}
        )
        self.assertEqual(202, status, answer)

    def states(self, name):
        """Return the number of members in each state, from the API."""
        return collections.Counter(
            member['state'] for member in self.zun.members(name)
        )
