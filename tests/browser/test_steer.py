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

import os

from tests.browser import base
from tests.browser import bulks
from tests.lab.real import labapi


class TestSteer(bulks.BulkTestCase):
    """Actions on existing bulks."""

    def test_pause_and_resume(self):
        self.hold_hosts()
        self.create('paused')
        self.act('pause')
        self.expect_message('Paused Bulk: paused')
        self.expect_status('Paused')
        self.look('bulk-paused')
        self.release_hosts()
        self.act('resume')
        self.expect_message('Resumed Bulk: paused')
        self.expect_done(2, 2)
        self.expect_status('Ready')
        self.assertAlmostEqual(1, self.bar(), places=2)

    def test_cancel(self):
        self.hold_hosts()
        self.create('cancelled')
        self.act('cancel')
        self.look('bulk-cancel', '.modal.in')
        self.confirm('cancelled')
        self.expect_message('Cancelling Bulk: cancelled')
        self.expect_status('Cancelled')
        self.look('bulk-cancelled')
        self.assertEqual({'cancelled': 2}, self.states('cancelled'))
        # No other action is possible.
        base.expect(
            self.page.locator('.detail-actions [id*="__action_"]')
        ).to_have_text('Delete Bulk')

    def test_scale_up_and_down(self):
        self.create('scaled', count='1')
        self.expect_done(1, 1)
        self.act('scale')
        self.look('bulk-scale', '.modal.in')
        self.submit_dialog(count='100000')
        dialog = self.page.locator('.modal.in')
        base.expect(dialog.locator('.has-error .help-block')).to_contain_text(
            'count'
        )
        self.look('bulk-scale-wrong', '.modal.in')
        self.submit_dialog(count='3')
        self.expect_message('Scaling bulk scaled to 3 containers.')
        self.expect_done(3, 3)
        self.expect_status('Ready')
        self.assertEqual({'running': 3}, self.states('scaled'))
        self.scale(1)
        self.expect_done(1, 1)
        self.assertEqual(
            [1], [member['index'] for member in self.zun.members('scaled')]
        )
        self.act('delete')
        self.confirm('scaled')
        base.expect(self.page.locator('#bulks')).to_be_visible()
        base.expect(self.row('scaled')).to_have_count(
            0, timeout=base.BUILD_PATIENCE
        )

    def test_retry_fails_until_the_cause_is_fixed(self):
        if 'LAB_DOCKER_1' not in os.environ:
            self.skipTest('it wants real Docker Engines')
        image = self.image.partition(':')[0]
        self.create('retried', image=f'{image}:late')
        self.expect_status('Error')
        reason = self.page.locator('#bulk-failures')
        base.expect(reason).to_contain_text(f'Image {image} not present')
        self.look('bulk-failed')
        self.act('retry')
        self.expect_message('Retrying failed containers of Bulk: retried')
        self.expect_status('Error')
        base.expect(reason).to_contain_text(f'Image {image} not present')
        self.tab('events')
        names = self.page.locator('#events tbody td:nth-child(2)')
        # The latest event comes first.
        events = names.all_inner_texts()
        self.assertIn('Failed', events[: events.index('Retried')], events)
        self.look('bulk-retried')

        for host in labapi.hosts().values():
            engine = labapi.Docker.of_host(host)
            status, answer = engine.call(
                'POST', f'/images/{self.image}/tag?repo={image}&tag=late'
            )
            self.assertEqual(201, status, answer)
            self.addCleanup(engine.call, 'DELETE', f'/images/{image}:late')
        self.open('retried')
        self.act('retry')
        self.expect_done(2, 2)
        self.expect_status('Ready')
        base.expect(reason).to_have_count(0)

    def test_failures_show_their_reason(self):
        if 'LAB_DOCKER_1' not in os.environ:
            self.skipTest('the emulated Docker Engine starts any command')
        self.create('failing', command='no-such-command')
        self.expect_status('Error')
        base.expect(self.page.locator('#bulk-failures')).to_contain_text(
            'no-such-command'
        )

    def test_sort_and_delete_several(self):
        self.hold_hosts()
        names = ['several-1', 'several-2']
        for name in names:
            self.post(name)
        self.page.goto('project/bulks/')
        # Sorting uses the refreshed rows.
        title = self.page.locator('#bulks th', has_text='Name')
        links = self.page.locator('#bulks tbody td:nth-child(2)')
        title.click()
        base.expect(links).to_have_text(names)
        self.assertEqual(
            202, self.zun.request('POST', f'/bulks/{names[0]}/pause')[0]
        )
        base.expect(self.row(names[0])).to_contain_text('Paused')
        title.click()
        base.expect(links).to_have_text(names[::-1])
        base.expect(self.row(names[0])).to_contain_text('Paused')
        self.look('bulks-several')
        for name in names:
            self.row(name).locator('.themable-checkbox label').click()
        self.page.click('#bulks__action_delete')
        dialog = self.page.locator('.modal.in')
        base.expect(dialog).to_contain_text(names[0])
        self.confirm(names[1])
        for name in names:
            base.expect(self.row(name)).to_have_count(
                0, timeout=base.BUILD_PATIENCE
            )
