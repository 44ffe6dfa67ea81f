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

"""Counts of members."""

import collections

import sqlalchemy as sa

from zun_bulk.consts import ReasonClass
from zun_bulk.db import base
from zun_bulk.db.models import Member
from zun_bulk.states import MemberState


def count_members(bulk_ids):
    """Count members by state, without those that were scaled away.

    :returns: {bulk id: {state: number}}, only of states that have members.
    """
    counts = collections.defaultdict(dict)
    query = (
        sa.select(Member.bulk_id, Member.state, sa.func.count())
        .where(Member.bulk_id.in_(bulk_ids), Member.removed.is_(False))
        .group_by(Member.bulk_id, Member.state)
    )
    with base.reader() as session:
        for bulk_id, state, number in session.execute(query):
            counts[bulk_id][state] = number
    return counts


def count_by_host(bulk_id, with_removed=False):
    """Count the members that have a host, by host and state.

    :param with_removed: also count members that were scaled away.
    :returns: {host: {state: number}}.
    """
    counts = collections.defaultdict(dict)
    query = (
        sa.select(Member.host, Member.state, sa.func.count())
        .where(
            Member.bulk_id == bulk_id,
            Member.host.is_not(None),
            sa.true() if with_removed else Member.removed.is_(False),
        )
        .group_by(Member.host, Member.state)
    )
    with base.reader() as session:
        for host, state, number in session.execute(query):
            counts[host][state] = number
    return counts


def list_failures(bulk_id, limit):
    """List the reasons of failed members, the most common first.

    :param limit: maximum number of reasons.
    :returns: [(reason class, reason, number of members)].
    """
    number = sa.func.count().label('number')
    query = (
        sa.select(Member.reason_class, Member.reason, number)
        .where(Member.bulk_id == bulk_id, Member.state == MemberState.FAILED)
        .group_by(Member.reason_class, Member.reason)
        .order_by(number.desc(), Member.reason_class, Member.reason)
        .limit(limit)
    )
    with base.reader() as session:
        return [tuple(row) for row in session.execute(query)]


def count_outcomes(bulk_id):
    """Count a bulk's members by state and reason class.

    :returns: {(state, reason class): number}.
    """
    query = (
        sa.select(Member.state, Member.reason_class, sa.func.count())
        .where(Member.bulk_id == bulk_id)
        .group_by(Member.state, Member.reason_class)
    )
    with base.reader() as session:
        return {
            (state, kind): number
            for state, kind, number in session.execute(query)
        }


def count_by_time(bulk_id, ends, since=None):
    """Count members whose start has ended, by the time it ended.

    They are counted in their current state. The history has all earlier
    states, but its oldest events are removed.

    :param ends: the times at which the steps end, in order; the last step
        also has what ended later.
    :param since: ignore starts that ended before; None counts them in the
        first step.
    :returns: {(number of the step, from 0, state): number of members}.
    """
    # Comparisons, because arithmetic of times differs between databases; and
    # a subquery, because PostgreSQL treats two equal expressions with
    # parameters as different ones.
    number_of = sa.case(
        *[
            (Member.finished_at < end, sa.literal_column(str(number)))
            for number, end in enumerate(ends)
        ],
        else_=sa.literal_column(str(len(ends) - 1)),
    )
    steps = (
        sa.select(number_of.label('step'), Member.state)
        .where(
            Member.bulk_id == bulk_id,
            Member.state.in_(MemberState.ENDED),
            Member.removed.is_(False),
            Member.finished_at.is_not(None)
            if since is None
            else Member.finished_at >= since,
        )
        .subquery()
    )
    query = sa.select(steps.c.step, steps.c.state, sa.func.count()).group_by(
        steps.c.step, steps.c.state
    )
    with base.reader() as session:
        return {
            (step, state): number
            for step, state, number in session.execute(query)
        }


def failed_starts(bulk_id):
    """Return a subquery that counts a bulk's members whose starts failed."""
    return (
        sa.select(sa.func.count())
        .select_from(Member)
        .where(
            Member.bulk_id == bulk_id,
            Member.state == MemberState.FAILED,
            Member.reason_class.in_(ReasonClass.OF_STARTS),
        )
        .scalar_subquery()
    )
