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

"""The base class of filters that log why they exclude a host."""

from oslo_log import log as logging
from zun.scheduler import filters


LOG = logging.getLogger(__name__)


class ReasonFilter(filters.BaseHostFilter):
    """Passes the hosts for which ``why_not`` returns None."""

    def filter_all(self, filter_obj_list, container, extra_spec):
        hosts = list(filter_obj_list)
        self.read(hosts, container, extra_spec)
        for host in hosts:
            why = self.why_not(host, container)
            if why is None:
                yield host
            else:
                LOG.info(
                    'Excluded %(host)s for container %(uuid)s: %(why)s',
                    {
                        'uuid': container.uuid,
                        'host': host.hostname,
                        'why': why,
                    },
                )

    def read(self, hosts, container, extra_spec):
        """Read the data of all hosts, before any host is checked.

        :param hosts: the HostStates.
        """

    def why_not(self, host_state, container):
        """Check a host.

        :returns: the reason for excluding it; None if it passes.
        """
        raise NotImplementedError()
