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

"""The samples in etc/zun_bulk are what the generators write."""

import pathlib

import fixtures
from oslo_config import cfg
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator
from oslotest import base


ETC = pathlib.Path(__file__).parents[2] / 'etc/zun_bulk'


def _generate_policy(args):
    policy_generator.generate_sample(args, conf=cfg.ConfigOpts())


class SamplesTestCase(base.BaseTestCase):
    def _check(self, generate, config, sample, env):
        written = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'new')

        generate(
            ['--config-file', str(ETC / config), '--output-file', str(written)]
        )

        self.assertEqual(
            (ETC / sample).read_text(),
            written.read_text(),
            'etc/zun_bulk/%s is out of date: run "tox -e %s" and commit it'
            % (sample, env),
        )

    def test_config(self):
        self._check(
            config_generator.main,
            'oslo-config-generator.conf',
            'zun_bulk.conf.sample',
            'genconfig',
        )

    def test_policy(self):
        self._check(
            _generate_policy,
            'oslo-policy-generator.conf',
            'policy.yaml.sample',
            'genpolicy',
        )
