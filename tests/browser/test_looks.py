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

"""Tests of the pages in other themes and by keyboard only."""

import re

from tests.browser import base


#: Maximum presses of the tab key to reach an element.
TABS = 150

#: Whether the focused element shows the focus: in its own style or in that of
#: the label that Horizon's themes draw in place of a checkbox.
SHOWS_FOCUS = """() => {
  const element = document.activeElement;
  const parts = [[element, null]];
  if (element.nextElementSibling) {
    parts.push([element.nextElementSibling, '::before']);
  }
  const looks = () => parts.map(([part, pseudo]) => {
    const style = getComputedStyle(part, pseudo);
    return [style.outlineStyle, style.outlineWidth, style.boxShadow,
            style.borderColor, style.backgroundColor, style.color,
            style.textDecorationLine].join();
  }).join();
  const still = document.createElement('style');
  still.textContent = '* { transition: none !important; }';
  document.head.append(still);
  const focused = looks();
  element.blur();
  const plain = looks();
  element.focus();
  still.remove();
  return focused !== plain;
}"""

#: All elements of the content that can be clicked.
CLICKABLE = """() => Array.from(document.querySelectorAll(
    '#content_body :is(a[href], button, input, select, textarea)'
)).filter(element =>
    element.checkVisibility({visibilityProperty: true}) &&
    element.type !== 'hidden' &&
    !element.disabled && !element.classList.contains('disabled') &&
    element.tabIndex >= 0
).map(element => {
  element.dataset.clickable = element.id || element.outerHTML;
  return element.dataset.clickable;
})"""


class TestKeyboard(base.BrowserTestCase):
    """The life of a bulk, by keyboard only."""

    def setUp(self):
        super().setUp()
        self.log_in()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def focused(self):
        return self.page.evaluate(
            """() => document.activeElement.dataset.clickable ||
                     document.activeElement.id"""
        )

    def tab_to(self, selector, key='Tab'):
        """Press a key until an element has, and shows, the focus."""
        for _number in range(TABS):
            if self.page.evaluate(
                's => document.activeElement.matches(s)', selector
            ):
                self.assertTrue(self.page.evaluate(SHOWS_FOCUS), selector)
                return
            self.press(key)
        self.fail(f'{key} does not lead to {selector}')

    def check_reachable(self):
        """Check that the tab key reaches all clickable elements."""
        wanted = set(self.page.evaluate(CLICKABLE))
        self.assertTrue(wanted)
        unseen = set()
        for _number in range(TABS):
            self.press('Tab')
            name = self.focused()
            if name in wanted and not self.page.evaluate(SHOWS_FOCUS):
                unseen.add(name)
            wanted.discard(name)
            if not wanted:
                break
        self.assertEqual(set(), wanted)
        self.assertEqual(set(), unseen)

    def type_in(self, field, text):
        self.tab_to(f'#id_{field}')
        self.page.keyboard.type(text)

    def fill(self, name):
        """Fill in the form up to the review."""
        self.tab_to('#bulks__action_create')
        self.press('Enter')
        base.expect(self.page.locator('#step-what')).to_be_visible()
        self.check_reachable()
        self.tab_to('#step-what-tab')
        self.type_in('name', name)
        self.type_in('image', self.image)
        # No lab has a registry.
        self.type_in('image_pull_policy', 'Never')
        self.type_in('command', 'sleep 100000')
        self.press('Enter')
        self.tab_to('#id_count')
        self.press('ControlOrMeta+a')
        self.page.keyboard.type('3')
        # With the pills of the steps.
        self.tab_to('#step-where-tab', 'Shift+Tab')
        self.press('ArrowRight')
        base.expect(self.page.locator('#step-network')).to_be_visible()
        label = self.page.locator('#id_networks option').filter(
            has=self.page.locator(f'xpath=self::*[@value="{self.network}"]')
        )
        if not label.count():
            label = self.page.locator('#id_networks option').filter(
                has_text=self.network
            )
        self.type_in('networks', label.first.inner_text())
        self.tab_to('#step-network-tab', 'Shift+Tab')
        self.press('ArrowRight', 'ArrowRight')
        base.expect(self.page.locator('#bulk-create')).to_be_enabled()
        # Screen readers read the outcome, not the table.
        self.assertNotIn('\n', self.page.inner_text('#bulk-announce').strip())
        self.assertTrue(self.page.inner_text('#bulk-announce').strip())

    def test_story(self):
        name = 'by-keyboard'
        self.delete_afterwards(name)
        self.page.goto('project/bulks/')
        self.fill(name)
        self.tab_to('#bulk-create')
        self.press('Enter')
        live = self.page.locator('#bulk-live')
        base.expect(live).to_be_visible()
        self.page.evaluate("""() => {
          window.said = [];
          new MutationObserver(() => window.said.push(
            document.getElementById('bulk-announce').textContent
          )).observe(document.getElementById('bulk-announce'),
                     {childList: true});
        }""")
        base.expect(live).to_contain_text(
            '3 of 3 done (100%)', timeout=base.BUILD_PATIENCE
        )
        self.check_reachable()
        # Each announcement occurs once, not at each refresh.
        said = self.page.evaluate('window.said')
        self.assertEqual(len(set(said)), len(said), said)
        self.assertLessEqual(len(said), 4)

        for tab in ('members', 'events', 'overview'):
            self.tab_to(f'[data-target="#bulk_details__{tab}"]')
            self.press('Enter')
            base.expect(
                self.page.locator(f'#bulk_details__{tab}')
            ).to_be_visible()
            self.press('Shift+Tab', 'Shift+Tab', 'Shift+Tab', 'Shift+Tab')

        for leave in (True, False):
            self.tab_to('.detail-actions .dropdown-toggle', 'Shift+Tab')
            self.press('Enter')
            self.tab_to('.detail-actions [id$="__action_delete"]')
            self.press('Enter')
            dialog = self.page.locator('.modal.in')
            base.expect(dialog).to_be_visible()
            button = '.cancel' if leave else '.btn-danger'
            self.tab_to(f'.modal.in .modal-footer {button}')
            self.press('Enter')
            base.expect(dialog).to_have_count(0)
        # The page of a deleted bulk redirects to the list.
        base.expect(self.page.locator('#bulks')).to_be_visible(
            timeout=base.BUILD_PATIENCE
        )
        self.assertEqual(404, self.status_of(name))


