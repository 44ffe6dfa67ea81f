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

"""Tests of the form that creates a bulk."""

import json
import types
from unittest import mock

from django.core.files import uploadedfile
from django.urls import reverse
from openstack_dashboard import api as openstack

from tests.dashboard import base


CREATE = reverse('horizon:project:bulks:create')
CHECK = reverse('horizon:project:bulks:check')

PLAN = {
    'count': 3,
    'fits': 2,
    'missing': 1,
    'explanation': '2 of 3 fit: <VCPU> on host-1',
    'hosts': [
        {
            'host': 'host-1',
            'zone': 'nova',
            'members': 2,
            'room': 2,
            'bound_by': 'VCPU',
        }
    ],
    'hosts_omitted': 0,
}

MINIMUM = {
    'client_token': 'once',
    'image': 'nginx',
    'count': '3',
    'run': 'on',
    'placement': 'spread',
    'max_attempts': '5',
    'on_failure': 'pause',
}


def _named(ident, name):
    return types.SimpleNamespace(id=ident, name=name, name_or_id=name)


class _Neutron:
    """Emulates Neutron by patching Horizon's functions for it."""

    def setUp(self):
        super().setUp()
        for name, value in (
            ('network_list_for_tenant', [_named('net-1', 'private')]),
            ('network_list', [_named('net-9', 'public')]),
            ('security_group_list', [_named('group-1', 'default')]),
        ):
            patch = mock.patch.object(openstack.neutron, name)
            patch.start().return_value = value
            self.addCleanup(patch.stop)
        self.api.plan = PLAN

    def created(self):
        """Return the bodies of all create requests."""
        return [body for method, _path, body in self.api.calls if body]

    def check(self, **fields):
        return json.loads(
            self.client.post(CHECK, {**MINIMUM, **fields}).content
        )


