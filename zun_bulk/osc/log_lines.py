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


#: Nanoseconds per second; Docker's timestamps are in nanoseconds.
SECOND = 10**9

#: Maximum number of characters in a line; longer ones are split.
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


# Cached, as thousands of lines may have the same second.
@functools.lru_cache(maxsize=1024)
def _unix_time(text, zone):
    moment = datetime.datetime.fromisoformat(text.upper() + zone.upper())
    # As in the docker command, a time without a zone is local time.
    return math.floor(moment.timestamp())


def _time_of(match):
    """Convert a match of _TIME to nanoseconds since the epoch.

    :raises: ValueError, OverflowError
    """
    text, fraction, zone = match.groups()
    return _nanoseconds(_unix_time(text, zone or ''), fraction)


def parse_line(line):
    """Split a line of a log into its time and its text.

    :returns: the time in nanoseconds, None if the line has none, and the text
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
    """Convert the value of --since to nanoseconds since the epoch."""
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
            f'{text!r} is not a time (2026-01-02T03:04:05Z), Unix seconds or '
            'a duration before now (10m, 1h30m)'
        ) from None


def split_lines(pieces):
    """Yield the lines of a text that arrives in pieces.

    A line of more than LONGEST_LINE characters is split, always at the same
    places, so that lines can be counted.
    """
    rest = ''
    for piece in pieces:
        *lines, rest = (rest + piece).split('\n')
        for line in lines:
            yield from _split_long(line)
        *parts, rest = _split_long(rest)
        yield from parts
    if rest:
        yield rest


def _split_long(line):
    return [
        line[start : start + LONGEST_LINE]
        for start in range(0, len(line) or 1, LONGEST_LINE)
    ]
