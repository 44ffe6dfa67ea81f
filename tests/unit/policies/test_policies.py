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

import os

import ddt
from oslo_policy import policy as oslo_policy
from oslotest import base
import yaml
from zun.common import context as zun_context
from zun.common import exception
from zun.common import policy

from tests import zun_fixtures
import zun_bulk
from zun_bulk import policies
from zun_bulk.api import middleware


@ddt.ddt
class TestPolicies(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(zun_fixtures.Config())
        self.useFixture(zun_fixtures.Policy())
        middleware.register_policies()

    @ddt.data(
        # rule, owner, other member, admin
        ('bulk:create', True, False, True),
        ('bulk:create:dry_run', True, False, True),
        ('bulk:create:floating_ips', True, False, True),
        ('bulk:get', True, False, True),
        ('bulk:get_all', True, False, True),
        ('bulk:get_all_projects', False, False, True),
        ('bulk:pause', True, False, True),
        ('bulk:resume', True, False, True),
        ('bulk:cancel', True, False, True),
        ('bulk:retry', True, False, True),
        ('bulk:scale', True, False, True),
        ('bulk:delete', True, False, True),
        ('bulk:members', True, False, True),
        ('bulk:events', True, False, True),
        ('bulk_host:get_all', False, False, True),
        ('bulk_host:get', False, False, True),
        ('bulk_host:update', False, False, True),
    )
    @ddt.unpack
    def test_default(self, rule, owner, other, admin):
        target = {'project_id': 'project-1', 'user_id': 'user-1'}
        for project, role, allowed in (
            ('project-1', 'member', owner),
            ('project-2', 'member', other),
            ('project-2', 'admin', admin),
        ):
            context = zun_context.RequestContext(
                project_id=project, user_id='user', roles=[role]
            )
            if allowed:
                self.assertTrue(
                    policy.enforce(context, rule, target, action=rule)
                )
            else:
                self.assertRaises(
                    exception.PolicyNotAuthorized,
                    policy.enforce,
                    context,
                    rule,
                    target,
                    action=rule,
                )

    def test_each_is_documented_and_tested(self):
        rules = list(policies.list_rules())
        self.assertEqual(17, len({rule.name for rule in rules}))
        for rule in rules:
            self.assertIsInstance(rule, oslo_policy.DocumentedRuleDefault)

    def test_zuns_own_are_there(self):
        self.assertIn('container:create', policy.init().registered_rules)

    def test_registered_twice(self):
        before = dict(policy.init().registered_rules)
        middleware.register_policies()
        self.assertEqual(before, policy.init().registered_rules)

    def test_defaults_of_the_dashboard(self):
        path = os.path.join(
            os.path.dirname(zun_bulk.__file__),
            'dashboard',
            'conf',
            'default_policies.yaml',
        )
        with open(path, encoding='utf-8') as file:
            shown = {
                rule['name']: (rule['check_str'], rule.get('operations'))
                for rule in yaml.safe_load(file)
            }
        own = {rule.name for rule in policies.list_rules()}
        self.assertEqual(set(), own - set(shown))
        known = policy.init().registered_rules
        self.assertEqual(
            {
                name: (
                    str(known[name].check_str),
                    getattr(known[name], 'operations', None),
                )
                for name in shown
            },
            shown,
        )
