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

"""Texts that tell more to those who may know hosts than to others.

A reason is written once and read by both. So what names a host is marked in
it, with what the others read instead, and whoever shows the text says to whom.
Texts without a mark are the same for all.
"""

import re


_ON_HOST = re.compile('\x02([^\x1f\x03]+): \x1f\x03')
_MARKED = re.compile('\x02([^\x1f\x03]*)(?:\x1f([^\x03]*))?(?:\x03|\\Z)')


def mark(text, others=''):
    """Mark a text, or a part of one.

    :param text: what those read who may know hosts.
    :param others: what all others read instead.
    """
    return '\x02%s\x1f%s\x03' % (text, others)


def mark_host(host, text):
    """A text that begins with where it is true."""
    return mark('%s: ' % host) + text


def split_host(text):
    """Tell apart what ``mark_host`` has put together.

    :param text: any text or None.
    :returns: (host, or None if it names none so; the rest of the text)
    """
    match = _ON_HOST.match(text or '')
    return (match[1], text[match.end() :]) if match else (None, text)


def render(text, hosts=True):
    """What a reader is told.

    :param text: with marks or without; None stays None.
    :param hosts: whether the reader may know hosts, as operators may, who
        read logs and notifications.
    """
    if text is None:
        return None
    return _MARKED.sub(r'\1' if hosts else _others, text)


def _others(match):
    # A text that was cut off in a mark has none.
    return match[2] or ''
