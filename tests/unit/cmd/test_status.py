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

"""Each fault is made, and seen; a sound configuration passes."""

import contextlib
import datetime
import io
import json
import pathlib
from unittest import mock

import ddt
import fixtures
from keystoneauth1 import exceptions as ka_exceptions
from oslo_config import cfg
from oslo_config import fixture as config_fixture
from oslo_upgradecheck import upgradecheck
from oslo_utils import timeutils
from oslotest import base
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import database
from tests import zun_fixtures
from zun_bulk.cmd import status
from zun_bulk.conf import CONF
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db import migration


PASTE = pathlib.Path(__file__).parents[3] / 'etc/zun_bulk/api-paste.ini'
SOUND = (
    """
[DEFAULT]
container_driver = zun_bulk

[api]
api_paste_config = %s

[network]
driver = zun_bulk

[quota]
containers = 1000
cpu = -1
memory = -1
disk = -1
"""
    % PASTE
)
NAMES = [name for name, _check in status.Checks._upgrade_checks]


class StatusTestCase(base.BaseTestCase):
    """A cloud without fault, but for what a test does to it."""

    #: Tables take a while to make: the first test's file serves the others.
    _contents = None

    def setUp(self):
        super().setUp()
        self.config = self.useFixture(zun_fixtures.Config(SOUND)).config
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).join('db'))
        if self._contents:
            path.write_bytes(self._contents)
        self.engine = self.useFixture(
            database.Database('sqlite:///%s' % path, tables=False)
        ).engine
        if not self._contents:
            zun_models.Base.metadata.create_all(self.engine)
            migration.upgrade()
            StatusTestCase._contents = path.read_bytes()
        self.add_service('host-1')
        db_hosts.add_host('host-1')
        self.session, self.adapter, self.neutron = (
            mock.Mock(),
            mock.Mock(),
            mock.Mock(),
        )
        for name, value in (
            ('session', lambda: self.session),
            ('placement', lambda: (self.adapter, {'interface': 'internal'})),
            ('neutron', lambda: self.neutron),
        ):
            self.useFixture(
                fixtures.MockPatchObject(status.connections, name, value)
            )

    def add_service(self, host, **values):
        with self.engine.begin() as connection:
            connection.execute(
                sa.insert(zun_models.ZunService.__table__).values(
                    host=host,
                    binary='zun-compute',
                    report_count=1,
                    **{
                        'last_seen_up': timeutils.utcnow(),
                        'forced_down': False,
                        **values,
                    },
                )
            )

    def execute(self, statement):
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement)

    def see(self, name):
        """Return (code, details) of a check."""
        result = dict(status.Checks._upgrade_checks)[name](status.Checks())
        return result.code, result.details

    def assert_found(self, name, code, *texts):
        """A check finds a fault, and tells of it; all others pass."""
        found, details = self.see(name)
        self.assertEqual(code, found, details)
        for text in texts:
            self.assertIn(text, details)
        self.assert_sound(but=name)

    def assert_sound(self, but=None):
        for name in NAMES:
            if name != but:
                self.assertEqual(
                    (upgradecheck.Code.SUCCESS, None), self.see(name), name
                )


class TestSound(StatusTestCase):
    def test_nothing_is_found(self):
        self.assert_sound()
        self.session.get_token.assert_called_once_with()
        self.adapter.get.assert_called_once_with(
            '/', endpoint_filter={'interface': 'internal'}
        )
        self.assertEqual(1, self.neutron.list_ports.call_count)


