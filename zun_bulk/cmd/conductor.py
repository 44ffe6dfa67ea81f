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

It runs on plain threads. oslo.service runs on eventlet with the Zun that this
is for, which would patch all of Python; a conductor waits for a handful of
calls at a time, and for signals ``sigwait`` is enough, so that no handler
interrupts what a thread has locked.
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
#: What is waited for; SIGHUP has the configuration read again, SIGUSR2 a
#: report written.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
#: Seconds for what is under way when it is told to end: less than systemd
#: grants, and more than Neutron and Placement take unless they hang.
STOP_TIMEOUT = 30

DESCRIPTION = """
Plans bulks: chooses hosts for their containers, claims in Placement, makes
ports in Neutron, and clears up after them. zun-compute does so too unless
run_conductor is false in section [zun_bulk]. Any number may run; each bulk is
planned by one of them at a time.
"""
EPILOG = """
SIGTERM and SIGINT end it once what is under way is done, and others take over
at once. SIGHUP has it read again those options that may change while it runs,
the level of logs for one. SIGUSR2 has it write a Guru Meditation Report, to
[oslo_reports] log_dir or to standard error. Without --config-file it reads
zun.conf where Zun looks for it, /etc/zun/zun.conf for one.
"""


def _wait_for_the_end(reported):
    """Return once a signal says that the process is to end.

    :param reported: whether a signal asks for reports.
    """
    while True:
        number = signal.sigwait(SIGNALS)
        if number == signal.SIGUSR2:
            if reported:
                guru_meditation.write(NAME)
            continue
        if number != signal.SIGHUP:
            LOG.info('Ending for %s', signal.Signals(number).name)
            return
        LOG.info('Reading the configuration again')
        try:
            CONF.mutate_config_files()
        except Exception:
            LOG.exception('The configuration stays as it is')


def main(argv=None):
    # Before there is any thread, for each inherits it: they would take the
    # signals that are waited for.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    logging.register_options(CONF)
    # As zun.common.config.parse_args, with a help of our own.
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
    # In a thread: without a broker it goes on without end, as the planning
    # does without messages.
    threading.Thread(target=planner.start, daemon=True).start()

    _wait_for_the_end(reported)
    # Whoever is told a second time ends at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    if not planner.stop(STOP_TIMEOUT):
        LOG.warning('Ending in the middle of a call that takes long')
        python_logging.shutdown()
        # The interpreter would wait for the thread that makes the call.
        os._exit(1)
    return 0


if __name__ == '__main__':
    sys.exit(main())
