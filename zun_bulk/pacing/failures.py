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

"""Classes of failed starts, found by the text of the failure: pure.

Docker answers 500 to most failed starts, and Zun keeps only the text, so the
text is what is matched.
"""

import collections
import enum
import re

from zun_bulk.consts import OnFailure
from zun_bulk.consts import ReasonClass
from zun_bulk.pacing.outcome import Outcome
from zun_bulk.states import MemberState


class FailureClass(enum.Enum):
    """Classes of failures.

    :ivar retried: whether another attempt may succeed.
    :ivar outcome: the Outcome that is reported to the host's pacer.
    """

    #: Another attempt fails the same way: the request itself is wrong.
    PERMANENT = 'permanent', False, Outcome.NEUTRAL
    #: The engine is down or unreachable.
    HOST_DOWN = 'host down', True, Outcome.HARD
    #: The engine was too busy to start it.
    OVERLOAD = 'overload', True, Outcome.HARD
    #: It is unknown whether the start took effect.
    UNKNOWN = 'unknown', True, Outcome.HARD
    #: Something was busy for a moment. The container may be broken, so it is
    #: created anew.
    BUSY = 'busy', True, Outcome.SOFT
    #: Neutron, Placement or a registry was too busy.
    DEPENDENCY = 'dependency', True, Outcome.NEUTRAL
    #: The host ran out of a resource.
    HOST_CAPACITY = 'host capacity', True, Outcome.SOFT
    #: zun-compute refused the claim, because the host has filled up meanwhile.
    #: The member is claimed on another host.
    CLAIM = 'claim', True, Outcome.NEUTRAL
    #: None of the above.
    OTHER = 'other', True, Outcome.NEUTRAL

    def __new__(cls, value, retried, outcome):
        # The value is what tells classes apart that are treated alike.
        member = object.__new__(cls)
        member._value_ = value
        member.retried = retried
        member.outcome = outcome
        return member


class Row(collections.namedtuple('Row', 'text failure hint', defaults=[''])):
    """A row of TABLE.

    :ivar text: part of a failure's text, in lower case.
    :ivar failure: the FailureClass of failures with this text.
    :ivar hint: how to lift the limit of the host, for operators.
    """


#: The first row whose text matches decides.
TABLE = (
    # Before "permission denied", which may follow for Docker's socket.
    Row('cannot connect to the docker daemon', FailureClass.HOST_DOWN),
    Row('connection refused', FailureClass.HOST_DOWN),
    Row('is too old. minimum supported api', FailureClass.HOST_DOWN),
    # The request is wrong.
    Row('no such image', FailureClass.PERMANENT),
    Row('image not found', FailureClass.PERMANENT),
    Row('not present with pull policy of never', FailureClass.PERMANENT),
    Row('not found: manifest unknown', FailureClass.PERMANENT),
    Row('pull access denied', FailureClass.PERMANENT),
    Row('repository does not exist', FailureClass.PERMANENT),
    Row('invalid reference format', FailureClass.PERMANENT),
    Row('executable file not found', FailureClass.PERMANENT),
    Row('disk quota feature', FailureClass.PERMANENT),
    Row('disk size cannot be smaller', FailureClass.PERMANENT),
    Row('belongs to another project now', FailureClass.PERMANENT),
    # The host is full. Before "no such file", which may follow.
    Row(
        'exchange full',
        FailureClass.HOST_CAPACITY,
        'a Linux bridge has at most 1023 ports',
    ),
    Row(
        'disk quota exceeded',
        FailureClass.HOST_CAPACITY,
        'check sysctl kernel.keys.root_maxkeys and root_maxbytes',
    ),
    Row(
        'no space left on device',
        FailureClass.HOST_CAPACITY,
        'check the disk of Docker, /dev/shm, and sysctl '
        'fs.inotify.max_user_instances',
    ),
    Row('insufficient compute resources', FailureClass.CLAIM),
    # The engine is overloaded.
    Row('context deadline exceeded', FailureClass.OVERLOAD),
    Row('did not start before', FailureClass.OVERLOAD),
    Row('connection timed out: dbus', FailureClass.OVERLOAD),
    Row('timed out waiting for systemd', FailureClass.OVERLOAD),
    Row('resource temporarily unavailable', FailureClass.OVERLOAD),
    Row('cannot allocate memory', FailureClass.OVERLOAD),
    Row('too many open files', FailureClass.OVERLOAD),
    # Another service is overloaded.
    Row('toomanyrequests', FailureClass.DEPENDENCY),
    Row('too many requests', FailureClass.DEPENDENCY),
    Row('service unavailable', FailureClass.DEPENDENCY),
    Row('bad gateway', FailureClass.DEPENDENCY),
    Row('gateway timeout', FailureClass.DEPENDENCY),
    # Something was busy for a moment.
    Row('xtables lock', FailureClass.BUSY),
    Row('device or resource busy', FailureClass.BUSY),
    Row('ttrpc: closed', FailureClass.BUSY),
    Row('cannot start a stopped process', FailureClass.BUSY),
    # A task that was begun before the engine died. It stays in the way of
    # this container.
    Row(': already exists', FailureClass.BUSY),
    # The engine did not answer.
    Row('read timed out', FailureClass.UNKNOWN),
    Row('connection reset', FailureClass.UNKNOWN),
    Row('connection aborted', FailureClass.UNKNOWN),
    Row('remote end closed connection', FailureClass.UNKNOWN),
    Row('unexpected eof', FailureClass.UNKNOWN),
    # The command or a mount of the container is wrong.
    Row('no such file or directory', FailureClass.PERMANENT),
    Row('permission denied', FailureClass.PERMANENT),
    Row('not a directory', FailureClass.PERMANENT),
)

