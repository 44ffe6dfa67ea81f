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


"""Options and values that several commands take."""

import argparse
import math
import re


_INDEXES = re.compile(r'(\d{1,9})(?:-(\d{1,9}))?')


def _positive(number):
    def convert(text):
        value = number(text)
        if not 0 < value < math.inf:
            raise ValueError
        return value

    # argparse tells it in its message.
    convert.__name__ = f'positive {number.__name__}'
    return convert


positive_int = _positive(int)
positive_float = _positive(float)


def not_negative(number):
    def convert(text):
        value = number(text)
        if not 0 <= value < math.inf:
            raise argparse.ArgumentTypeError(f'{text} is not 0 or more')
        return value

    # argparse tells it in its message.
    convert.__name__ = number.__name__
    return convert


def bounded_int(first, last=math.inf):
    def convert(text):
        value = int(text)
        if not first <= value <= last:
            raise argparse.ArgumentTypeError(
                f'{text} is not {first} or more'
                if last == math.inf
                else f'{text} is not {first} to {last}'
            )
        return value

    # argparse tells it in its message.
    convert.__name__ = 'int'
    return convert


def index_ranges(text):
    """Convert a value of --index, as 1,5-7, to pairs of first and last."""
    ranges = []
    for part in text.split(','):
        match = _INDEXES.fullmatch(part)
        if not match:
            raise argparse.ArgumentTypeError(
                f'{part!r} is neither a number nor two, as 5-7'
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f'{part!r} has no numbers')
        ranges.append((first, last))
    return ranges


def add_bulk(parser):
    parser.add_argument(
        'bulk', metavar='<bulk>', help='UUID or name of the bulk'
    )
