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

"""Plans of dry runs in responses."""

#: Hosts that a plan's view shows.
MAX_HOSTS = 1000


def plan(plan, with_hosts):
    """Make the view of a plan.

    :param plan: a planner.Plan.
    :param with_hosts: whether the user may see hosts.
    """
    rows = plan.table()
    # Leave out the hosts with the fewest members.
    shown = sorted(rows, key=lambda row: (-row.members, row.host))[:MAX_HOSTS]
    return {
        'count': len(plan.hosts) + plan.missing,
        'fits': len(plan.hosts),
        'missing': plan.missing,
        'explanation': plan.explain() if with_hosts else plan.summary(),
        'hosts': [
            {
                'host': row.host,
                'zone': row.zone,
                'members': row.members,
                'room': row.room,
                'bound_by': row.bound_by,
            }
            for row in sorted(shown, key=lambda row: row.host)
        ]
        if with_hosts
        else None,
        'hosts_omitted': len(rows) - len(shown) if with_hosts else None,
    }
