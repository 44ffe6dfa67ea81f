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

import base64
import contextlib
import io
import json
import tempfile
import uuid

from osc_lib import exceptions
import requests
from zunclient import exceptions as zun_exceptions

from tests.unit.osc import base
from zun_bulk.consts import PlacementPolicy
from zun_bulk.osc import create


class TestCreateRequest(base.CommandTestCase):
    def create(self, *argv):
        """Run the command and return the request body."""
        self.api.post(base.BULKS, **base.answer(base.bulk_view(), 202))
        self.run_command(create.CreateBulk, *argv)
        return self.api.last_request.json()

    def test_minimal(self):
        body = self.create('--count', '3', 'busybox')
        template = body.pop('template')
        token = body.pop('client_token')
        self.assertEqual({'count': 3, 'run': True}, body)
        self.assertEqual(token, str(uuid.UUID(token)))
        self.assertEqual('busybox', template['image'])
        self.assertNotIn('name', template)
        self.assertNotIn('wait', template)

    def test_version_header_is_ours_alone(self):
        self.create('--count', '3', 'busybox')
        self.assertEqual(
            'container-bulk 1.0',
            self.api.last_request.headers['OpenStack-API-Version'],
        )

    def test_shared_client_keeps_its_version(self):
        self.create('--count', '3', 'busybox')
        self.assertEqual(
            '1.40', self.app.client_manager.container.api_version.get_string()
        )

    def test_options_of_the_bulk(self):
        body = self.create(
            '--count',
            '60',
            '--bulk-name',
            'load',
            '--name',
            'web-{index}',
            '--no-run',
            '--max-attempts',
            '5',
            '--placement',
            'zone-spread',
            '--allow-partial',
            '--client-token',
            'once',
            'busybox',
        )
        self.assertEqual(60, body['count'])
        self.assertEqual('once', body['client_token'])
        self.assertEqual('load', body['name'])
        self.assertEqual('web-{index}', body['template']['name'])
        self.assertIs(False, body['run'])
        self.assertEqual(5, body['max_attempts'])
        self.assertEqual(
            {'policy': 'zone-spread', 'allow_partial': True}, body['placement']
        )

    def test_each_option_of_placement_alone(self):
        for argv, placement in (
            (['--placement', 'pack'], {'policy': 'pack'}),
            (['--allow-partial'], {'allow_partial': True}),
        ):
            body = self.create('--count', '3', *argv, 'busybox')
            self.assertEqual(placement, body['placement'])

    def test_each_placement_policy_of_the_planner(self):
        for policy in PlacementPolicy.ALL:
            body = self.create(
                '--count', '3', '--placement', policy, 'busybox'
            )
            self.assertEqual({'policy': policy}, body['placement'])

    def test_command_is_all_after_the_image(self):
        body = self.create(
            '--count', '3', 'busybox', 'sleep', '--count', '5', '--wait'
        )
        self.assertEqual(3, body['count'])
        self.assertEqual(
            ['sleep', '--count', '5', '--wait'], body['template']['command']
        )

    def test_options_of_the_container(self):
        with tempfile.NamedTemporaryFile() as source:
            source.write(b'some\xff text')
            source.flush()
            body = self.create(
                '--count',
                '3',
                '--cpu',
                '0.1',
                '--memory',
                '64',
                '--environment',
                'NUMBER={index}',
                '--workdir',
                '/tmp',
                '--label',
                'a=b',
                '--image-pull-policy',
                'ifnotpresent',
                '--restart',
                'on-failure:3',
                '--image-driver',
                'docker',
                '--interactive',
                '--security-group',
                'web',
                '--hint',
                'x=y',
                '--net',
                'network=private',
                '--mount',
                f'type=bind,source={source.name},destination=/etc/motd',
                '--mount',
                'type=volume,source=common,destination=/srv',
                '--mount',
                'size=10,destination=/data',
                '--runtime',
                'runc',
                '--hostname',
                'web-{index}',
                '--disk',
                '10',
                '--availability-zone',
                'nova',
                '--auto-heal',
                '--privileged',
                '--healthcheck',
                'cmd=true,interval=1m,retries=2',
                '--registry',
                'mine',
                '--host',
                'host-1',
                '--entrypoint',
                'sh -c',
                'busybox',
                'true',
            )
        self.assertEqual(
            {
                'image': 'busybox',
                'cpu': '0.1',
                'memory': '64',
                'environment': {'NUMBER': '{index}'},
                'workdir': '/tmp',
                'labels': {'a': 'b'},
                'image_pull_policy': 'ifnotpresent',
                'restart_policy': {
                    'Name': 'on-failure',
                    'MaximumRetryCount': '3',
                },
                'image_driver': 'docker',
                'auto_remove': False,
                'interactive': True,
                'tty': True,
                'security_groups': ['web'],
                'hints': {'x': 'y'},
                'nets': [{'network': 'private'}],
                'mounts': [
                    {
                        'type': 'bind',
                        'source': base64.b64encode(b'some\xff text').decode(),
                        'destination': '/etc/motd',
                    },
                    {
                        'type': 'volume',
                        'source': 'common',
                        'destination': '/srv',
                    },
                    {'size': '10', 'destination': '/data'},
                ],
                'runtime': 'runc',
                'hostname': 'web-{index}',
                'disk': 10,
                'availability_zone': 'nova',
                'auto_heal': True,
                'privileged': True,
                'healthcheck': {'cmd': 'true', 'interval': 60, 'retries': 2},
                'registry': 'mine',
                'host': 'host-1',
                'entrypoint': ['sh', '-c'],
                'command': ['true'],
            },
            body['template'],
        )

    def test_nets(self):
        body = self.create(
            '--count',
            '3',
            '--net',
            'network=private, v4-range = 10.0.0.10-10.0.3.250',
            '--net',
            'v4-fixed-ip=10.1.0.9,network=other',
            '--net',
            'v4-range=,network=third',
            'busybox',
        )
        self.assertEqual(
            [
                {'network': 'private', 'v4-range': '10.0.0.10-10.0.3.250'},
                {'network': 'other', 'v4-fixed-ip': '10.1.0.9'},
                # The API says what is wrong.
                {'network': 'third', 'v4-range': ''},
            ],
            body['template']['nets'],
        )

    def test_exposed_ports(self):
        body = self.create('--count', '1', '--expose-port', '80/tcp', 'nginx')
        self.assertEqual({'80/tcp': {}}, body['template']['exposed_ports'])

    def test_bad_option_of_the_container(self):
        self.api.post(base.BULKS, **base.answer(base.bulk_view(), 202))
        error = self.assertRaises(
            zun_exceptions.CommandError,
            self.run_command,
            create.CreateBulk,
            '--count',
            '1',
            '--net',
            'nonsense',
            'busybox',
        )
        self.assertIn('nonsense', str(error))
        self.assertFalse(self.api.called)

    def test_two_ranges(self):
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            create.CreateBulk,
            '--count',
            '1',
            '--net',
            'network=a,v4-range=10.0.0.1-10.0.0.2,v4-range=10.0.0.5-10.0.0.6',
            'busybox',
        )
        self.assertIn('v4-range is given more than once', str(error))
        self.assertFalse(self.api.called)

    def _assert_usage_error(self, message, *argv):
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            self.assertRaises(
                SystemExit, self.run_command, create.CreateBulk, *argv
            )
        self.assertIn(message, stderr.getvalue())
        self.assertFalse(self.api.called)

    def test_count_is_required(self):
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            create.CreateBulk,
            'busybox',
        )
        self.assertIn('--count', str(error))
        self.assertFalse(self.api.called)

    def test_count_of_zero(self):
        self._assert_usage_error(
            "argument --count: invalid positive int value: '0'",
            '--count',
            '0',
            'busybox',
        )

    def test_unknown_placement(self):
        self._assert_usage_error(
            "argument --placement: invalid choice: 'heap'",
            '--count',
            '1',
            '--placement',
            'heap',
            'busybox',
        )

    def test_wait_timeout_of_zero(self):
        self._assert_usage_error(
            "--wait-timeout: invalid positive float value: '0'",
            '--count',
            '1',
            '--wait',
            '--wait-timeout',
            '0',
            'busybox',
        )

    def test_wait_timeout_not_a_number(self):
        self._assert_usage_error(
            "--wait-timeout: invalid positive float value: 'nan'",
            '--count',
            '1',
            '--wait',
            '--wait-timeout',
            'nan',
            'busybox',
        )

    def test_wait_timeout_without_wait(self):
        self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            create.CreateBulk,
            '--count',
            '1',
            '--wait-timeout',
            '5',
            'busybox',
        )
        self.assertFalse(self.api.called)


