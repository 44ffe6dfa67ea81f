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

"""The zun_bulk tables, which are in Zun's database with their own prefix.

A container of a bulk is an ordinary row in Zun's ``container`` table; a
member has the bulk's data of that container and its progress.
"""

import json
import re

from oslo_db.sqlalchemy import models
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import mysql

from zun_bulk.consts import OnFailure
from zun_bulk.db.specs import BulkSpec
from zun_bulk.db.specs import MemberSpec


class Json(sa.types.TypeDecorator):
    """A JSON document in a text column, the same on every database."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect):
        if dialect.name in ('mysql', 'mariadb'):
            return dialect.type_descriptor(mysql.MEDIUMTEXT())
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value, dialect):
        return None if value is None else json.dumps(value)

    def process_result_value(self, value, dialect):
        return None if value is None else json.loads(value)


class Document(Json):
    """One of the dataclasses of ``specs`` in a text column."""

    cache_ok = True

    def __init__(self, cls):
        """Create the column type of a dataclass.

        :param cls: class with ``to_json`` and ``from_json``.
        """
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value, dialect):
        return super().process_bind_param(value and value.to_json(), dialect)

    def process_result_value(self, value, dialect):
        return self.cls.from_json(super().process_result_value(value, dialect))


#: Characters that utf8mb3 (MySQL), PostgreSQL or UTF-8 cannot store.
UNSTORABLE = re.compile('[\0\ud800-\udfff\U00010000-\U0010ffff]')
_REASON_LENGTH = 4000


def storable(text):
    """Return a text of another program as every database accepts it.

    A member could never become failed if the database refused the text of its
    error. Such characters become ``?``; the text is cut to 4000 characters.
    """
    return UNSTORABLE.sub('?', text)[:_REASON_LENGTH]


class Reason(sa.types.TypeDecorator):
    """The reason of a failure, as Docker, Neutron or Placement states it."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else storable(value)


class _Base(models.TimestampMixin, models.ModelBase):
    metadata = None


Base = orm.declarative_base(cls=_Base)

