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

"""Docker's events of the containers of bulks: one subscription a host."""

import time

from oslo_log import log as logging


LOG = logging.getLogger(__name__)

#: Seconds before the subscription is made anew after it broke.
PATIENCE = 1.0
PATIENCE_MAX = 5.0
#: Seconds of the past that a new subscription asks for: the engine's clock
#: may be behind ours.
OVERLAP = 5.0


def follow(subscribe, changed, missed, lost):
    """Tell of every container that starts or dies, for ever.

    :param subscribe: function of a time, in seconds since the epoch, that
        asks for what happens from then on and returns an iterator of (action,
        container uuid).
    :param changed: function of an action and a container's uuid.
    :param missed: function to call when events may have been missed, with the
        time when the engine answered. What happens from then on is told.
    :param lost: function to call when nothing is told any longer.
    """
    patience = PATIENCE
    while True:
        try:
            stream = subscribe(time.time() - OVERLAP)
            missed(time.time())
            for action, container_uuid in stream:
                patience = PATIENCE
                changed(action, container_uuid)
        except Exception as error:
            LOG.debug('The events of Docker ended: %s', error)
        lost()
        time.sleep(patience)
        patience = min(PATIENCE_MAX, 2 * patience)
