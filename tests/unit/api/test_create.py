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

"""POST /v1/bulks: what is refused, and what is written."""

from zun.db.sqlalchemy import models as zun_models

from tests.unit.api import base
from zun_bulk.db import models


class TestCreate(base.ApiTestCase):

    def test_create(self):
        bulk = self.create(count=3, template={'image': 'busybox'})
        self.assertEqual('building', bulk['status'])
        self.assertEqual(3, len(self.rows(models.Member)))
        self.assertEqual(3, len(self.rows(zun_models.Container)))
        self.assertEqual([('wake_conductors',)], self.woken)
