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

Neutron makes, binds and deletes one in a call. One that is made for a member
says so in its description from the beginning, so that whoever looks for it
finds it, whatever has become of the answer, the port or the conductor.
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

#: So begins the description of each that is made here; the container's UUID
#: follows.
MARK = 'zun_bulk:'
#: The description of one that its user wants to keep.
KEPT = 'was of container %s, kept by zun_bulk'
#: Characters that Neutron takes of a description.
_MAX_DESCRIPTION = 255
#: How many are looked up by one call: their names go into its URL.
BATCH = 50
#: Answers that say no more than that nobody was there to give another.
_NO_ANSWER = (0, 401, 408, 429, 502, 503, 504)


class Refused(Exception):
    """This one cannot be had, however often it is asked for."""


class Exhausted(Exception):
    """There are no more of them, on the network or for the project."""


class Unavailable(Exception):
    """Neutron does not answer, or has too much to do."""


class Failed(Exception):
    """It did not work, and may the next time."""


class InUse(Failed):
    """Its user has made something else of it, a port forwarding say."""


class FloatingIps:
    """A connection that keeps its Keystone token between calls."""

    def __init__(self):
        self._client = connections.neutron()

    def find(self, bulk, members):
        """What members have in Neutron, or have been given by their user.

        Of the project that the bulk is of: others may say and have the same.

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
        """All that were made for bulks and are not kept.

        :returns: [floating IP], with ``container_uuid`` besides.
        """
        fields = ['id', 'description', 'floating_ip_address', 'port_id']
        try:
            rows = self._list(fields=fields)
        except _Gone:
            # It has no routers, and no floating IPs at all.
            return []
        # Neutron does not look for how a description begins.
        return [
            dict(row, container_uuid=row['description'].removeprefix(MARK))
            for row in rows
            if (row.get('description') or '').startswith(MARK)
        ]

    def _list(self, **filters):
        with _translate_errors():
            return self._client.list_floatingips(**filters)['floatingips']

    def bind(self, bulk, member, found):
        """Give a member its floating IP: by one call, if it has none yet.

        :param found: what ``find`` has of the member.
        :returns: the address.
        :raises: Refused, Exhausted, Unavailable, Failed.
        """
        target = _target(member.networks)
        if not found:
            if given(member):
                raise Refused(
                    'the project has no floating IP %s any more'
                    % given(member)
                )
            return self._make(bulk, member, target)
        row = found[0]
        if row['port_id'] != target['port_id']:
            if row['port_id']:
                raise Refused(
                    '%s is bound to port %s by others'
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
                # Not if somebody else has changed it since.
                revision_number=row.get('revision_number'),
            )

    def release(self, bulk, member, row, keep):
        """Take a floating IP away from a member.

        What was made for it is deleted, and what its user has given is only
        unbound. What is bound to a port of others by now stays so.

        :param row: one of what ``find`` has of the member.
        :param keep: whether what was made is only unbound too.
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
            # Said again, for where Neutron unbinds what names no port.
            values.setdefault('port_id', row['port_id'])
        if values:
            with contextlib.suppress(_Gone):
                self._update(row, **values)

    def delete(self, ident):
        """Delete a floating IP, which may be gone already."""
        with contextlib.suppress(_Gone), _translate_errors():
            self._client.delete_floatingip(ident)


class _Gone(Refused):
    """It is not there, or what it should be bound to."""


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
            # So that the breaker knows it for what it is.
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
    """The address of the floating IP that a user has given to a member."""
    return member.wanted.floating_ip


def _target(networks):
    """Where a member's floating IP leads: its first port that has IPv4."""
    for network in networks:
        port = network.get(requested.PORT)
        if port is None:
            # The user's own, which was not looked at.
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
