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

"""Place containers on hosts with, or without, members of a bulk."""

from oslo_log import log as logging

from zun_bulk.db import hosts as db_hosts
from zun_bulk.scheduler.filters import base_reason


LOG = logging.getLogger(__name__)

#: Hints of containers and templates, as in Nova. With them Zun considers all
#: hosts instead of ``[scheduler] max_placement_results``.
SAME = 'same_host'
DIFFERENT = 'different_host'


class GroupAffinityFilter(base_reason.ReasonFilter):
    """Evaluates the hints ``same_host`` and ``different_host``.

    Each is the uuid of a bulk in the container's project, or several as a
    list or separated by commas. A host passes if it has members of any of the
    first and of none of the second.
    """

    def read(self, hosts, container, extra_spec):
        hints = extra_spec.get('hints') or {}
        self._same = _bulks(hints, SAME)
        self._different = _bulks(hints, DIFFERENT)
        asked = self._same | self._different
        self._found = (
            db_hosts.hosts_of_bulks(asked, container.project_id)
            if asked
            else {}
        )
        for uuid in sorted(asked - set(self._found)):
            LOG.info(
                'A hint of container %(uuid)s names bulk %(bulk)s, which does '
                'not exist in its project',
                {'uuid': container.uuid, 'bulk': uuid},
            )

    def why_not(self, host_state, container):
        there = {
            uuid
            for uuid in self._found
            if host_state.hostname in self._found[uuid]
        }
        if self._same and not self._same & there:
            return 'it has no member of bulk %s' % ' or '.join(
                sorted(self._same)
            )
        if self._different & there:
            return 'it has members of bulk %s' % ', '.join(
                sorted(self._different & there)
            )
        return None


def _bulks(hints, name):
    value = hints.get(name) or []
    if not isinstance(value, list):
        value = str(value).split(',')
    return {str(uuid).strip().lower() for uuid in value}
