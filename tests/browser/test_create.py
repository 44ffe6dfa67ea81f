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
import tempfile

from tests.browser import base
from tests.browser import bulks


class TestCreate(bulks.BulkTestCase):
    COUNT = 30

    def test_create_watch_and_delete(self):
        name = 'by-browser'
        self.delete_afterwards(name)
        self.page.goto('project/bulks/')
        self.look('bulks-none')
        self.fill(name, count=str(self.COUNT))
        for step in bulks.STEPS:
            self.page.click(f'#step-{step}-tab')
            base.expect(self.page.locator(f'#step-{step}')).to_be_visible()
            if step == 'review':
                base.expect(self.page.locator('#bulk-plan')).to_be_visible()
            self.look(f'create-{step}')
        self.click_create(name)
        self.expect_message(f'Bulk {name} is accepted with {self.COUNT}')
        self.look('bulk-building')
        self.expect_done(self.COUNT, self.COUNT)
        self.expect_status('Ready')
        self.assertAlmostEqual(1, self.bar(), places=2)
        self.look('bulk-ready')
        self.assertEqual({'running': self.COUNT}, self.states(name))

        self.check_members(name)
        self.check_events()
        self.check_lists(name)
        self.row(name).locator('.dropdown-toggle').click()
        self.row(name).locator('[id$="__action_delete"]').click()
        self.look('bulks-delete', '.modal.in')
        self.confirm(name)
        self.expect_message(f'Scheduled deletion of Bulk: {name}')
        self.look('bulks-deleting')
        base.expect(self.row(name)).to_have_count(
            0, timeout=base.BUILD_PATIENCE
        )
        self.assertEqual(404, self.status_of(name))

    def check_members(self, name):
        """Page through the table of containers, search and filter it."""
        self.tab('members')
        self.expect_members(range(1, 21))
        self.look('bulk-members')
        self.page.click('.bulk-next')
        self.expect_members(range(21, 31))
        self.look('bulk-members-last')
        self.page.click('.bulk-previous')
        self.expect_members(range(1, 21))

        self.filter_members(q='7')
        self.expect_members([7])
        self.filter_members(q=f'{name}-2')
        self.expect_members([2, *range(20, 30)])
        self.look('bulk-members-search')
        self.filter_members(q='', state='failed')
        self.expect_members([])
        self.look('bulk-members-filter')
        host = self.zun.members(name)[0]['host']
        there = [
            member['index']
            for member in self.zun.members(name)
            if member['host'] == host
        ]
        self.filter_members(state='running', host=host)
        self.expect_members(there[:20])

    def filter_members(self, q=None, **choices):
        """Use the filter above the containers; others stay unchanged."""
        form = self.page.locator('#bulk-members-filter')
        if q is not None:
            form.locator('[name=q]').fill(q)
        for field, value in choices.items():
            form.locator(f'[name={field}]').select_option(value)
        with self.page.expect_navigation():
            form.locator('[type=submit]').click()

    def expect_members(self, numbers):
        cells = self.page.locator('#members tbody tr:not(.empty)')
        base.expect(cells.locator('td:first-child')).to_have_text(
            [str(number) for number in numbers]
        )

    def check_events(self):
        """Check the events of all containers and of one."""
        self.tab('events')
        rows = self.page.locator('#events tbody tr')
        base.expect(rows.first).to_contain_text('Ready')
        self.look('bulk-events')
        form = self.page.locator('#bulk-events-filter')
        form.locator('[name=index]').fill('3')
        with self.page.expect_navigation():
            form.locator('[type=submit]').click()
        base.expect(rows.first).to_contain_text('Running')
        for number in rows.locator('td:nth-child(3)').all_inner_texts():
            self.assertEqual('3', number)

    def check_lists(self, name):
        """Find the bulk in both lists."""
        self.page.goto('admin/bulks/')
        base.expect(self.row(name)).to_contain_text('100%')
        self.look('admin-bulks')
        self.page.goto('project/bulks/')
        base.expect(self.row(name)).to_contain_text('Ready')
        self.look('bulks')
        # The last one is empty: Horizon keeps it in the shared session.
        for text, number in (('no-such-bulk', 0), (name, 1), ('', 1)):
            self.page.fill('[name=bulks__filter__q]', text)
            with self.page.expect_navigation():
                self.page.click('#bulks__action_filter')
            base.expect(self.row(name)).to_have_count(number)

    def test_errors_appear_at_their_fields(self):
        self.fill(
            'wrong',
            command='echo "',
            environment='not a variable',
            restart_retries='3',
            address_ranges='elsewhere=10.0.0.1-10.0.0.9',
        )
        self.expect_wrong(
            command='A quotation mark is not closed',
            environment='not a variable is not of the form',
            restart_retries='Only valid with the restart policy',
            address_ranges='elsewhere is not one of the selected networks',
        )
        # The first field with an error has the focus.
        base.expect(self.page.locator('#id_command')).to_be_focused()
        self.look('create-wrong')
        # Errors of the API appear at the fields too.
        self.fill_steps(
            container_name='no spaces-{index}',
            command='sleep 100000',
            environment='A=1',
            restart_retries='',
            address_ranges='lab=192.0.2.1-192.0.2.9',
        )
        self.expect_wrong(container_name='does not match')
        self.look('create-refused')
        self.fill_steps(container_name='wrong-{index}')
        self.expect_wrong(address_ranges='192.0.2.1')
        self.fill_steps(address_ranges='')
        base.expect(self.page.locator('#bulk-plan')).to_be_visible()
        self.expect_wrong()

    def test_a_number_out_of_range_blocks_the_next_step(self):
        self.page.goto('project/bulks/create/')
        self.page.fill('#id_image', self.image)
        self.page.click('#step-where-tab')
        self.page.fill('#id_count', '0')
        self.page.click('#bulk-next')
        base.expect(self.page.locator('#step-where')).to_be_visible()
        base.expect(self.page.locator('#id_count:invalid')).to_be_focused()
        self.page.fill('#id_count', '1')
        self.page.click('#bulk-next')
        base.expect(self.page.locator('#step-network')).to_be_visible()

    def expect_wrong(self, **errors):
        """Expect errors at these fields and at no others.

        :param errors: {field: part of the error text}
        """
        wrong = self.page.locator('.form-group.has-error')
        base.expect(wrong).to_have_count(len(errors))
        base.expect(self.page.locator('#bulk-errors')).to_be_empty()
        for field, text in errors.items():
            group = wrong.filter(has=self.page.locator(f'#id_{field}'))
            base.expect(group.locator('.help-block').first).to_contain_text(
                text
            )
        base.expect(self.page.locator('#bulk-create')).to_be_enabled(
            enabled=not errors
        )

    def test_member_file_and_address_range(self):
        name = 'of-file'
        self.delete_afterwards(name)
        self.fill(
            name,
            count='3',
            address_ranges='lab=10.77.200.10-10.77.200.11',
            members_file=self.file('wrong.csv', 'name,title\none,two\n'),
        )
        self.expect_wrong(members_file='wrong.csv:1: title')
        self.look('create-file-wrong')
        self.fill_steps(
            members_file=self.file(
                'two.csv', 'name,env.COLOUR\nfirst,red\nsecond,blue\n'
            )
        )
        self.expect_wrong(count='This is 3, but the file contains 2 members.')
        self.fill_steps(count='2')
        base.expect(self.page.locator('#bulk-cli')).to_contain_text(
            '--members-from two.csv'
        )
        self.click_create(name)
        self.expect_done(2, 2)
        self.tab('members')
        rows = self.page.locator('#members tbody tr')
        base.expect(rows).to_contain_text(['first', 'second'])
        base.expect(rows).to_contain_text(['10.77.200.1'] * 2)
        self.look('bulk-members-named')
        addresses = [
            address
            for member in self.zun.members(name)
            for address in member['addresses']
        ]
        self.assertEqual(['10.77.200.10', '10.77.200.11'], sorted(addresses))

    def file(self, name, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, name)
        path.write_text(text)
        return path
