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

A message only says "look into the database now". Losing each of them costs
``[zun_bulk] poll_interval`` at most, or a minute where it is an operator's,
and nothing else. ``get_pace`` alone has an answer, which nothing depends on.
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

#: Zun traces where it is installed.
osprofiler = importutils.try_import('osprofiler.profiler')

CONDUCTOR_TOPIC = 'zun-bulk-conductor'
HOST_TOPIC = 'zun-bulk-host'
#: Seconds for which a host's answer is waited for.
PACE_TIMEOUT = 2
#: How many answers are waited for at the same time.
_ASKED = threading.BoundedSemaphore(16)


class ComputeAPI(rpcapi.API):
    """Zun's own calls, to a host that we name."""

    def container_delete_on(self, context, host, container):
        """Delete a container on its host, whatever host its row names.

        A failed create clears the row's host, and Zun would then remove the
        row alone.
        """
        self._cast(host, 'container_delete', container=container, force=True)


class WakeEndpoint:
    """Turns a message into a call of a function without arguments."""

    target = messaging.Target(version='1.0')

    def __init__(self, wake):
        self._wake = wake

    def wake(self, context):
        self._wake()


class HostEndpoint(WakeEndpoint):
    """What a host's agent is told and asked.

    What a message carries is for the log: the host's row is what counts.
    """

    # 1.0 has wake alone.
    target = messaging.Target(version='1.1')

    def __init__(self, wake, show):
        """:param wake: function that makes the agent look into the database.

        :param show: function that returns what the agent knows of its pace.
        """
        super().__init__(wake)
        self._show = show

    def get_pace(self, context):
        return self._show()

    def set_pace(self, context, **settings):
        self._told(context, 'set_pace', settings)

    def hold(self, context, reason=None):
        self._told(context, 'hold', reason)

    def release(self, context):
        self._told(context, 'release', '')

    def _told(self, context, what, values):
        LOG.info(
            'Told by user %(user)s: %(what)s %(values)s',
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
    """Tell the conductors that there is work.

    All of them, as only the one that has the bulk can do it.
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
    """Ask a host's agent for its pace, for PACE_TIMEOUT seconds.

    :raises: what oslo.messaging raises where no answer comes, TimeoutError
        where it does not even begin to wait.
    """
    if not _ASKED.acquire(blocking=False):
        raise TimeoutError('Too many hosts have not answered yet')
    answer = futures.Future()
    traced = osprofiler and osprofiler.get()

    def ask():
        if traced:
            # What is traced is known to the thread that was asked alone.
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
            _ASKED.release()

    # In a thread: without a broker the queue for answers is tried to be made
    # for ever, whatever timeout and retry say.
    threading.Thread(target=ask, daemon=True, name='zun-bulk-ask').start()
    # A little longer, for the better of two errors.
    return answer.result(PACE_TIMEOUT + 0.5)


@profiler.trace('rpc')
def tell_host(context, host, what, **values):
    """Tell a host's agent of an operator's wish, which is in its row.

    :param what: ``hold``, ``release`` or ``set_pace``.
    """
    _client(_host_target(host)).cast(context, what, **values)


def _host_target(host):
    return messaging.Target(topic=HOST_TOPIC, server=host, version='1.1')


def _cast(context, target):
    _client(target).cast(context, 'wake')


def _client(target, timeout=None):
    # Without a broker the client would try for ever, and its caller hang.
    return rpc.get_client(
        target, serializer=zun_compat.make_rpc_serializer(), timeout=timeout
    ).prepare(retry=0)


def serve(topic, wake):
    """Start a server for a topic on this host. Returns it."""
    return _serve(topic, WakeEndpoint(wake))


def serve_host(wake, show):
    """Start the server of this host's agent. Returns it."""
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
