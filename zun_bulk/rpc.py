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
``[zun_bulk] poll_interval`` at most, and nothing else.
"""

import eventlet.patcher
import oslo_messaging as messaging
from zun.common import rpc
from zun.common import rpc_service
from zun.compute import rpcapi

from zun_bulk.conf import CONF


CONDUCTOR_TOPIC = 'zun-bulk-conductor'
HOST_TOPIC = 'zun-bulk-host'


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


def wake_conductors(context):
    """Tell a conductor that there is work; whichever takes the message."""
    _cast(context, messaging.Target(topic=CONDUCTOR_TOPIC, version='1.0'))


def wake_host(context, host):
    """Tell a host's agent that it has members to start or to delete."""
    _cast(
        context, messaging.Target(topic=HOST_TOPIC, server=host, version='1.0')
    )


def _cast(context, target):
    # Without a broker the client would try for ever, and its caller hang.
    rpc.get_client(target, serializer=_serializer()).prepare(retry=0).cast(
        context, 'wake'
    )


def serve(topic, wake):
    """Start a server for a topic on this host. Returns it."""
    patched = eventlet.patcher.is_monkey_patched('thread')
    server = messaging.get_rpc_server(
        rpc.TRANSPORT,
        messaging.Target(topic=topic, server=CONF.host),
        [WakeEndpoint(wake)],
        executor='eventlet' if patched else 'threading',
        serializer=_serializer(),
    )
    server.start()
    return server


def _serializer():
    return rpc_service._init_serializer()