TABLE_OPTIONS = {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb3'}


class Bulk(Base):
    """N containers that were requested in one call."""

    __tablename__ = 'zun_bulk_bulk'
    __table_args__ = (
        sa.UniqueConstraint('uuid', name='uniq_zun_bulk_bulk0uuid'),
        # An index, because SQLite cannot add a constraint to a table.
        sa.Index(
            'uniq_zun_bulk_bulk0project_id0client_token',
            'project_id',
            'client_token',
            unique=True,
        ),
        sa.Index('zun_bulk_bulk_project_idx', 'project_id', 'name'),
        sa.Index('zun_bulk_bulk_status_idx', 'status'),
        TABLE_OPTIONS,
    )

    id = sa.Column(sa.Integer, primary_key=True)
    uuid = sa.Column(sa.String(36), nullable=False)
    name = sa.Column(sa.String(255), nullable=False)
    project_id = sa.Column(sa.String(255), nullable=False)
    user_id = sa.Column(sa.String(255), nullable=False)
    #: The request that created the bulk: Zun finds container actions by it.
    request_id = sa.Column(sa.String(255), nullable=False)
    #: The client's name of its request, unique in the project. By default,
    #: MySQL would treat two that differ in case only as equal.
    client_token = sa.Column(
        sa.String(64).with_variant(
            mysql.VARCHAR(64, charset='ascii', collation='ascii_bin'),
            'mysql',
            'mariadb',
        )
    )
    #: SHA-256, in hexadecimal, of a request with a client token.
    request_hash = sa.Column(sa.String(64))
    status = sa.Column(sa.String(20), nullable=False)
    status_reason = sa.Column(Reason)
    count = sa.Column(sa.Integer, nullable=False)
    #: The highest index that a member has ever had; None, for the count, until
    #: the bulk is scaled.
    last_index = sa.Column(sa.Integer)
    run = sa.Column(sa.Boolean, nullable=False, default=True)
    max_attempts = sa.Column(sa.Integer, nullable=False, default=5)
    on_failure = sa.Column(
        sa.String(20),
        nullable=False,
        default=OnFailure.PAUSE,
        server_default=OnFailure.PAUSE,
    )
    #: Number of failed starts that do not count towards pausing the bulk,
    #: because the user has resumed or scaled it since.
    tolerated = sa.Column(
        sa.Integer, nullable=False, default=0, server_default='0'
    )
    #: How to distribute the members over hosts, as requested by the user.
    placement = sa.Column(Json, nullable=False)
    #: The user's body of a container create.
    template = sa.Column(Json, nullable=False)
    #: Values that the API derived from the request, for conductors and agents.
    spec = sa.Column(Document(BulkSpec), nullable=False)
    #: Rises with each change of owner; writes with an older epoch fail.
    epoch = sa.Column(sa.Integer, nullable=False, default=0)
    lease_owner = sa.Column(sa.String(255))
    #: The owner increments it; if it stands still, the owner is lost. No
    #: clocks of two machines are compared.
    heartbeat = sa.Column(sa.Integer, nullable=False, default=0)
    finished_at = sa.Column(sa.DateTime)


class Member(Base):
    """One container of a bulk."""

    __tablename__ = 'zun_bulk_member'
    __table_args__ = (
        sa.UniqueConstraint(
            'bulk_id',
            'member_index',
            name='uniq_zun_bulk_member0bulk_id0index',
        ),
        sa.UniqueConstraint(
            'container_uuid', name='uniq_zun_bulk_member0container_uuid'
        ),
        # Covers counts of members: a list of bulks counts the members of each
        # bulk, and reading the rows takes seven times as long. The time is
        # for rates; it is set with the state and costs no further write.
        sa.Index(
            'zun_bulk_member_count_idx',
            'bulk_id',
            'state',
            'removed',
            'finished_at',
        ),
        sa.Index('zun_bulk_member_host_idx', 'host', 'state'),
        sa.Index(
            'zun_bulk_member_floating_ip_idx', 'bulk_id', 'floating_ip_state'
        ),
        TABLE_OPTIONS,
    )

    id = sa.Column(sa.Integer, primary_key=True)
    bulk_id = sa.Column(
        sa.Integer,
        sa.ForeignKey('zun_bulk_bulk.id', ondelete='CASCADE'),
        nullable=False,
    )
    #: From 1; indexes are not reused.
    member_index = sa.Column(sa.Integer, nullable=False)
    #: Not a foreign key: Zun deletes its row and does not know this table.
    container_uuid = sa.Column(sa.String(36), nullable=False)
    name = sa.Column(sa.String(255), nullable=False)
    state = sa.Column(sa.String(20), nullable=False)
    #: Whether it was scaled away: deleting or deleted, and no longer counted.
    removed = sa.Column(
        sa.Boolean, nullable=False, default=False, server_default=sa.false()
    )
    #: The host of the member; of a queued member, the host of its claim.
    host = sa.Column(sa.String(255))
    #: Rises with each change, so that no writer acts on an old state.
    epoch = sa.Column(sa.Integer, nullable=False, default=0)
    #: Number of attempts so far.
    attempt = sa.Column(sa.Integer, nullable=False, default=0)
    #: Why the member or its last attempt failed.
    reason = sa.Column(Reason)
    reason_class = sa.Column(sa.String(30))
    #: Per-container values that have no column in Zun's container row.
    wanted = sa.Column(Document(MemberSpec))
    #: New volumes and the start that they are for; see volume.mounts.
    volumes = sa.Column(Json)
    #: Address of the floating IP, once it is bound to the member's port.
    floating_ip = sa.Column(sa.String(64))
    #: A FloatingIpState; None if the member gets no floating IP.
    floating_ip_state = sa.Column(sa.String(20))
    floating_ip_reason = sa.Column(Reason)
    #: Requested networks with the ports that the conductor created, in the
    #: form of Zun's container_create.
    networks = sa.Column(Json)
    #: Limits that the filters set for the claim on the host.
    limits = sa.Column(Json)
    #: When it was placed on its host; None if it only has a claim there.
    placed_at = sa.Column(sa.DateTime)
    started_at = sa.Column(sa.DateTime)
    #: When the start ended in running or failed; not when a run ended.
    finished_at = sa.Column(sa.DateTime)


class Event(Base):
    """An event of a bulk or of one of its members.

    It is written in the transaction of the change. ``bulk_id`` is no foreign
    key: InnoDB would lock the bulk's row for each event of a member, but
    deleting or scaling a bulk locks the bulk first and then its members.
    """

    __tablename__ = 'zun_bulk_event'
    __table_args__ = (
        sa.Index('zun_bulk_event_bulk_idx', 'bulk_id', 'id'),
        TABLE_OPTIONS,
    )

    #: In the order of creation, except for concurrent transactions.
    id = sa.Column(
        # SQLite increments no other type automatically.
        sa.BigInteger().with_variant(sa.Integer(), 'sqlite'),
        primary_key=True,
    )
    bulk_id = sa.Column(sa.Integer, nullable=False)
    #: None for an event of the bulk itself. Events of members that were scaled
    #: away remain.
    member_index = sa.Column(sa.Integer)
    container_uuid = sa.Column(sa.String(36))
    event = sa.Column(sa.String(20), nullable=False)
    #: Where it happened.
    host = sa.Column(sa.String(255))
    attempt = sa.Column(sa.Integer)
    reason = sa.Column(Reason)
    #: Events never change.
    updated_at = None


class Project(Base):
    """The lock under which a project's bulks are accepted, because of quotas.

    One row for each project that has ever created a bulk.
    """

    __tablename__ = 'zun_bulk_project'
    __table_args__ = (
        sa.UniqueConstraint(
            'project_id', name='uniq_zun_bulk_project0project_id'
        ),
        TABLE_OPTIONS,
    )

    id = sa.Column(sa.Integer, primary_key=True)
    project_id = sa.Column(sa.String(255), nullable=False)
    #: Number of bulks so far. Incrementing it locks the row until the commit.
    accepted = sa.Column(sa.Integer, nullable=False, default=0)


class Trust(Base):
    """A Keystone trust of a bulk, from its creation to its deletion.

    It is written before the bulk and has no foreign key to it, so that the
    trust of a bulk that was never written, or was removed, can be found.
    """

    __tablename__ = 'zun_bulk_trust'
    __table_args__ = (
        sa.UniqueConstraint('trust_id', name='uniq_zun_bulk_trust0trust_id'),
        TABLE_OPTIONS,
    )

    id = sa.Column(sa.Integer, primary_key=True)
    trust_id = sa.Column(sa.String(64), nullable=False)
    bulk_uuid = sa.Column(sa.String(36), nullable=False)
    #: When its deletion was last attempted because the bulk did not exist.
    tried_at = sa.Column(sa.DateTime)


class Host(Base):
    """A host with an agent: the operator's settings and the agent's report."""

    __tablename__ = 'zun_bulk_host'
    __table_args__ = (
        sa.UniqueConstraint('host', name='uniq_zun_bulk_host0host'),
        TABLE_OPTIONS,
    )

    id = sa.Column(sa.Integer, primary_key=True)
    host = sa.Column(sa.String(255), nullable=False)
    #: Rises with each change of the settings, not with reports.
    epoch = sa.Column(sa.Integer, nullable=False, default=0)
    #: Whether the operator holds the host: it starts nothing.
    held = sa.Column(sa.Boolean, nullable=False, default=False)
    held_reason = sa.Column(Reason)
    #: Override the host's options of the same names; None does not.
    mode = sa.Column(sa.String(20))
    max_in_flight = sa.Column(sa.Integer)
    start_interval = sa.Column(sa.Float)
    #: The agent's last report.
    report = sa.Column(Json)
    reported_at = sa.Column(sa.DateTime)
