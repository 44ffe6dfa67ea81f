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

"""Filters for Zun's scheduler, from any installed package.

They work for single containers and for bulks. In zun.conf::

    [scheduler]
    available_filters = zun.scheduler.filters.all_filters
    available_filters = zun_bulk.scheduler.filters.all_filters
    enabled_filters = AvailabilityZoneFilter,ComputeFilter,RuntimeFilter,HostPressureFilter

To add one, write a module here and name its class in setup.cfg, in the group
of entry points that NAMESPACE names.
"""  # noqa: E501

import functools

from stevedore import extension


NAMESPACE = 'zun_bulk.scheduler.filters'


@functools.cache
def _filters():
    # Cached, as Zun makes a new scheduler for each request.
    return tuple(
        found.plugin for found in extension.ExtensionManager(NAMESPACE)
    )


def all_filters():
    """Return the filter classes registered in NAMESPACE."""
    return list(_filters())
