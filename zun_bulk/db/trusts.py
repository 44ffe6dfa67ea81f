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

"""Records of the trusts of bulks, so that leftover trusts can be deleted."""

import datetime

from oslo_utils import timeutils
import sqlalchemy as sa

from zun_bulk.db import base
from zun_bulk.db.models import Bulk
from zun_bulk.db.models import Trust


#: Seconds that a bulk may take to be written after its trust.
MIN_AGE = 600
#: Seconds until the deletion of a trust is retried.
RETRY_INTERVAL = 3600


@base.retry
def record(trust_id, bulk_uuid):
    """Record a trust before its bulk is written."""
    with base.writer() as session:
        session.add(
            Trust(
                trust_id=trust_id,
                bulk_uuid=bulk_uuid,
                created_at=timeutils.utcnow(),
            )
        )


@base.retry
def remove(trust_id):
    """Remove the record of a deleted trust, if there is one."""
    with base.writer() as session:
        session.execute(
            sa.delete(Trust.__table__).where(
                Trust.__table__.c.trust_id == trust_id
            )
        )


def claim_leftover(limit):
    """Claim trusts whose bulk does not exist, in order to delete them.

    No other caller gets them for RETRY_INTERVAL seconds.

    :returns: [trust id], ``limit`` at most.
    """
    now = timeutils.utcnow()
    due = sa.or_(
        sa.and_(
            Trust.tried_at.is_(None),
            Trust.created_at < now - datetime.timedelta(seconds=MIN_AGE),
        ),
        Trust.tried_at < now - datetime.timedelta(seconds=RETRY_INTERVAL),
    )
    query = (
        sa.select(Trust.trust_id)
        .where(due, ~sa.exists().where(Bulk.uuid == Trust.bulk_uuid))
        .order_by(Trust.id)
        .limit(limit)
    )
    with base.reader() as session:
        found = session.scalars(query).all()
    return [trust_id for trust_id in found if _claim(trust_id, due, now)]


@base.retry
def _claim(trust_id, due, now):
    with base.writer() as session:
        return bool(
            session.execute(
                base.update(Trust)
                .where(Trust.trust_id == trust_id, due)
                .values(tried_at=now)
            ).rowcount
        )
