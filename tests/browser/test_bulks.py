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

import collections
import re

from tests.browser import base


STEPS = ('what', 'where', 'network', 'members', 'review')


class TestBulks(base.BrowserTestCase):
    """The story of a bulk, told by clicks."""

    COUNT = 30

    def setUp(self):
        super().setUp()
        self.log_in()

    def fill(self, name, **fields):
        """Fill in the form, step by step, up to the review.

        :param fields: {field: value} instead of those that would run.
        """
        self.page.goto('project/bulks/')
        self.page.click('#bulks__action_create')
        values = {
            'name': name,
            'container_name': f'{name}-{{index}}',
            'image': self.image,
            # No lab has a registry.
            'image_pull_policy': 'never',
            'command': 'sleep 100000',
            'count': str(self.COUNT),
            'networks': self.network,
            **fields,
        }
        for step in STEPS[:-1]:
            for field, value in values.items():
                element = self.page.locator(f'#step-{step} #id_{field}')
                if not element.count():
                    continue
                if element.evaluate('e => e.tagName') == 'SELECT':
                    element.select_option(value)
                else:
                    element.fill(value)
            self.page.click('#bulk-next')
        base.expect(self.page.locator('#step-review')).to_be_visible()

    def create(self, name, **fields):
        """Create a bulk by the form, and open its page."""
        self.delete_afterwards(name)
        self.fill(name, **fields)
        create = self.page.locator('#bulk-create')
        base.expect(create).to_be_enabled()
        create.click()
        self.open(name)

    def open(self, name):
        """Open a bulk's page, from wherever its name is a link."""
        if not self.page.locator('#bulk-live').count():
            self.page.get_by_role('link', name=name, exact=True).click()
        base.expect(self.page.locator('#bulk-live')).to_be_visible()

    def act(self, action):
        """Do something with the bulk whose page is open."""
        button = self.page.locator(
            f'.detail-actions [id$="__action_{action}"]'
        )
        if not button.is_visible():
            self.page.locator('.detail-actions .dropdown-toggle').click()
        button.click()

    def expect_status(self, status):
        base.expect(self.page.locator('#bulk-status')).to_have_text(
            status, timeout=base.BUILD_PATIENCE
        )

    def test_create_watch_and_delete(self):
        name = 'by-browser'
        self.delete_afterwards(name)
        self.page.goto('project/bulks/')
        self.look('bulks-none')
        self.fill(name)
        for step in STEPS:
            self.page.click(f'#step-{step}-tab')
            base.expect(self.page.locator(f'#step-{step}')).to_be_visible()
            if step == 'review':
                base.expect(self.page.locator('#bulk-plan')).to_be_visible()
            self.look(f'create-{step}')
        self.page.click('#bulk-create')
        self.open(name)
        self.look('bulk-building')

        # It gets there by itself: nothing reloads the page.
        self.page.evaluate('window.notReloaded = true')
        base.expect(self.page.locator('#bulk-live')).to_contain_text(
            f'{self.COUNT} of {self.COUNT} done (100%)',
            timeout=base.BUILD_PATIENCE,
        )
        self.expect_status('Ready')
        self.assertTrue(self.page.evaluate('window.notReloaded'))
        self.assertAlmostEqual(1, self.bar(), places=2)
        self.look('bulk-ready')
        members = self.zun.members(name)
        self.assertEqual(
            {'running': self.COUNT},
            collections.Counter(member['state'] for member in members),
        )

        for tab in ('members', 'events'):
            self.page.click(f'.nav-tabs a[data-target="#bulk_details__{tab}"]')
            base.expect(self.page.locator(f'#{tab}')).to_be_visible()
            self.look(f'bulk-{tab}')

        self.page.goto('admin/bulks/')
        base.expect(self.row(name)).to_contain_text('100%')
        self.look('admin-bulks')
        self.page.goto('project/bulks/')
        base.expect(self.row(name)).to_contain_text('Ready')
        self.look('bulks')
        self.row(name).locator('.dropdown-toggle').click()
        self.row(name).locator('[id$="__action_delete"]').click()
        self.look('delete', '.modal.in')
        self.page.locator('.modal.in .modal-footer .btn-danger').click()
        base.expect(self.row(name)).to_have_count(
            0, timeout=base.BUILD_PATIENCE
        )
        self.assertEqual(404, self.status_of(name))

    def row(self, name):
        return self.page.locator('#bulks tbody tr').filter(
            has=self.page.get_by_role('link', name=name, exact=True)
        )

    def bar(self):
        """:returns: how much of the bar says Running, from 0 to 1."""
        return self.page.locator('#bulk-live > .bulk-progress').evaluate(
            """bar => bar.querySelector('.bulk-running').offsetWidth
               / bar.clientWidth"""
        )

    def test_pause_and_resume(self):
        self.create('paused')
        self.act('pause')
        self.expect_status('Paused')
        self.look('bulk-paused')
        self.act('resume')
        self.expect_status('Ready')
        self.assertAlmostEqual(1, self.bar(), places=2)

    def test_what_fails_says_why(self):
        self.create('failing', count='3', command='no-such-command')
        self.expect_status('Error')
        base.expect(self.page.locator('#bulk-failures')).to_contain_text(
            re.compile('no-such-command')
        )
        self.look('bulk-failed')

    def test_what_is_wrong_is_said_beside_its_field(self):
        self.fill('wrong', environment='not a variable')
        wrong = self.page.locator('.form-group.has-error')
        base.expect(wrong).to_have_count(1)
        base.expect(wrong.locator('#id_environment')).to_be_visible()
        base.expect(wrong.locator('.help-block')).not_to_be_empty()
        self.look('create-wrong')


class TestHosts(base.BrowserTestCase):
    def test_hold_and_release(self):
        self.log_in()
        self.page.goto('admin/bulk_hosts/')
        row = self.page.locator('#bulk_hosts tbody tr').first
        self.look('hosts')
        self.click_action(row, 'hold')
        dialog = self.page.locator('.modal.in')
        dialog.locator('[name=hold_reason]').fill('a test in a browser')
        self.look('host-hold', '.modal.in')
        dialog.locator('[type=submit]').click()
        base.expect(row).to_contain_text('Held')
        base.expect(row).to_contain_text('a test in a browser')
        self.look('hosts-held')
        self.click_action(row, 'release')
        base.expect(row).not_to_contain_text('Held')

    def click_action(self, row, action):
        button = row.locator(f'[id$="__action_{action}"]')
        if not button.is_visible():
            row.locator('.dropdown-toggle').click()
        button.click()
