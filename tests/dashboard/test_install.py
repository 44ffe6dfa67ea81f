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

"""Tests of an installation of the dashboard."""

import os
import subprocess
import sys
import unittest

from django.conf import settings
from horizon import base as horizon_base
import sass

from zun_bulk import dashboard


_ROOT = os.path.dirname(dashboard.__file__)


class TestPanels(unittest.TestCase):
    def _slugs(self, name):
        group = horizon_base.Horizon.get_dashboard(name).get_panel_group(
            'container'
        )
        return [panel.slug for panel in group]

    def test_project(self):
        slugs = self._slugs('project')
        self.assertIn('bulks', slugs)
        if 'zun_ui' in settings.INSTALLED_APPS:
            self.assertIn('container.containers', slugs)

    def test_admin(self):
        slugs = self._slugs('admin')
        self.assertIn('bulks', slugs)
        self.assertIn('bulk_hosts', slugs)

    def test_without_zun_ui(self):
        code = (
            'import django\n'
            'django.setup()\n'
            'from horizon import base\n'
            'from django.urls import reverse\n'
            "reverse('horizon:project:bulks:index')\n"
            "for name in ('project', 'admin'):\n"
            '    dashboard = base.Horizon.get_dashboard(name)\n'
            "    group = dashboard.get_panel_group('container')\n"
            '    print(*(panel.slug for panel in group))\n'
        )
        self.assertEqual(
            ['bulks', 'bulks bulk_hosts'],
            _run(code, TEST_WITH_ZUN_UI='0').splitlines()[-2:],
        )


def _run(code, **environment):
    """Run code in a new Python process and return its output."""
    return subprocess.run(
        [sys.executable, '-c', code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    ).stdout


class TestFiles(unittest.TestCase):
    def test_no_service_is_imported(self):
        code = (
            'import pkgutil, sys, django\n'
            'django.setup()\n'
            'from zun_bulk import dashboard\n'
            'for module in pkgutil.walk_packages(dashboard.__path__,'
            " 'zun_bulk.dashboard.'):\n"
            "    if '.local_settings' not in module.name:\n"
            '        __import__(module.name)\n'
            "assert 'zun_bulk.dashboard.bulks.views' in sys.modules\n"
            "print([name for name in sys.modules if name.split('.')[0] =="
            " 'zun'])\n"
        )
        printed = _run(code)
        self.assertEqual('[]', printed.splitlines()[-1])

    def test_style_sheet(self):
        css = sass.compile(
            filename=os.path.join(_ROOT, 'static', 'zun_bulk', 'bulks.scss')
        )
        self.assertIn('.bulk-chart .bulk-line', css)

    def test_scripts(self):
        """The script that the others use is loaded first."""
        loaded = [
            path
            for path in settings.HORIZON_CONFIG['js_files']
            if path.startswith('zun_bulk/')
        ]
        self.assertEqual('zun_bulk/common.js', loaded[0])
        self.assertEqual(
            sorted(os.listdir(os.path.join(_ROOT, 'static', 'zun_bulk'))),
            sorted(['bulks.scss', *map(os.path.basename, loaded)]),
        )
