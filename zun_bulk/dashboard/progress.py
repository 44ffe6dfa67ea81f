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

"""How far a bulk is: counts, rates and what to draw of them.

The API tells how many members are in each state now. Rates are those between
looks at it: whoever looks leaves a sample in Django's cache, so that all who
watch a bulk see the same, and see it after a reload too.
"""

import datetime
import time

from django.core.cache import cache
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from zun_bulk.dashboard import api
from zun_bulk.dashboard import labels
from zun_bulk.osc.progress import format_duration


#: The rate is that of the last so many seconds.
WINDOW = 30
#: Samples that are kept of a bulk, and for how many seconds.
MAX_SAMPLES = 240
KEEP = 24 * 3600
#: Seconds between two samples, at least.
STEP = 1

#: Seconds between two looks of a page.
POLL = 3
#: As many hosts are drawn, those with the most members.
MAX_HOSTS = 100

#: States in the order of their bars, with Bootstrap's names of colours.
#: Those that are missing wait: they are what is left of the bar.
_BARS = {
    'running': 'success',
    'stopped': 'info',
    'failed': 'danger',
    'cancelled': 'warning',
    'deleting': 'warning',
    'starting': 'primary',
}

#: The chart of rates, in its own units.
WIDTH, HEIGHT = 600, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 45, 5, 10, 20


def bars(counts, total):
    """The parts of a bar, as percentages that CSS takes in any language."""
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
    """How many are in which state, those that are none left out."""
    return ', '.join(
        f'{labels.STATES[state]} {counts[state]}'
        for state in api.STATES
        if counts.get(state)
    )


def summary(bulk):
    """A sentence for a screen reader that seldom changes."""
    return _('%(name)s: %(status)s, %(percent)d%% done') % {
        'name': bulk.name,
        'status': labels.STATUSES.get(bulk.status, bulk.status),
        'percent': bulk.percent // 10 * 10,
    }


def age(bulk):
    """Seconds since it was asked for."""
    created = _time(bulk.created_at)
    now = datetime.datetime.now(datetime.UTC)
    return max(0, (now - created).total_seconds()) if created else None


def duration(bulk):
    """Seconds that it took, None if it is not finished."""
    created, finished = _time(bulk.created_at), _time(bulk.finished_at)
    if not created or not finished:
        return None
    return (finished - created).total_seconds()


def _time(text):
    return parse_datetime(text) if text else None


def sample(bulk, now=None):
    """Leave a sample of a bulk, and give all there are.

    :param now: unix seconds
    :returns: [(unix seconds, members done)]
    """
    now = time.time() if now is None else now
    key = f'zun_bulk.samples.{bulk.id}'
    samples = cache.get(key) or []
    if samples and now - samples[-1][0] < STEP:
        return samples
    if not bulk.at_work and samples and samples[-1][1] == bulk.done:
        return samples
    samples = [*samples, (now, bulk.done)]
    if len(samples) > MAX_SAMPLES:
        # Every other one, from the last backwards.
        samples = samples[::-1][::2][::-1]
    cache.set(key, samples, KEEP)
    return samples


def rate(samples, now=None):
    """Members a second that got done of late, None if that is not known."""
    now = time.time() if now is None else now
    recent = [pair for pair in samples if pair[0] >= now - WINDOW]
    if len(recent) < 2 or recent[-1][0] <= recent[0][0]:
        return None
    (start, before), (end, after) = recent[0], recent[-1]
    return max(0, after - before) / (end - start)


def rate_text(bulk, samples):
    """The rate as people read it: that of now, or of all when it is over."""
    if bulk.at_work:
        current = rate(samples)
        return '' if current is None else _('%.1f/s') % current
    seconds = duration(bulk)
    if not seconds:
        return ''
    return _('%.1f/s') % (bulk.done / seconds)


def eta_text(bulk, samples):
    current = rate(samples)
    if not bulk.at_work or not current or bulk.done >= bulk.count:
        return ''
    return _('%s left') % format_duration((bulk.count - bulk.done) / current)


def chart(samples):
    """The rates between samples as a line to draw.

    :returns: None if there are none yet
    """
    rates = [
        (end, max(0, after - before) / (end - start))
        for (start, before), (end, after) in zip(
            samples, samples[1:], strict=False
        )
        if end > start
    ]
    if not rates:
        return None
    start, end = samples[0][0], rates[-1][0]
    highest = max(value for _when, value in rates)
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM

    def x(when):
        return _LEFT + (right - _LEFT) * (when - start) / (end - start)

    def y(value):
        return bottom - (bottom - _TOP) * value / (highest or 1)

    steps, before = [], start
    for when, value in rates:
        steps += [
            f'{x(before):.1f},{y(value):.1f}',
            f'{x(when):.1f},{y(value):.1f}',
        ]
        before = when
    spent = format_duration(end - start)
    return {
        'line': ' '.join(steps),
        'area': ' '.join(
            [f'{_LEFT},{bottom}', *steps, f'{x(end):.1f},{bottom}']
        ),
        'width': WIDTH,
        'height': HEIGHT,
        'left': _LEFT,
        'right': right,
        'top': _TOP,
        'bottom': bottom,
        'below': HEIGHT - 5,
        'label': _LEFT - 5,
        'highest': f'{highest:.1f}',
        'start': _('%s ago') % format_duration(time.time() - start),
        'description': _(
            'Containers done per second over %(spent)s: %(highest).1f at the '
            'most, %(last).1f at last.'
        )
        % {'spent': spent, 'highest': highest, 'last': rates[-1][1]},
    }


def hosts(bulk):
    """The hosts of a bulk with bars, those with the most members first.

    :returns: None if the user may not know them, else ([host], how many more)
    """
    if bulk.hosts is None:
        return None
    totals = sorted(
        ((sum(counts.values()), name) for name, counts in bulk.hosts.items()),
        key=lambda pair: (-pair[0], pair[1]),
    )
    # All bars have the same scale.
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
    """The reasons of failed members, and how many have other ones."""
    told = bulk.failures or []
    rest = bulk.members['failed'] - sum(item['count'] for item in told)
    more = ''
    if rest > 0:
        more = ngettext(
            '%d container has failed for another reason',
            '%d containers have failed for other reasons',
            rest,
        ) % (rest)
    return told, more


def poll(at_work):
    """Seconds until a page is to look again, 0 for never."""
    return POLL if at_work else 0
