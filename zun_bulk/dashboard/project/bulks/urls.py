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

from django.urls import path

from zun_bulk.dashboard.bulks import views


urlpatterns = [
    path('', views.IndexView.as_view(), name='index'),
    path('refresh/', views.ListRefreshView.as_view(), name='refresh_list'),
    path('create/', views.CreateView.as_view(), name='create'),
    path('create/check/', views.CheckView.as_view(), name='check'),
    path('<uuid:bulk_id>/', views.DetailView.as_view(), name='detail'),
    path(
        '<uuid:bulk_id>/refresh/',
        views.DetailRefreshView.as_view(),
        name='refresh',
    ),
    path('<uuid:bulk_id>/scale/', views.ScaleView.as_view(), name='scale'),
]
