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

"""Which hosts get no more containers at the moment: pure, without I/O."""

from zun_bulk.consts import OPERATOR


def find(rows):
    """Find the hosts that start nothing at the moment.

    :param rows: Hosts with the last reports of their agents, which report
        each such change at once.
    :returns: {host name: reason as text}.
    """
    found = {}
    for row in rows:
        why = _why(row)
        if why is not None:
            found[row.host] = why
    return found


def _why(row):
    if row.held:
        return 'held by its operator: %s' % (
            row.held_reason or 'no reason given'
        )
    report = row.report or {}
    # The operator may have released the host since; the row decides.
    held_by = {
        gate: text
        for gate, text in report.get('held_by', {}).items()
        if gate != OPERATOR
    }
    if held_by:
        return '; '.join(held_by[gate] for gate in sorted(held_by))
    if report.get('starts', {}).get('breaker') == 'open':
        return 'its engine fails all starts'
    return None