_OTHER = Row('', FailureClass.OTHER)


def pause_reason(bulk, outcomes, reason, limits):
    """Decide whether failures should pause a bulk.

    A permanent failure hits all members alike, so one is enough as long as no
    member runs. Other failures pause the bulk once there are too many.

    :param bulk: the Bulk.
    :param outcomes: {(state, reason class): number} of its members.
    :param reason: why a member has failed just now.
    :param limits: object with ``max_failed_percent`` and ``max_failed``.
    :returns: why to pause it; None if it should not be paused.
    """
    states = collections.Counter()
    for (state, _kind), number in outcomes.items():
        states[state] += number
    waiting = sum(states[state] for state in MemberState.WAITING)
    if bulk.on_failure != OnFailure.PAUSE or not waiting:
        return None
    failed = sum(
        outcomes.get((MemberState.FAILED, kind), 0)
        for kind in ReasonClass.OF_STARTS
    )
    if (
        outcomes.get((MemberState.FAILED, ReasonClass.PERMANENT))
        and failed > bulk.tolerated
        and not states[MemberState.RUNNING]
    ):
        return 'the others would fail the same way: %s' % reason
    allowed = max(
        bulk.count * limits.max_failed_percent // 100, limits.max_failed
    )
    if failed - bulk.tolerated > allowed:
        return '%d of %d containers failed, more than %d; the last: %s' % (
            failed - bulk.tolerated,
            bulk.count,
            allowed,
            reason,
        )
    return None


#: How the Docker client words an answer of the engine.
_ANSWER = re.compile(
    r'(?:Docker internal error: )?\d{3} (?:Client|Server) Error for '
    r'\S+: [^("]*\("(?P<text>.*)"\)\.?',
    re.DOTALL,
)


def strip_wrapping(reason):
    """Return the engine's own text of a reason, without the URL around it.

    The URL names one container. Without it, one cause has one reason, however
    many containers fail with it.
    """
    return _ANSWER.sub(r'Docker: \g<text>', reason)


def find(reason):
    """Return the row of TABLE for a failure, or a row with OTHER.

    :param reason: the status_reason that Zun gave a failed container, or the
        text of the error that Zun's driver raised; None if there is none.
    """
    reason = (reason or '').lower()
    return next((row for row in TABLE if row.text in reason), _OTHER)


def classify(reason):
    """Return the FailureClass of a failure; see ``find``."""
    return find(reason).failure
