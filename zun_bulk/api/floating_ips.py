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

"""Checks of the floating IPs that a request asks for.

Neutron is called with the user's token, so that a bulk gives users no more
than they could have without it; conductors bind with Zun's own credentials.
"""

import dataclasses

from neutronclient.common import exceptions as neutron_exceptions
from zun.common import exception
from zun.common import policy
from zun.network import neutron

from zun_bulk.api import validation
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db.specs import FloatingIpSpec
from zun_bulk.states import FloatingIpState


#: Addresses that one call looks up: they are part of its URL.
BATCH = 100

_RULE = 'bulk:create:floating_ips'


def with_defaults(wanted):
    """Add the defaults to a request's ``floating_ips``."""
    return dict({'on_delete': 'release'}, **wanted)


def check(context, wanted, count, own=()):
    """Check whether the members of a bulk can have their floating IPs.

    :param wanted: the request's ``floating_ips`` with its defaults, or None.
    :param count: number of members.
    :param own: for each member, in order, its own floating IP or None; empty
        if no member has one.
    :returns: the value of ``floating_ips`` in the bulk's spec; None if the
        request asks for no floating IPs.
    :raises: ValidationError (400), OverQuota, PolicyNotAuthorized (403)
    """
    given = {
        position: address
        for position, address in enumerate(own)
        if address is not None
    }
    if wanted is None and not given:
        return None
    policy.enforce(context, _RULE, action=_RULE)
    if wanted is None:
        # Only the members that name a floating IP get one.
        wanted, count = with_defaults({}), len(given)
    pool = wanted.get('pool', [])
    if pool and len(pool) < count - len(given):
        validation.refuse(
            'floating_ips.pool',
            'only %d addresses for %d containers'
            % (len(pool), count - len(given)),
        )
    if 'network' not in wanted and not pool and len(given) < count:
        validation.refuse('floating_ips', 'network or pool is required')
    network = _network(context, wanted)
    names = [
        *('floating_ips.pool[%d]' % number for number in range(len(pool))),
        *('members[%d].floating_ip' % position for position in given),
    ]
    check_pool(context, [*pool, *given.values()], names.__getitem__, network)
    if not pool and count > len(given):
        _check_quota(context, count - len(given))
    return FloatingIpSpec(
        network_id=network and network['id'],
        network=network and network['name'],
        on_delete=wanted['on_delete'],
        pool=pool,
    )


def _network(context, wanted):
    """Find the external network of a request.

    :returns: the network as Neutron shows it, None if none is given.
    """
    if 'network' not in wanted:
        return None
    field = 'floating_ips.network'
    try:
        network = neutron.NeutronAPI(context).get_neutron_network(
            wanted['network']
        )
    except exception.ZunException as exc:
        if exc.code not in (400, 404, 409):
            raise
        validation.refuse(field, exc)
    if not network.get('router:external'):
        validation.refuse(
            field, 'network %s is not external' % wanted['network']
        )
    return network


def check_pool(context, addresses, field_of, network=None):
    """Check that floating IPs belong to the project and are not bound.

    :param addresses: of the floating IPs.
    :param field_of: function that returns the field in the request of the
        address at a position.
    :param network: the external network that they have to belong to, if any.
    :raises: ValidationError (400) that names the first field at fault.
    """
    positions = {}
    for position, address in enumerate(addresses):
        if address in positions:
            validation.refuse(
                field_of(position),
                '%s is already given in %s'
                % (address, field_of(positions[address])),
            )
        positions[address] = position
    if not addresses:
        return
    api = neutron.NeutronAPI(context)
    for start in range(0, len(addresses), BATCH):
        batch = addresses[start : start + BATCH]
        try:
            rows = api.list_floatingips(
                floating_ip_address=batch,
                # Administrators see the floating IPs of all projects.
                project_id=context.project_id,
            )['floatingips']
        except neutron_exceptions.NotFound as exc:
            # Neutron without the router extension has no floating IPs.
            validation.refuse(field_of(start), exc)
        found = {row['floating_ip_address']: row for row in rows}
        for address in batch:
            fault = _fault(found.get(address), network)
            if fault:
                validation.refuse(
                    field_of(positions[address]), '%s %s' % (address, fault)
                )


def _fault(row, network):
    if row is None:
        return 'is not a floating IP of the project'
    if row['port_id']:
        return 'is already bound to port %s' % row['port_id']
    if network and row['floating_network_id'] != network['id']:
        return 'does not belong to network %s' % network['name']
    return None


def _check_quota(context, count):
    """Check that new floating IPs fit into Neutron's quota, if it is visible.

    :raises: OverQuota (403)
    """
    try:
        details = neutron.NeutronAPI(context).show_quota_details(
            context.project_id
        )['quota']['floatingip']
    except neutron_exceptions.NeutronClientException as exc:
        if exc.status_code not in (403, 404):
            raise
        # The user may not see the quota; Neutron still enforces it.
        return
    used = details['used'] + details['reserved']
    if 0 <= details['limit'] < used + count:
        raise exception.OverQuota(
            overs='floating IPs (%d used, %d requested, %d allowed)'
            % (used, count, details['limit'])
        )


def grow(context, bulk, members):
    """Give further members of a bulk floating IPs like its other members.

    :param context: of the owner of the bulk.
    :param members: as for ``distribute``.
    :raises: OverQuota, PolicyNotAuthorized (403), Conflict (409)
    """
    spec = bulk.spec.floating_ips
    if spec is None:
        return
    policy.enforce(context, _RULE, action=_RULE)
    if spec.network_id and not spec.pool:
        _check_quota(context, len(members))
    distribute(spec, members, db_floating_ips.list_given_floating_ips(bulk.id))


def distribute(spec, members, taken=()):
    """Set in members' rows which floating IPs they want.

    Members with their own address get that; the others get an address of the
    pool in the order of their indexes, or a new floating IP.

    :param spec: as returned by ``check``.
    :param members: [{column: value}] of members, changed in place.
    :param taken: addresses of the pool that other members have.
    :raises: Conflict (409) if the pool has too few.
    """
    if spec is None:
        return
    without = [m for m in members if not _own(m)]
    rest = [address for address in spec.pool if address not in taken]
    if spec.pool and len(rest) < len(without):
        raise exception.Conflict(
            'floating_ips.pool: only %d free addresses for %d containers; '
            'the addresses of containers being deleted become free when these '
            'are gone' % (len(rest), len(without))
        )
    for member, address in zip(without, rest, strict=False):
        member['wanted'] = dataclasses.replace(
            member['wanted'], floating_ip=address
        )
    for member in members:
        member['floating_ip_state'] = (
            FloatingIpState.WANTED if spec.network_id or _own(member) else None
        )


def _own(member):
    return member['wanted'].floating_ip
