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

"""Guru Meditation Reports: the state of a process, written on SIGUSR2.

Zun itself writes none. These contain the usual sections of oslo.reports, the
stacks of all threads and the options without secrets, and sections on bulks.
"""

import contextlib
from importlib import metadata
import re
import signal
import socket
import threading

from oslo_log import log as logging
from oslo_reports import guru_meditation_report as gmr
from oslo_reports import opts
from oslo_reports.models import with_default_views
from oslo_utils import strutils
from zun import version as zun_version

from zun_bulk.conf import CONF


LOG = logging.getLogger(__name__)

#: A password in a URL, as in transport_url.
URL_PASSWORD = re.compile(r'(://[^\s:/@]*:)[^\s/@]+@')


class _Version:
    """The package and version in a report."""

    @staticmethod
    def vendor_string():
        return 'OpenStack Foundation'

    @staticmethod
    def product_string():
        return 'zun_bulk'

    @staticmethod
    def version_string_with_package():
        return '%s beside Zun %s' % (
            metadata.version('zun-bulk'),
            zun_version.version_string(),
        )


class _Report(gmr.TextGuruMeditation):
    """A report that also masks secrets not declared as such.

    Examples are ``[docker] default_registry_password`` and passwords in URLs.
    """

    def run(self):
        text = strutils.mask_password(super().run())
        return URL_PASSWORD.sub(r'\1***@', text)


def add(title, shown):
    """Add a section to each report of this process.

    :param title: of the section.
    :param shown: function that returns a dict. It must not wait or call
        another service, as reports are written when something is wrong.
    """
    gmr.TextGuruMeditation.register_section(
        title, lambda: with_default_views.ModelWithDefaultViews(data=shown())
    )


def write(service_name):
    """Write a report to ``[oslo_reports] log_dir``, or to standard error.

    :param service_name: the beginning of the file's name.
    """
    _Report.handle_signal(
        _Version, service_name, CONF.oslo_reports.log_dir, None
    )


def configure(service_name):
    """Configure reports by ``[oslo_reports]``.

    If ``file_event_handler`` names a file, changes of that file trigger
    reports instead of the signal.

    :returns: whether SIGUSR2 triggers reports.
    """
    opts.set_defaults(CONF)
    if not CONF.oslo_reports.file_event_handler:
        return True
    _Report.setup_autorun(_Version, service_name, conf=CONF)
    return False


def on_signal(service_name):
    """Write a report at each SIGUSR2, unless the signal has a handler.

    A thread writes it: a signal handler may interrupt code that holds a lock
    the report needs, and must not wait under eventlet.
    """
    if not configure(service_name):
        return
    if signal.getsignal(signal.SIGUSR2) is not signal.SIG_DFL:
        # If that handler writes a report, it contains our sections.
        LOG.info('SIGUSR2 already has a handler; not replacing it')
        return
    # A socket, as eventlet runs other greenthreads while one waits for it.
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def request(_number, _frame):
        # A full socket means that enough reports are already requested.
        with contextlib.suppress(BlockingIOError):
            sender.send(b'.')

    def follow():
        while receiver.recv(1):
            write(service_name)

    try:
        signal.signal(signal.SIGUSR2, request)
    except ValueError as error:
        LOG.warning('Failed to set a handler for SIGUSR2: %s', error)
        return
    threading.Thread(
        target=follow, daemon=True, name='zun-bulk-report'
    ).start()
