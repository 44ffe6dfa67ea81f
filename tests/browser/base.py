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

"""Base class of the tests in a browser.

The tests need a lab with Horizon (``LAB_HORIZON_URL``) and the environment of
its command line: ``OS_*``, ``LAB_IMAGE`` and ``LAB_NETWORK``. Screenshots of
the pages go to ``LAB_ROOT/screenshots``.
"""

import atexit
import functools
import os
import pathlib
import shutil
import time

from axe_playwright_python import sync_playwright as axe
from playwright import sync_api
import testtools

from tests.lab.real import labapi


CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium')
#: Milliseconds to wait for an element of a page.
PATIENCE = 30_000
#: Milliseconds to wait for a bulk.
BUILD_PATIENCE = 180_000
#: Impacts of axe-core violations that make a test fail.
SERIOUS = ('serious', 'critical')
#: The part of a page that is ours; the rest is Horizon's frame.
CONTENT = '#content_body'
#: Elements there that Horizon's script adds without a label: the arrows beside
#: a number, and the cross of a dialog.
WIDGETS = ('.themable-spinner-btn', '.modal .close')
_LIGHT = {
    'a:not(.btn)': 3.3,
    '.btn-primary': 3.6,
    '.btn-danger': 3.9,
    '.btn-danger.disabled': 2.4,
}
#: Minimum contrast of elements that have too little in all of Horizon because
#: of the theme: {theme: {selector: ratio}}. Axe-core requires 4.5.
THEME_CONTRASTS = {
    'default': _LIGHT,
    'material': _LIGHT,
    # Bootswatch's "darkly".
    'dark': {
        '.breadcrumb > .active': 3.3,
        '.btn-danger': 3.4,
        '.btn-danger.disabled': 3.0,
        '.pager a': 2.4,
        '.has-error :is(.control-label, .help-block)': 4.1,
    },
}

#: Whether all animations of a page have ended, except endless ones such as
#: spinners.
STILL = """
() => document.getAnimations().every(
    (animation) =>
        animation.playState !== 'running' ||
        animation.effect.getComputedTiming().endTime === Infinity
)
"""

expect = sync_api.expect
expect.set_options(timeout=PATIENCE)


@functools.cache
def _chromium():
    """Start the browser that all tests of a process share.

    :raises: RuntimeError if there is no browser.
    """
    if not CHROMIUM:
        raise RuntimeError('there is no chromium: apt install chromium')
    playwright = sync_api.sync_playwright().start()
    atexit.register(playwright.stop)
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM,
        # Chromium's sandbox does not work as root.
        args=['--no-sandbox'] if os.geteuid() == 0 else [],
    )
    atexit.register(browser.close)
    return browser


#: {user: cookies of the session}, shared by all tests of a process.
_cookies = {}


