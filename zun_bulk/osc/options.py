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


"""Options of several commands, and converters for option values."""

import argparse
import math
import re


_INDEXES = re.compile(r'(\d{1,9})(?:-(\d{1,9}))?')


def _positive(number):
    """Make a converter of option values to positive numbers.

    :param number: int or float
    """

    def convert(text):
        value = number(text)
        if not 0 < value < math.inf:
            raise ValueError
        return value

    # argparse shows this name in its message.
    convert.__name__ = f'positive {number.__name__}'
    return convert


positive_int = _positive(int)
positive_float = _positive(float)


def not_negative(number):
    """Make a converter of option values to numbers that are 0 or more.

    :param number: int or float
    """

    def convert(text):
        value = number(text)
        if not 0 <= value < math.inf:
            raise argparse.ArgumentTypeError(f'{text} is less than 0')
        return value

    # argparse shows this name in its message.
    convert.__name__ = number.__name__
    return convert


def bounded_int(first, last=math.inf):
    """Make a converter of option values to integers from first to last."""

    def convert(text):
        value = int(text)
        if not first <= value <= last:
            raise argparse.ArgumentTypeError(
                f'{text} is less than {first}'
                if last == math.inf
                else f'{text} is not between {first} and {last}'
            )
        return value

    # argparse shows this name in its message.
    convert.__name__ = 'int'
    return convert


def index_ranges(text):
    """Convert a value of --index, such as 1,5-7, to [(first, last)]."""
    ranges = []
    for part in text.split(','):
        match = _INDEXES.fullmatch(part)
        if not match:
            raise argparse.ArgumentTypeError(
                f'{part!r} is neither a number nor a range such as 5-7'
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise argparse.ArgumentTypeError(f'{part!r} is an empty range')
        ranges.append((first, last))
    return ranges


def add_bulk(parser):
    """Add the positional argument that names a bulk."""
    parser.add_argument(
        'bulk', metavar='<bulk>', help='UUID or name of the bulk'
    )
