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

"""The words that the API, the agents, the commands and the panels share.

Nothing here imports Zun: the commands and the panels are installed without
it.

Where a user's change takes effect:

* A pause changes the bulk alone. Its epoch rises, so the conductor that
  builds it stops at its next write; an agent turns a member to ``starting``
  by a statement that also requires the bulk to be ``building``. What is
  ``starting`` goes on.
* A cancel turns the bulk to ``cancelling`` in the same way. Its conductor
  then cancels the members that are ``queued`` or ``placed``; those that an
  attempt may have left in Docker are deleted by their host first. What is
  ``starting`` goes on, and waits for the cancel if it fails.
* A delete turns the bulk and all its members to ``deleting`` in one
  transaction. The rise of the members' epochs stops an agent that is about to
  start one.
* Scaling down turns some members to ``deleting`` in the same way, and marks
  them ``removed``.
"""


class InvalidTransition(Exception):
    """A change of state that TRANSITIONS does not have: a bug of ours."""


class _StateMachine:
    """States, and the changes that there are."""

    #: {state: the states that may follow it}
    TRANSITIONS = {}

    @classmethod
    def check(cls, before, after):
        """Check that a change is one of TRANSITIONS, or none at all.

        :raises: InvalidTransition
        """
        if after != before and after not in cls.TRANSITIONS.get(before, ()):
            raise InvalidTransition(
                '%s: %s to %s' % (cls.__name__, before, after)
            )

    @classmethod
    def before(cls, after):
        """:returns: the states that a state may follow."""
        return tuple(
            state
            for state, following in cls.TRANSITIONS.items()
            if after in following
        )


class MemberState(_StateMachine):
    """States of a member; see ``TRANSITIONS`` for how it changes."""

    #: Waits for a claim on a host, or for ports and volumes.
    QUEUED = 'queued'
    #: Was given to its host, with its ports.
    PLACED = 'placed'
    #: Was cast to Zun by its host's agent.
    STARTING = 'starting'
    #: Was verified after the settle time.
    RUNNING = 'running'
    #: Has run and has ended.
    STOPPED = 'stopped'
    FAILED = 'failed'
    CANCELLED = 'cancelled'
    DELETING = 'deleting'
    DELETED = 'deleted'

    ALL = (
        QUEUED,
        PLACED,
        STARTING,
        RUNNING,
        STOPPED,
        FAILED,
        CANCELLED,
        DELETING,
        DELETED,
    )
    TRANSITIONS = {
        QUEUED: (PLACED, FAILED, CANCELLED, DELETING),
        # Back to queued without volumes, or if its host is down.
        PLACED: (STARTING, QUEUED, FAILED, CANCELLED, DELETING),
        # Back to placed for another attempt on its host, to queued if its
        # claim was refused.
        STARTING: (RUNNING, PLACED, QUEUED, FAILED, DELETING),
        # Back to placed if it ended with its Docker Engine.
        RUNNING: (STOPPED, FAILED, PLACED, DELETING),
        STOPPED: (RUNNING, FAILED, DELETING),
        # Back to queued or placed by a retry; the others if Docker shows that
        # it runs again, or how it ended.
        FAILED: (QUEUED, PLACED, RUNNING, STOPPED, DELETING),
        CANCELLED: (DELETING,),
        # Its row is removed afterwards, unless it is cancelled: then its host
        # has just removed what an attempt had left.
        DELETING: (DELETED,),
        DELETED: (CANCELLED,),
    }
    #: A bulk is finished once each of its members is in one of these.
    FINAL = (RUNNING, STOPPED, FAILED, CANCELLED)
    #: Those whose start has come to an end, with finished_at.
    ENDED = (RUNNING, STOPPED, FAILED)
    #: Those that were not given to the engine yet.
    WAITING = (QUEUED, PLACED)
    #: Those that have ports, or may have them.
    WITH_PORTS = (PLACED, STARTING, RUNNING, STOPPED)
    #: Those that never need a host again.
    UNWANTED = (CANCELLED, DELETING, DELETED)


class BulkStatus(_StateMachine):
    """Statuses of a bulk; see ``TRANSITIONS`` for how it changes."""

    BUILDING = 'building'
    PAUSED = 'paused'
    READY = 'ready'
    ERROR = 'error'
    CANCELLING = 'cancelling'
    CANCELLED = 'cancelled'
    DELETING = 'deleting'

    ALL = (BUILDING, PAUSED, READY, ERROR, CANCELLING, CANCELLED, DELETING)
    TRANSITIONS = {
        BUILDING: (READY, ERROR, CANCELLED, PAUSED, CANCELLING, DELETING),
        PAUSED: (BUILDING, CANCELLING, DELETING),
        # Building again by a retry or a scale.
        READY: (ERROR, BUILDING, DELETING),
        ERROR: (READY, BUILDING, DELETING),
        CANCELLING: (CANCELLED, DELETING),
        CANCELLED: (BUILDING, DELETING),
        # Its row is removed at the end.
        DELETING: (),
    }
    #: Those that a conductor works on.
    WORK = (BUILDING, CANCELLING, DELETING)
    #: Those in which nothing happens until the user asks for it.
    FINISHED = (READY, ERROR, CANCELLED)
    #: Those in which a bulk can be scaled.
    SCALABLE = (BUILDING, PAUSED, READY, ERROR)
    #: Those in which failed members can be retried.
    RETRIABLE = (BUILDING, PAUSED, READY, ERROR, CANCELLED)


class EventName:
    """Events in the history of a bulk.

    Most bear the name of the status or state that they led to.
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
        # Of members too.
        BulkStatus.DELETING,
        BulkStatus.CANCELLED,
        MemberState.QUEUED,
        MemberState.PLACED,
        MemberState.STARTING,
        MemberState.RUNNING,
        MemberState.STOPPED,
        MemberState.FAILED,
    )


class FloatingIpState:
    """States of a member's floating IP."""

    WANTED = 'wanted'
    BOUND = 'bound'
    #: It cannot be had; floating_ip_reason says why.
    FAILED = 'failed'

    ALL = (WANTED, BOUND, FAILED)


class OnFailure:
    """What a bulk does when its members fail to start."""

    PAUSE = 'pause'
    CONTINUE = 'continue'

    ALL = (PAUSE, CONTINUE)


class ReasonClass:
    """Why a member failed, or its last attempt did."""

    #: No further attempt can succeed: the cause is in the request.
    PERMANENT = 'permanent'
    #: All attempts failed, each for a cause that may pass.
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
    #: Those of members that failed by being started.
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


#: Who holds a host if none of its gates does.
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
    #: Zun itself does not have this one.
    V4_RANGE = 'v4-range'

    ALL = (NETWORK, PORT, V4_ADDRESS, V6_ADDRESS, V4_RANGE)
