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

"""Floating IPs that a bulk wants: what of it can be known beforehand.

Neutron is asked with the user's token, so that he gets no more by a bulk than
by himself; conductors bind them with Zun's own.
"""

import dataclasses

from neutronclient.common import exceptions as neutron_exceptions
from zun.common import exception
from zun.common import policy
from zun.network import neutron

from zun_bulk.api import validation
from zun_bulk.consts import FloatingIpState
from zun_bulk.db import floating_ips as db_floating_ips
from zun_bulk.db.specs import FloatingIpSpec


#: How many addresses one call looks up: they go into its URL.
BATCH = 100

_RULE = 'bulk:create:floating_ips'


def with_defaults(wanted):
    """What the request's ``floating_ips`` means."""
    return dict({'on_delete': 'release'}, **wanted)


def check(context, wanted, count, own=()):
    """Check whether the members of a bulk can have their floating IPs.

    :param wanted: the request's ``floating_ips`` with its defaults, or None.
    :param own: for each member in turn the address that it has of its own,
        or None; empty if none has.
    :returns: what the bulk's spec has to say of floating IPs; None if it
        wants none.
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
        # Just those members want one that say which.
        wanted, count = with_defaults({}), len(given)
    pool = wanted.get('pool', [])
    if pool and len(pool) < count - len(given):
        validation.refuse(
            'floating_ips.pool',
            '%d are too few for %d containers'
            % (len(pool), count - len(given)),
        )
    if 'network' not in wanted and not pool and len(given) < count:
        validation.refuse('floating_ips', 'it needs a network, or a pool')
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
    """:returns: the external network as Neutron shows it, None if not said."""
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


def check_pool(context, addresses, naming, network=None):
    """Check whether floating IPs are the project's, and bound to nothing.

    :param addresses: those that members are to get.
    :param naming: function of the position of one, what the request calls it.
    :param network: the external network that they have to be of, if any.
    :raises: ValidationError (400) that names the first that is at fault.
    """
    positions = {}
    for position, address in enumerate(addresses):
        if address in positions:
            validation.refuse(
                naming(position),
                '%s is %s already' % (address, naming(positions[address])),
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
                # An administrator would see those of others.
                project_id=context.project_id,
            )['floatingips']
        except neutron_exceptions.NotFound as exc:
            # It has no routers, and no floating IPs at all.
            validation.refuse(naming(start), exc)
        found = {row['floating_ip_address']: row for row in rows}
        for address in batch:
            fault = _fault(found.get(address), network)
            if fault:
                validation.refuse(
                    naming(positions[address]), '%s %s' % (address, fault)
                )


def _fault(row, network):
    if row is None:
        return 'is no floating IP of the project'
    if row['port_id']:
        return 'is bound to port %s' % row['port_id']
    if network and row['floating_network_id'] != network['id']:
        return 'is not of network %s' % network['name']
    return None


def _check_quota(context, count):
    """Refuse more floating IPs than the project may have."""
    try:
        details = neutron.NeutronAPI(context).show_quota_details(
            context.project_id
        )['quota']['floatingip']
    except neutron_exceptions.NeutronClientException as exc:
        if exc.status_code not in (403, 404):
            raise
        # Users need not be let to know it.
        return
    used = details['used'] + details['reserved']
    if 0 <= details['limit'] < used + count:
        raise exception.OverQuota(
            overs='floating IPs (%d used, %d asked for, %d allowed)'
            % (used, count, details['limit'])
        )


def grow(context, bulk, members):
    """Have further members of a bulk want floating IPs as its others do.

    :param context: of whom the bulk is.
    :param members: as for ``distribute``.
    :raises: OverQuota, PolicyNotAuthorized (403), Conflict (409)
    """
    spec = bulk.spec.floating_ips
    if spec is None:
        return
    policy.enforce(context, _RULE, action=_RULE)
    if spec.network_id and not spec.pool:
        _check_quota(context, len(members))
    distribute(spec, members, db_floating_ips.list_given(bulk.id))


def distribute(spec, members, taken=()):
    """Write into members' rows which floating IPs they want.

    One that has an address of its own has that; the others get those of the
    pool in the order of their indexes, or one that is made for them.

    :param spec: what ``check`` has returned.
    :param members: [{column: value}] of Members.
    :param taken: addresses of the pool that other members have.
    :raises: Conflict (409) if the pool has too few.
    """
    if spec is None:
        return
    without = [m for m in members if not _own(m)]
    rest = [address for address in spec.pool if address not in taken]
    if spec.pool and len(rest) < len(without):
        raise exception.Conflict(
            'floating_ips.pool: %d of its addresses are free, and %d '
            'containers need one. Those of deleted containers are free once '
            'they are gone.' % (len(rest), len(without))
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
