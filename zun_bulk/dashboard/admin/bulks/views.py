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

"""The bulks of all projects."""

from zun_bulk.dashboard.bulks import tables
from zun_bulk.dashboard.bulks import views


_NAMESPACE = 'horizon:admin:bulks'


class IndexView(views.IndexView):
    table_class = tables.AdminBulksTable
    query = {'all_projects': 'true'}


class ListRefreshView(views.ListRefreshView):
    table_class = tables.AdminBulksTable
    query = {'all_projects': 'true'}


class DetailView(views.DetailView):
    table_class = tables.AdminBulksTable
    namespace = _NAMESPACE


class DetailRefreshView(views.DetailRefreshView):
    table_class = tables.AdminBulksTable
    namespace = _NAMESPACE


class ScaleView(views.ScaleView):
    namespace = _NAMESPACE
