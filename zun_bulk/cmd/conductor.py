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

"""zun-bulk-conductor: plans bulks in a process of its own.

It runs on plain threads. With the supported releases of Zun, oslo.service runs
on eventlet, which would patch all of Python, and a conductor waits for only a
few calls at a time. It receives signals by ``sigwait``, so that no handler
interrupts a thread that holds a lock.
"""

import logging as python_logging
import os
import signal
import sys
import threading

from oslo_log import log as logging
from zun.common import rpc

from zun_bulk import guru_meditation
from zun_bulk.conductor import conductor
from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base


LOG = logging.getLogger(__name__)

NAME = 'zun-bulk-conductor'
#: The signals that are awaited; SIGHUP reloads the configuration, SIGUSR2
#: writes a report.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
#: Seconds to wait for calls under way after SIGTERM: less than systemd's
#: timeout, and more than Neutron and Placement take unless they hang.
STOP_TIMEOUT = 30

DESCRIPTION = """
Plans bulks: chooses hosts for their containers, claims resources in Placement,
makes ports in Neutron, and cleans up after deleted containers. zun-compute
does the same unless [zun_bulk] run_conductor is false. Any number of
conductors may run; each bulk is planned by one of them at a time.
"""
EPILOG = """
SIGTERM and SIGINT end it after the calls under way, and other conductors take
over at once. SIGHUP reloads the options that can change at run time, such as
the log level. SIGUSR2 writes a Guru Meditation Report to [oslo_reports]
log_dir or to standard error. Without --config-file it reads zun.conf from
where Zun looks for it, such as /etc/zun/zun.conf.
"""


def _wait_for_end(reported):
    """Handle signals until one asks the process to end.

    :param reported: whether SIGUSR2 writes reports.
    """
    while True:
        number = signal.sigwait(SIGNALS)
        if number == signal.SIGUSR2:
            if reported:
                guru_meditation.write(NAME)
            continue
        if number != signal.SIGHUP:
            LOG.info('Received %s; stopping', signal.Signals(number).name)
            return
        LOG.info('Reloading the configuration')
        try:
            CONF.mutate_config_files()
        except Exception:
            LOG.exception(
                'Failed to reload the configuration; keeping the old one'
            )


def main(argv=None):
    # Before any thread starts: threads inherit the mask, and would otherwise
    # receive the signals that sigwait awaits.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    logging.register_options(CONF)
    # As zun.common.config.parse_args, with our own help.
    rpc.set_defaults(control_exchange='zun')
    CONF(
        sys.argv[1:] if argv is None else argv,
        project='zun',
        prog=NAME,
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    rpc.init(CONF)
    logging.setup(CONF, 'zun')
    LOG.info('Starting %s in PID %s', NAME, os.getpid())
    CONF.log_opt_values(LOG, python_logging.DEBUG)
    db_base.configure()
    planner = conductor.Conductor()
    guru_meditation.add('Conductor of bulks', planner.report)
    reported = guru_meditation.configure(NAME)
    # In a thread: without a broker it never returns, while planning works
    # without messages.
    threading.Thread(target=planner.start, daemon=True).start()

    _wait_for_end(reported)
    # A second signal ends the process at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if not planner.stop(STOP_TIMEOUT):
        LOG.warning(
            'Calls are still under way after %d s; exiting', STOP_TIMEOUT
        )
        python_logging.shutdown()
        # The interpreter would wait for the threads that make the calls.
        os._exit(1)
    return 0


if __name__ == '__main__':
    sys.exit(main())
