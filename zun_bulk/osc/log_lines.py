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


"""The lines of container logs and their times."""

import argparse
import datetime
import functools
import math
import re
import time


#: Nanoseconds in a second: Docker's time stamps are that exact.
SECOND = 10**9

#: Characters of a line; what is longer is shown as more than one.
LONGEST_LINE = 64 * 1024

_TIME = re.compile(
    r'(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?'
    r'([Zz]|[+-]\d\d:\d\d)?'
)
_RELATIVE = re.compile(
    r'(?=.)(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,10})s)?'
)
_UNIX = re.compile(r'(\d{1,11})(?:\.(\d{1,9}))?')


def _nanoseconds(seconds, fraction):
    return int(seconds) * SECOND + int((fraction or '0').ljust(9, '0'))


# Lines come by the thousand a second.
@functools.lru_cache(maxsize=1024)
def _unix_time(text, zone):
    moment = datetime.datetime.fromisoformat(text.upper() + zone.upper())
    # As docker does: without a zone it is that of whoever asks.
    return math.floor(moment.timestamp())


def _time_of(match):
    """The time that a match of _TIME tells, in nanoseconds.

    :raises: ValueError, OverflowError
    """
    text, fraction, zone = match.groups()
    return _nanoseconds(_unix_time(text, zone or ''), fraction)


def parse_line(line):
    """Take a line of a log apart.

    :returns: its time in nanoseconds, None if it has none, and what comes
        after the time
    """
    stamp, space, text = line.partition(' ')
    match = _TIME.fullmatch(stamp)
    if not match or not match[3]:
        return None, line
    try:
        return _time_of(match), text
    except (OverflowError, ValueError):
        return None, line


def since_time(text):
    """Convert the value of --since to nanoseconds."""
    try:
        if match := _UNIX.fullmatch(text):
            return _nanoseconds(*match.groups())
        if match := _RELATIVE.fullmatch(text):
            days, hours, minutes, seconds = (
                int(number or 0) for number in match.groups()
            )
            ago = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
            return max(0, int((time.time() - ago) * SECOND))
        if match := _TIME.fullmatch(text):
            return max(0, _time_of(match))
        moment = datetime.datetime.fromisoformat(text)
        return max(0, math.floor(moment.timestamp()) * SECOND)
    except (OverflowError, ValueError):
        raise argparse.ArgumentTypeError(
            f'{text!r} is neither a time (2026-01-02T03:04:05Z), nor unix '
            'seconds, nor a time ago (10m, 1h30m)'
        ) from None


def split_lines(pieces):
    """Yield the lines of a text that comes in pieces.

    A line of more than LONGEST_LINE characters is cut, always at the same
    places, so that lines can be counted.
    """
    rest = ''
    for piece in pieces:
        *lines, rest = (rest + piece).split('\n')
        for line in lines:
            yield from _cut(line)
        *parts, rest = _cut(rest)
        yield from parts
    if rest:
        yield rest


def _cut(line):
    return [
        line[start : start + LONGEST_LINE]
        for start in range(0, len(line) or 1, LONGEST_LINE)
    ]
