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

"""Waiting for a bulk."""

import time

from osc_lib import exceptions

from zun_bulk.osc import client


#: Seconds without any answer after which waiting is given up. Longer than
#: the restart of an API takes.
PATIENCE = 600


class WaitTimeout(exceptions.CommandError):
    """What was waited for has not come in time."""


def poll(fetch, progress, reporter, timeout=None):
    """Yield a bulk again and again, and report its progress.

    Failures that may pass, a lost connection or a 5xx, are borne for
    PATIENCE.

    :param fetch: returns the bulk as it is now
    :param progress: a progress.Progress
    :param reporter: a progress.Reporter
    :param timeout: seconds until WaitTimeout, None for no limit
    :raises: WaitTimeout, client.ApiError
    """
    now = time.monotonic()
    deadline = None if timeout is None else now + timeout
    silent_since = None
    while True:
        try:
            bulk = fetch()
        except client.ApiError as e:
            if not e.transient:
                raise
            now = time.monotonic()
            if silent_since is None:
                silent_since = now
                reporter.note(f'{e}; trying again')
            elif now - silent_since >= PATIENCE:
                raise
        else:
            now = time.monotonic()
            silent_since = None
            wanted = (bulk.get('floating_ips') or {}).get('wanted', 0)
            progress.update(bulk['members'], now, wanted)
            reporter.show(progress, now)
            yield bulk
        interval = progress.poll_interval
        if deadline is not None:
            if now >= deadline:
                raise WaitTimeout(f'no end after {timeout:g} s')
            interval = min(interval, deadline - now)
        time.sleep(interval)
