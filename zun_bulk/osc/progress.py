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

"""Progress of a bulk: counts, rates, and their display."""

import collections
import datetime
import math
import os

from zun_bulk.states import MemberState


#: The order in which states are shown.
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

#: Seconds over which the rate is measured.
RATE_WINDOW = 20.0

#: Seconds between two polls of a bulk.
MIN_POLL = 0.5
MAX_POLL = 2.0

#: Seconds between two plain lines.
LINE_INTERVAL = 5.0

MIN_BAR = 10
MAX_BAR = 40


def format_duration(seconds):
    """Format a duration for people, for instance 1 min 20 s."""
    seconds = math.ceil(seconds)
    if seconds < 60:
        return f'{seconds} s'
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f'{minutes} min {seconds} s'
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes} min'


def steps(rates):
    """Split the rates of a bulk, in the form of the API, into time steps.

    :returns: [(start, duration in seconds, {state: number})]
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
    """The progress of a bulk, without I/O and without a clock.

    :param total: containers in the bulk
    :param done_states: the states in which a member counts as done
    :param now: seconds of a monotonic clock, the same as in update
    """

    def __init__(self, total, done_states, now):
        self.total = total
        self.counts = {}
        self.floating_ips = 0
        self._done_states = done_states
        self._started = self._now = now
        # Pairs of time and containers done, of the last RATE_WINDOW seconds.
        self._samples = collections.deque()

    def update(self, counts, now, floating_ips=0):
        """Record the latest counts.

        :param counts: members by state
        :param floating_ips: number of floating IPs that are not bound yet
        """
        self.counts = dict(counts)
        self.floating_ips = floating_ips
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
        """Containers per second, None while it is unknown."""
        if len(self._samples) < 2:
            return None
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        if end <= start:
            return None
        # The number of done members falls when a deletion begins.
        return max(0, after - before) / (end - start)

    @property
    def eta(self):
        """Seconds left, None while they are unknown."""
        if self.done >= self.total:
            return None if self.floating_ips else 0.0
        if not self.rate:
            return None
        return (self.total - self.done) / self.rate

    @property
    def poll_interval(self):
        """Seconds until the next poll: short ones at the start and the end.

        A poll costs the API a count of all members, so a bulk that takes
        minutes is polled less often in between.
        """
        left = math.inf if self.eta is None else self.eta
        return min(MAX_POLL, max(MIN_POLL, min(self.elapsed, left) / 10))

    def _states(self):
        states = [
            f'{state} {self.counts[state]}'
            for state in STATES
            if self.counts.get(state)
        ]
        # Shown only when nothing else is left to wait for.
        if self.floating_ips and self.done >= self.total:
            states.append(f'floating IPs pending {self.floating_ips}')
        return ', '.join(states)

    def _rate_text(self):
        return '' if self.rate is None else f'{self.rate:.1f}/s'

    def _eta_text(self):
        if not self.eta:
            return ''
        return f'{format_duration(self.eta)} left'

    def line(self):
        """Return the progress as a line of text."""
        text = f'{self.done} of {self.total} done: {self._states()}'
        speed = ', '.join(filter(None, (self._rate_text(), self._eta_text())))
        return f'{text}; {speed}' if speed else text

    def bar(self, width):
        """Return the progress as a bar.

        Parts that do not fit are omitted, the least important first.

        :param width: number of columns available
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
    """Writes progress: a bar on a terminal, otherwise occasional lines.

    :param stream: where to write
    """

    def __init__(self, stream):
        self._stream = stream
        self._is_terminal = stream.isatty()
        # Length of the unfinished line on the terminal.
        self._open = 0
        self._last_counts = None
        self._last_time = None

    def _width(self):
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (AttributeError, OSError, ValueError):
            columns = 0
        # The last column stays free: some terminals wrap when it is used.
        return (columns or 80) - 1

    def show(self, progress, now):
        """Show the progress if it has changed.

        :param now: seconds on the clock of the progress
        """
        if self._is_terminal:
            bar = progress.bar(self._width())
            self._write('\r' + bar.ljust(self._open))
            self._open = len(bar)
            return
        counts = progress.counts, progress.floating_ips
        if counts == self._last_counts:
            return
        if (
            self._last_time is not None
            and now - self._last_time < LINE_INTERVAL
            and (progress.done < progress.total or progress.floating_ips)
        ):
            return
        self._last_counts = counts
        self._last_time = now
        self._write(progress.line() + '\n')

    def note(self, message):
        """Write a message on a separate line."""
        self.close()
        self._write(message + '\n')

    def close(self):
        """End the line of the bar."""
        if self._open:
            self._open = 0
            self._write('\n')

    def _write(self, text):
        self._stream.write(text)
        self._stream.flush()
