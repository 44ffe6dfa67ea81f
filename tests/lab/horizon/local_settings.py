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

"""Horizon's local_settings.py in a lab: one process, at 127.0.0.1 only."""

import os
import pathlib
import secrets

from django.utils.translation import pgettext_lazy
from openstack_dashboard.settings import HORIZON_CONFIG
from openstack_dashboard.settings import POLICY_DIRS


ALLOWED_HOSTS = ['127.0.0.1', 'localhost']
OPENSTACK_KEYSTONE_URL = os.environ.get('OS_AUTH_URL', '')

# Sessions live in the one process, and end with it.
SECRET_KEY = secrets.token_hex(32)
CACHES = {
    'default': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}
}

# ``install`` compresses once.
COMPRESS_OFFLINE = True
_THEMES = os.path.join(os.path.dirname(os.path.realpath(__file__)), 'themes')
AVAILABLE_THEMES = [
    ('default', pgettext_lazy("Horizon's theme", 'Default'), 'themes/default'),
    (
        'material',
        pgettext_lazy("Horizon's theme", 'Material'),
        'themes/material',
    ),
    # Horizon has none that is dark.
    (
        'dark',
        pgettext_lazy("Horizon's theme", 'Dark'),
        os.path.join(_THEMES, 'dark'),
    ),
]

# Those of the lab's Zun.
POLICY_DIRS['container_bulk'] = [
    str(pathlib.Path(__file__).resolve().parents[1] / 'policy.d')
]

# Horizon's own first page is Nova's, which no lab has.
HORIZON_CONFIG['user_home'] = '/project/bulks/'

# Without it, nobody learns why a page was answered with 500.
LOGGING = {
    'version': 1,
    'disable_existing_loggers': False,
    'handlers': {'console': {'class': 'logging.StreamHandler'}},
    'root': {'handlers': ['console'], 'level': 'WARNING'},
}
