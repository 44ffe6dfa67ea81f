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

"""Guru Meditation Reports: what a process is at, told on SIGUSR2.

Zun itself writes none. Ours have what oslo.reports puts into each, the stacks
of all threads and the options without their secrets, and sections of our own.
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

#: Of which the second part is not for everybody's eyes.
URL_PASSWORD = re.compile(r'(://[^\s:/@]*:)[^\s/@]+@')


class _Version:
    """What the report says of the package."""

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
    """Without what Zun and others have not declared a secret.

    ``[docker] default_registry_password`` is one, and what may be in a URL.
    """

    def run(self):
        text = strutils.mask_password(super().run())
        return URL_PASSWORD.sub(r'\1***@', text)


def add(title, shown):
    """Add a section to each report of this process.

    :param title: of the section.
    :param shown: function that returns a dict. It must neither wait nor ask
        another service: it is called when something is wrong.
    """
    gmr.TextGuruMeditation.register_section(
        title, lambda: with_default_views.ModelWithDefaultViews(data=shown())
    )


def write(service_name):
    """Write a report to ``[oslo_reports] log_dir``, or to standard error.

    :param service_name: with which the name of the file begins.
    """
    _Report.handle_signal(
        _Version, service_name, CONF.oslo_reports.log_dir, None
    )


def configure(service_name):
    """Read the options, and follow the file that asks for reports, if any.

    :returns: whether a signal asks for them.
    """
    opts.set_defaults(CONF)
    if not CONF.oslo_reports.file_event_handler:
        return True
    _Report.setup_autorun(_Version, service_name, conf=CONF)
    return False


def on_signal(service_name):
    """Write a report at each SIGUSR2, unless somebody else does.

    It is written by a thread: a handler interrupts what may hold a lock that
    the report wants, and under eventlet it must not wait for anything.
    """
    if not configure(service_name):
        return
    if signal.getsignal(signal.SIGUSR2) is not signal.SIG_DFL:
        # Then our sections are in the reports of whoever it is.
        LOG.info('SIGUSR2 is taken, and left to who has it')
        return
    # Eventlet's sockets let other greenthreads run while one waits.
    told, teller = socket.socketpair()
    teller.setblocking(False)

    def tell(_number, _frame):
        # Reports that nobody has written yet are enough.
        with contextlib.suppress(BlockingIOError):
            teller.send(b'.')

    def follow():
        while told.recv(1):
            write(service_name)

    try:
        signal.signal(signal.SIGUSR2, tell)
    except ValueError as error:
        LOG.warning('No report on SIGUSR2: %s', error)
        return
    threading.Thread(
        target=follow, daemon=True, name='zun-bulk-report'
    ).start()
