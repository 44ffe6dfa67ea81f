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

"""Notifications of a bulk's life, for other programs.

They go where section ``[oslo_messaging_notifications]`` says, nowhere by
default. Each is sent once what it tells of is committed, and is a hint: one
that cannot be sent is lost, and nobody waits for it. What counts is in the
database.
"""

import queue
import threading

from oslo_log import log as logging
import oslo_messaging as messaging

from zun_bulk import disclosure
from zun_bulk.conf import CONF


LOG = logging.getLogger(__name__)

#: Of the payload. The second number rises with what is added to it, the first
#: one with what is changed or taken away.
VERSION = '1.0'
#: How many may wait for a broker that does not answer.
MAX_WAITING = 1000

#: Of a bulk. Its template is left out, which may have passwords in it.
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
#: None until the first is to be sent, False where nobody wants any.
_waiting = None


def send(what, bulk, **changes):
    """Tell of a bulk. It neither waits nor fails.

    :param what: the end of the event type.
    :param bulk: the Bulk.
    :param changes: what the payload has otherwise, or besides.
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
            'bulk.%(what)s of bulk %(bulk)s is not sent: %(number)d '
            'notifications wait for the broker',
            {'what': what, 'bulk': bulk.uuid, 'number': MAX_WAITING},
        )
    except Exception:
        LOG.exception('bulk.%s of bulk %s is not sent', what, bulk.uuid)


def _queue():
    """What the thread that sends takes from, made at the first use.

    Not before, as a process may have been forked until then.
    """
    global _waiting
    with _lock:
        if _waiting is None:
            # Whatever is wrong with the configuration is told once.
            _waiting = False
            # This is what makes the option known.
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
    """Send what comes, for ever.

    In a thread: without a broker oslo.messaging tries as often as its option
    ``retry`` says, which is for ever by default.
    """
    while True:
        event_type, payload = waiting.get()
        try:
            # Without the context, which has a token.
            notifier.info({}, event_type, payload)
        except Exception:
            LOG.exception('%s is not sent: %s', event_type, payload)
