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

"""The DevStack plug-in, run through DevStack's phases by bash.

Zun's plug-in and, unless DEVSTACK_DIR names a checkout of DevStack, its
functions are doubles; see tests/devstack. Programs that would change the
machine only write down how they were called.
"""

import os
import pathlib
import subprocess

import fixtures
from oslo_config import iniparser
from oslotest import base
import stevedore
from zun.scheduler import filters as zun_filters

from zun_bulk.conf import CONF
from zun_bulk.scheduler import filters


ROOT = pathlib.Path(__file__).parents[2]
DOUBLES = ROOT / 'tests/devstack'
STACK = (
    'stack pre-install',
    'stack install',
    'stack post-config',
    'stack extra',
    'stack test-config',
)
RECORD = '#!/bin/sh\necho "${0##*/} $*" >>"$DEST/calls"\n'
# "sudo -H NAME=VALUE command".
SUDO = '#!/bin/sh\n[ "$1" = -H ] && shift\nexec env "$@"\n'


class ZunConf(iniparser.BaseParser):
    """zun.conf as {(section, option): values}, in no order."""

    def __init__(self, path):
        super().__init__()
        self.options = {}
        self._section = None
        with open(path) as lines:
            self.parse(lines)

    def new_section(self, section):
        self._section = section

    def assignment(self, key, value):
        self.options.setdefault((self._section, key), []).append(value[0])


class DevStackTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.dest = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.calls = self.dest / 'calls'
        self.conf = self.dest / 'etc/zun/zun.conf'
        local = self.dest / 'horizon/openstack_dashboard/local'
        self.enabled = local / 'enabled'
        self.settings = local / 'local_settings.d'
        self.plugin = self.dest / 'zun-bulk'
        for name in ('devstack', 'zun/devstack', 'zun-bulk', 'systemd'):
            (self.dest / name).mkdir(parents=True)
        self.enabled.mkdir(parents=True)
        self.settings.mkdir()
        for name in ('devstack', 'etc', 'setup.cfg'):
            (self.plugin / name).symlink_to(ROOT / name)
        zun = self.dest / 'zun'
        (zun / 'setup.cfg').write_text('[metadata]\nname = zun\n')
        (zun / 'devstack/settings').symlink_to(DOUBLES / 'zun-settings-double')
        (zun / 'devstack/plugin.sh').symlink_to(
            DOUBLES / 'zun-plugin-double.sh'
        )
        self._program('bin/sudo', SUDO)
        self._program('bin/systemctl')
        self._program('requirements/.venv/bin/edit-constraints')
        for name in ('pip', 'zun-db-manage', 'zun-bulk-db-manage'):
            self._program('venv/bin/%s' % name)

    def _program(self, name, text=RECORD):
        path = self.dest / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def _try(self, *phases, plugins='zun zun-bulk', **variables):
        return subprocess.run(
            [DOUBLES / 'run-phases.sh', *phases],
            env={
                'DEST': str(self.dest),
                'DEVSTACK_DIR': os.environ.get('DEVSTACK_DIR', ''),
                'ENABLED_SERVICES': 'mysql,rabbit',
                'HOME': str(self.dest),
                'PATH': os.environ['PATH'],
                'PLUGINS': plugins,
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )

    def _run(self, *phases, **variables):
        done = self._try(*phases, **variables)
        self.assertEqual(0, done.returncode, done.stdout)

    def _called(self):
        return self.calls.read_text().splitlines()

    def _index(self, *words):
        """Return the index of the call that contains all of these words."""
        found = [
            number
            for number, call in enumerate(self._called())
            if all(word in call.split() for word in words)
        ]
        self.assertEqual(1, len(found), (words, self._called()))
        return found[0]

    def _options(self):
        return ZunConf(self.conf).options

    def test_installs_into_the_environment_of_zun(self):
        self._run('stack install')

        self.assertLess(
            self._index('pip', str(self.dest / 'zun')),
            self._index('pip', '-e', '%s[service]' % self.plugin),
        )

    def test_adds_to_zun_conf(self):
        self._run('only zun stack post-config')
        before = self._options()

        self._run(*STACK)

        added = {
            key: values
            for key, values in self._options().items()
            if before.get(key) != values
        }
        self.assertEqual(
            {
                ('DEFAULT', 'container_driver'): ['zun_bulk'],
                ('api', 'api_paste_config'): [
                    '%s/etc/zun_bulk/api-paste.ini' % self.plugin
                ],
                ('network', 'driver'): ['zun_bulk'],
                ('scheduler', 'available_filters'): [
                    'zun.scheduler.filters.all_filters',
                    'zun_bulk.scheduler.filters.all_filters',
                ],
                ('scheduler', 'enabled_filters'): [
                    'AvailabilityZoneFilter,ComputeFilter,RuntimeFilter,'
                    'CpuOvercommitFilter,MemoryOvercommitFilter,'
                    'DiskOvercommitFilter,HostPressureFilter'
                ],
                ('zun_bulk', 'max_members'): ['10000'],
                ('zun_bulk', 'metrics_port'): ['0'],
                ('zun_bulk', 'run_conductor'): ['True'],
            },
            added,
        )
        # And nothing of Zun's is gone.
        self.assertEqual(set(), before.keys() - self._options().keys())

    def test_names_what_there_is(self):
        self._run('stack post-config')

        options = self._options()
        paste = pathlib.Path(options['api', 'api_paste_config'][0])
        self.assertTrue(paste.is_absolute())
        self.assertIn('authtoken zun_bulk api_v1', paste.read_text())
        known = {
            cls.__name__
            for cls in zun_filters.all_filters() + filters.all_filters()
        }
        enabled = options['scheduler', 'enabled_filters'][0].split(',')
        self.assertEqual(set(), set(enabled) - known)
        for namespace, key in (
            ('zun.container.driver', ('DEFAULT', 'container_driver')),
            ('zun.network.driver', ('network', 'driver')),
        ):
            names = stevedore.ExtensionManager(namespace).entry_points_names()
            self.assertIn(options[key][0], names)

    def test_makes_the_tables_after_those_of_zun(self):
        self._run(*STACK)

        upgrade = self._index(
            'zun-bulk-db-manage', '--config-file', str(self.conf), 'upgrade'
        )
        self.assertLess(self._index('zun-db-manage', 'upgrade'), upgrade)

    def test_compute_host(self):
        self._run(*STACK, HOST_IP='192.0.2.2', SERVICE_HOST='192.0.2.1')

        options = self._options()
        self.assertEqual(['zun_bulk'], options['DEFAULT', 'container_driver'])
        self.assertNotIn(('api', 'api_paste_config'), options)
        self.assertNotIn('zun-bulk-db-manage', self.calls.read_text())

    def test_leaves_tables_to_a_host_with_a_database(self):
        self._run(*STACK, ENABLED_SERVICES='rabbit')

        self.assertNotIn('zun-bulk-db-manage', self.calls.read_text())

    def test_conductor_of_its_own(self):
        unit = self.dest / 'systemd/devstack@zun-bulk-conductor.service'
        services = 'mysql,rabbit,zun-bulk-conductor'

        self._run(*STACK, ENABLED_SERVICES=services)

        self.assertEqual(
            ['False'], self._options()['zun_bulk', 'run_conductor']
        )
        self.assertIn(
            'ExecStart = %s/venv/bin/zun-bulk-conductor --config-file %s\n'
            % (self.dest, self.conf),
            unit.read_text(),
        )
        self.assertLess(
            self._index('zun-bulk-db-manage', 'upgrade'),
            self._index('systemctl', 'start', unit.name),
        )

        self.calls.unlink()
        self._run('unstack', ENABLED_SERVICES=services)

        self._index('systemctl', 'stop', unit.name)

    def test_settings(self):
        self._run(
            'stack post-config',
            ZUN_CAPSULE_DRIVER='docker',
            ZUN_BULK_FILTERS='',
            ZUN_BULK_MAX_MEMBERS='50',
            ZUN_BULK_METRICS_PORT='9518',
            ZUN_BULK_NETWORK='False',
            ZUN_BULK_RUN_CONDUCTOR='False',
        )

        options = self._options()
        self.assertEqual(['zun_bulk'], options['DEFAULT', 'capsule_driver'])
        self.assertEqual(['50'], options['zun_bulk', 'max_members'])
        self.assertEqual(['9518'], options['zun_bulk', 'metrics_port'])
        self.assertEqual(['False'], options['zun_bulk', 'run_conductor'])
        self.assertNotIn(('network', 'driver'), options)
        self.assertNotIn(('scheduler', 'available_filters'), options)
        self.assertNotIn(('scheduler', 'enabled_filters'), options)

    def test_stacks_twice(self):
        self._run(*STACK)
        once = self.conf.read_text()

        self._run('unstack', *STACK)

        self.assertEqual(once, self.conf.read_text())

    def test_configures_twice(self):
        self._run('stack post-config')
        once = self._options()

        self._run('only zun-bulk stack post-config')

        self.assertEqual(once, self._options())

    def test_cleans_zun_conf(self):
        self._run('only zun stack post-config')
        before = self._options()
        self._run('only zun-bulk stack post-config')
        self.assertNotEqual(before, self._options())

        self._run('only zun-bulk clean')

        self.assertEqual(before, self._options())

    def test_cleans_after_zun(self):
        self._run(*STACK, 'unstack', 'clean')

        self.assertFalse(self.conf.exists())
        # And where there was nothing to begin with.
        self._run('clean')

    def _make_dashboard(self):
        dashboard = self.plugin / 'zun_bulk/dashboard'
        enabled, settings = (
            dashboard / name for name in ('enabled', 'local_settings.d')
        )
        enabled.mkdir(parents=True)
        settings.mkdir()
        (enabled / '_1340_bulks.py').write_text('# A panel.\n')
        (enabled / '__init__.py').touch()
        (settings / '_1340_policy.py').write_text('# Its policies.\n')
        (self.enabled / '_1330_containers.py').touch()

    def test_panels_for_horizon(self):
        self._make_dashboard()
        services = 'mysql,rabbit,horizon'

        self._run(*STACK, ENABLED_SERVICES=services)

        self.assertEqual(
            {'_1330_containers.py', '_1340_bulks.py'},
            set(os.listdir(self.enabled)),
        )
        self.assertEqual(['_1340_policy.py'], os.listdir(self.settings))

        self._run('unstack', 'clean', ENABLED_SERVICES=services)

        self.assertEqual(['_1330_containers.py'], os.listdir(self.enabled))
        self.assertEqual([], os.listdir(self.settings))

    def test_nothing_that_is_not_enabled(self):
        self._make_dashboard()

        self._run(*STACK, 'unstack')

        self.assertNotIn('zun-bulk-conductor', self.calls.read_text())
        self.assertEqual(['_1330_containers.py'], os.listdir(self.enabled))
        self.assertEqual([], os.listdir(self.settings))

    def test_sample(self):
        local, conf = (
            (ROOT / 'devstack/local.conf.sample')
            .read_text()
            .split('[[post-config|$ZUN_CONF]]\n')
        )
        self.assertLess(
            local.index('\nenable_plugin zun '),
            local.index('\nenable_plugin zun-bulk '),
        )
        path = self.dest / 'post-config'
        path.write_text(conf)
        for section, option in ZunConf(path).options:
            self.assertIn(option, CONF[section])

    def test_zun_comes_first(self):
        for plugins in ('zun-bulk zun', 'zun-bulk'):
            done = self._try('stack pre-install', plugins=plugins)

            self.assertNotEqual(0, done.returncode)
            self.assertIn("'enable_plugin zun' must come", done.stdout)
