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

"""The tables and the statements on them on servers as they are in use.

tests.unit.db goes through every statement on SQLite. Here is what SQLite
cannot tell: types, transactions that meet, and the migration's dialects.
"""

import sys

import sqlalchemy as sa

from tests import database
from tests.functional.db import servers
from tests.functional.db.accepting import AcceptingTests
from tests.functional.db.base import DatabaseTestCase
from tests.functional.db.history import HistoryTests
from tests.functional.db.members import MembersTests
from tests.functional.db.schema import SchemaTests
from zun_bulk.db import counts as db_counts
from zun_bulk.states import MemberState


if not servers.MariaDB.missing():

    class TestMariaDB(
        SchemaTests,
        AcceptingTests,
        HistoryTests,
        MembersTests,
        DatabaseTestCase,
    ):
        server_class = servers.MariaDB
        WAITING = (
            "SELECT COUNT(*) FROM information_schema.innodb_trx "
            "WHERE trx_state = 'LOCK WAIT'"
        )

        def prefer(self, connection):
            """It has changed more rows: enough here."""

        def test_members_are_counted_by_an_index_alone(self):
            engine = self.use_database()
            bulk, _members = database.accept(1000)
            asked = []
            sa.event.listen(
                engine,
                'before_cursor_execute',
                lambda _connection, _cursor, *statement_and_rest: asked.append(
                    statement_and_rest[:2]
                ),
            )
            counts = db_counts.count_members([bulk.id])
            self.assertEqual({MemberState.QUEUED: 1000}, counts[bulk.id])

            (statement, parameters) = asked[-1]
            with engine.connect() as connection:
                (plan,) = connection.exec_driver_sql(
                    'EXPLAIN ' + statement, parameters
                ).mappings()
            self.assertEqual('zun_bulk_member_count_idx', plan['key'])
            self.assertIn('Using index', plan['Extra'])


if not servers.PostgreSQL.missing():

    class TestPostgreSQL(
        SchemaTests,
        AcceptingTests,
        HistoryTests,
        MembersTests,
        DatabaseTestCase,
    ):
        server_class = servers.PostgreSQL
        WAITING = 'SELECT COUNT(*) FROM pg_locks WHERE NOT granted'

        def tables_of_zun(self):
            # Names of constraints are unique there, and this one has that of
            # another table.
            return [
                table
                for table in super().tables_of_zun()
                if table.name != 'volume_mapping'
            ]

        def prefer(self, connection):
            # Who looks for a deadlock first gives up; the other one looks
            # after a second.
            connection.exec_driver_sql("SET LOCAL deadlock_timeout = '60s'")


for _server in (servers.MariaDB, servers.PostgreSQL):
    if _server.missing():
        print(
            'Left out: the tests on %s, for want of %s'
            % (_server.__name__, ' and '.join(_server.missing())),
            file=sys.stderr,
        )
