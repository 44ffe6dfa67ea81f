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

"""What became of a container, read from what Docker says of it: pure."""

from oslo_utils import timeutils

from zun_bulk.consts import MemberState
from zun_bulk.consts import ReasonClass


def problem(inspect, run):
    """Why a container is not as it was asked for; None if it is.

    :param inspect: Docker's inspect of it; None if Docker has none.
    :param run: whether it was to be started, or only created.
    """
    if inspect is None:
        return 'the container is gone from Docker'
    if not run:
        return None
    state = inspect['State']
    if not state.get('Running') or state.get('Paused'):
        text = 'the container is %s' % (state.get('Status') or 'not running')
        if state.get('Status') == 'exited':
            text = 'the container exited with code %s' % state.get('ExitCode')
        if state.get('OOMKilled'):
            text += ': it had no more memory than its limit'
        return ': '.join(filter(None, (text, state.get('Error'))))
    if state.get('Restarting') or inspect.get('RestartCount'):
        # Docker starts the count anew with each start that it is asked for.
        return (
            'the container died and was restarted; its last exit code '
            'was %s' % state.get('ExitCode')
        )
    if not state.get('Pid'):
        return 'Docker calls the container running but it has no process'
    if (state.get('Health') or {}).get('Status') == 'unhealthy':
        return "the container's health check fails"
    return None


#: What a container exits with that was told to stop, or was killed.
_TOLD = (0, 137, 143)
#: What one exits with whose engine has ended, which kills it or forgets how
#: it ended.
_ENGINE = (137, 143, 255)


def since(inspect, zun):
    """What a container that has run is now: (state, reason class, reason).

    :param inspect: Docker's inspect of it; None if Docker has none.
    :param zun: (status, task state) of Zun's row of it; None if there is none.
    :returns: None as long as Zun or Docker is at work on it.
    """
    if zun is None:
        return (
            MemberState.FAILED,
            ReasonClass.DELETED,
            'the container was deleted outside its bulk',
        )
    status, task_state = zun
    state = (inspect or {}).get('State') or {}
    if task_state or state.get('Restarting'):
        return None
    if state.get('Running'):
        return MemberState.RUNNING, None, None
    code = state.get('ExitCode')
    # Zun's row tells who ended it: he who did it by Zun has said so there.
    if (
        inspect is not None
        and not state.get('OOMKilled')
        and (code == 0 or (status != 'Running' and code in _TOLD))
    ):
        return MemberState.STOPPED, None, None
    return (
        MemberState.FAILED,
        ReasonClass.APPLICATION,
        '%s after it had run' % problem(inspect, True),
    )


def ended_with_engine(inspect, back):
    """Whether a container was ended by the end of its engine.

    :param inspect: Docker's inspect of it; None if Docker has none.
    :param back: when the engine was last found to be there after it was not,
        in seconds since the epoch. A container that exited so while somebody
        listened has done it by itself.
    """
    state = (inspect or {}).get('State') or {}
    return (
        state.get('Status') == 'exited'
        and not state.get('OOMKilled')
        and state.get('ExitCode') in _ENGINE
        and timeutils.parse_isotime(state['FinishedAt']).timestamp() < back
    )
