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

from zun_bulk.dashboard import api
from zun_bulk.dashboard.bulks import tables
from zun_bulk.dashboard.bulks import views


_NAMESPACE = 'horizon:admin:bulks'


class _AllProjects:
    table_class = tables.AdminBulksTable
    query = {'all_projects': 'true'}

    def load(self):
        """Return a page of bulks with the names of their projects."""
        found = super().load()
        names = api.project_names(self.request) if found else {}
        for bulk in found:
            bulk.project_name = names.get(bulk.project_id)
        return found


class IndexView(_AllProjects, views.IndexView):
    pass


class ListRefreshView(_AllProjects, views.ListRefreshView):
    pass


class DetailView(views.DetailView):
    table_class = tables.AdminBulksTable
    namespace = _NAMESPACE


class DetailRefreshView(views.DetailRefreshView):
    table_class = tables.AdminBulksTable
    namespace = _NAMESPACE


class ScaleView(views.ScaleView):
    namespace = _NAMESPACE