@ddt.ddt
class TestVersions(StatusTestCase):
    @ddt.data(
        ('16.0.0', '18.0.0', '3.8.0', "pip install 'oslo.db<18'"),
        ('17.0.0', '18.1.0', '3.11.0', "pip install 'oslo.db<18'"),
        ('18.0.0', '18.1.0', '3.9.0', "'oslo.versionedobjects>=3.10'"),
    )
    @ddt.unpack
    def test_libraries(self, zun, oslo_db, objects, text):
        with self.installed(zun, oslo_db, objects):
            self.assert_found('Versions', status.FAILURE, text, zun)

    @ddt.data('15.0.1', '19.0.0', '19.0.0.0rc1', '20.1.0.dev3')
    def test_unsupported_zun(self, zun):
        with self.installed(zun, '17.4.0', '3.11.0'):
            code, details = self.see('Versions')
        self.assertEqual(status.FAILURE, code)
        self.assertIn('Zun %s is not supported' % zun, details)
        self.assertIn('supports Zun 16, 17 and 18.', details)

    @ddt.data(
        ('16.0.0', '17.4.0', '3.8.0'),
        ('16.0.1.dev7', '17.9.9', '3.8.0'),
        ('17.0.0', '17.4.0', '3.9.0'),
        ('17.1.0.dev2', '17.4.0', '3.9.0'),
        ('18.0.0.0rc1', '18.0.0', '3.10.0'),
        ('18.4.2', '19.0.0', '4.0.0'),
    )
    @ddt.unpack
    def test_sound(self, *versions):
        with self.installed(*versions):
            self.assert_sound()

    def installed(self, *versions):
        names = 'zun', 'oslo.db', 'oslo.versionedobjects'
        return mock.patch.object(
            status.metadata, 'version', dict(zip(names, versions)).get
        )


class TestTables(StatusTestCase):
    def test_none(self):
        for table in ('event', 'member', 'bulk', 'project'):
            self.execute('DROP TABLE zun_bulk_' + table)
        self.execute('DELETE FROM zun_bulk_alembic_version')
        self.assert_found(
            'Tables',
            status.FAILURE,
            'lack %d revisions' % len(migration.revisions()),
            'zun-bulk-db-manage upgrade --expand',
        )

    def test_of_the_release_before(self):
        before = migration.revisions()[1]
        self.execute(
            "UPDATE zun_bulk_alembic_version SET version_num = '%s'" % before
        )
        self.assert_found('Tables', status.FAILURE, 'upgrade --expand')

    def test_of_a_later_release(self):
        self.execute(
            "UPDATE zun_bulk_alembic_version SET version_num = '0123456789ab'"
        )
        self.assert_found('Tables', status.WARNING, 'later', '0123456789ab')

    def test_to_be_contracted(self):
        with mock.patch.object(
            migration, 'missing', lambda: {'contract': ['0123456789ab']}
        ):
            self.assert_found('Tables', status.WARNING, 'upgrade --contract')

    def test_that_somebody_has_changed(self):
        self.execute('DROP INDEX zun_bulk_member_host_idx')
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assert_found(
                'Tables', status.FAILURE, 'zun_bulk_member_host_idx'
            )
        self.assertEqual('', out.getvalue())

    def test_no_database(self):
        with mock.patch.object(
            migration,
            'missing',
            side_effect=status.db_exc.DBConnectionError('no route'),
        ):
            self.assert_found(
                'Tables', status.FAILURE, 'The database: ', 'no route'
            )


