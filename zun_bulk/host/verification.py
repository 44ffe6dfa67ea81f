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
