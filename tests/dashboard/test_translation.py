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

"""Tests that all texts of the pages can be translated.

The pages are rendered in a made-up language: each letter is a wide one, and
each message of zun_bulk is in brackets. Texts of the emulated API have no
letters here, so normal letters are texts of ours that are in no message
catalogue.
"""

import configparser
import gettext
import html.parser
import importlib.util
import pathlib
import re
import shlex
import string
import tempfile
from unittest import mock
import uuid

from babel.messages import frontend
from babel.messages import pofile
import django
from django.urls import reverse
from django.utils import translation

from tests.dashboard import base
from tests.dashboard import test_create
from zun_bulk.dashboard import labels


_ROOT = pathlib.Path(__file__).parents[2]
_SCRIPTS = _ROOT / 'zun_bulk' / 'dashboard' / 'static' / 'zun_bulk'

_WIDE = {ord(letter): ord(letter) + 0xFEE0 for letter in string.ascii_letters}
#: Parts of messages that translators do not change.
_KEPT = re.compile(
    r'(%\(\w+\)[\d.]*[a-z]|%[\d.]*[sdf%]|\{\w*\}|<[^>]*>|&\w+;)'
)
_GROUP = re.compile('⟦[^⟦⟧]*⟧')
#: Attributes that browsers show or screen readers read.
_SHOWN = (
    'alt',
    'aria-label',
    'data-original-title',
    'help_text',
    'placeholder',
    'title',
)
#: Words that users have to type, in any language.
_WORDS = ('building, paused, ready, error, cancelling, cancelled',)


def _widen(message):
    return ''.join(
        part if number % 2 else part.translate(_WIDE)
        for number, part in enumerate(_KEPT.split(message))
    )