@ddt.ddt
class TestPaste(StatusTestCase):
    PIPELINE = 'cors request_id osprofiler authtoken zun_bulk api_v1'

    def use(self, *changes):
        text = PASTE.read_text()
        for change in changes:
            self.assertIn(change[0], text)
            text = text.replace(*change)
        path = self.create_tempfiles([('paste', text)], '.ini')[0]
        self.config(group='api', api_paste_config=path)
        return path

    @ddt.data('api-paste-nonesuch.ini', '/nonesuch/api-paste.ini')
    def test_not_there(self, name):
        self.config(group='api', api_paste_config=name)
        self.assert_found('Paste pipeline', status.FAILURE, name, 'absolute')

    def test_of_zun(self):
        path = self.use(('authtoken zun_bulk api_v1', 'authtoken api_v1'))
        self.assert_found(
            'Paste pipeline', status.FAILURE, path, 'No pipeline', 'authtoken'
        )

    def test_before_authtoken(self):
        self.use(('authtoken zun_bulk', 'zun_bulk authtoken'))
        self.assert_found('Paste pipeline', status.FAILURE, 'not behind')

    def test_without_authtoken(self):
        self.use(('authtoken zun_bulk', 'zun_bulk'))
        self.assert_found('Paste pipeline', status.FAILURE, 'not behind')

    def test_in_a_pipeline_that_is_not_used(self):
        self.use(
            (
                '[app:api_v1]',
                '[pipeline:other]\npipeline = authtoken api_v1\n\n'
                '[app:api_v1]',
            ),
            ('/: zun_api_pipeline', '/: other'),
        )
        self.assert_found('Paste pipeline', status.FAILURE, 'No pipeline')

    @ddt.data(
        ('/: zun_api_pipeline', '/: nonesuch'),
        ('zun.api.app:app_factory', 'zun.nonesuch:factory'),
        ('[pipeline:zun_api_pipeline]', '[pipeline:zun_api_pipeline'),
    )
    def test_broken(self, change):
        self.use(change)
        self.assert_found('Paste pipeline', status.FAILURE)

    @ddt.data(
        (),
        # The names are the operator's.
        (
            ('zun_bulk api_v1', 'bulks api_v1'),
            ('filter:zun_bulk', 'filter:bulks'),
        ),
        (
            (
                'zun.api.middleware.auth_token:AuthTokenMiddleware.factory',
                'keystonemiddleware.auth_token:filter_factory',
            ),
        ),
        (('/: zun_api_pipeline', '/container: zun_api_pipeline'),),
        (
            ('[composite:main]\nuse = egg:Paste#urlmap', '[pipeline:main]'),
            ('/: zun_api_pipeline', 'pipeline = ' + PIPELINE),
            ('/healthcheck: healthcheck\n', ''),
            ('/healthcheck/conductor: healthcheck_conductor\n', ''),
        ),
        (
            (
                '[app:api_v1]',
                '[filter-app:bulks]\nnext = api_v1\npaste.filter_factory = '
                'zun_bulk.api.middleware:filter_factory\n\n[app:api_v1]',
            ),
            ('zun_bulk api_v1', 'bulks'),
        ),
    )
    def test_sound(self, changes):
        self.use(*changes)
        self.assert_sound()

    def test_found_as_zun_finds_it(self):
        # Beside zun.conf.
        directory = pathlib.Path(CONF.config_file[0]).parent
        (directory / 'paste-here.ini').write_text(PASTE.read_text())
        self.config(group='api', api_paste_config='paste-here.ini')
        self.assert_sound()


class TestContainerDriver(StatusTestCase):
    def test_of_zun(self):
        self.config(container_driver='docker')
        # Each host has its own zun.conf, and our driver.
        self.assert_sound()
        self.add_service('host-2')
        self.assert_found(
            'Container driver', status.FAILURE, 'is docker', 'zun_bulk'
        )

    def test_of_zun_and_no_host(self):
        self.execute('DELETE FROM zun_service')
        self.assert_sound()
        self.config(container_driver='docker')
        self.assert_found('Container driver', status.FAILURE, 'is docker')

    def test_hosts_without(self):
        for number in range(2, 15):
            self.add_service('host-%02d' % number)
        self.add_service('host-off', forced_down=True)
        self.add_service(
            'host-gone',
            last_seen_up=timeutils.utcnow()
            - datetime.timedelta(seconds=CONF.service_down_time + 60),
        )
        self.assert_found(
            'Container driver',
            status.WARNING,
            '13 of 14 hosts (host-02, ',
            'host-11, ...)',
        )

    def test_capsules(self):
        self.config(capsule_driver='docker')
        self.assert_found(
            'Container driver', status.WARNING, 'capsule_driver = zun_bulk'
        )


@ddt.ddt
class TestNetworkDriver(StatusTestCase):
    def test_of_zun(self):
        self.config(group='network', driver='kuryr')
        self.assert_found(
            'Network driver', status.WARNING, 'is kuryr', 'Keystone'
        )

    @ddt.data('zun_bulk', 'nonesuch')
    def test_before_none(self, name):
        self.config(group='zun_bulk', network_driver=name)
        self.assert_found('Network driver', status.FAILURE, 'is ' + name)


