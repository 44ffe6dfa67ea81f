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

"""Messages between zun-api, conductors and hosts.

A message only says "look into the database now". If it is lost, the receiver
looks after ``[zun_bulk] poll_interval`` at most, or after a minute for an
operator's settings. Only ``get_pace`` has an answer, on which nothing depends.
"""

from concurrent import futures
import contextlib
import threading

import eventlet.patcher
from oslo_log import log as logging
import oslo_messaging as messaging
from oslo_utils import importutils
from zun.common import profiler
from zun.common import rpc
from zun.compute import rpcapi

from zun_bulk import zun_compat
from zun_bulk.conf import CONF


LOG = logging.getLogger(__name__)

#: Optional, as in Zun: without it nothing is traced.
osprofiler = importutils.try_import('osprofiler.profiler')

CONDUCTOR_TOPIC = 'zun-bulk-conductor'
HOST_TOPIC = 'zun-bulk-host'
#: Seconds to wait for the answer of a host.
PACE_TIMEOUT = 2
#: Limits the number of answers that are awaited at the same time.
_PENDING = threading.BoundedSemaphore(16)


class ComputeAPI(rpcapi.API):
    """Zun's RPC client, with calls to a host other than the container's."""

    def container_delete_on(self, context, host, container):
        """Delete a container on a host, whichever host its row names.

        A failed create clears the row's host, and Zun would then remove only
        the row.
        """
        self._cast(host, 'container_delete', container=container, force=True)


class WakeEndpoint:
    """Calls a function for each wake-up message."""

    target = messaging.Target(version='1.0')

    def __init__(self, wake):
        self._wake = wake

    def wake(self, context):
        self._wake()


class HostEndpoint(WakeEndpoint):
    """Receives the messages to the agent of a host.

    The values in a message are only logged: the agent reads the host's row.
    """

    # Version 1.0 has only wake.
    target = messaging.Target(version='1.1')

    def __init__(self, wake, show):
        """Keep the functions to call.

        :param wake: function that makes the agent look into the database.
        :param show: function that returns the agent's pace as a dict.
        """
        super().__init__(wake)
        self._show = show

    def get_pace(self, context):
        return self._show()

    def set_pace(self, context, **settings):
        self._log_and_wake(context, 'set_pace', settings)

    def hold(self, context, reason=None):
        self._log_and_wake(context, 'hold', reason)

    def release(self, context):
        self._log_and_wake(context, 'release', '')

    def _log_and_wake(self, context, what, values):
        LOG.info(
            'Received from user %(user)s: %(what)s %(values)s',
            {'user': context.user_id, 'what': what, 'values': values},
        )
        self._wake()


@contextlib.contextmanager
def best_effort():
    """Log a failure to send messages and continue.

    For messages that only save time: what they announce is in the database,
    and their receivers read that at their next poll. The first failure ends
    the block, since further messages would wait for the same broker.
    """
    try:
        yield
    except Exception as error:
        LOG.warning(
            'Failed to send a wake-up message; the receiver will read the '
            'database at its next poll: %s',
            error,
        )


def wake(context, hosts=(), conductors=True):
    """Wake the conductors, and hosts' agents, if the broker is available.

    :param hosts: names of the hosts whose agents have work.
    :param conductors: whether to wake the conductors.
    """
    with best_effort():
        if conductors:
            wake_conductors(context)
        for host in hosts:
            wake_host(context, host)


@profiler.trace('rpc')
def wake_conductors(context):
    """Tell all conductors that a bulk has work.

    All, because the sender does not know which one holds the bulk's lease.
    """
    _cast(
        context,
        messaging.Target(topic=CONDUCTOR_TOPIC, version='1.0', fanout=True),
    )


@profiler.trace('rpc')
def wake_host(context, host):
    """Tell a host's agent that it has members to start or to delete."""
    _cast(
        context, messaging.Target(topic=HOST_TOPIC, server=host, version='1.0')
    )


@profiler.trace('rpc')
def get_pace(context, host):
    """Ask a host's agent for its pace, and wait PACE_TIMEOUT for the answer.

    :raises: what oslo.messaging raises if no answer comes; TimeoutError if
        too many answers are already awaited.
    """
    if not _PENDING.acquire(blocking=False):
        raise TimeoutError('Too many calls to hosts are waiting for answers')
    answer = futures.Future()
    traced = osprofiler and osprofiler.get()

    def ask():
        if traced:
            # osprofiler keeps the trace in the calling thread only.
            osprofiler.init(
                traced.hmac_key, traced.get_base_id(), traced.get_id()
            )
        try:
            answer.set_result(
                _client(_host_target(host), PACE_TIMEOUT).call(
                    context, 'get_pace'
                )
            )
        except Exception as error:
            answer.set_exception(error)
        finally:
            _PENDING.release()

    # In a thread: without a broker oslo.messaging tries to create the queue
    # for answers for ever, whatever timeout and retry are set to.
    threading.Thread(target=ask, daemon=True, name='zun-bulk-ask').start()
    # A little longer, so that oslo.messaging's own error comes first.
    return answer.result(PACE_TIMEOUT + 0.5)


@profiler.trace('rpc')
def tell_host(context, host, what, **values):
    """Tell a host's agent that an operator has changed its row.

    :param what: ``hold``, ``release`` or ``set_pace``.
    :param values: what was set, for the agent's log.
    """
    _client(_host_target(host)).cast(context, what, **values)


def _host_target(host):
    return messaging.Target(topic=HOST_TOPIC, server=host, version='1.1')


def _cast(context, target):
    _client(target).cast(context, 'wake')


def _client(target, timeout=None):
    # Without a broker the client would retry for ever and block its caller.
    return rpc.get_client(
        target, serializer=zun_compat.make_rpc_serializer(), timeout=timeout
    ).prepare(retry=0)


def serve(topic, wake):
    """Start a server for a topic on this host, and return it."""
    return _serve(topic, WakeEndpoint(wake))


def serve_host(wake, show):
    """Start the server of this host's agent, and return it."""
    return _serve(HOST_TOPIC, HostEndpoint(wake, show))


def _serve(topic, endpoint):
    patched = eventlet.patcher.is_monkey_patched('thread')
    server = messaging.get_rpc_server(
        rpc.TRANSPORT,
        messaging.Target(topic=topic, server=CONF.host),
        [endpoint],
        executor='eventlet' if patched else 'threading',
        serializer=zun_compat.make_rpc_serializer(),
    )
    server.start()
    return server
