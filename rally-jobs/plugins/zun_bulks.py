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

"""Rally's client and scenario for bulks of containers.

It needs nothing from zun_bulk: it uses the API like any client.
"""

import time

from keystoneauth1 import adapter
from keystoneauth1 import exceptions
from rally import exceptions as rally_exceptions
from rally.task import atomic
from rally.task import validation
from rally_openstack.common import osclients
from rally_openstack.task import scenario


#: Seconds between two requests for the state of a bulk.
INTERVAL = 1.0


class Bulks:
    """The bulk API. Each bulk is a dict as returned by the API."""

    def __init__(self, api):
        self._api = api

    def create(self, body):
        return self._api.post('/v1/bulks', json=body).json()

    def get(self, uuid):
        """Get a bulk.

        :returns: the bulk, or None if it does not exist
        """
        try:
            return self._api.get('/v1/bulks/' + uuid).json()
        except exceptions.NotFound:
            return None

    def delete(self, uuid):
        self._api.delete('/v1/bulks/' + uuid)


@osclients.configure(
    'zun_bulk', default_version='1', default_service_type='container'
)
class ZunBulk(osclients.OSClient):
    """Rally's client of the bulk API: ``clients('zun_bulk')``."""

    def create_client(self, version=None, service_type=None):
        url = self._get_endpoint(service_type).rstrip('/')
        return Bulks(
            adapter.Adapter(
                self.keystone.get_session()[0],
                endpoint_override=url.removesuffix('/v1'),
            )
        )


def _is_built(bulk):
    return bulk['status'] != 'building'


@validation.add('number', param_name='count', minval=1, integer_only=True)
@validation.add('required_platform', platform='openstack', users=True)
@scenario.configure(
    name='ZunBulks.create_and_delete_bulk', platform='openstack'
)
class CreateAndDeleteBulk(scenario.OpenStackScenario):
    def run(self, count, template, timeout=600):
        """Create a bulk, wait until all containers run, and delete it.

        :param count: number of containers
        :param template: body of Zun's container create request
        :param timeout: maximum seconds to wait for the creation, and again
            for the deletion
        """
        began = time.monotonic()
        bulk = self._create(count, template)
        try:
            self._wait_until_ready(bulk, timeout)
        except Exception:
            # Rally's own clean-up does not know bulks.
            self._bulks.delete(bulk['uuid'])
            raise
        running = time.monotonic()
        self._delete(bulk, timeout)
        gone = time.monotonic()
        self.add_output(
            additive={
                'title': 'Containers per second',
                'chart_plugin': 'Lines',
                'data': [
                    ['created', count / (running - began)],
                    ['deleted', count / (gone - running)],
                ],
            }
        )

    @property
    def _bulks(self):
        return self.clients('zun_bulk')

    @atomic.action_timer('zun_bulk.accept')
    def _create(self, count, template):
        return self._bulks.create(
            {
                'name': self.generate_random_name(),
                'count': count,
                'template': template,
            }
        )

    @atomic.action_timer('zun_bulk.build')
    def _wait_until_ready(self, bulk, timeout):
        bulk = self._wait(bulk, timeout, _is_built)
        if bulk['status'] != 'ready':
            raise rally_exceptions.GetResourceErrorStatus(
                resource=bulk['name'],
                status=bulk['status'],
                fault=bulk['status_reason'],
            )

    @atomic.action_timer('zun_bulk.delete')
    def _delete(self, bulk, timeout):
        self._bulks.delete(bulk['uuid'])
        self._wait(bulk, timeout, lambda found: found is None)

    def _wait(self, bulk, timeout, done):
        """Wait until ``done`` is true of the bulk.

        :returns: the bulk, or None if it does not exist any more
        """
        deadline = time.monotonic() + timeout
        while True:
            found = self._bulks.get(bulk['uuid'])
            if done(found):
                return found
            if time.monotonic() > deadline:
                raise rally_exceptions.TimeoutException(
                    desired_status='ready, or gone',
                    resource_name=bulk['name'],
                    resource_type='bulk',
                    resource_id=bulk['uuid'],
                    resource_status=found['status'],
                    timeout=timeout,
                )
            time.sleep(INTERVAL)
