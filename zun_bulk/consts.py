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

"""Constants that the API, the agents, the commands and the panels share.

This module does not import Zun, because the commands and the panels are
installed without it.
"""

from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


class EventName:
    """Events in the history of a bulk.

    Most have the name of the new status or state.
    """

    ACCEPTED = 'accepted'
    RESUMED = 'resumed'
    RETRIED = 'retried'
    SCALED = 'scaled'

    ALL = (
        ACCEPTED,
        BulkStatus.PAUSED,
        RESUMED,
        BulkStatus.CANCELLING,
        RETRIED,
        SCALED,
        BulkStatus.READY,
        BulkStatus.ERROR,
        # These are events of members too.
        BulkStatus.DELETING,
        BulkStatus.CANCELLED,
        MemberState.QUEUED,
        MemberState.PLACED,
        MemberState.STARTING,
        MemberState.RUNNING,
        MemberState.STOPPED,
        MemberState.FAILED,
    )


class OnFailure:
    """The reaction of a bulk to failed starts of its members."""

    PAUSE = 'pause'
    CONTINUE = 'continue'

    ALL = (PAUSE, CONTINUE)


class ReasonClass:
    """Classes of the reasons why members or their last attempts failed."""

    #: No further attempt can succeed: the cause is in the request.
    PERMANENT = 'permanent'
    #: All attempts failed, each with a temporary cause.
    TRANSIENT = 'transient'
    #: The container started and did not stay up.
    APPLICATION = 'application'
    #: No host had room.
    CAPACITY = 'capacity'
    #: The container was deleted outside its bulk.
    DELETED = 'deleted'
    #: Neutron refused its ports.
    NETWORK = 'network'
    #: Cinder refused its volumes.
    VOLUME = 'volume'

    ALL = (
        PERMANENT,
        TRANSIENT,
        APPLICATION,
        CAPACITY,
        DELETED,
        NETWORK,
        VOLUME,
    )
    #: Reason classes of failed starts.
    OF_STARTS = (PERMANENT, TRANSIENT, APPLICATION)


class PlacementPolicy:
    """How a bulk's members are distributed over hosts.

    The names are Nova's where it has such a policy for server groups.
    """

    SPREAD = 'spread'
    PACK = 'pack'
    ZONE_SPREAD = 'zone-spread'
    AFFINITY = 'affinity'
    SOFT_AFFINITY = 'soft-affinity'
    ANTI_AFFINITY = 'anti-affinity'
    SOFT_ANTI_AFFINITY = 'soft-anti-affinity'

    ALL = (
        SPREAD,
        PACK,
        ZONE_SPREAD,
        AFFINITY,
        SOFT_AFFINITY,
        ANTI_AFFINITY,
        SOFT_ANTI_AFFINITY,
    )


#: The source of a hold that is not one of the gates.
OPERATOR = 'operator'

#: Replaced by a member's index in names, hostnames and environments.
INDEX = '{index}'

#: Prefix of the container labels that zun_bulk sets; users cannot set these.
LABEL_PREFIX = 'org.openstack.zun_bulk.'
LABEL_BULK = LABEL_PREFIX + 'bulk'
LABEL_INDEX = LABEL_PREFIX + 'index'


class NetKey:
    """Keys of a template's ``nets``."""

    NETWORK = 'network'
    PORT = 'port'
    V4_ADDRESS = 'v4-fixed-ip'
    V6_ADDRESS = 'v6-fixed-ip'
    #: Not a key of Zun's own API.
    V4_RANGE = 'v4-range'

    ALL = (NETWORK, PORT, V4_ADDRESS, V6_ADDRESS, V4_RANGE)