class TestForm(_Neutron, base.BaseTestCase):
    def test_page(self):
        page = self.client.get(CREATE)
        for slug in ('what', 'where', 'network', 'members', 'review'):
            self.assertContains(page, f'id="step-{slug}"')
        self.assertContains(page, f'data-bulk-check="{CHECK}"')
        self.assertContains(page, '>private</option>')
        self.assertContains(page, '>public</option>')
        self.assertContains(page, '>nova</option>')
        # Only administrators may choose a host.
        self.assertNotContains(page, 'id_host"')
        # The quotas; memory is unlimited.
        self.assertContains(page, 'data-bulk-limit="100"')
        self.assertContains(page, 'data-bulk-used="4.5"')
        self.assertContains(page, 'No Limit')

    def test_one_token_apart_from_the_errors(self):
        """Before a dry run the script empties the element of the errors."""
        page = self.client.get(CREATE).content.decode()
        self.assertEqual(1, page.count('name="client_token"'))
        self.assertLess(
            page.index('name="client_token"'), page.index('id="bulk-errors"')
        )

    def test_token_is_new_each_time(self):
        tokens = {
            self.client.get(CREATE).context['form']['client_token'].value()
            for _number in range(2)
        }
        self.assertEqual(2, len(tokens))

    def test_without_neutron(self):
        openstack.neutron.network_list.side_effect = OSError
        openstack.neutron.network_list_for_tenant.side_effect = OSError
        openstack.neutron.security_group_list.side_effect = OSError
        self.assertEqual(200, self.client.get(CREATE).status_code)

    def test_minimum(self):
        bulk = self.add_bulk()
        page = self.client.post(CREATE, MINIMUM)
        self.assertRedirectsNoFollow(
            page, reverse('horizon:project:bulks:detail', args=[bulk['uuid']])
        )
        self.assertEqual(
            [
                {
                    'client_token': 'once',
                    'count': 3,
                    'template': {'image': 'nginx'},
                    'run': True,
                    'placement': {'policy': 'spread', 'allow_partial': False},
                    'max_attempts': 5,
                    'on_failure': 'pause',
                }
            ],
            self.created(),
        )

    def test_all(self):
        self.add_bulk()
        fields = dict(
            MINIMUM,
            name='web',
            container_name='web-{index}',
            command='sh -c "sleep 1"',
            cpu='0.1',
            memory='64',
            environment='A=1\nB=x=y\n',
            restart_policy='on-failure',
            restart_retries='3',
            placement='pack',
            allow_partial='on',
            availability_zone='nova',
            on_failure='continue',
            networks=['net-1'],
            address_ranges='private=10.0.0.10-10.0.0.20',
            floating_ip_network='net-9',
            floating_ip_on_delete='keep',
            security_groups=['group-1'],
        )
        del fields['run']
        self.client.post(CREATE, fields)
        (body,) = self.created()
        self.assertEqual('web', body['name'])
        self.assertIs(False, body['run'])
        self.assertEqual(
            {'policy': 'pack', 'allow_partial': True}, body['placement']
        )
        self.assertEqual(
            {'network': 'net-9', 'on_delete': 'keep'}, body['floating_ips']
        )
        self.assertEqual(
            {
                'name': 'web-{index}',
                'image': 'nginx',
                'command': ['sh', '-c', 'sleep 1'],
                'cpu': 0.1,
                'memory': '64',
                'environment': {'A': '1', 'B': 'x=y'},
                'restart_policy': {
                    'Name': 'on-failure',
                    'MaximumRetryCount': '3',
                },
                'availability_zone': 'nova',
                'security_groups': ['group-1'],
                'nets': [
                    {'network': 'net-1', 'v4-range': '10.0.0.10-10.0.0.20'}
                ],
            },
            body['template'],
        )

    def test_wrong_fields(self):
        page = self.client.post(
            CREATE,
            {
                **MINIMUM,
                'image': '',
                'command': '"',
                'environment': 'A',
                'address_ranges': 'elsewhere=10.0.0.1-10.0.0.2',
                'restart_retries': '2',
                'count': '0',
            },
        )
        self.assertEqual(
            {
                'image',
                'command',
                'environment',
                'address_ranges',
                'restart_retries',
                'count',
            },
            set(page.context['form'].errors),
        )
        self.assertEqual([], self.created())

    def test_api_errors_are_shown_at_their_fields(self):
        self.api.refusal = (
            400,
            'template.nets[0].v4-range: it is no range\n'
            'template.environment.A: too long\n'
            'Invalid input for template.name: it has spaces\n'
            'template.workdir: not here\n'
            'count: a bulk has at most 2 members\n'
            'It is a bad day',
        )
        self.api.refuses = ('POST',)
        page = self.client.post(CREATE, MINIMUM)
        self.assertEqual(
            {
                'address_ranges': ['it is no range'],
                'environment': ['too long'],
                'container_name': ['it has spaces'],
                'count': ['a bulk has at most 2 members'],
                '__all__': ['template.workdir: not here', 'It is a bad day'],
            },
            page.context['form'].errors,
        )

    def test_over_quota(self):
        self.api.refusal = 403, 'Quota exceeded for containers: 99 of 100'
        self.api.refuses = ('POST',)
        page = self.client.post(CREATE, MINIMUM)
        self.assertContains(page, 'Quota exceeded for containers: 99 of 100')

    def test_no_answer(self):
        self.api.refusal = 503, 'The server is gone'
        self.api.refuses = ('POST',)
        page = self.client.post(CREATE, MINIMUM)
        self.assertContains(page, 'this does not create a second bulk')
        # A second submission sends the same token.
        self.assertContains(page, 'value="once"')
        self.assertEqual(1, len(self.created()))


