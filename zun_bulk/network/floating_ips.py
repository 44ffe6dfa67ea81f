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

"""Neutron floating IPs for the members of bulks.

Neutron makes, binds and deletes one per call. The description of a new one
names its member from the beginning, so that it can be found even if the
answer, the port or the conductor is lost.
"""

import collections
import contextlib

from keystoneauth1 import exceptions as ks_exc
from neutronclient.common import exceptions as neutron_exceptions
from oslo_log import log as logging

from zun_bulk import connections
from zun_bulk.network import errors
from zun_bulk.network import requested


LOG = logging.getLogger(__name__)

#: Beginning of the description of each that is made here, before the
#: container's UUID.
MARK = 'zun_bulk:'
#: The description of one that the user keeps.
KEPT = 'was of container %s, kept by zun_bulk'
#: The most characters in a description.
_MAX_DESCRIPTION = 255
#: The most that one call looks up: their names are in its URL.
BATCH = 50
#: Statuses that mean that Neutron did not answer.
_NO_ANSWER = (0, 401, 408, 429, 502, 503, 504)


class Refused(Exception):
    """Neutron refuses this floating IP, and would refuse again."""


class Exhausted(Exception):
    """The network has no more floating IPs, or the quota is used up."""


class Unavailable(Exception):
    """Neutron does not answer, or is overloaded."""


class Failed(Exception):
    """The call failed; another attempt may succeed."""


class InUse(Failed):
    """The user has put it to another use, a port forwarding say."""


class FloatingIps:
    """A client of Neutron that keeps its token between calls."""

    def __init__(self):
        self._client = connections.neutron()

    def find(self, bulk, members):
        """Find the floating IPs of members, made here or given by the user.

        Only those of the bulk's project: others may have the same description
        or address.

        :param members: [Member], at most BATCH.
        :returns: {container uuid: [floating IP as Neutron shows it]}.
        """
        found = collections.defaultdict(list)
        owners = {given(m): m.container_uuid for m in members if given(m)}
        made = [m.container_uuid for m in members if not given(m)]
        if made:
            for row in self._list(
                project_id=bulk.project_id,
                description=[MARK + uuid for uuid in made],
            ):
                found[row['description'].removeprefix(MARK)].append(row)
        if owners:
            for row in self._list(
                project_id=bulk.project_id, floating_ip_address=list(owners)
            ):
                found[owners[row['floating_ip_address']]].append(row)
        return found

    def marked(self):
        """List those that were made for bulks and are not kept.

        :returns: [floating IP], with ``container_uuid`` added.
        """
        fields = ['id', 'description', 'floating_ip_address', 'port_id']
        try:
            rows = self._list(fields=fields)
        except _Gone:
            # This Neutron has no routers, and so no floating IPs.
            return []
        # Neutron cannot search for the beginning of a description.
        return [
            dict(row, container_uuid=row['description'].removeprefix(MARK))
            for row in rows
            if (row.get('description') or '').startswith(MARK)
        ]

    def _list(self, **filters):
        with _translate_errors():
            return self._client.list_floatingips(**filters)['floatingips']

    def bind(self, bulk, member, found):
        """Bind a floating IP to a member; a new one takes a single call.

        :param found: the result of ``find`` for the member.
        :returns: the address.
        :raises: Refused, Exhausted, Unavailable, Failed.
        """
        target = _target(member.networks)
        if not found:
            if given(member):
                raise Refused(
                    'the project no longer has floating IP %s' % given(member)
                )
            return self._make(bulk, member, target)
        row = found[0]
        if row['port_id'] != target['port_id']:
            if row['port_id']:
                raise Refused(
                    '%s was bound to port %s outside the bulk'
                    % (row['floating_ip_address'], row['port_id'])
                )
            self._update(row, **target)
        return row['floating_ip_address']

    def _make(self, bulk, member, target):
        body = {
            'floating_network_id': bulk.spec.floating_ips.network_id,
            'tenant_id': bulk.project_id,
            'description': MARK + member.container_uuid,
            **target,
        }
        with _translate_errors():
            made = self._client.create_floatingip({'floatingip': body})
        return made['floatingip']['floating_ip_address']

    def _update(self, row, **values):
        with _translate_errors():
            self._client.update_floatingip(
                row['id'],
                {'floatingip': values},
                # Fails if it was changed since it was read.
                revision_number=row.get('revision_number'),
            )

    def release(self, bulk, member, row, keep):
        """Release a floating IP of a member.

        One made here is deleted, and one given by the user is only unbound.
        One that is bound to another port by now stays bound.

        :param row: one of the results of ``find`` for the member.
        :param keep: whether one made here is only unbound as well.
        """
        here = row['port_id'] in _port_ids(bulk, member)
        values = {'port_id': None} if here else {}
        if not given(member):
            if not keep and (here or not row['port_id']):
                try:
                    self.delete(row['id'])
                    return
                except InUse as error:
                    LOG.warning(
                        'Failed to delete floating IP %(address)s: %(error)s',
                        {
                            'address': row['floating_ip_address'],
                            'error': error,
                        },
                    )
            values['description'] = (KEPT % member.name)[:_MAX_DESCRIPTION]
            # Repeated, as Neutron may unbind in an update without port_id.
            values.setdefault('port_id', row['port_id'])
        if values:
            with contextlib.suppress(_Gone):
                self._update(row, **values)

    def delete(self, ident):
        """Delete a floating IP, which may be gone already."""
        with contextlib.suppress(_Gone), _translate_errors():
            self._client.delete_floatingip(ident)


class _Gone(Refused):
    """The floating IP or the port does not exist."""


@contextlib.contextmanager
def _translate_errors():
    try:
        yield
    except (
        neutron_exceptions.OverQuotaClient,
        neutron_exceptions.IpAddressGenerationFailureClient,
        neutron_exceptions.ExternalIpAddressExhaustedClient,
    ) as error:
        raise Exhausted(errors.describe(error)) from error
    except neutron_exceptions.NeutronClientException as error:
        text = errors.describe(error)
        if error.status_code in _NO_ANSWER:
            # These words let the breaker classify the error.
            raise Unavailable('service unavailable: %s' % text) from error
        if error.status_code == 404:
            raise _Gone(text) from error
        if error.status_code in (400, 403):
            raise Refused(text) from error
        if 'port forwarding' in text.lower():
            raise InUse(text) from error
        raise Failed(text) from error
    except ks_exc.ClientException as error:
        raise Unavailable('service unavailable: %s' % error) from error


def given(member):
    """Return the floating IP that the user has given to a member."""
    return member.wanted.floating_ip


def _target(networks):
    """Find the port for a floating IP: the member's first with IPv4."""
    for network in networks:
        port = network.get(requested.PORT)
        if port is None:
            # The user's own port, whose addresses are unknown here.
            if network.get('port'):
                return {'port_id': network['port']}
            continue
        for address in port['addresses']:
            if address['version'] == 4:
                return {
                    'port_id': port['id'],
                    'fixed_ip_address': address['addr'],
                }
    raise Refused('none of its ports has an IPv4 address')


def _port_ids(bulk, member):
    return {
        network['port']
        for network in (
            *(member.networks or ()),
            *bulk.spec.requested_networks,
        )
        if network.get('port')
    }
