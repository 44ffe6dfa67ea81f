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

"""The dashboard and the alerts ask for metrics that there are."""

import json
import pathlib
import re

from oslotest import base
import prometheus_client
from prometheus_client import parser
import yaml

from tests.unit.host import test_metrics
from zun_bulk.host import gates
from zun_bulk.host import metrics


ETC = pathlib.Path(__file__).parents[3] / 'etc'


def exposed():
    """Return {name: {label: values}} of what zun-compute exposes."""
    shown = test_metrics.show()
    shown['deletes'] = shown['starts']
    shown['settle'] = {'median': 5.0, 'p95': 6.0}
    registry = prometheus_client.CollectorRegistry()
    registry.register(
        metrics.Collector(lambda: shown, (*gates.NAMES, 'operator'))
    )
    found = {}
    text = prometheus_client.generate_latest(registry).decode()
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def asked(expression):
    """Return [(metric, [(label, operator, value)])] of an expression."""
    return [
        (name, re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selector))
        for name, selector in re.findall(
            r'\b(zun_bulk_\w+)(?:\{(.*?)\})?', expression
        )
    ]


def legend(text):
    return set(re.findall(r'{{\s*(\w+)\s*}}', text))


class TestExpressions(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.exposed = exposed()

    def check(self, expression, shown=''):
        """Return the names of the metrics in it."""
        found = asked(expression)
        self.assertTrue(found, expression)
        known = {'instance', 'job'}
        for name, labels in found:
            self.assertIn(name, self.exposed, expression)
            known.update(self.exposed[name])
            for label, _operator, value in labels:
                if not value.startswith('$'):
                    self.assertIn(label, self.exposed[name], expression)
                    self.assertIn(value, self.exposed[name][label], expression)
        self.assertLessEqual(legend(shown), known, shown)
        for labels in re.findall(r'(?:by|on) \((.*?)\)', expression):
            self.assertLessEqual(set(labels.split(', ')), known, expression)
        return {name for name, _labels in found}

    def test_dashboard(self):
        dashboard = json.loads((ETC / 'grafana/zun_bulk.json').read_text())
        shown, ids = set(), []
        for panel in dashboard['panels']:
            ids.append(panel['id'])
            for target in panel.get('targets', ()):
                self.assertEqual('${datasource}', target['datasource']['uid'])
                shown |= self.check(target['expr'], target['legendFormat'])
        self.assertEqual(set(self.exposed), shown)
        self.assertEqual(len(ids), len(set(ids)))
        source, *queried = dashboard['templating']['list']
        self.assertEqual(
            ('datasource', 'datasource'), (source['name'], source['type'])
        )
        for variable in queried:
            self.check(variable['definition'])

    def test_panels_do_not_overlap(self):
        dashboard = json.loads((ETC / 'grafana/zun_bulk.json').read_text())
        taken = set()
        for panel in dashboard['panels']:
            place = panel['gridPos']
            cells = {
                (x, y)
                for x in range(place['x'], place['x'] + place['w'])
                for y in range(place['y'], place['y'] + place['h'])
            }
            self.assertLessEqual(max(cells)[0], 23, panel['title'])
            self.assertEqual(set(), taken & cells, panel['title'])
            taken |= cells

    def test_alerts(self):
        (group,) = yaml.safe_load(
            (ETC / 'prometheus/zun_bulk.rules.yaml').read_text()
        )['groups']
        for rule in group['rules']:
            self.check(rule['expr'])
            self.assertEqual(
                {'summary', 'description'}, set(rule['annotations'])
            )
