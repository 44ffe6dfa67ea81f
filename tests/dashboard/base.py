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

"""An emulated bulk API, and Horizon's test case with it."""

import copy
import datetime
import json
import re
import uuid

from django.core.cache import cache
from openstack_dashboard.test import helpers
import requests_mock

from tests import host_reports


URL = 'http://zun.example.com/v1'

STATES = (
    'queued',
    'placed',
    'starting',
    'running',
    'stopped',
    'failed',
    'cancelled',
    'deleting',
    'deleted',
)
#: Fields of a bulk that GET /v1/bulks leaves out.
DETAILS = (
    'template',
    'hosts',
    'failures',
    'floating_ips',
    'own_fields',
    'rates',
)
#: Query parameters that are new in version 1.1 of the API.
NEW = ('rate_window', 'name')


def make_bulk(
    project_id='mine', count=60, hosts=2, status='building', **changes
):
    """Return a half-done bulk as GET /v1/bulks/{id} does."""
    members = dict.fromkeys(STATES, 0)
    running = count // 2
    members.update(running=running, placed=count - running)
    bulk = {
        'uuid': str(uuid.uuid4()),
        'name': 'web',
        'project_id': project_id,
        'user_id': 'a user',
        'status': status,
        'status_reason': None,
        'count': count,
        'run': True,
        'max_attempts': 5,
        'on_failure': 'pause',
        'client_token': None,
        'placement': {'policy': 'spread', 'allow_partial': False},
        'image': 'nginx',
        'template': {'name': 'web-{index}', 'image': 'nginx'},
        'members': members,
        'hosts': {
            f'host-{number}': {'running': running // hosts}
            for number in range(hosts)
        },
        'failures': [],
        'own_fields': [],
        'created_at': '2026-03-02T09:30:00Z',
        'updated_at': '2026-03-02T09:30:40Z',
        'finished_at': None,
        'links': [],
    }
    bulk.update(changes)
    return bulk


def make_rates(running, step):
    """Return rates up to now, as GET /v1/bulks/{id}?rate_window= does."""
    end = datetime.datetime.now(datetime.UTC)
    start = end - datetime.timedelta(seconds=step * len(running))
    return {
        'start': f'{start:%Y-%m-%dT%H:%M:%SZ}',
        'end': f'{end:%Y-%m-%dT%H:%M:%SZ}',
        'step': step,
        'running': running,
        'stopped': [0] * len(running),
        'failed': [0] * len(running),
    }


def make_member(index, **changes):
    member = {
        'index': index,
        'name': f'web-{index}',
        'container_uuid': str(uuid.uuid4()),
        'state': 'running',
        'host': 'host-1',
        'attempt': 1,
        'reason_class': None,
        'reason': None,
        'addresses': ['10.0.0.23', None],
        'floating_ip': None,
        'floating_ip_state': None,
        'floating_ip_reason': None,
        'created_at': '2026-03-02T09:30:00Z',
        'updated_at': '2026-03-02T09:30:31Z',
        'started_at': '2026-03-02T09:30:25Z',
        'finished_at': None,
    }
    member.update(changes)
    return member


def make_host(name, **changes):
    """A host whose agent has last reported three seconds ago."""
    pace = host_reports.make_report(queued=23)
    view = {'source': 'report', 'age': 3.0, 'pace': pace, **changes}
    return host_reports.make_view(name, **view)


class EmulatedApi:
    """The requests of the pages to zun-api, and its responses.

    :ivar calls: [(method, path with its query, body)]
    """

    def __init__(self, mocker):
        self.calls = []
        self.bulks = []
        self.members = []
        self.events = []
        self.hosts = []
        self.plan = None
        #: (status, text) of the error response to requests of these methods.
        self.refusal = None
        self.refuses = ('GET', 'POST', 'PATCH', 'DELETE')
        mocker.register_uri(
            requests_mock.ANY, re.compile(re.escape(URL)), json=self._answer
        )

    @property
    def paths(self):
        return [path for _method, path, _body in self.calls]

    def _answer(self, request, context):
        path = request.path_url.removeprefix('/v1')
        body = json.loads(request.text) if request.text else None
        self.calls.append((request.method, path, body))
        context.headers['OpenStack-API-Version'] = 'container-bulk 1.0'
        context.headers['Content-Type'] = 'application/json'
        if self.refusal and request.method in self.refuses:
            return self._error(context, *self.refusal)
        # requests_mock converts the query to lower case.
        query = {name: value[0] for name, value in request.qs.items()}
        parts = path.partition('?')[0].strip('/').split('/')
        new = [name for name in NEW if name in query and parts[1:]]
        version = request.headers.get('OpenStack-API-Version')
        if new and version != 'container-bulk 1.1':
            return self._error(context, 400, f'{new} in {version}')
        if parts[0] in ('quotas', 'availability_zones'):
            return getattr(self, '_' + parts[0])()
        kinds = {'bulks': self._bulks, 'bulk_hosts': self._hosts}
        return kinds[parts[0]](request.method, parts[1:], query, body, context)

    @staticmethod
    def _error(context, status, text):
        context.status_code = status
        return {'errors': [{'status': status, 'title': text, 'detail': text}]}

    @staticmethod
    def _quotas():
        return {
            'containers': {'limit': 100, 'in_use': 40},
            'cpu': {'limit': 20.0, 'in_use': 4.5},
            'memory': {'limit': -1, 'in_use': 512},
            'disk': {'limit': 100, 'in_use': 0},
        }

    @staticmethod
    def _availability_zones():
        return {'availability_zones': [{'availability_zone': 'nova'}]}

    def _bulks(self, method, parts, query, body, context):
        if not parts and method == 'POST':
            if body.get('dry_run'):
                return self.plan
            context.status_code = 202
            return self.bulks[0]
        if not parts:
            found = [
                {k: v for k, v in bulk.items() if k not in DETAILS}
                for bulk in self.bulks
                if query.get('status') in (None, bulk['status'])
            ]
            return self._page('bulks', found, 'uuid', query)
        known = {bulk['uuid']: bulk for bulk in self.bulks}
        if parts[0] not in known:
            return self._error(context, 404, 'There is no such bulk')
        if len(parts) == 1 or method == 'POST':
            found = dict(known[parts[0]])
            if 'rate_window' in query:
                found.setdefault('rates', make_rates([0], 1))
            else:
                found.pop('rates', None)
                found.pop('own_fields')
            return found
        return self._page(
            parts[1],
            [
                item
                for item in getattr(self, parts[1])
                if query.get('state') in (None, item.get('state'))
                and query.get('name', '') in item.get('name', '')
            ],
            'index' if parts[1] == 'members' else 'id',
            query,
        )

    def _hosts(self, method, parts, query, body, context):
        if not parts:
            return {'hosts': self.hosts, 'next': None}
        known = {host['host']: host for host in self.hosts}
        if parts[0] not in known:
            return self._error(context, 404, 'There is no such host')
        return known[parts[0]]

    @staticmethod
    def _page(key, items, marker_key, query):
        items = list(items)
        if query.get('sort_dir') == ('asc' if key == 'bulks' else 'desc'):
            items.reverse()
        if query.get('marker'):
            marker = query['marker']
            if key != 'bulks':
                down = query.get('sort_dir') == 'desc'
                items = [
                    item
                    for item in items
                    if (item[marker_key] < int(marker)) == down
                    and item[marker_key] != int(marker)
                ]
            else:
                keys = [item[marker_key] for item in items]
                items = items[keys.index(marker) + 1 :]
        limit = min(1000, int(query.get('limit', 1000)))
        following = None
        if len(items) > limit:
            marker = items[limit - 1][marker_key]
            following = f'{URL}/x?' + '&'.join(
                f'{name}={value}'
                for name, value in {**query, 'marker': marker}.items()
            )
        return {key: items[:limit], 'next': following}


class BaseTestCase(helpers.TestCase):
    """A project member's session, with an emulated API in self.api."""

    def setUp(self):
        super().setUp()
        cache.clear()
        mocker = requests_mock.Mocker()
        mocker.start()
        self.addCleanup(mocker.stop)
        self.api = EmulatedApi(mocker)

    def _setup_user(self, **kwargs):
        catalog = copy.deepcopy(self.service_catalog)
        catalog.append(
            {
                'type': 'container',
                'name': 'zun',
                'endpoints': [
                    {
                        'id': interface,
                        'interface': interface,
                        'region': 'RegionOne',
                        'url': URL,
                    }
                    for interface in ('public', 'internal', 'admin')
                ],
            }
        )
        super()._setup_user(service_catalog=catalog, **kwargs)

    def add_bulk(self, **kwargs):
        bulk = make_bulk(**{'project_id': self.tenant.id, **kwargs})
        self.api.bulks.append(bulk)
        return bulk


class AdminTestCase(BaseTestCase):
    def _setup_user(self, **kwargs):
        super()._setup_user(roles=[{'id': '1', 'name': 'admin'}], **kwargs)
