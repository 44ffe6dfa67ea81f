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

"""A client of Placement: room on hosts, and claims in batches.

Zun's own client raises on every 4xx, so its branches for conflicts never run;
this one checks the status.
"""

import collections
import random
import time
import urllib.parse

from oslo_log import log as logging
from zun.common import consts
from zun.common import exception

from zun_bulk import connections


LOG = logging.getLogger(__name__)

#: The first version in which POST /allocations checks the generations of many
#: consumers.
MICROVERSION = '1.28'
CONFLICT_RETRIES = 8


class BadAnswer(exception.ZunException):
    """Placement gave an unexpected answer."""


class Full(Exception):
    """A provider has no room for a claim."""


class Placement:
    """A connection that keeps its Keystone token between calls."""

    def __init__(self, sleep=time.sleep):
        self._sleep = sleep
        self._adapter, self._endpoint = connections.placement()
        self._has_traits = False

    def _call(self, method, url, **kwargs):
        return self._adapter.request(
            url,
            method,
            endpoint_filter=self._endpoint,
            microversion=MICROVERSION,
            raise_exc=False,
            **kwargs,
        )

    def candidates(self, resources):
        """List the providers that have room for one container.

        :param resources: Zun's ResourceRequest.
        :returns: {provider uuid: Candidate}.
        """
        self._ensure_traits()
        answer = self._call(
            'GET', '/allocation_candidates?' + resources.to_querystring()
        )
        _expect(answer, 200)
        body = answer.json()
        found = {}
        for request in body['allocation_requests']:
            for provider in request['allocations']:
                found.setdefault(
                    provider,
                    Candidate(
                        request['allocations'], body['provider_summaries']
                    ),
                )
        return found

    def short_of(self, resources):
        """Find which resource providers lack for one container.

        This takes one call for each resource of the container.

        :param resources: as for ``candidates``.
        :returns: function of a provider's uuid that returns a resource class,
            or None if the provider has enough of each.
        """
        query = urllib.parse.parse_qs(resources.to_querystring())
        having = {}
        for wanted in query['resources'][0].split(','):
            answer = self._call(
                'GET',
                '/allocation_candidates?'
                + urllib.parse.urlencode({'resources': wanted}),
            )
            _expect(answer, 200)
            resource = wanted.partition(':')[0]
            having[resource] = set(answer.json()['provider_summaries'])

        def find(provider):
            for resource, providers in having.items():
                if provider not in providers:
                    return resource
            return None

        return find

    def inventories(self):
        """List capacity and use of all providers, in one call.

        :returns: {provider uuid: {resource class: (capacity, used)}} of
            providers with a free VCPU; the capacity includes the allocation
            ratio and excludes what is reserved.
        """
        answer = self._call('GET', '/allocation_candidates?resources=VCPU:1')
        _expect(answer, 200)
        return {
            provider: {
                resource: (found['capacity'], found['used'])
                for resource, found in summary['resources'].items()
            }
            for provider, summary in answer.json()[
                'provider_summaries'
            ].items()
        }

    def _ensure_traits(self):
        """Create the traits that a request may forbid.

        Placement rejects requests with unknown traits, and Zun creates them
        only before its first single container.
        """
        if not self._has_traits:
            for trait in consts.CUSTOM_TRAITS:
                _expect(self._call('PUT', '/traits/' + trait), 201, 204)
            self._has_traits = True

    def claim(self, claims, project_id, user_id):
        """Claim resources for many containers, for all or none.

        :param claims: {container uuid: allocations of a Candidate}.
        :raises: Full if a provider has no room for all of them.
        """
        generations = dict.fromkeys(claims)
        for attempt in range(CONFLICT_RETRIES):
            answer = self._call(
                'POST',
                '/allocations',
                json={
                    uuid: {
                        'allocations': allocations,
                        'project_id': project_id,
                        'user_id': user_id,
                        'consumer_generation': generations[uuid],
                    }
                    for uuid, allocations in claims.items()
                },
            )
            if answer.status_code != 409:
                _expect(answer, 204)
                return
            error = answer.json()['errors'][0]
            if error.get('code') != 'placement.concurrent_update':
                raise Full(error['detail'])
            if 'consumer generation' in error['detail']:
                # An earlier conductor has claimed for some of them.
                generations = {uuid: self._generation(uuid) for uuid in claims}
            else:
                self._sleep(random.uniform(0, 0.1 * 2**attempt))
        _expect(answer, 204)

    def _generation(self, uuid):
        return self._claim_of(uuid).get('consumer_generation')

    def _claim_of(self, uuid):
        answer = self._call('GET', '/allocations/' + uuid)
        _expect(answer, 200)
        return answer.json()

    def release(self, uuids, providers):
        """Delete the claims of containers.

        :param uuids: of the containers.
        :param providers: uuids of the providers that may have claims.
        :returns: number of claims deleted.
        """
        # Whichever takes fewer calls.
        if len(uuids) < len(providers):
            known = set(providers)
            found = {
                uuid
                for uuid in uuids
                if known.intersection(self._claim_of(uuid)['allocations'])
            }
        else:
            found = self.claimed(uuids, providers)
        for uuid in found:
            _expect(self._call('DELETE', '/allocations/' + uuid), 204, 404)
        return len(found)

    def claimed(self, uuids, providers):
        """Find which containers have a claim.

        :param uuids: of the containers.
        :param providers: as for ``release``.
        :returns: {uuid}.
        """
        wanted, found = set(uuids), set()
        for provider in providers:
            answer = self._call(
                'GET', '/resource_providers/%s/allocations' % provider
            )
            if answer.status_code != 404:
                _expect(answer, 200)
                found |= wanted.intersection(answer.json()['allocations'])
        return found


class Candidate(collections.namedtuple('Candidate', 'allocations summaries')):
    """A way to claim for one container."""

    @property
    def room(self):
        """Number of such containers that fit, according to Placement."""
        return self._bound[0]

    @property
    def bound_by(self):
        """The resource class that bounds the room."""
        return self._bound[1]

    @property
    def _bound(self):
        return min(
            ((summary['capacity'] - summary['used']) // amount, resource)
            for provider, claim in self.allocations.items()
            for resource, amount in claim['resources'].items()
            for summary in [self.summaries[provider]['resources'][resource]]
        )


def _expect(answer, *codes):
    if answer.status_code not in codes:
        LOG.error(
            'Placement answered %(code)d to %(method)s %(path)s: %(text)s',
            {
                'code': answer.status_code,
                'method': answer.request.method,
                'path': answer.request.path_url.partition('?')[0],
                'text': answer.text[:500],
            },
        )
        raise BadAnswer('Placement answered %d' % answer.status_code)