class _Theme:
    """The pages in another theme, as if it were the default."""

    def setUp(self):
        super().setUp()
        self.log_in()
        context = self.page.context
        context.add_cookies(
            [
                {
                    'name': 'theme',
                    'value': self.theme,
                    'url': context.request.get('').url,
                }
            ]
        )
        sheet = context.request.get(f'static/lab/{self.theme}.css')
        # Horizon 25 needs no replacement.
        if sheet.ok:
            context.route(
                re.compile(r'/dashboard/css/output\.\w+\.css'),
                lambda route: self._dress(route, sheet.text()),
            )

    @staticmethod
    def _dress(route, sheet):
        response = route.fetch()
        if '.breadcrumb' in response.text():
            route.fulfill(response=response, body=sheet)
        else:
            route.fulfill(response=response)

    def make_bulk(self, name):
        self.delete_afterwards(name)
        status, bulk = self.zun.request(
            'POST',
            '/bulks',
            {
                'name': name,
                'count': 2,
                'template': {
                    'image': self.image,
                    'image_pull_policy': 'never',
                    'command': ['no-such-command'],
                    'nets': [{'network': self.network}],
                },
            },
        )
        self.assertEqual(202, status, bulk)
        return bulk['uuid']

    def test_pages(self):
        name = f'in-{self.theme}'
        bulk = self.make_bulk(name)
        self.page.goto('project/bulks/create/')
        self.look(f'{self.theme}-create')
        self.page.fill('#id_image', self.image)
        self.page.fill('#id_environment', 'not a variable')
        self.page.click('#step-review-tab')
        base.expect(self.page.locator('.has-error')).to_have_count(1)
        self.look(f'{self.theme}-create-wrong')
        self.page.fill('#id_environment', 'A=1')
        self.page.click('#step-review-tab')
        base.expect(self.page.locator('#bulk-plan')).to_be_visible()
        self.look(f'{self.theme}-create-review')
        self.page.goto('admin/bulk_hosts/')
        self.look(f'{self.theme}-hosts')
        self.page.goto(f'project/bulks/{bulk}/')
        # Emulated containers do not fail.
        base.expect(self.page.locator('#bulk-status')).to_have_text(
            re.compile('Ready|Error'), timeout=base.BUILD_PATIENCE
        )
        self.look(f'{self.theme}-bulk')
        self.page.goto(f'project/bulks/{bulk}/?tab=bulk_details__members')
        self.look(f'{self.theme}-members')
        self.page.goto('project/bulks/')
        self.page.locator('#bulks tbody .dropdown-toggle').first.click()
        self.look(f'{self.theme}-bulks')


class TestMaterial(_Theme, base.BrowserTestCase):
    theme = 'material'


class TestDark(_Theme, base.BrowserTestCase):
    """A custom dark theme, as Horizon has none."""

    theme = 'dark'