@ddt.ddt
class TestFilters(StatusTestCase):
    BOTH = [
        'zun.scheduler.filters.all_filters',
        'zun_bulk.scheduler.filters.all_filters',
    ]

    def enable(self, *names, available=None):
        self.config(group='scheduler', enabled_filters=list(names))
        if available:
            self.config(group='scheduler', available_filters=available)

    @ddt.data(*status.RATIOS.items())
    @ddt.unpack
    def test_that_know_no_ratio(self, stock, ours):
        self.enable('ComputeFilter', stock)
        self.assert_found('Scheduler filters', status.WARNING, stock, ours)

    def test_ours_that_are_not_available(self):
        self.enable('ComputeFilter', 'HostPressureFilter')
        self.assert_found(
            'Scheduler filters',
            status.FAILURE,
            'HostPressureFilter',
            'Add available_filters = zun_bulk.scheduler.filters.all_filters',
        )

    def test_that_there_is_not(self):
        self.enable('CorefulFilter')
        self.assert_found(
            'Scheduler filters', status.FAILURE, 'CorefulFilter', 'Remove it'
        )

    def test_all_that_is_wrong(self):
        self.enable('CPUFilter', 'CorefulFilter', 'RamFilter')
        self.assert_found(
            'Scheduler filters',
            status.FAILURE,
            'CPUFilter',
            'CorefulFilter',
            'RamFilter',
        )

    def test_that_cannot_be_loaded(self):
        self.enable('ComputeFilter', available=['nonesuch.all_filters'])
        self.assert_found('Scheduler filters', status.FAILURE, 'nonesuch')

    def test_sound(self):
        self.enable(
            'ComputeFilter', *status.RATIOS.values(), available=self.BOTH
        )
        self.assert_sound()


class TestQuotas(StatusTestCase):
    def setUp(self):
        super().setUp()
        text = SOUND.replace('containers = 1000\n', '').replace(
            'cpu = -1\n', ''
        )
        path = pathlib.Path(CONF.config_file[0])
        path.write_text(text)
        CONF.reload_config_files()

    def test_of_zun(self):
        self.assert_found(
            'Quotas',
            status.WARNING,
            'own: containers = 40, cpu = 20.',
            'quota class update default',
        )

    def test_chosen_by_class(self):
        for resource in ('containers', 'cpu'):
            self.execute(
                'INSERT INTO quota_classes (class_name, resource, hard_limit) '
                "VALUES ('default', '%s', 40)" % resource
            )
        self.assert_sound()

    def test_none_are_kept(self):
        self.config(group='quota', driver='zun.common.quota.NoopQuotaDriver')
        self.assert_sound()


class TestServices(StatusTestCase):
    NAME = 'Keystone, Placement, Neutron'

    def test_no_login(self):
        self.session.get_token.side_effect = ka_exceptions.Unauthorized('no')
        self.assert_found(
            self.NAME, status.FAILURE, 'cannot log in', '[keystone_auth]'
        )

    def test_no_placement(self):
        self.adapter.get.side_effect = ka_exceptions.EndpointNotFound('none')
        self.assert_found(
            self.NAME, status.FAILURE, 'cannot reach Placement', 'none'
        )

    def test_no_neutron(self):
        self.neutron.list_ports.side_effect = ka_exceptions.ConnectFailure('x')
        self.assert_found(self.NAME, status.FAILURE, 'cannot reach Neutron')


class TestCommand(StatusTestCase):
    """The command as it is called, with its exit status."""

    def setUp(self):
        super().setUp()
        self.useFixture(config_fixture.Config(CONF))
        self.file = CONF.config_file[0]

    def _unregister(self):
        CONF.reset()
        CONF.unregister_opt(cfg.SubCommandOpt('command'))

    def run_command(self, *argv):
        """Return (exit status, stdout)."""
        # A command can be added only before the command line is parsed.
        CONF.reset()
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                code = status.main(['--config-file', self.file, *argv])
        finally:
            self._unregister()
        return code, out.getvalue()

    def test_sound(self):
        code, out = self.run_command('upgrade', 'check', '--json')
        self.assertEqual(
            {'name': 'Upgrade Check Results', 'checks': mock.ANY},
            json.loads(out),
        )
        self.assertEqual(
            [(name, 0) for name in NAMES],
            [
                (found['check'], found['result'])
                for found in json.loads(out)['checks']
            ],
            out,
        )
        self.assertEqual(0, code)

    def test_worst_counts(self):
        path = pathlib.Path(self.file)
        path.write_text(SOUND.replace('cpu = -1\n', ''))
        code, out = self.run_command('upgrade', 'check')
        self.assertEqual(1, code)
        self.assertIn('cpu = 20', out)
        path.write_text(SOUND.replace('api_paste', '#'))
        code, out = self.run_command('upgrade', 'check')
        self.assertEqual(2, code)
        self.assertIn('api_paste_config is api-paste.ini', out)
