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

"""What became of a container, according to Docker's inspect: pure."""

from oslo_utils import timeutils

from zun_bulk.consts import ReasonClass
from zun_bulk.states import MemberState


def problem(inspect, run):
    """Find out why a container is not as requested.

    :param inspect: Docker's inspect of it; None if Docker has none.
    :param run: whether it was to be started, or only created.
    :returns: a text; None if the container is as requested.
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
            text += ': it ran out of memory'
        return ': '.join(filter(None, (text, state.get('Error'))))
    if state.get('Restarting') or inspect.get('RestartCount'):
        # Docker resets the count with each requested start.
        return (
            'the container died and was restarted; its last exit code '
            'was %s' % state.get('ExitCode')
        )
    if not state.get('Pid'):
        return 'Docker reports the container as running, but it has no process'
    if (state.get('Health') or {}).get('Status') == 'unhealthy':
        return "the container's health check fails"
    return None


#: Exit codes of a container that was stopped or killed.
_STOP_CODES = (0, 137, 143)
#: Exit codes of a container whose engine has ended: the engine kills it, or
#: does not know how it ended.
_ENGINE_END_CODES = (137, 143, 255)


def state_after_run(inspect, zun):
    """Find out the state of a container that has run.

    :param inspect: Docker's inspect of it; None if Docker has none.
    :param zun: (status, task state) of Zun's row of it; None if there is none.
    :returns: (state, reason class, reason); None while Zun or Docker works on
        the container.
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
    # A container that was stopped through Zun has another status in Zun.
    if (
        inspect is not None
        and not state.get('OOMKilled')
        and (code == 0 or (status != 'Running' and code in _STOP_CODES))
    ):
        return MemberState.STOPPED, None, None
    return (
        MemberState.FAILED,
        ReasonClass.APPLICATION,
        '%s after it had run' % problem(inspect, True),
    )


def ended_with_engine(inspect, back_since):
    """Return whether a container ended because its engine did.

    :param inspect: Docker's inspect of it; None if Docker has none.
    :param back_since: when the engine was last found to answer after an
        outage, in seconds since the epoch. A container that exited later has
        ended by itself.
    """
    state = (inspect or {}).get('State') or {}
    return (
        state.get('Status') == 'exited'
        and not state.get('OOMKilled')
        and state.get('ExitCode') in _ENGINE_END_CODES
        and timeutils.parse_isotime(state['FinishedAt']).timestamp()
        < back_since
    )
