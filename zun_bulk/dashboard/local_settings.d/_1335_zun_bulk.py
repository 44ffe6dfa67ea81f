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

"""Policies by which Horizon decides which actions to offer for bulks.

Horizon runs this file as a part of its settings.
"""

import os

import zun_bulk


# Rules that override the defaults, as in the policy file of zun-api. The path
# is relative to POLICY_FILES_PATH.
POLICY_FILES['container_bulk'] = 'zun_bulk_policy.yaml'  # noqa: F821
DEFAULT_POLICY_FILES['container_bulk'] = os.path.join(  # noqa: F821
    os.path.dirname(zun_bulk.__file__),
    'dashboard',
    'conf',
    'default_policies.yaml',
)
