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

"""Settings of Horizon with zun_bulk's panels, and zun-ui's if installed."""

import importlib.util
import os
import sys

from openstack_dashboard import enabled as horizon_enabled
from openstack_dashboard.test.settings import *  # noqa: F403,H303
from openstack_dashboard.utils import settings as settings_utils

from zun_bulk import dashboard
from zun_bulk.dashboard import enabled


# The apps of Horizon's tests, without those that enabled files add.
_own = ('openstack_dashboard.dashboards', 'openstack_dashboard.contrib')
INSTALLED_APPS = [
    app
    for app in INSTALLED_APPS  # noqa: F405
    if not app.startswith(_own)
]
for _key in ('dashboards', 'default_dashboard', 'panel_customization'):
    HORIZON_CONFIG.pop(_key, None)  # noqa: F405

_modules = [horizon_enabled, enabled]
if os.environ.get('TEST_WITH_ZUN_UI') != '0' and importlib.util.find_spec(
    'zun_ui'
):
    from zun_ui import enabled as zun_ui_enabled

    _modules.insert(1, zun_ui_enabled)
settings_utils.update_dashboards(
    _modules,
    HORIZON_CONFIG,  # noqa: F405
    INSTALLED_APPS,
)

# Horizon runs it like this too.
_snippet = os.path.join(
    os.path.dirname(dashboard.__file__),
    'local_settings.d',
    '_1335_zun_bulk.py',
)
POLICY_FILES = {}
DEFAULT_POLICY_FILES = {}
with open(_snippet, encoding='utf-8') as _file:
    exec(compile(_file.read(), _snippet, 'exec'))  # noqa: H904
POLICY_CHECK_FUNCTION = 'openstack_auth.policy.check'

API_RESULT_PAGE_SIZE = 20

# As in production, where Horizon compiles a template once.
TEMPLATES[0]['OPTIONS']['loaders'] = [  # noqa: F405
    (
        'django.template.loaders.cached.Loader',
        TEMPLATES[0]['OPTIONS']['loaders'],  # noqa: F405
    )
]
# These tests do not need it, and it takes a minute.
COMPRESS_ENABLED = False


class _Stderr:
    """The current standard error; with --buffer each test has its own."""

    @staticmethod
    def write(text):
        sys.stderr.write(text)

    @staticmethod
    def flush():
        sys.stderr.flush()


LOGGING['handlers']['test']['stream'] = _Stderr  # noqa: F405