class TestCreateErrors(base.CommandTestCase):
    def _error(self, times=1, **answer):
        post = self.api.post(base.BULKS, **answer)
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            create.CreateBulk,
            '--count',
            '3',
            '--wait',
            'busybox',
        )
        self.assertEqual('', self.output)
        self.assertEqual(times, post.call_count)
        self.bodies = [request.json() for request in post.request_history]
        return str(error)

    def _unanswered(self, **answer):
        text = self._error(times=5, **answer)
        self.assertEqual([1, 2, 4, 8], self.clock.naps)
        self.assertEqual(4, len(self.progress.splitlines()))
        self.assertIn('retrying in 8 s', self.progress)
        self.assertEqual([self.bodies[0]] * 5, self.bodies)
        self.assertIn(
            'with --client-token %s: ' % self.bodies[0]['client_token'], text
        )
        return text

    def test_detail_of_the_api_is_shown(self):
        for status in (400, 403, 409, 500):
            self.assertEqual(
                f'template.nets.0.port: one port cannot serve many '
                f'(HTTP {status}) (Request-ID: req-1)',
                self._error(
                    **base.error(
                        status,
                        'template.nets.0.port: one port cannot serve many',
                    )
                ),
            )

    def test_title_without_detail(self):
        self.assertEqual(
            'Bad luck (HTTP 400) (Request-ID: req-1)',
            self._error(**base.error(400, '')),
        )

    def test_error_of_a_proxy(self):
        self.assertIn(
            '(HTTP 502)',
            self._unanswered(
                status_code=502,
                headers={'Content-Type': 'text/html'},
                text='<html>Bad Gateway</html>',
            ),
        )

    def test_not_enabled(self):
        self.assertIn(
            'zun_bulk is not enabled',
            self._error(
                status_code=404,
                headers={
                    'OpenStack-API-Version': 'container 1.40',
                    'Content-Type': 'application/json',
                },
                json={'errors': [{'title': 'Not Found', 'status': 404}]},
            ),
        )

    def test_no_connection(self):
        self.assertIn(
            'Unable to establish connection',
            self._unanswered(exc=requests.exceptions.ConnectionError),
        )

    def test_transient_errors_are_retried(self):
        post = self.api.post(
            base.BULKS,
            [
                {'exc': requests.exceptions.ConnectionError},
                base.error(503, 'The server is busy.'),
                {'status_code': 504, 'text': 'Gateway Time-out'},
                base.answer(base.bulk_view(), 202),
            ],
        )
        output = self.run_command(
            create.CreateBulk, '-f', 'json', '--count', '3', 'busybox'
        )
        self.assertEqual(base.UUID, json.loads(output)['uuid'])
        self.assertEqual(
            1, len({r.json()['client_token'] for r in post.request_history})
        )
        self.assertEqual([1, 2, 4], self.clock.naps)
        self.assertIn(
            'The server is busy. (HTTP 503) (Request-ID: req-1); '
            'retrying in 2 s',
            self.progress,
        )

    def test_a_refusal_after_no_answer(self):
        self.api.post(
            base.BULKS,
            [
                {'exc': requests.exceptions.ConnectionError},
                base.error(403, 'Quota exceeded'),
            ],
        )
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            create.CreateBulk,
            '--count',
            '3',
            'busybox',
        )
        self.assertNotIn('--client-token', str(error))

    def test_each_command_has_its_own_token(self):
        post = self.api.post(base.BULKS, **base.answer(base.bulk_view(), 202))
        for _number in range(2):
            self.run_command(create.CreateBulk, '--count', '3', 'busybox')
        self.assertEqual(
            2, len({r.json()['client_token'] for r in post.request_history})
        )