class BrowserTestCase(testtools.TestCase):
    """A browser with a page of Horizon.

    A test fails if the browser's console has an error, a script throws, a
    request fails or returns an error, or axe-core finds a serious violation
    in a page that it checks.

    :cvar USER: one of ``labapi.MEMBERS``; None is the administrator.
    :cvar theme: Horizon's theme, one of THEME_CONTRASTS.
    :ivar page: the current page, without a session until ``log_in``.
    :ivar zun: the API, as USER.
    """

    USER = None
    theme = 'default'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if 'LAB_HORIZON_URL' not in os.environ:
            raise RuntimeError(
                'no lab with Horizon is up: lab up --horizon, then '
                'eval "$(tests/lab/real/lab env)"'
            )
        cls.browser = _chromium()
        cls.pictures = pathlib.Path(
            os.environ.get('LAB_ROOT', 'lab-root'), 'screenshots'
        )
        cls.pictures.mkdir(parents=True, exist_ok=True)

    def setUp(self):
        super().setUp()
        self.errors = []
        self.refused = set()
        self.image = os.environ['LAB_IMAGE']
        self.network = os.environ['LAB_NETWORK']
        self.zun = labapi.Zun(labapi.login(self.USER, self.USER, self.USER))
        self.page = None
        self._contexts = []
        # Cleanups run in reverse order.
        self.addCleanup(self._close_browsers)
        self.addCleanup(self._check_errors)
        self.addOnException(self._picture_of_failure)
        self.open_browser()

    def open_browser(self):
        """Open a page in a new browser without a session."""
        context = self.browser.new_context(
            base_url=os.environ['LAB_HORIZON_URL'],
            viewport={'width': 1280, 'height': 900},
        )
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        self.page = context.new_page()
        self.page.on('console', self._console)
        self.page.on('pageerror', lambda error: self._note('', error))
        self.page.on('response', self._response)
        self.page.on('requestfailed', self._request_failed)

    def _close_browsers(self):
        for context in self._contexts:
            context.close()

    def _console(self, message):
        if message.type in ('error', 'assert'):
            self._note(message.location.get('url', ''), message.text)

    def _response(self, response):
        if response.status >= 400:
            self._note(response.url, response.status)

    def _request_failed(self, request):
        # Leaving a page aborts the requests that it still has.
        if request.failure != 'net::ERR_ABORTED':
            self._note(request.url, request.failure)

    def _note(self, url, error):
        if url not in self.refused:
            self.errors.append(f'{self.page.url}: {url} {error}')

    def _check_errors(self):
        self.assertEqual([], self.errors)

    def _picture_of_failure(self, _exc_info):
        name = self.id().rpartition('.')[2]
        self.page.screenshot(
            path=self.pictures / f'failed-{name}.png', full_page=True
        )

    # ------------------------------------------------------------- the user

    def log_in(self, user=None):
        """Log in as a user, by default as the administrator.

        :param user: one of ``labapi.MEMBERS``.
        """
        if user not in _cookies:
            self.page.goto('auth/login/')
            self.fill_in_login(user)
            expect(self.page.locator(CONTENT)).to_be_visible()
            _cookies[user] = self.page.context.cookies()
        self.page.context.add_cookies(_cookies[user])

    def fill_in_login(self, user=None, password=None):
        """Log in on the login page."""
        self.page.fill('#id_username', user or os.environ['OS_USERNAME'])
        self.page.fill(
            '#id_password', password or user or os.environ['OS_PASSWORD']
        )
        self.page.click('#loginBtn')

    def log_in_elsewhere(self, user=None):
        """Log in as a user in another browser."""
        self.open_browser()
        self.log_in(user)

    def refuse(self, path, status):
        """Request a page that must return an error."""
        url = os.environ['LAB_HORIZON_URL'] + path
        self.refused.add(url)
        self.assertEqual(status, self.page.goto(path).status, path)

    def look(self, name, within=CONTENT):
        """Take a screenshot of the page and check it with axe-core.

        :param name: file name of the screenshot, without extension.
        :param within: CSS selector of the part to check.
        """
        self.page.wait_for_function(STILL, timeout=PATIENCE)
        self.page.screenshot(
            path=self.pictures / f'{name}.png', full_page=True
        )
        context = {
            'include': [[within]],
            'exclude': [[widget] for widget in WIDGETS],
        }
        found = axe.Axe().run(self.page, context).response['violations']
        # Reported at the end, so that the test goes on.
        self.errors += [
            f'axe-core, {name}: {violation["help"]}: {node["html"]} '
            f'{node["failureSummary"]}'
            for violation in found
            if violation['impact'] in SERIOUS
            for node in violation['nodes']
            if violation['id'] != 'color-contrast' or not self._themed(node)
        ]

    def _themed(self, node):
        """Return whether the theme causes a violation of contrast."""
        contrasts = THEME_CONTRASTS[self.theme]
        selectors = self.page.locator(node['target'][0]).evaluate(
            '(e, selectors) => selectors.filter(s => e.matches(s))',
            list(contrasts),
        )
        ratio = node['any'][0]['data']['contrastRatio']
        return any(ratio >= contrasts[selector] for selector in selectors)

    # -------------------------------------------------------------- the API

    def status_of(self, bulk):
        """Return the HTTP status of a request for a bulk."""
        return self.zun.request('GET', f'/bulks/{bulk}')[0]

    def delete_afterwards(self, name):
        self.addCleanup(self._delete, name)

    def _delete(self, name):
        deadline = time.monotonic() + BUILD_PATIENCE / 1000
        self.zun.request('DELETE', f'/bulks/{name}')
        while self.status_of(name) != 404:
            self.assertLess(time.monotonic(), deadline, f'{name} stays')
            time.sleep(0.3)
