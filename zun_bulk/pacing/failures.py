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

"""What the failure of a start says, and what is done about it: pure.

Docker answers 500 to most of what goes wrong while it starts a container, and
Zun keeps the text alone, so the text is what is looked at.
"""

import collections
import enum
import re

from zun_bulk.consts import MemberState
from zun_bulk.consts import OnFailure
from zun_bulk.consts import ReasonClass
from zun_bulk.pacing import pacer


class FailureClass(enum.Enum):
    """Kinds of failures.

    :ivar retried: whether another try may succeed.
    :ivar outcome: what the host's pacer is told.
    """

    #: No repetition cures it: it is in what was asked for.
    PERMANENT = 'permanent', False, pacer.Outcome.NEUTRAL
    #: The engine is down or out of reach.
    HOST_DOWN = 'host down', True, pacer.Outcome.HARD
    #: The engine gave up because too much was going on.
    OVERLOAD = 'overload', True, pacer.Outcome.HARD
    #: Nobody knows whether it took effect.
    UNKNOWN = 'unknown', True, pacer.Outcome.HARD
    #: Something was busy for a moment. The container may be broken by it, so
    #: that it is made anew.
    BUSY = 'busy', True, pacer.Outcome.SOFT
    #: Neutron, Placement or a registry is the one who is busy.
    DEPENDENCY = 'dependency', True, pacer.Outcome.NEUTRAL
    #: The host has no more of something.
    HOST_CAPACITY = 'host capacity', True, pacer.Outcome.SOFT
    #: zun-compute has refused the claim, as others were faster; it is claimed
    #: elsewhere.
    CLAIM = 'claim', True, pacer.Outcome.NEUTRAL
    #: None of the above.
    OTHER = 'other', True, pacer.Outcome.NEUTRAL

    def __init__(self, word, retried, outcome):
        self.word = word
        self.retried = retried
        self.outcome = outcome


class Row(collections.namedtuple('Row', 'text failure hint', defaults=[''])):
    """A text, in lower case, and what it tells; the first row counts.

    :ivar hint: what lifts the limit that was met, for people.
    """


TABLE = (
    # Before "permission denied", which it may say of its socket.
    Row('cannot connect to the docker daemon', FailureClass.HOST_DOWN),
    Row('connection refused', FailureClass.HOST_DOWN),
    Row('is too old. minimum supported api', FailureClass.HOST_DOWN),
    # What was asked for cannot be.
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
        'a Linux bridge takes 1023 ports',
    ),
    Row(
        'disk quota exceeded',
        FailureClass.HOST_CAPACITY,
        'see sysctl kernel.keys.root_maxkeys and root_maxbytes',
    ),
    Row(
        'no space left on device',
        FailureClass.HOST_CAPACITY,
        'see the disk of Docker, /dev/shm, and sysctl '
        'fs.inotify.max_user_instances',
    ),
    Row('insufficient compute resources', FailureClass.CLAIM),
    # The engine has more to do than it can.
    Row('context deadline exceeded', FailureClass.OVERLOAD),
    Row('did not start before', FailureClass.OVERLOAD),
    Row('connection timed out: dbus', FailureClass.OVERLOAD),
    Row('timed out waiting for systemd', FailureClass.OVERLOAD),
    Row('resource temporarily unavailable', FailureClass.OVERLOAD),
    Row('cannot allocate memory', FailureClass.OVERLOAD),
    Row('too many open files', FailureClass.OVERLOAD),
    # Others have.
    Row('toomanyrequests', FailureClass.DEPENDENCY),
    Row('too many requests', FailureClass.DEPENDENCY),
    Row('service unavailable', FailureClass.DEPENDENCY),
    Row('bad gateway', FailureClass.DEPENDENCY),
    Row('gateway timeout', FailureClass.DEPENDENCY),
    # It was busy.
    Row('xtables lock', FailureClass.BUSY),
    Row('device or resource busy', FailureClass.BUSY),
    Row('ttrpc: closed', FailureClass.BUSY),
    Row('cannot start a stopped process', FailureClass.BUSY),
    # A task that an engine which has died had begun; for its container it
    # stays so.
    Row(': already exists', FailureClass.BUSY),
    # It has not answered.
    Row('read timed out', FailureClass.UNKNOWN),
    Row('connection reset', FailureClass.UNKNOWN),
    Row('connection aborted', FailureClass.UNKNOWN),
    Row('remote end closed connection', FailureClass.UNKNOWN),
    Row('unexpected eof', FailureClass.UNKNOWN),
    # Said of what a container was to run or to mount.
    Row('no such file or directory', FailureClass.PERMANENT),
    Row('permission denied', FailureClass.PERMANENT),
    Row('not a directory', FailureClass.PERMANENT),
)

_OTHER = Row('', FailureClass.OTHER)


def why_pause(bulk, outcomes, reason, limits):
    """Why no more of a bulk is to be started; None if it may go on.

    What cannot be started for what was asked for fails alike for all, so one
    is enough as long as none runs. Of other failures a bulk bears some.

    :param bulk: the Bulk.
    :param outcomes: {(state, reason class): number} of its members.
    :param reason: why a member has failed just now.
    :param limits: what has ``max_failed_percent`` and ``max_failed``.
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
        return 'the others would fail alike: %s' % reason
    borne = max(
        bulk.count * limits.max_failed_percent // 100, limits.max_failed
    )
    if failed - bulk.tolerated > borne:
        return '%d of %d containers failed, more than %d; the last: %s' % (
            failed - bulk.tolerated,
            bulk.count,
            borne,
            reason,
        )
    return None


#: How the Docker client puts an answer of the engine.
_ANSWER = re.compile(
    r'(?:Docker internal error: )?\d{3} (?:Client|Server) Error for '
    r'\S+: [^("]*\("(?P<said>.*)"\)\.?',
    re.DOTALL,
)


def in_its_words(reason):
    """A reason as Docker gave it, without what names one container.

    So that one cause is one reason, however many containers have it.
    """
    return _ANSWER.sub(r'Docker: \g<said>', reason)


def find(reason):
    """The row of TABLE that a failure is of, or one of OTHER.

    :param reason: the status_reason that Zun gave a failed container, or the
        text of what Zun's driver raised; None if there is none.
    """
    reason = (reason or '').lower()
    return next((row for row in TABLE if row.text in reason), _OTHER)


def classify(reason):
    """:returns: the FailureClass of a failure; see ``find``."""
    return find(reason).failure
