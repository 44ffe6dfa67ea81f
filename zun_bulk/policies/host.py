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

"""Policies for hosts."""

from oslo_policy import policy
from zun.common.policies import base


HOST = 'bulk_host:%s'

rules = [
    policy.DocumentedRuleDefault(
        name=HOST % 'get_all',
        check_str=base.RULE_ADMIN_API,
        description='List hosts with the pace at which they start containers.',
        operations=[{'path': '/v1/bulk_hosts', 'method': 'GET'}],
    ),
    policy.DocumentedRuleDefault(
        name=HOST % 'get',
        check_str=base.RULE_ADMIN_API,
        description='Show the pace of a host.',
        operations=[{'path': '/v1/bulk_hosts/{host}', 'method': 'GET'}],
    ),
    policy.DocumentedRuleDefault(
        name=HOST % 'update',
        check_str=base.RULE_ADMIN_API,
        description='Hold a host, release it or set its pace.',
        operations=[{'path': '/v1/bulk_hosts/{host}', 'method': 'PATCH'}],
    ),
]


def list_rules():
    return rules
