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

"""Progress of a bulk: counts, rates, and the data of bars and charts.

The API returns the number of members in each state and, for a single bulk,
how many started or failed over time. The current rate is measured between
requests: each request stores a sample in Django's cache, so that all users
see the same rate, also after they reload the page.
"""

import datetime
import math
import time

from django.core.cache import cache
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.utils.translation import pgettext

from zun_bulk import consts
from zun_bulk.dashboard import api
from zun_bulk.dashboard import labels
from zun_bulk.osc.progress import steps as _steps


#: Seconds over which the current rate is measured.
WINDOW = 30
#: Seconds of a bulk's work in the chart, up to now or its end.
RATE_WINDOW = 7200
#: Minimum seconds between two samples.
STEP = 1

#: Seconds between two refreshes of a page.
POLL = 3
#: Maximum number of hosts in the chart, those with the most members.
MAX_HOSTS = 100

#: States in the order of their bars, with Bootstrap's names of colours. The
#: other states are the empty rest of the bar.
_BARS = {
    consts.MemberState.RUNNING: 'success',
    consts.MemberState.STOPPED: 'info',
    consts.MemberState.FAILED: 'danger',
    consts.MemberState.CANCELLED: 'warning',
    consts.MemberState.DELETING: 'warning',
    consts.MemberState.STARTING: 'primary',
}

#: Size of the rate chart, in SVG units.
WIDTH, HEIGHT = 600, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 45, 5, 10, 20


def bars(counts, total):
    """Return the parts of a bar, with widths in percent for CSS."""
    return [
        {
            'state': state,
            'context': context,
            'width': f'{100 * counts[state] / total:.2f}',
        }
        for state, context in _BARS.items()
        if total and counts.get(state)
    ]


def counts_text(counts):
    """Format the counts of all states that are not zero."""
    return pgettext('Between the items of a list', ', ').join(
        _('%(state)s %(number)d')
        % {'state': labels.STATES[state], 'number': counts[state]}
        for state in api.STATES
        if counts.get(state)
    )


def duration_text(seconds):
    """Format a duration in seconds."""
    seconds = math.ceil(seconds)
    if seconds < 60:
        return _('%(seconds)d s') % {'seconds': seconds}
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return _('%(minutes)d min %(seconds)d s') % {
            'minutes': minutes,
            'seconds': seconds,
        }
    hours, minutes = divmod(minutes, 60)
    return _('%(hours)d h %(minutes)d min') % {
        'hours': hours,
        'minutes': minutes,
    }


def done_text(bulk):
    """Format the completed part of a bulk."""
    # Not in a template: Horizon's message extraction misses its "%" there.
    return _('%(done)d of %(count)d done (%(percent)d%%)') % {
        'done': bulk.done,
        'count': bulk.count,
        'percent': bulk.percent,
    }


def summary(bulk):
    """Format a summary for screen readers that changes rarely."""
    return _('%(name)s: %(status)s, %(percent)d%% done') % {
        'name': bulk.name,
        'status': labels.STATUSES.get(bulk.status, bulk.status),
        'percent': bulk.percent // 10 * 10,
    }


def age(bulk):
    """Return the seconds since a bulk was created."""
    created = _time(bulk.created_at)
    now = datetime.datetime.now(datetime.UTC)
    return max(0, (now - created).total_seconds()) if created else None


def duration(bulk):
    """Return the seconds a bulk took; None if it is not finished."""
    created, finished = _time(bulk.created_at), _time(bulk.finished_at)
    if not created or not finished:
        return None
    return (finished - created).total_seconds()


def _time(text):
    return parse_datetime(text) if text else None


def sample(bulk, now=None):
    """Store a sample of a bulk's progress and return the recent samples.

    :param now: Unix time
    :returns: [(Unix time, members done)]
    """
    now = time.time() if now is None else now
    key = f'zun_bulk.samples.{bulk.id}'
    samples = cache.get(key) or []
    if samples and now - samples[-1][0] < STEP:
        return samples
    if not bulk.at_work and samples and samples[-1][1] == bulk.done:
        return samples
    samples = [pair for pair in samples if pair[0] >= now - WINDOW]
    samples.append((now, bulk.done))
    cache.set(key, samples, WINDOW)
    return samples


