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

from zun_bulk.dashboard import exceptions


PANEL = 'bulks'
PANEL_GROUP = 'container'
PANEL_DASHBOARD = 'project'
ADD_PANEL = 'zun_bulk.dashboard.project.bulks.panel.Bulks'

ADD_INSTALLED_APPS = ['zun_bulk.dashboard']
ADD_JS_FILES = [
    # The other scripts need this one.
    'zun_bulk/common.js',
    'zun_bulk/refresh.js',
    'zun_bulk/create.js',
]
ADD_SCSS_FILES = ['zun_bulk/bulks.scss']
ADD_EXCEPTIONS = {
    'recoverable': exceptions.RECOVERABLE,
    'not_found': exceptions.NOT_FOUND,
    'unauthorized': exceptions.UNAUTHORIZED,
}
