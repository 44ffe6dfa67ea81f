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


from oslotest import base as test_base
import sqlalchemy as sa

from tests import database
from zun_bulk.db import base as db_base
from zun_bulk.db import models


class TestConfigure(test_base.BaseTestCase):
    def test_called_again(self):
        self.useFixture(database.Database(tables=False))
        engine = db_base.get_engine()
        db_base.configure()
        self.assertIs(engine, db_base.get_engine())

    def test_without_migrations(self):
        self.useFixture(database.Database(tables=False))
        db_base.create_tables()
        self.assertLessEqual(
            set(models.Base.metadata.tables),
            set(sa.inspect(db_base.get_engine()).get_table_names()),
        )
