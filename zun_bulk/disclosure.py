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

"""Texts with parts that only readers allowed to see hosts may read.

A reason is stored once for all readers. Parts that name a host are marked in
it, together with a replacement for other readers, and ``render`` picks one of
the two. Texts without marks are the same for all.
"""

import re


_ON_HOST = re.compile('\x02([^\x1f\x03]+): \x1f\x03')
_MARKED = re.compile('\x02([^\x1f\x03]*)(?:\x1f([^\x03]*))?(?:\x03|\\Z)')


def mark(text, others=''):
    """Mark a text, or a part of one.

    :param text: for readers who may see hosts.
    :param others: the replacement for all other readers.
    """
    return '\x02%s\x1f%s\x03' % (text, others)


def mark_host(host, text):
    """Put the name of a host, marked, before a text."""
    return mark('%s: ' % host) + text


def split_host(text):
    """Split a text that ``mark_host`` has made.

    :param text: any text or None.
    :returns: (host, rest of the text); (None, text) for other texts.
    """
    match = _ON_HOST.match(text or '')
    return (match[1], text[match.end() :]) if match else (None, text)


def render(text, hosts=True):
    """Return a text for a reader.

    :param text: with marks or without; None stays None.
    :param hosts: whether the reader may see hosts. Readers of logs and
        notifications may, as they are operators.
    """
    if text is None:
        return None
    return _MARKED.sub(r'\1' if hosts else _others, text)


def _others(match):
    # A text cut off inside a mark has no replacement.
    return match[2] or ''
