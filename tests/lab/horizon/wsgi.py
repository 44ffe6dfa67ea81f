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

"""Horizon with its static files, which elsewhere a web server serves."""

import re

from django.conf import settings
from openstack_dashboard import wsgi
import whitenoise


_horizon = whitenoise.WhiteNoise(
    wsgi.application, root=settings.STATIC_ROOT, prefix=settings.STATIC_URL
)


def application(environ, start_response):
    # The Material theme of Horizon 25 asks for "/static//horizon/…", which
    # web servers take for what is meant.
    environ['PATH_INFO'] = re.sub('/+', '/', environ['PATH_INFO'])
    return _horizon(environ, start_response)
