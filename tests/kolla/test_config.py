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

"""What Kolla Ansible's role zun and our playbook make of etc/kolla/config."""

import configparser
import json
import pathlib
import re
import tempfile

from oslo_policy import policy
import yaml
from zun.common import policies as zun_policies

from tests.kolla import base
from zun_bulk import policies
from zun_bulk.conf import CONF


ETC = base.REPOSITORY / 'etc' / 'kolla'
# The examples that the file has as comments.
POLICY = re.sub(
    '^# "',
    '"',
    (ETC / 'config/zun/policy.yaml').read_text(),
    flags=re.MULTILINE,
)
# Of the whole cloud, of one service, and of one host.
OVERLAY = {
    'config/zun/policy.yaml': POLICY,
    'config/global.conf': '[compute]\nram_allocation_ratio = 3\n',
    'config/zun/zun-compute.conf': '[zun_bulk]\nrun_conductor = false\n',
    'config/zun/host-2/zun.conf': '[compute]\ncpu_allocation_ratio = 4\n',
}


class TestConfig(base.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tempfile.TemporaryDirectory() as overlay:
            for name, text in OVERLAY.items():
                path = pathlib.Path(overlay, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            cls.log = base.render(
                'config', cls.out, overlay, 'host-1', 'host-2'
            )

    def load(self, path):
        """Have Zun read one of the files."""
        self.addCleanup(CONF.reset)
        CONF(['--config-file', str(self.out / path)], project='zun')
        return CONF

    def test_zun_api_has_the_filter_from_the_package(self):
        setup = configparser.ConfigParser()
        setup.read(base.REPOSITORY / 'setup.cfg')
        (name,) = (
            line.strip()
            for line in setup['files']['data_files'].splitlines()
            if 'api-paste.ini' in line
        )

        conf = self.load('controller/zun-api/zun.conf')

        self.assertEqual(
            f'/var/lib/kolla/venv/{name}', conf.api.api_paste_config
        )

    def test_all_services_have_the_drivers_and_filters(self):
        for path in (
            'controller/zun-api/zun.conf',
            'controller/zun-bulk-conductor/zun.conf',
            'host-1/zun-compute/zun.conf',
        ):
            conf = self.load(path)

            self.assertEqual('zun_bulk', conf.container_driver)
            self.assertEqual('zun_bulk', conf.network.driver)
            self.assertEqual('kuryr', conf.zun_bulk.network_driver)
            self.assertEqual(
                [
                    'zun.scheduler.filters.all_filters',
                    'zun_bulk.scheduler.filters.all_filters',
                ],
                conf.scheduler.available_filters,
            )
            self.assertIn(
                'CpuOvercommitFilter', conf.scheduler.enabled_filters
            )

    def test_what_kolla_sets_stays(self):
        conf = self.load('host-1/zun-compute/zun.conf')

        self.assertEqual('cri', conf.capsule_driver)
        self.assertEqual('tcp://127.0.0.1:2375', conf.docker.api_url)
        self.assertTrue(conf.compute.host_shared_with_nova)

    def test_settings_of_the_cloud_of_a_service_and_of_a_host(self):
        for path, cpu, conductor in (
            ('controller/zun-api', None, True),
            ('controller/zun-bulk-conductor', None, True),
            ('host-1/zun-compute', None, False),
            ('host-2/zun-compute', 4, False),
        ):
            conf = self.load(f'{path}/zun.conf')

            self.assertEqual(3, conf.compute.ram_allocation_ratio)
            self.assertEqual(cpu, conf.compute.cpu_allocation_ratio)
            self.assertEqual(conductor, conf.zun_bulk.run_conductor)

    def test_settings_are_options_and_examples_their_defaults(self):
        examples = 0
        for path in (ETC / 'config').glob('**/*.conf'):
            section = None
            for line in path.read_text().splitlines():
                if match := re.match(r'\[(\w+)\]$', line):
                    section = CONF[match[1]] if match[1] != 'DEFAULT' else CONF
                elif match := re.match(r'(# )?(\w+) = ', line):
                    self.assertIn(match[2], section, line)
                    examples += bool(match[1])
        self.assertTrue(examples)

    def test_policies_are_in_place(self):
        folder = self.out / 'controller' / 'zun-api'
        files = json.loads((folder / 'config.json').read_text())
        enforcer = policy.Enforcer(self.load(folder / 'zun.conf'))
        enforcer.register_defaults(
            [*zun_policies.list_rules(), *policies.list_rules()]
        )
        enforcer.load_rules()

        self.assertIn(
            '/etc/zun/policy.yaml',
            [entry['dest'] for entry in files['config_files']],
        )
        self.assertTrue(enforcer.check_rules())
        self.assertEqual(
            {'bulk:create:floating_ips', 'container:create:image_pull_policy'},
            set(enforcer.file_rules),
        )
        self.assertLessEqual(
            set(enforcer.file_rules), set(enforcer.registered_rules)
        )

    def test_conductor_gets_its_configuration(self):
        folder = self.out / 'controller' / 'zun-bulk-conductor'
        config = json.loads((folder / 'config.json').read_text())

        self.assertEqual(
            'zun-bulk-conductor --config-file /etc/zun/zun.conf',
            config['command'],
        )
        self.assertEqual(
            '/var/lib/kolla/config_files/zun.conf',
            config['config_files'][0]['source'],
        )

    def test_images_are_those_that_are_built(self):
        build = configparser.ConfigParser()
        build.read(ETC / 'kolla-build.conf')
        build = build['DEFAULT']
        prefix = f'{build["registry"]}/{build["namespace"]}/'

        for name in ('api', 'compute'):
            self.assertIn(f'{prefix}zun-{name}:{build["tag"]}', self.log)
        ours = yaml.safe_load((ETC / 'globals.d/zun_bulk.yml').read_text())
        self.assertEqual(prefix, ours['zun_bulk_image_url'])
        self.assertEqual(build['tag'], ours['zun_bulk_tag'])
        for name in ('zun-wsproxy', 'zun-cni-daemon', 'horizon'):
            self.assertEqual(
                '{{ zun_bulk_image_url }}' + name,
                ours[name.replace('-', '_') + '_image'],
            )
