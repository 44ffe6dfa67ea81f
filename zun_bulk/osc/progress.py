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

"""Progress of a bulk: what to say of it, and saying it."""

import collections
import datetime
import math
import os

from zun_bulk.consts import MemberState


#: The order in which states are told.
STATES = (
    MemberState.RUNNING,
    MemberState.STOPPED,
    MemberState.FAILED,
    MemberState.CANCELLED,
    MemberState.STARTING,
    MemberState.PLACED,
    MemberState.QUEUED,
    MemberState.DELETING,
    MemberState.DELETED,
)

#: The rate is that of the last so many seconds.
RATE_WINDOW = 20.0

#: Seconds between two looks at a bulk.
MIN_POLL = 0.5
MAX_POLL = 2.0

#: Seconds between two plain lines.
LINE_INTERVAL = 5.0

MIN_BAR = 10
MAX_BAR = 40


def format_duration(seconds):
    """Tell a time as people do, for instance 1 min 20 s."""
    seconds = math.ceil(seconds)
    if seconds < 60:
        return f'{seconds} s'
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f'{minutes} min {seconds} s'
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes} min'


def steps(rates):
    """The steps of a bulk's rates, as the API tells them.

    :returns: [(when it began, its seconds, {state: number})]
    """
    start, end = map(
        datetime.datetime.fromisoformat, (rates['start'], rates['end'])
    )
    step = datetime.timedelta(seconds=rates['step'])
    states = [state for state in STATES if state in rates]
    return [
        (
            start + number * step,
            min(step, end - start - number * step).total_seconds(),
            dict(zip(states, counts, strict=True)),
        )
        for number, counts in enumerate(
            zip(*(rates[state] for state in states), strict=True)
        )
    ]


class Progress:
    """How far a bulk is. No I/O and no clock of its own.

    :param total: containers in the bulk
    :param done_states: the states in which a member is through
    :param now: seconds on any clock that never goes back, as in update
    """

    def __init__(self, total, done_states, now):
        self.total = total
        self.counts = {}
        self.missing = 0
        self._done_states = done_states
        self._started = self._now = now
        # Pairs of time and containers done, over the last RATE_WINDOW.
        self._samples = collections.deque()

    def update(self, counts, now, missing=0):
        """Take over what the API has just said.

        :param counts: members by state
        :param missing: floating IPs that are not bound yet
        """
        self.counts = dict(counts)
        self.missing = missing
        self._now = now
        self._samples.append((now, self.done))
        while (
            len(self._samples) > 2 and self._samples[1][0] <= now - RATE_WINDOW
        ):
            self._samples.popleft()

    @property
    def elapsed(self):
        return self._now - self._started

    @property
    def done(self):
        return sum(self.counts.get(state, 0) for state in self._done_states)

    @property
    def rate(self):
        """Containers a second, None as long as that cannot be said."""
        if len(self._samples) < 2:
            return None
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        if end <= start:
            return None
        # Done members may become fewer: a deletion starts from all of them.
        return max(0, after - before) / (end - start)

    @property
    def eta(self):
        """Seconds left, None as long as that cannot be said."""
        if self.done >= self.total:
            return None if self.missing else 0.0
        if not self.rate:
            return None
        return (self.total - self.done) / self.rate

    @property
    def poll_interval(self):
        """Seconds until the next look: short ones at the start and the end.

        A look costs the API a count over all members, so a bulk that takes
        minutes is looked at less often in its middle.
        """
        left = math.inf if self.eta is None else self.eta
        return min(MAX_POLL, max(MIN_POLL, min(self.elapsed, left) / 10))

    def _states(self):
        states = [
            f'{state} {self.counts[state]}'
            for state in STATES
            if self.counts.get(state)
        ]
        # While there are others to come, that is what is waited for.
        if self.missing and self.done >= self.total:
            states.append(f'floating IPs missing {self.missing}')
        return ', '.join(states)

    def _rate_text(self):
        return '' if self.rate is None else f'{self.rate:.1f}/s'

    def _eta_text(self):
        if not self.eta:
            return ''
        return f'{format_duration(self.eta)} left'

    def line(self):
        """The progress in one plain line."""
        text = f'{self.done} of {self.total} done: {self._states()}'
        pace = ', '.join(filter(None, (self._rate_text(), self._eta_text())))
        return f'{text}; {pace}' if pace else text

    def bar(self, width):
        """The progress as a bar.

        What does not fit is left out, the least important first.

        :param width: columns that there are
        """
        fraction = f'{self.done}/{self.total}'
        for parts in (
            (fraction, self._states(), self._rate_text(), self._eta_text()),
            (fraction, self._rate_text(), self._eta_text()),
            (fraction, self._eta_text()),
            (fraction,),
        ):
            text = '  '.join(filter(None, parts))
            size = min(MAX_BAR, width - len(text) - len('[] '))
            if size >= MIN_BAR:
                filled = size * self.done // max(1, self.total)
                return f'[{"#" * filled}{"-" * (size - filled)}] {text}'
        return fraction[:width]


class Reporter:
    """Writes progress: a bar on a terminal, else a line now and then.

    :param stream: where to write
    """

    def __init__(self, stream):
        self._stream = stream
        self._is_terminal = stream.isatty()
        # Columns of the line that stands open on the terminal.
        self._open = 0
        self._last_counts = None
        self._last_time = None

    def _width(self):
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (AttributeError, OSError, ValueError):
            columns = 0
        # One column stays free: some terminals wrap when it is written.
        return (columns or 80) - 1

    def show(self, progress, now):
        """Show the progress if there is something new to show.

        :param now: seconds on the clock of the progress
        """
        if self._is_terminal:
            bar = progress.bar(self._width())
            self._write('\r' + bar.ljust(self._open))
            self._open = len(bar)
            return
        counts = progress.counts, progress.missing
        if counts == self._last_counts:
            return
        if (
            self._last_time is not None
            and now - self._last_time < LINE_INTERVAL
            and (progress.done < progress.total or progress.missing)
        ):
            return
        self._last_counts = counts
        self._last_time = now
        self._write(progress.line() + '\n')

    def note(self, message):
        """Write a line of its own."""
        self.close()
        self._write(message + '\n')

    def close(self):
        """End the line that the bar stands in."""
        if self._open:
            self._open = 0
            self._write('\n')

    def _write(self, text):
        self._stream.write(text)
        self._stream.flush()