class TestDryRun(base.CommandTestCase):
    def plan(self, fits=3, missing=0, **values):
        return {
            'count': fits + missing,
            'fits': fits,
            'missing': missing,
            'explanation': '%d of %d fit: VCPU on host-1'
            % (fits, fits + missing)
            if missing
            else 'all %d fit' % fits,
            'hosts': [
                {
                    'host': 'host-1',
                    'zone': 'nova',
                    'members': fits,
                    'room': 100,
                    'bound_by': 'VCPU',
                },
                {
                    'host': 'host-20',
                    'zone': None,
                    'members': 0,
                    'room': 0,
                    'bound_by': 'its zun-compute is down or disabled',
                },
            ],
            'hosts_omitted': 0,
            **values,
        }

    def dry_run(self, *argv, **plan):
        self.api.post(base.BULKS, **base.answer(self.plan(**plan)))
        return self.run_command(
            create.CreateBulk, '--count', '3', '--dry-run', *argv, 'busybox'
        )

    def test_request(self):
        self.dry_run('--placement', 'pack')
        body = self.api.last_request.json()
        self.assertIs(True, body['dry_run'])
        self.assertEqual({'policy': 'pack'}, body['placement'])
        self.assertNotIn('client_token', body)

    def test_client_token(self):
        self.dry_run('--client-token', 'once')
        self.assertEqual('once', self.api.last_request.json()['client_token'])

    def test_table(self):
        lines = [
            line.strip('|').split('|')[1].rstrip()
            for line in self.dry_run().splitlines()
            if line.startswith('|')
        ]
        self.assertEqual(
            [
                ' Value',
                ' 3',
                ' 3',
                ' 0',
                ' all 3 fit',
                ' Host     Zone  Containers  Room  Limited by',
                ' host-1   nova  3           100   VCPU',
                ' host-20  -     0           0     its zun-compute is down or '
                'disabled',
                ' 0',
            ],
            lines,
        )
        self.assertEqual('', self.progress)

    def test_json(self):
        self.assertEqual(self.plan(), json.loads(self.dry_run('-f', 'json')))

    def test_without_hosts(self):
        plan = {'hosts': None, 'hosts_omitted': None}
        answer = json.loads(self.dry_run('-f', 'json', **plan))
        self.assertIsNone(answer['hosts'])
        self.assertNotIn('Host', self.dry_run(**plan))

    def test_no_host_at_all(self):
        self.assertIn('Limited by', self.dry_run(hosts=[]))

    def test_not_all_fit(self):
        error = self.assertRaises(
            exceptions.CommandError, self.dry_run, '-f', 'json', missing=4
        )
        self.assertEqual('3 of 7 fit: VCPU on host-1', str(error))
        # It is shown all the same.
        self.assertEqual(self.plan(missing=4), json.loads(self.output))

    def test_wait_has_no_effect(self):
        self.dry_run('--wait', '--wait-timeout', '5')
        self.assertEqual(1, self.api.call_count)

    def test_no_answer(self):
        post = self.api.post(base.BULKS, **base.error(503, 'No answer.'))
        error = self.assertRaises(
            exceptions.CommandError,
            self.run_command,
            create.CreateBulk,
            '--count',
            '3',
            '--dry-run',
            'busybox',
        )
        self.assertEqual(
            'No answer. (HTTP 503) (Request-ID: req-1)', str(error)
        )
        self.assertEqual(5, post.call_count)
