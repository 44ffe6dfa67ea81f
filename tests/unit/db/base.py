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


from oslotest import base
import sqlalchemy as sa
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Event
from zun_bulk.db.models import Member


TABLES = (
    Bulk,
    Member,
    Event,
    zun_models.Container,
    zun_models.ContainerAction,
)


class DatabaseTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(database.Database()).engine

    def dump(self):
        """Every row of every table that zun_bulk writes to."""
        with self.engine.connect() as connection:
            return {
                model.__tablename__: connection.execute(
                    sa.select(model.__table__)
                ).all()
                for model in TABLES
            }

    def owned(self, bulk, owner='host-1:1'):
        """Take the bulk's lease. Returns the epoch."""
        return db_leases.take_lease(db_bulks.get_bulk(bulk.uuid), owner)

    def place(self, bulk, members, hosts=('host-1',)):
        """Place members, hosts in turn. Returns them as they are then."""
        epoch = self.owned(bulk)
        database.place(
            bulk.id,
            epoch,
            [
                (
                    member,
                    hosts[number % len(hosts)],
                    [{'port': member.name}],
                    {},
                )
                for number, member in enumerate(members)
            ],
        )
        ids = {member.id for member in members}
        return [
            member
            for member in db_members.list_members(bulk.id)
            if member.id in ids
        ]
