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

"""The time span of a bulk's rates, and its steps. Pure functions."""

import collections
import datetime
import math


#: Maximum number of steps: each costs a comparison per member in SQL.
MAX_STEPS = 60


class Span(
    collections.namedtuple('Span', ['start', 'end', 'step', 'ends', 'is_cut'])
):
    """A time span in steps of equal length; the last may be shorter.

    :ivar start, end: datetimes in UTC.
    :ivar step: length of a step in seconds.
    :ivar ends: ends of the steps.
    :ivar is_cut: whether the bulk was created before the start.
    """


def span(created_at, end, window):
    """Choose the shortest steps of 1, 2, 4, 8 ... seconds for a span.

    Steps are counted from the creation of the bulk, so that repeated requests
    get the same steps as long as their length stays the same.

    :param created_at: when the bulk was created.
    :param end: when it finished, or now.
    :param window: length of the span before the end, in seconds.
    :returns: Span.
    """
    created_at = created_at.replace(microsecond=0)
    seconds = max(1, math.ceil((end - created_at).total_seconds()))
    left_out = max(0, seconds - window)
    step = 1
    while -(-seconds // step) - left_out // step > MAX_STEPS:
        step *= 2
    bounds = [
        created_at + datetime.timedelta(seconds=step * number)
        for number in range(left_out // step, -(-seconds // step))
    ]
    end = created_at + datetime.timedelta(seconds=seconds)
    return Span(
        bounds[0], end, step, [*bounds[1:], end], bounds[0] > created_at
    )
