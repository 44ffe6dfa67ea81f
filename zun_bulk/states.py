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

"""The state machines of members and bulks.

``TRANSITIONS`` lists the allowed changes, and ``zun_bulk.db`` checks each
change against it. This module does not import Zun, as the commands and the
panels are installed without it.

Where a user's change takes effect:

* A pause changes the bulk alone. Its epoch rises, so the conductor that
  builds it stops at its next write; an agent sets a member to ``starting``
  by a statement that also requires the bulk to be ``building``. Members that
  are ``starting`` continue.
* A cancel sets the bulk to ``cancelling`` in the same way. Its conductor
  then cancels the members that are ``queued`` or ``placed``; if an attempt may
  have left a container in Docker, the host deletes it first. Members that are
  ``starting`` continue, and are cancelled after a failed attempt that would
  be repeated.
* A delete sets the bulk and all its members to ``deleting`` in one
  transaction. The rise of the members' epochs stops an agent that is about to
  start one.
* Scaling down sets some members to ``deleting`` in the same way, and marks
  them ``removed``.
"""


class InvalidTransition(Exception):
    """A change of state that TRANSITIONS does not list: a bug of zun_bulk."""


class _StateMachine:
    """States and the allowed changes between them."""

    #: {state: the states that may follow it}
    TRANSITIONS = {}

    @classmethod
    def check(cls, before, after):
        """Check that a change is in TRANSITIONS, or that nothing changes.

        :raises: InvalidTransition if it is not.
        """
        if after != before and after not in cls.TRANSITIONS.get(before, ()):
            raise InvalidTransition(
                '%s: %s to %s' % (cls.__name__, before, after)
            )

    @classmethod
    def before(cls, after):
        """Return the states from which a state can be reached directly."""
        return tuple(
            state
            for state, following in cls.TRANSITIONS.items()
            if after in following
        )


class MemberState(_StateMachine):
    """States of a member; see ``TRANSITIONS`` for how it changes."""

    #: Waiting for a claim on a host, or for ports and volumes.
    QUEUED = 'queued'
    #: Assigned to its host, with its ports.
    PLACED = 'placed'
    #: The host's agent has cast the create to Zun.
    STARTING = 'starting'
    #: Verified after the settle time.
    RUNNING = 'running'
    #: The container ran and has ended.
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
        # Back to queued if volumes are missing or its host is down.
        PLACED: (STARTING, QUEUED, FAILED, CANCELLED, DELETING),
        # Back to placed for another attempt on its host, or to queued if
        # its claim was refused.
        STARTING: (RUNNING, PLACED, QUEUED, FAILED, DELETING),
        # Back to placed if it ended because its Docker Engine ended.
        RUNNING: (STOPPED, FAILED, PLACED, DELETING),
        STOPPED: (RUNNING, FAILED, DELETING),
        # To queued or placed by a retry; to running or stopped if Docker
        # shows that it runs again or how it ended.
        FAILED: (QUEUED, PLACED, RUNNING, STOPPED, DELETING),
        CANCELLED: (DELETING,),
        # Its row is removed afterwards, unless its bulk was cancelled: then
        # its host has only removed the container of an earlier attempt.
        DELETING: (DELETED,),
        DELETED: (CANCELLED,),
    }
    #: A bulk is finished once each of its members is in one of these.
    FINAL = (RUNNING, STOPPED, FAILED, CANCELLED)
    #: States of members whose start has ended; they have finished_at.
    ENDED = (RUNNING, STOPPED, FAILED)
    #: States of members that were not passed to the engine yet.
    WAITING = (QUEUED, PLACED)
    #: States of members that have or may have ports.
    WITH_PORTS = (PLACED, STARTING, RUNNING, STOPPED)
    #: States of members that never need a host again.
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
    #: Statuses of bulks that a conductor works on.
    WORK = (BUILDING, CANCELLING, DELETING)
    #: Statuses in which nothing happens until the user requests it.
    FINISHED = (READY, ERROR, CANCELLED)
    #: Statuses in which a bulk can be scaled.
    SCALABLE = (BUILDING, PAUSED, READY, ERROR)
    #: Statuses in which failed members can be retried.
    RETRIABLE = (BUILDING, PAUSED, READY, ERROR, CANCELLED)


class FloatingIpState:
    """States of a member's floating IP."""

    WANTED = 'wanted'
    BOUND = 'bound'
    #: It cannot be provided; floating_ip_reason has the reason.
    FAILED = 'failed'

    ALL = (WANTED, BOUND, FAILED)