class TestDryRun(_Neutron, base.BaseTestCase):
    def test_plan(self):
        answer = self.check()
        self.assertEqual({}, answer['errors'])
        self.assertIn('id="bulk-plan"', answer['html'])
        self.assertIn('2 of 3 fit: &lt;VCPU&gt; on host-1', answer['html'])
        self.assertIn(
            'Not all containers fit, so none would be created.', answer['html']
        )
        self.assertIn('--count 3', answer['html'])
        (body,) = self.created()
        self.assertIs(True, body['dry_run'])
        self.assertNotIn('client_token', body)

    def test_hosts_are_hidden_from_members(self):
        self.api.plan = dict(PLAN, hosts=None, hosts_omitted=None)
        html = self.check()['html']
        self.assertIn('id="bulk-plan"', html)
        self.assertNotIn('Limited by', html)

    def test_errors(self):
        answer = self.check(image='')
        self.assertEqual(['image'], list(answer['errors']))
        self.assertEqual('', answer['html'])
        self.assertEqual([], self.created())

    def test_refused(self):
        self.api.refusal = 400, 'template.image: there is none'
        self.api.refuses = ('POST',)
        self.assertEqual(
            {
                'errors': {'image': ['there is none']},
                'html': '',
                'announce': '',
            },
            self.check(),
        )

    def test_csrf_token_is_required(self):
        client = self.client_class(enforce_csrf_checks=True)
        self.assertEqual(403, client.post(CHECK, MINIMUM).status_code)
        self.assertEqual([], self.api.calls)


class TestMembersFile(_Neutron, base.BaseTestCase):
    def check_file(self, text, name='nodes.csv', **fields):
        file = uploadedfile.SimpleUploadedFile(name, text.encode())
        return self.check(members_file=file, **{'count': '1', **fields})

    def test_members(self):
        answer = self.check_file('name,env.A\nnode-a,1\nnode-b,2\n')
        self.assertEqual({}, answer['errors'])
        (body,) = self.created()
        self.assertEqual(2, body['count'])
        self.assertEqual(
            [
                {'name': 'node-a', 'environment': {'A': '1'}},
                {'name': 'node-b', 'environment': {'A': '2'}},
            ],
            body['members'],
        )
        self.assertIn('--members-from nodes.csv', answer['html'])

    def test_other_count(self):
        answer = self.check_file('name\nnode-a\nnode-b\n', count='3')
        self.assertEqual(
            {'count': ['This is 3, but the file contains 2 members.']},
            answer['errors'],
        )

    def test_wrong(self):
        answer = self.check_file('nam\nnode-a\n')
        self.assertIn('nodes.csv:1: nam', answer['errors']['members_file'][0])

    def test_other_format(self):
        answer = self.check_file('', 'nodes.exe')
        self.assertEqual(['members_file'], list(answer['errors']))

    def test_lines_of_the_file(self):
        self.api.refusal = 400, 'members[1].name: it is not unique'
        self.api.refuses = ('POST',)
        answer = self.check_file('name\nnode-a\nnode-b\n')
        self.assertEqual(
            {'members_file': ['nodes.csv:3: name: it is not unique']},
            answer['errors'],
        )

    def test_files_of_the_dashboard_host_are_not_read(self):
        for mount in (
            'type=bind,source=/etc/hostname,destination=/x',
            ' type = bind ,source=/etc/hostname,destination=/x',
            'type=,type=bind,source=/etc/hostname,destination=/x',
            'destination=/x,source=/etc/hostname,type=bind',
        ):
            for name, text in (
                ('nodes.csv', f'mounts\n"{mount}"\n'),
                ('nodes.json', json.dumps([{'mounts': [mount]}])),
            ):
                answer = self.check_file(text, name)
                self.assertIn(
                    'only the openstack command can mount files',
                    answer['errors']['members_file'][0],
                )
        answer = self.check_file(
            json.dumps(
                [
                    {
                        'mounts': [
                            {
                                'type': 'bind',
                                'source': '/etc/hostname',
                                'destination': '/x',
                            }
                        ]
                    }
                ]
            ),
            'nodes.json',
        )
        self.assertEqual(['members_file'], list(answer['errors']))
        self.assertEqual([], self.created())


class TestAdmin(_Neutron, base.AdminTestCase):
    def test_host(self):
        self.assertContains(self.client.get(CREATE), 'id_host"')
        self.check(host='host-7', image_pull_policy='never')
        (body,) = self.created()
        self.assertEqual('host-7', body['template']['host'])
        self.assertEqual('never', body['template']['image_pull_policy'])
