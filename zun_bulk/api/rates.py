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

"""The time over which rates of a bulk are told, and its steps: pure."""

import collections
import datetime
import math


#: Into how many steps it is cut, at the most: each is a comparison for each
#: member.
MAX_STEPS = 60


class Span(
    collections.namedtuple('Span', ['start', 'end', 'step', 'ends', 'is_cut'])
):
    """From when to when, in steps of so many seconds.

    The last step may be shorter. ``ends`` are those of the steps; ``is_cut``
    tells that there is something before the start.
    """


def span(created_at, end, window):
    """Choose the steps: 1, 2, 4, 8 and so on seconds, as short as can be.

    They are counted from the beginning, so that those who look again and
    again see the same steps for as long as they are as short.

    :param created_at: when the bulk was.
    :param end: when it was finished, or now.
    :param window: how many seconds before the end are asked for.
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
