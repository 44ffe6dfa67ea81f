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

"""The Dockerfiles of Zun and Horizon with the template override."""

import os
import re
import shutil
import subprocess

import testtools

from tests.kolla import base


EXTEND_START = '/usr/local/bin/kolla_zun_extend_start'
DASHBOARD = base.REPOSITORY / 'zun_bulk' / 'dashboard'
SITE_PACKAGES = '/var/lib/kolla/venv/lib/python3/site-packages'


class TestImages(base.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        base.render('images', cls.out)

    def setUp(self):
        super().setUp()
        self.folder = self.out / self.id()
        self.folder.mkdir()

    def image(self, name):
        """Return the folder that the image is built from."""
        (found,) = self.out.glob(f'docker/**/{name}/Dockerfile')
        return found.parent

    def run_steps(self, image):
        """Return the shell commands of the image's RUN steps."""
        text = (self.image(image) / 'Dockerfile').read_text()
        return [
            line.removeprefix('RUN ')
            for line in text.replace('\\\n', '').splitlines()
            if line.startswith('RUN ')
        ]

    def pip_install(self, image, package):
        """Return what the step that installs a package is given."""
        (step,) = (step for step in self.run_steps(image) if package in step)
        (words,) = re.findall(r'pip [^&]*? install ([^&]*)', step)
        return words.split()

    def test_all_services_of_zun_have_it(self):
        words = self.pip_install('zun-base', 'zun-bulk')

        self.assertIn('/zun', words)
        self.assertIn("'zun-bulk[service]'", words)
        self.assertIn('/requirements/upper-constraints.txt', words)
        for name in ('api', 'compute', 'wsproxy', 'cni-daemon'):
            text = (self.image(f'zun-{name}') / 'Dockerfile').read_text()
            self.assertIn('/zun-base:', text.splitlines()[0])

    def test_horizon_has_it(self):
        (step,) = (
            step
            for step in self.run_steps('horizon')
            if 'zun-bulk[dashboard]' in step
        )

        self.assertIn("/horizon 'zun-bulk[dashboard]'", step)

    def extend_start(self):
        """Return zun-api's start script as its image has it."""
        script = self.folder / 'extend_start'
        shutil.copy(self.image('zun-api') / 'extend_start.sh', script)
        self.patch(script)
        return script

    def patch(self, script):
        (step,) = (
            step
            for step in self.run_steps('zun-api')
            if 'zun-bulk-db-manage' in step
        )
        subprocess.run(
            ['sh', '-c', step.replace(EXTEND_START, str(script))], check=True
        )

    def start(self, zun_status=0, **environment):
        """Run it as kolla_start does.

        :returns: (exit status, the commands that it ran).
        """
        script = self.extend_start()
        log = self.folder / 'log'
        log.touch()
        for command, status in (
            ('zun-db-manage', zun_status),
            ('zun-bulk-db-manage', 0),
        ):
            stub = self.folder / command
            stub.write_text(
                f'#!/bin/sh\necho {command} "$@" >>{log}\nexit {status}\n'
            )
            stub.chmod(0o755)
        text = script.read_text()
        httpd = self.folder / 'httpd_setup'
        httpd.write_text(f'echo httpd >>{log}\n')
        script.write_text(
            text.replace('/usr/local/bin/kolla_httpd_setup', str(httpd))
        )
        done = subprocess.run(
            ['bash', '-o', 'errexit', '-c', f'. {script}'],
            env={'PATH': f'{self.folder}:{os.environ["PATH"]}', **environment},
        )
        return done.returncode, log.read_text().splitlines()

    def test_bootstrap_makes_the_tables_after_those_of_zun(self):
        self.assertEqual(
            (0, ['zun-db-manage upgrade', 'zun-bulk-db-manage upgrade']),
            self.start(KOLLA_BOOTSTRAP=''),
        )

    def test_bootstrap_ends_where_zuns_tables_fail(self):
        self.assertEqual(
            (3, ['zun-db-manage upgrade']),
            self.start(zun_status=3, KOLLA_BOOTSTRAP=''),
        )

    def test_no_tables_without_bootstrap(self):
        self.assertEqual((0, ['httpd']), self.start())

    def test_build_fails_where_kolla_makes_tables_in_another_way(self):
        script = self.folder / 'extend_start'
        script.write_text('zun-manage db sync\n')

        self.assertRaises(subprocess.CalledProcessError, self.patch, script)

    @testtools.skipUnless(DASHBOARD.is_dir(), 'there is no dashboard')
    def test_dashboard_is_enabled(self):
        site_packages = self.folder / 'site-packages'
        shutil.copytree(DASHBOARD, site_packages / 'zun_bulk' / 'dashboard')
        local = site_packages / 'openstack_dashboard' / 'local'
        for name in ('enabled', 'local_settings.d'):
            (local / name).mkdir(parents=True)

        step = self.run_steps('horizon')[-1]
        subprocess.run(
            ['sh', '-c', step.replace(SITE_PACKAGES, str(site_packages))],
            check=True,
        )

        for name in ('enabled', 'local_settings.d'):
            wanted = sorted(
                path.name
                for path in DASHBOARD.joinpath(name).glob('_[0-9]*.py')
            )
            self.assertTrue(wanted)
            self.assertEqual(
                wanted, sorted(path.name for path in (local / name).iterdir())
            )
