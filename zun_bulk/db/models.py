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

"""The zun_bulk tables, which live in Zun's database under their own prefix.

A container of a bulk is an ordinary row in Zun's ``container`` table; a
member says what the bulk wants of that row and how far it has come.
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
        """Store a class.

        :param cls: one that has ``to_json`` and ``from_json``.
        """
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value, dialect):
        return super().process_bind_param(value and value.to_json(), dialect)

    def process_result_value(self, value, dialect):
        return self.cls.from_json(super().process_result_value(value, dialect))


#: What utf8mb3 (MySQL), PostgreSQL or UTF-8 itself does not have.
UNSTORABLE = re.compile('[\0\ud800-\udfff\U00010000-\U0010ffff]')
_REASON_LENGTH = 4000


def storable(text):
    """What every database takes of a text that another program wrote.

    Refused, the text of an error would keep its member from ever failing.
    """
    return UNSTORABLE.sub('?', text)[:_REASON_LENGTH]


class Reason(sa.types.TypeDecorator):
    """Why something failed, in the words of Docker, Neutron or Placement."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else storable(value)


class _Base(models.TimestampMixin, models.ModelBase):
    metadata = None


Base = orm.declarative_base(cls=_Base)

TABLE_OPTIONS = {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb3'}


class Bulk(Base):
    """N containers asked for in one call."""

    __tablename__ = 'zun_bulk_bulk'
    __table_args__ = (
        sa.UniqueConstraint('uuid', name='uniq_zun_bulk_bulk0uuid'),
        # An index, for SQLite adds no constraint to a table that is there.
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
    #: The request that made it: Zun looks its container actions up by this.
    request_id = sa.Column(sa.String(255), nullable=False)
    #: What the client calls its request, once in a project. MySQL would take
    #: two that differ in case for one.
    client_token = sa.Column(
        sa.String(64).with_variant(
            mysql.VARCHAR(64, charset='ascii', collation='ascii_bin'),
            'mysql',
            'mariadb',
        )
    )
    #: Of the request that has a token: SHA-256 in hexadecimal.
    request_hash = sa.Column(sa.String(64))
    status = sa.Column(sa.String(20), nullable=False)
    status_reason = sa.Column(Reason)
    count = sa.Column(sa.Integer, nullable=False)
    #: The highest index that a member has ever had; None until the bulk is
    #: scaled: its count then.
    last_index = sa.Column(sa.Integer)
    run = sa.Column(sa.Boolean, nullable=False, default=True)
    max_attempts = sa.Column(sa.Integer, nullable=False, default=5)
    on_failure = sa.Column(
        sa.String(20),
        nullable=False,
        default=OnFailure.PAUSE,
        server_default=OnFailure.PAUSE,
    )
    #: How many had failed when the user last had it go on nevertheless.
    tolerated = sa.Column(
        sa.Integer, nullable=False, default=0, server_default='0'
    )
    #: How to spread the members over hosts, as the user asked.
    placement = sa.Column(Json, nullable=False)
    #: The body of a container create, as the user gave it.
    template = sa.Column(Json, nullable=False)
    #: What the API worked out of the request, for conductors and agents.
    spec = sa.Column(Document(BulkSpec), nullable=False)
    #: Rises with each change of owner; a write with an older one is refused.
    epoch = sa.Column(sa.Integer, nullable=False, default=0)
    lease_owner = sa.Column(sa.String(255))
    #: The owner counts it up; one that stands still is a lost owner. No
    #: clock is compared with another's.
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
        # With all that a count of members reads: a list of bulks counts those
        # of each, and to look each row up takes seven times as long. The time
        # is for rates; it is set with the state and costs no further write.
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
    #: From 1; none is used again.
    member_index = sa.Column(sa.Integer, nullable=False)
    #: Not a foreign key: Zun deletes its row and knows nothing of ours.
    container_uuid = sa.Column(sa.String(36), nullable=False)
    name = sa.Column(sa.String(255), nullable=False)
    state = sa.Column(sa.String(20), nullable=False)
    #: Whether it was scaled away: deleting or deleted, and counted no more.
    removed = sa.Column(
        sa.Boolean, nullable=False, default=False, server_default=sa.false()
    )
    #: Of a queued one, where it has its claim.
    host = sa.Column(sa.String(255))
    #: Rises with each change of state, so that no writer acts on an old one.
    epoch = sa.Column(sa.Integer, nullable=False, default=0)
    #: Starts tried so far.
    attempt = sa.Column(sa.Integer, nullable=False, default=0)
    #: Why it failed, or why the last attempt did.
    reason = sa.Column(Reason)
    reason_class = sa.Column(sa.String(30))
    #: What it has of its own, where its container's row has no place for it.
    wanted = sa.Column(Document(MemberSpec))
    #: Its new volumes, and the start that they are for: see volume.mounts.
    volumes = sa.Column(Json)
    #: The address of its floating IP, once that is bound to its port.
    floating_ip = sa.Column(sa.String(64))
    #: A FloatingIpState; None of a member that is to have none.
    floating_ip_state = sa.Column(sa.String(20))
    floating_ip_reason = sa.Column(Reason)
    #: Requested networks with the ports that the conductor made, as Zun's
    #: container_create takes them.
    networks = sa.Column(Json)
    #: Limits that the filters set for the host, for the claim on it.
    limits = sa.Column(Json)
    #: When it was handed to its host; None of one that is only claimed there.
    placed_at = sa.Column(sa.DateTime)
    started_at = sa.Column(sa.DateTime)
    #: When it reached running or failed; not when it ended after it had run.
    finished_at = sa.Column(sa.DateTime)


class Event(Base):
    """What happened to a bulk, or to a member of it.

    It is written in the transaction that makes it true. The bulk is no
    foreign key: InnoDB would lock the bulk's row for each event of a member,
    and who deletes or scales a bulk locks the bulk first and then its members.
    """

    __tablename__ = 'zun_bulk_event'
    __table_args__ = (
        sa.Index('zun_bulk_event_bulk_idx', 'bulk_id', 'id'),
        TABLE_OPTIONS,
    )

    #: In the order of their making, but for those that are made at once.
    id = sa.Column(
        # SQLite counts up in no other type.
        sa.BigInteger().with_variant(sa.Integer(), 'sqlite'),
        primary_key=True,
    )
    bulk_id = sa.Column(sa.Integer, nullable=False)
    #: None of an event of the bulk itself. A member that was scaled away has
    #: events still.
    member_index = sa.Column(sa.Integer)
    container_uuid = sa.Column(sa.String(36))
    event = sa.Column(sa.String(20), nullable=False)
    #: Where it happened.
    host = sa.Column(sa.String(255))
    attempt = sa.Column(sa.Integer)
    reason = sa.Column(Reason)
    #: Nothing changes.
    updated_at = None


class Project(Base):
    """A project that has a quota: what its bulks are accepted under, in turn.

    A row for each project that has ever made a bulk.
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
    #: Bulks so far. Who counts one has the row for itself until it commits.
    accepted = sa.Column(sa.Integer, nullable=False, default=0)


class Trust(Base):
    """A trust of Keystone that was given for a bulk, as long as it is there.

    Written before the bulk is, and without a foreign key to it: what is left
    of a bulk that was never written, or is gone, is found by it.
    """

    __tablename__ = 'zun_bulk_trust'
    __table_args__ = (
        sa.UniqueConstraint('trust_id', name='uniq_zun_bulk_trust0trust_id'),
        TABLE_OPTIONS,
    )

    id = sa.Column(sa.Integer, primary_key=True)
    trust_id = sa.Column(sa.String(64), nullable=False)
    bulk_uuid = sa.Column(sa.String(36), nullable=False)
    #: When its deletion was last tried, as its bulk was not there.
    tried_at = sa.Column(sa.DateTime)


class Host(Base):
    """A host with an agent: what its operator wishes, and how it does."""

    __tablename__ = 'zun_bulk_host'
    __table_args__ = (
        sa.UniqueConstraint('host', name='uniq_zun_bulk_host0host'),
        TABLE_OPTIONS,
    )

    id = sa.Column(sa.Integer, primary_key=True)
    host = sa.Column(sa.String(255), nullable=False)
    #: Rises with each change of the wishes, not with reports.
    epoch = sa.Column(sa.Integer, nullable=False, default=0)
    #: Whether it is to start nothing.
    held = sa.Column(sa.Boolean, nullable=False, default=False)
    held_reason = sa.Column(Reason)
    #: In place of the host's options of the same names; None leaves them.
    mode = sa.Column(sa.String(20))
    max_in_flight = sa.Column(sa.Integer)
    start_interval = sa.Column(sa.Float)
    #: What the agent last said of itself.
    report = sa.Column(Json)
    reported_at = sa.Column(sa.DateTime)
