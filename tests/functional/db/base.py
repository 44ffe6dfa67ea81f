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

"""Base class of the tests on database servers."""

import time

from oslotest import base
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk.db import history as db_history
from zun_bulk.db import migration
from zun_bulk.db import models
from zun_bulk.db.models import Member


class DatabaseTestCase(base.BaseTestCase):
    """A test on a database server."""

    server_class = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = cls.server_class()
        cls.server.setUp()
        cls.addClassCleanup(cls.server.cleanUp)

    def use_database(self):
        """Make a database with Zun's tables and ours, and use it."""
        engine = self.useFixture(
            database.Database(self.server.make_database(), tables=False)
        ).engine
        zun_models.Base.metadata.create_all(engine, self.tables_of_zun())
        migration.upgrade()
        return engine

    def tables_of_zun(self):
        return zun_models.Base.metadata.sorted_tables

    def count(self, engine, model):
        with engine.connect() as connection:
            return connection.scalar(
                sa.select(sa.func.count()).select_from(model.__table__)
            )

    def counts(self, engine):
        """Count the rows of each table that a bulk is written to."""
        return [
            self.count(engine, model)
            for model in (
                models.Bulk,
                Member,
                zun_models.Container,
                zun_models.ContainerAction,
            )
        ]

    def events(self, bulk, **kwargs):
        return [
            (row.event, row.member_index, row.host, row.attempt, row.reason)
            for row in db_history.list_events(bulk.id, **kwargs)
        ]

    def wait_for_lock(self, engine):
        """Wait until some transaction waits for another one."""
        for _attempt in range(240):
            # InnoDB refreshes its list of transactions only if no query
            # has read it for 0.1 s.
            time.sleep(0.25)
            with engine.connect() as connection:
                if connection.exec_driver_sql(self.WAITING).scalar():
                    return
        self.fail('nothing waits for a lock')
