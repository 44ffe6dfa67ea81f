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

"""Policies for bulks."""

from oslo_policy import policy
from zun.common.policies import base


BULK = 'bulk:%s'

rules = [
    policy.DocumentedRuleDefault(
        name=BULK % 'create',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Create a bulk of containers. Its template must also pass '
        'the policies of container:create.',
        operations=[{'path': '/v1/bulks', 'method': 'POST'}],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'create:dry_run',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Check where the containers of a bulk would be placed, '
        'without creating it. This shows how much room the cloud has for '
        'them. Also requires bulk:create; only users who pass '
        'container:get_one:host see hosts.',
        operations=[{'path': '/v1/bulks', 'method': 'POST'}],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'create:floating_ips',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Create or enlarge a bulk whose containers have floating '
        'IPs. They are created and bound with the credentials of Zun: forbid '
        'this to users who may not do so in Neutron.',
        operations=[
            {'path': '/v1/bulks', 'method': 'POST'},
            {'path': '/v1/bulks/{bulk_ident}/scale', 'method': 'POST'},
        ],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'get',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Retrieve the details of a bulk.',
        operations=[{'path': '/v1/bulks/{bulk_ident}', 'method': 'GET'}],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'get_all',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description="List a project's bulks.",
        operations=[{'path': '/v1/bulks', 'method': 'GET'}],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'get_all_projects',
        check_str=base.RULE_ADMIN_API,
        description='List the bulks of all projects.',
        operations=[{'path': '/v1/bulks?all_projects=true', 'method': 'GET'}],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'pause',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Pause a bulk: start no more of its containers.',
        operations=[
            {'path': '/v1/bulks/{bulk_ident}/pause', 'method': 'POST'}
        ],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'resume',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Resume a paused bulk.',
        operations=[
            {'path': '/v1/bulks/{bulk_ident}/resume', 'method': 'POST'}
        ],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'cancel',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Cancel the containers of a bulk not started yet.',
        operations=[
            {'path': '/v1/bulks/{bulk_ident}/cancel', 'method': 'POST'}
        ],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'retry',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Try the failed containers of a bulk again.',
        operations=[
            {'path': '/v1/bulks/{bulk_ident}/retry', 'method': 'POST'}
        ],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'scale',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Add containers to a bulk or remove some. To add some, '
        'its template must also pass the policies of container:create.',
        operations=[
            {'path': '/v1/bulks/{bulk_ident}/scale', 'method': 'POST'}
        ],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'delete',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='Delete a bulk and all its containers.',
        operations=[{'path': '/v1/bulks/{bulk_ident}', 'method': 'DELETE'}],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'members',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='List the members of a bulk.',
        operations=[
            {'path': '/v1/bulks/{bulk_ident}/members', 'method': 'GET'}
        ],
    ),
    policy.DocumentedRuleDefault(
        name=BULK % 'events',
        check_str=base.RULE_ADMIN_OR_OWNER,
        description='List the events of a bulk and its members.',
        operations=[
            {'path': '/v1/bulks/{bulk_ident}/events', 'method': 'GET'}
        ],
    ),
]


def list_rules():
    return rules