def extract(domain):
    """Extract our messages with the command of ``tox -e messages``."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(_ROOT / 'tox.ini')
    commands = config['testenv:messages']['commands'].replace('\\\n', ' ')
    command = next(
        words
        for words in map(shlex.split, commands.splitlines())
        if f'babel-{domain}.cfg' in words
    )
    mapping = (_ROOT / f'babel-{domain}.cfg').read_text()
    if not importlib.util.find_spec('horizon.utils.babel_extract_django'):
        # Horizon 25 uses the extractor of another library.
        mapping = mapping.replace(
            'horizon.utils.babel_extract_django', 'enmerkar.extract'
        )
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder, 'made.pot')
        given = pathlib.Path(folder, 'mapping.cfg')
        given.write_text(mapping)
        command[command.index(f'babel-{domain}.cfg')] = str(given)
        command[-2:] = [str(made), str(_ROOT / 'zun_bulk' / 'dashboard')]
        frontend.CommandLineInterface().run(command)
        with made.open('rb') as file:
            return _idents(pofile.read_po(file))


def _idents(catalogue):
    """Return {(context, message)}, with the singular of plurals."""
    return {
        (
            message.context,
            message.id if isinstance(message.id, str) else message.id[0],
        )
        for message in catalogue
        if message.id
    }


def _of_others():
    """Return the messages of Horizon, zun-ui and Django."""
    found = set()
    for package in ('horizon', 'openstack_dashboard', 'zun_ui'):
        spec = importlib.util.find_spec(package)
        if not spec:
            continue
        path = pathlib.Path(spec.submodule_search_locations[0])
        for file in path.glob('locale/*/LC_MESSAGES/django.po'):
            # These two languages are the most complete.
            if file.parts[-3] in ('en_GB', 'ja'):
                with file.open('rb') as opened:
                    found |= _idents(pofile.read_po(opened))
    path = pathlib.Path(django.__file__).parent
    for file in path.glob('**/locale/ja/LC_MESSAGES/django.mo'):
        with file.open('rb') as opened:
            known = gettext.GNUTranslations(opened)._catalog
        for ident in known:
            ident = ident[0] if isinstance(ident, tuple) else ident
            context, _sign, message = ident.rpartition('\x04')
            found.add((context or None, message))
    return found


class _Shown(html.parser.HTMLParser):
    """Collect the texts that a page of ours shows.

    :param whole: whether the HTML is a fragment without Horizon's frame
    """

    _EMPTY = ('br', 'hr', 'img', 'input', 'link', 'meta', 'col', 'path')
    #: Elements with command lines, code or input.
    _NOT = ('pre', 'script', 'style', 'textarea')

    def __init__(self, text, whole=False):
        super().__init__()
        self.texts = []
        self._stack = []
        self._whole = whole
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self._EMPTY:
            ident = 'title' if tag == 'title' else attributes.get('id')
            self._stack.append((tag, ident))
        if self._ours():
            self.texts += [attributes.get(name) or '' for name in _SHOWN]
            if tag == 'input' and attributes.get('type') == 'submit':
                self.texts.append(attributes.get('value') or '')

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        while any(tag == opened for opened, _ident in self._stack):
            if self._stack.pop()[0] == tag:
                break

    def handle_data(self, data):
        if self._ours():
            self.texts.append(data)

    def _ours(self):
        return (
            self._whole
            or any(ident == 'content_body' for _tag, ident in self._stack)
        ) and not any(tag in self._NOT for tag, _ident in self._stack)


class TestTranslation(test_create._Neutron, base.AdminTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ours = extract('django')
        cls.others = _of_others()

    def setUp(self):
        super().setUp()
        # Django calls some of them through each other.
        for name, function in (
            ('gettext', lambda message: self.say(None, message)),
            ('pgettext', self.say),
            (
                'ngettext',
                lambda one, many, number: self.say(
                    None, one, one if number == 1 else many
                ),
            ),
            (
                'npgettext',
                lambda context, one, many, number: self.say(
                    context, one, one if number == 1 else many
                ),
            ),
        ):
            patch = mock.patch.object(translation._trans, name, function)
            patch.start()
            self.addCleanup(patch.stop)
        self.api.plan = {
            'count': 3,
            'fits': 2,
            'missing': 1,
            'explanation': '2 < 3',
            'hosts': [
                {
                    'host': '11',
                    'zone': '12',
                    'members': 2,
                    'room': 2,
                    'bound_by': '13',
                }
            ],
            'hosts_omitted': 1,
        }
        self.api.hosts = [
            base.make_host('1', mode=mode, state=state, age=age)
            for mode, state, age in (
                ('adaptive', 'ok', 3),
                ('fixed', 'held', 300),
                (None, 'breaker open', 30000),
            )
        ]
        for host in self.api.hosts:
            host.update(max_in_flight=3, start_interval=0.5)
            host['pace']['held_by'] = {**dict.fromkeys(labels.HOLDERS), '0': 1}
            host['pace']['starts']['last_cut']['why'] = '14'

    def say(self, context, message, form=None):
        if (context, message) in self.ours:
            return f'⟦{_widen(form or message)}⟧'
        if (context, message) in self.others:
            return _widen(form or message)
        return form or message

    def add(self, **changes):
        number = len(self.api.bulks) + 100
        bulk = self.add_bulk(
            **{
                'uuid': str(uuid.UUID(int=number)),
                'name': str(number),
                'image': '15',
                'user_id': '16',
                'status_reason': '17',
                'template': {'name': '18', 'command': ['19'], 'tty': True},
                **changes,
            }
        )
        bulk['hosts'] = {str(host): {'running': 1} for host in range(102)}
        return bulk

    def check(self, text, whole=False, pieces=True):
        """Check that all text is translated, each in one message."""
        texts = _Shown(text, whole).texts
        self.assertTrue(any('⟦' in text for text in texts))
        for text in texts:
            outside = text = ' '.join(text.split())
            for words in _WORDS:
                outside = outside.replace(words, '')
            outside = re.sub(r'\{\w+\}', '', outside)
            self.assertNotRegex(outside, '[A-Za-z]', text)
            # Remove lists, then messages in messages, innermost first.
            outside = outside.replace('⟧⟦, ⟧⟦', '')
            groups = 0
            while _GROUP.search(outside):
                outside, groups = _GROUP.subn('', outside)
            if groups and pieces:
                self.assertEqual(1, groups, text)
                self.assertNotRegex(outside, r'\w', text)

    def get(self, name, *args, dashboard='project', **query):
        url = reverse(f'horizon:{dashboard}:{name}', args=args)
        page = self.client.get(url, query)
        self.assertEqual(200, page.status_code)
        return page

    def test_bulks(self):
        for status in labels.STATUSES:
            self.add(status=status)
        self.add(status='ready', count=3, finished_at='2026-03-02T09:30:40Z')
        self.api.bulks[0]['members'] = dict.fromkeys(base.STATES, 4)
        for dashboard in ('project', 'admin'):
            self.check(
                self.get('bulks:index', dashboard=dashboard).content.decode()
            )

    def test_no_bulks(self):
        self.check(self.get('bulks:index').content.decode())

    def test_overview(self):
        bulk = self.add(
            floating_ips={'bound': 1, 'wanted': 2, 'failed': 1},
            members=dict.fromkeys(base.STATES, 30),
            failures=[
                {'class': name, 'reason': '31', 'count': 1}
                for name in (*labels.REASONS, None)
            ],
        )
        bulk['template'] = dict.fromkeys(labels.TEMPLATE, '32')
        bulk['template'].update(
            tty=True,
            privileged=False,
            image_pull_policy='never',
            restart_policy={'Name': 'always', 'MaximumRetryCount': '3'},
            nets=[{'1': '2'}],
            mounts=[{'1': '2'}],
            healthcheck={'1': '2'},
            **dict.fromkeys(('environment', 'labels', 'hints'), {'1': '2'}),
            **dict.fromkeys(('command', 'entrypoint'), ['1', '2']),
        )
        for policy in labels.PLACEMENTS:
            bulk['placement']['policy'] = policy
            page = self.get('bulks:detail', bulk['uuid'])
            self.check(page.content.decode())
        for fields in (['48', '49'], None):
            bulk['own_fields'] = fields
            page = self.get('bulks:detail', bulk['uuid'])
            self.check(page.content.decode())

    def test_refresh(self):
        bulk = self.add(count=10000)
        for seconds in (1, 100, 10000):
            bulk['rates'] = base.make_rates([0, 30, 20], seconds)
            with mock.patch(
                'zun_bulk.dashboard.progress.rate', return_value=1 / seconds
            ):
                answer = self.get('bulks:refresh', bulk['uuid']).json()
            self.assertIn('<polyline', answer['fragments']['bulk-live'])
            self.assertRegex(answer['announce'], '^⟦.*⟧$')
            for fragment in answer['fragments'].values():
                self.check(fragment, whole=True)
        self.api.hosts = self.api.hosts[:1]
        for name, dashboard in (
            ('bulks:refresh_list', 'project'),
            ('bulk_hosts:refresh_list', 'admin'),
        ):
            answer = self.get(name, dashboard=dashboard).json()
            (fragment,) = answer['fragments'].values()
            self.check(fragment, whole=True)

    def test_members(self):
        bulk = self.add()
        self.api.members = [
            base.make_member(
                number,
                name='33',
                container_uuid='34',
                state=state,
                host='35',
                reason='36',
            )
            for number, state in enumerate(base.STATES, 1)
        ] * 4
        self.check(
            self.get(
                'bulks:detail', bulk['uuid'], tab='bulk_details__members'
            ).content.decode()
        )

    def test_events(self):
        bulk = self.add()
        self.api.events = [
            {
                'id': number,
                'created_at': '2026-03-02T09:30:25Z',
                'event': event,
                'index': number,
                'container_uuid': None,
                'host': '37',
                'attempt': 1,
                'reason': '38',
            }
            for number, event in enumerate(labels.EVENTS, 1)
        ]
        self.check(
            self.get(
                'bulks:detail', bulk['uuid'], tab='bulk_details__events'
            ).content.decode()
        )

    def test_create(self):
        for name in (
            'network_list_for_tenant',
            'network_list',
            'security_group_list',
        ):
            getattr(test_create.openstack.neutron, name).return_value = [
                test_create._named('39', '40')
            ]
        zones = mock.patch(
            'zun_bulk.dashboard.api.availability_zones', return_value=['41']
        )
        with zones:
            self.check(self.get('bulks:create').content.decode())
            page = self.client.post(
                test_create.CREATE,
                {
                    'name': '1',
                    'command': "'",
                    'environment': '42',
                    'cpu': '1000',
                    'restart_retries': '1',
                    'networks': ['43'],
                    'count': '44',
                },
            )
        self.check(page.content.decode())

    def test_dry_run(self):
        fields = {**test_create.MINIMUM, 'count': '3'}
        hosts = self.api.plan['hosts']
        for shown in (hosts, None):
            for omitted, missing, partial in (
                (1, 1, ''),
                (2, 1, 'on'),
                (0, 0, ''),
            ):
                self.api.plan.update(
                    hosts=shown, hosts_omitted=omitted, missing=missing
                )
                answer = self.client.post(
                    test_create.CHECK, {**fields, 'allow_partial': partial}
                ).json()
                self.assertEqual({}, answer['errors'])
                self.check(answer['html'], whole=True)

    def test_errors_of_the_dry_run(self):
        answer = self.client.post(
            test_create.CHECK, {'client_token': '?', 'environment': '45'}
        ).json()
        self.assertIn('environment', answer['errors'])
        self.assertIn('__all__', answer['errors'])
        for errors in answer['errors'].values():
            for error in errors:
                self.assertNotRegex(
                    error.replace('client_token', ''), '[A-Za-z]'
                )

    def test_scale(self):
        bulk = self.add()
        self.check(self.get('bulks:scale', bulk['uuid']).content.decode())

    def test_hosts(self):
        self.check(
            self.get('bulk_hosts:index', dashboard='admin').content.decode()
        )
        for name in ('hold', 'limits'):
            self.check(
                self.get(
                    f'bulk_hosts:{name}', '1', dashboard='admin'
                ).content.decode()
            )

    def test_messages(self):
        """The outcomes of actions and failed requests are translated."""
        index = reverse('horizon:project:bulks:index')
        for action, status in (
            ('pause', 'building'),
            ('resume', 'paused'),
            ('retry', 'error'),
            ('cancel', 'building'),
            ('delete', 'ready'),
        ):
            self.api.bulks.clear()
            bulk = self.add(status=status)
            bulk['members']['failed'] = 1
            page = self.client.post(
                index,
                {'action': f'bulks__{action}__{bulk["uuid"]}'},
                follow=True,
            )
            self.assertContains(page, '<div class="alert')
            self.check(page.content.decode(), pieces=False)
        url = reverse('horizon:project:bulks:scale', args=[bulk['uuid']])
        page = self.client.post(
            url, {'bulk_id': bulk['uuid'], 'count': '3'}, follow=True
        )
        self.check(page.content.decode(), pieces=False)
        page = self.client.post(
            test_create.CREATE, {**test_create.MINIMUM}, follow=True
        )
        self.check(page.content.decode(), pieces=False)
        url = reverse('horizon:admin:bulk_hosts:hold', args=['1'])
        page = self.client.post(
            url, {'host': '1', 'hold_reason': '46'}, follow=True
        )
        self.check(page.content.decode(), pieces=False)
        self.api.refusal = 503, '47'
        for name, dashboard in (
            ('bulks:index', 'project'),
            ('bulk_hosts:index', 'admin'),
        ):
            page = self.get(name, dashboard=dashboard)
            self.assertContains(page, '<div class="alert')
            self.check(page.content.decode(), pieces=False)

    def test_panels(self):
        for path in (
            'project.bulks.panel.Bulks',
            'admin.bulks.panel.Bulks',
            'admin.bulk_hosts.panel.BulkHosts',
        ):
            module, _dot, name = path.rpartition('.')
            module = importlib.import_module(f'zun_bulk.dashboard.{module}')
            self.assertRegex(str(getattr(module, name).name), '^⟦.*⟧$')

    def test_scripts(self):
        """The scripts show texts of the server and have none themselves."""
        self.assertEqual(set(), extract('djangojs'))
        shows = re.compile(
            r'\b(?:textContent|innerText|innerHTML|title|placeholder|value)'
            r'\s*=(?!=)\s*([^;]+);|\b(?:alert|confirm|append)\(([^)]*)\)'
            r"""|setAttribute\('(?:aria-label|title)', ([^)]*)\)"""
        )
        found = 0
        for path in _SCRIPTS.glob('*.js'):
            for match in shows.finditer(path.read_text()):
                found += 1
                self.assertNotRegex(
                    ' '.join(filter(None, match.groups())),
                    r"""['"`][^'"`]*[A-Za-z]""",
                )
        self.assertGreater(found, 5)
