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

"""Follows Docker's events of the containers of bulks.

Each host has one subscription.
"""

import time

from oslo_log import log as logging


LOG = logging.getLogger(__name__)

#: Seconds until a new subscription after one has ended.
RETRY_MIN = 1.0
RETRY_MAX = 5.0
#: Seconds of the past that a new subscription asks for: the engine's clock may
#: be behind.
OVERLAP = 5.0


def follow(subscribe, on_event, on_subscribed, on_unsubscribed):
    """Report every container that starts or dies; never returns.

    :param subscribe: function of a time, in seconds since the epoch, that
        subscribes to the events from then on and returns an iterator of
        (action, container uuid).
    :param on_event: function of an action and a container's uuid.
    :param on_subscribed: function of the time when the engine answered, in
        seconds since the epoch. It is called at the start of a subscription:
        events before it may have been missed.
    :param on_unsubscribed: function to call when a subscription has ended.
    """
    wait = RETRY_MIN
    while True:
        try:
            stream = subscribe(time.time() - OVERLAP)
            on_subscribed(time.time())
            for action, container_uuid in stream:
                wait = RETRY_MIN
                on_event(action, container_uuid)
        except Exception as error:
            LOG.debug('Subscription to the events of Docker ended: %s', error)
        on_unsubscribed()
        time.sleep(wait)
        wait = min(RETRY_MAX, 2 * wait)