def rate(samples, now=None):
    """Return the current rate in members per second; None if unknown."""
    now = time.time() if now is None else now
    recent = [pair for pair in samples if pair[0] >= now - WINDOW]
    if len(recent) < 2 or recent[-1][0] <= recent[0][0]:
        return None
    (start, before), (end, after) = recent[0], recent[-1]
    return max(0, after - before) / (end - start)


def rate_text(bulk, samples):
    """Format the current rate or, of a finished bulk, the average."""
    if bulk.at_work:
        current = _current(bulk, samples)
        return '' if current is None else _('%.1f/s') % current
    seconds = duration(bulk)
    if not seconds:
        return ''
    return _('%.1f/s') % (bulk.done / seconds)


def _current(bulk, samples):
    """Return the rate between requests or, at the first, from the API."""
    current = rate(samples)
    if (
        current is None
        and bulk.status == consts.BulkStatus.BUILDING
        and bulk.rates
    ):
        number = spent = 0
        for _began, seconds, counts in reversed(_steps(bulk.rates)):
            number += sum(counts.values())
            spent += seconds
            if spent >= WINDOW:
                break
        current = number / spent
    return current


def eta_text(bulk, samples):
    current = _current(bulk, samples)
    if not bulk.at_work or not current or bulk.done >= bulk.count:
        return ''
    return _('%s left') % duration_text((bulk.count - bulk.done) / current)


def chart(rates):
    """Convert rates to a line chart.

    :param rates: from the API, or None
    :returns: None if no member is counted in them
    """
    steps = [
        (began, seconds, sum(counts.values()))
        for began, seconds, counts in (_steps(rates) if rates else ())
    ]
    if not any(number for _began, _seconds, number in steps):
        return None
    start, end = _time(rates['start']), _time(rates['end'])
    spent = (end - start).total_seconds()
    highest = max(number / seconds for _began, seconds, number in steps)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def x(seconds):
        return _LEFT + (right - _LEFT) * seconds / spent

    points = []
    for began, seconds, number in steps:
        offset = (began - start).total_seconds()
        y = bottom - (bottom - _TOP) * (number / seconds) / highest
        points += [
            f'{x(offset):.1f},{y:.1f}',
            f'{x(offset + seconds):.1f},{y:.1f}',
        ]
    return {
        'line': ' '.join(points),
        'area': ' '.join([f'{_LEFT},{bottom}', *points, f'{right},{bottom}']),
        'width': WIDTH,
        'height': HEIGHT,
        'left': _LEFT,
        'right': right,
        'top': _TOP,
        'bottom': bottom,
        'below': HEIGHT - 5,
        'label': _LEFT - 5,
        'highest': f'{highest:.1f}',
        'start': _ago(start),
        'end': _ago(end),
        'description': _(
            'Containers completed per second over %(spent)s; maximum '
            '%(highest).1f.'
        )
        % {'spent': duration_text(spent), 'highest': highest},
    }


def _ago(when):
    seconds = (datetime.datetime.now(datetime.UTC) - when).total_seconds()
    # Clocks may differ a little.
    if seconds < POLL + 2:
        return _('now')
    return _('%s ago') % duration_text(seconds)


def hosts(bulk):
    """Return the hosts of a bulk with their bars, most members first.

    :returns: None if the user may not see hosts, else ([host], number of
        other hosts)
    """
    if bulk.hosts is None:
        return None
    totals = sorted(
        ((sum(counts.values()), name) for name, counts in bulk.hosts.items()),
        key=lambda pair: (-pair[0], pair[1]),
    )
    # All bars use the same scale.
    scale = max((number for number, _name in totals), default=0)
    shown = []
    for number, name in totals[:MAX_HOSTS]:
        counts = bulk.hosts[name]
        shown.append(
            {
                'name': name,
                'number': number,
                'bars': bars(counts, scale),
                'text': counts_text(counts),
            }
        )
    return shown, len(totals) - len(shown)


def failures(bulk):
    """Return the reasons of failures and a text on all other ones."""
    reasons = [
        dict(item, label=labels.REASONS.get(item['class'], item['class']))
        for item in bulk.failures or []
    ]
    rest = bulk.members[consts.MemberState.FAILED] - sum(
        item['count'] for item in reasons
    )
    more = ''
    if rest > 0:
        more = ngettext(
            '%d container failed for another reason',
            '%d containers failed for other reasons',
            rest,
        ) % (rest)
    return reasons, more


def poll(at_work):
    """Return the seconds until the next refresh; 0 means never."""
    return POLL if at_work else 0
