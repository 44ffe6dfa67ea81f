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

"""Hosts in responses."""

import urllib.parse

from oslo_utils import timeutils

from zun_bulk.api.views import bulk as bulk_view
from zun_bulk.consts import OPERATOR


def host(req, row, pace, source, up):
    """Make the view of a host, single or in a list.

    :param row: its Host.
    :param pace: the pace from its agent, None if there has never been one.
    :param source: ``live`` or ``report``: where the pace is from.
    :param up: whether its zun-compute is up.
    """
    age = _age(row, source) if pace else None
    if pace:
        pace = _as_of_now(pace, age)
        if source == 'report':
            pace['held_by'] = _held_by(row, pace['held_by'])
    return {
        'host': row.host,
        'state': _state(row, pace, up),
        'held': row.held,
        'hold_reason': row.held_reason,
        'mode': row.mode,
        'max_in_flight': row.max_in_flight,
        'start_interval': row.start_interval,
        'updated_at': bulk_view.time(row.updated_at),
        'source': source if pace else None,
        'age': age,
        'pace': pace,
        'links': [{'rel': 'self', 'href': url(req, row)}],
    }


def _state(row, pace, up):
    if not pace or not up:
        return 'unknown'
    # The agent may not have read the hold yet.
    if row.held or pace['held_by']:
        return 'held'
    if pace['starts']['breaker'] == 'open':
        return 'breaker open'
    return 'ok'


def _age(row, source):
    """Seconds since the agent's report; never negative if clocks differ."""
    if source == 'live':
        return 0.0
    return max(
        0.0, timeutils.delta_seconds(row.reported_at, timeutils.utcnow())
    )


def _as_of_now(pace, age):
    """Add the age of a report to the times in it that are relative."""
    pace = dict(pace)
    for kind in ('starts', 'deletes'):
        cut = pace[kind]['last_cut']
        if cut:
            pace[kind] = dict(
                pace[kind], last_cut=dict(cut, ago=cut['ago'] + age)
            )
    return pace


def _held_by(row, reported):
    """Combine a report's gates with the operator's hold in the host's row.

    The row is newer than the report.
    """
    held_by = {who: why for who, why in reported.items() if who != OPERATOR}
    if row.held:
        held_by[OPERATOR] = row.held_reason
    return held_by


def url(req, row):
    return '%s/v1/bulk_hosts/%s' % (
        req.application_url,
        urllib.parse.quote(row.host, safe=''),
    )
