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

"""Notifications about bulks, for other programs.

``[oslo_messaging_notifications]`` configures where they go, by default
nowhere. Each is sent after its change is committed. One that cannot be sent is
lost, and nothing waits for it: the database has the complete history.
"""

import queue
import threading

from oslo_log import log as logging
import oslo_messaging as messaging

from zun_bulk import disclosure
from zun_bulk.conf import CONF


LOG = logging.getLogger(__name__)

#: Version of the payload. Additions raise the second number, changes and
#: removals the first.
VERSION = '1.0'
#: How many notifications may wait for a broker that does not answer.
MAX_WAITING = 1000

#: Fields of a bulk in the payload. The template is not, as it may contain
#: passwords.
_FIELDS = (
    'uuid',
    'name',
    'project_id',
    'user_id',
    'request_id',
    'status',
    'status_reason',
    'count',
)

_lock = threading.Lock()
#: The queue; None before the first notification, False if no driver is set.
_waiting = None


def send(what, bulk, **changes):
    """Queue a notification about a bulk, without waiting or raising.

    :param what: the last part of the event type, ``create`` say.
    :param bulk: the Bulk.
    :param changes: further fields of the payload, or other values of them.
    """
    try:
        waiting = _queue()
        if waiting is False:
            return
        payload = {name: getattr(bulk, name) for name in _FIELDS}
        payload.update(changes, version=VERSION)
        payload['status_reason'] = disclosure.render(payload['status_reason'])
        waiting.put_nowait(('bulk.' + what, payload))
    except queue.Full:
        LOG.warning(
            'Dropped notification bulk.%(what)s of bulk %(bulk)s: '
            '%(number)d others wait for the broker',
            {'what': what, 'bulk': bulk.uuid, 'number': MAX_WAITING},
        )
    except Exception:
        LOG.exception(
            'Failed to send notification bulk.%s of bulk %s', what, bulk.uuid
        )


def _queue():
    """Return the queue of the sending thread; start it at the first call.

    Not earlier, because services fork before they send anything.
    """
    global _waiting
    with _lock:
        if _waiting is None:
            # An error in the configuration is logged once.
            _waiting = False
            # This call registers the option that is read next.
            transport = messaging.get_notification_transport(CONF)
            if CONF.oslo_messaging_notifications.driver:
                notifier = messaging.Notifier(
                    transport, 'zun-bulk.%s' % CONF.host
                )
                waiting = queue.Queue(MAX_WAITING)
                threading.Thread(
                    target=_run,
                    args=(notifier, waiting),
                    daemon=True,
                    name='zun-bulk-notifications',
                ).start()
                _waiting = waiting
        return _waiting


def _run(notifier, waiting):
    """Send the queued notifications; never returns.

    In a thread: without a broker oslo.messaging retries for ever unless its
    option ``retry`` is set.
    """
    while True:
        event_type, payload = waiting.get()
        try:
            # Without the context, which contains a token.
            notifier.info({}, event_type, payload)
        except Exception:
            LOG.exception(
                'Failed to send notification %s: %s', event_type, payload
            )
