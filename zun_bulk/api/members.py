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

"""What each member of a bulk has of its own: ``members`` of the request.

It is checked field by field, not as a container's whole body, and all that is
wrong is told at once: who has a thousand lines has more than one bad one.
"""

import ipaddress

from zun.api.validation import validators
from zun.common import exception
from zun.network import neutron

from zun_bulk.api import mounts
from zun_bulk.api import template as templates
from zun_bulk.api import validation
from zun_bulk.api.schemas import member as schema
from zun_bulk.conf import CONF
from zun_bulk.consts import LABEL_PREFIX
from zun_bulk.db.specs import MemberSpec
from zun_bulk.network import requested


#: How many faults an answer tells, and how much of each.
MAX_FAULTS = 100
_MAX_MESSAGE = 200
_MAX_VALUE = 80

#: Columns of a container's row in which members differ.
COLUMNS = ('name', 'hostname', 'environment', 'labels')
#: Fields for which a container's row has no place.
_WANTED = ('addresses', 'floating_ip', 'mounts')

# Made once, and of each field: one of all of them takes longer for a member.
_VALIDATORS = {
    field: validators.SchemaValidator(of_field).validator
    for field, of_field in schema.own.items()
}


class Faults:
    """What is wrong with members, to be told in one answer."""

    def __init__(self):
        self._told = []
        self._number = 0

    def add(self, index, path, text):
        """Note what is wrong with a field of members[index]."""
        self._number += 1
        if self._number <= MAX_FAULTS:
            path = '.' + path[:_MAX_MESSAGE] if path else ''
            path = 'members[%d]%s' % (index, path)
            line = '%s: %s' % (path, text[:_MAX_MESSAGE])
            self._told.append((index, line))

    def refuse(self):
        """:raises: ValidationError (400) if there are any."""
        if not self._number:
            return
        told = [line for _index, line in sorted(self._told)]
        if self._number > MAX_FAULTS:
            told.append('and %d more' % (self._number - MAX_FAULTS))
        raise exception.ValidationError(detail='\n'.join(told))


def check(members, count, template, name_pattern):
    """Check what can be checked without asking anybody.

    :param members: the request's list, of which nothing is known yet.
    :param name_pattern: of the name of who has none of its own.
    :returns: the Faults that were found.
    :raises: ValidationError (400) if they are not as many as there are to be.
    """
    if len(members) != count:
        raise exception.ValidationError(
            detail='count: it is %d, but there are %d members'
            % (count, len(members))
        )
    faults = Faults()
    destinations = {
        mount['destination'] for mount in template.get('mounts') or []
    }
    names, floating_ips = {}, {}
    for position, member in enumerate(members):
        wrong = list(_wrong(member, position + 1))
        for path, text in wrong:
            faults.add(position, path, text)
        if wrong:
            continue
        for label in member.get('labels', ()):
            if label.startswith(LABEL_PREFIX):
                faults.add(
                    position,
                    'labels',
                    'names that begin with %s are reserved' % LABEL_PREFIX,
                )
        if 'floating_ip' in member:
            _check_floating_ip(faults, position, member, floating_ips)
        _check_mounts(faults, position, member, destinations)
        if CONF.compute.unique_container_name_scope:
            name = templates.expand(
                member.get('name', name_pattern), position + 1
            )
            _check_once(faults, position, 'name', name, names, name.lower())
    return faults


def _wrong(member, index):
    """Yield (path, what is wrong there) of a member, whatever it is."""
    if not isinstance(member, dict):
        yield '', 'it is not an object'
        return
    for field, value in member.items():
        if field not in _VALIDATORS:
            yield field, 'there is no such field'
            continue
        if field in ('name', 'hostname'):
            value = templates.expand(value, index)
        for error in _VALIDATORS[field].iter_errors(value):
            yield (
                validation.path([field, *error.absolute_path]),
                _text(error),
            )


def _text(error):
    """A validator's message, which quotes values, with short ones."""
    value = repr(error.instance)
    if len(value) <= _MAX_VALUE:
        return error.message
    return error.message.replace(value, value[:_MAX_VALUE] + '…')


def _check_once(faults, position, path, text, seen, key):
    """Note a value that another member has as well.

    :param seen: {key: position} of those that were checked already.
    """
    if key in seen:
        faults.add(
            position,
            path,
            '%s is also that of members[%d]' % (text, seen[key]),
        )
    seen.setdefault(key, position)


def _check_floating_ip(faults, position, member, seen):
    try:
        address = ipaddress.IPv4Address(member['floating_ip'])
    except ValueError as exc:
        faults.add(position, 'floating_ip', str(exc))
    else:
        _check_once(faults, position, 'floating_ip', address, seen, address)


def _check_mounts(faults, position, member, taken):
    """:param taken: where the template mounts something."""
    taken = set(taken)
    for number, mount in enumerate(member.get('mounts', ())):
        path = 'mounts[%d]' % number
        try:
            mounts.check(path, mount)
        except exception.ValidationError as exc:
            field, _, text = str(exc).partition(': ')
            faults.add(position, field, text)
        if mount['destination'] in taken:
            faults.add(
                position,
                path + '.destination',
                'something else is mounted there',
            )
        taken.add(mount['destination'])


def check_addresses(context, members, networks, faults):
    """Check the members' addresses on the networks that they are for.

    :param networks: the requested networks of each member.
    :param faults: Faults of the members, to which this adds.
    """
    # A member may be anything still: what it is not was noted already.
    asked = [
        (position, member['addresses'])
        for position, member in enumerate(members)
        if isinstance(member, dict)
        and isinstance(member.get('addresses'), list)
    ]
    width = max((len(addresses) for _, addresses in asked), default=0)
    subnets = _subnets(context, networks[:width])
    attached = set(requested.attached(networks))
    seen = {}
    for position, addresses in asked:
        if len(addresses) > len(networks):
            faults.add(
                position,
                'addresses',
                'there are %d, but a member has %d networks'
                % (len(addresses), len(networks)),
            )
        for number, (address, network) in enumerate(
            zip(addresses, networks, strict=False)
        ):
            if not isinstance(address, str):
                continue
            path = 'addresses[%d]' % number
            if number not in attached:
                faults.add(
                    position,
                    path,
                    'the network is there twice, and containers are attached '
                    'to it once',
                )
                continue
            _check_address(
                faults,
                position,
                path,
                address,
                network,
                subnets[network['network']],
                seen,
            )


def _subnets(context, networks):
    """:returns: {network id: [its subnets as IPv4Network or IPv6Network]}."""
    client = neutron.NeutronAPI(context)
    return {
        ident: [
            ipaddress.ip_network(subnet['cidr'])
            for subnet in client.list_subnets(network_id=ident)['subnets']
        ]
        for ident in {network['network'] for network in networks}
    }


def _check_address(faults, position, path, text, network, subnets, seen):
    try:
        address = _address(text)
    except ValueError as exc:
        faults.add(position, path, str(exc))
        return
    if network.get('port') or network.get('fixed_ip'):
        faults.add(position, path, 'the template says it for this network')
    elif not any(_is_in(address, subnet) for subnet in subnets):
        faults.add(
            position,
            path,
            '%s is no address of a host in network %s, which has %s'
            % (
                address,
                network['network'],
                ', '.join(map(str, subnets)) or 'no subnets',
            ),
        )
    else:
        key = network['network'], address
        _check_once(faults, position, path, address, seen, key)


def _address(text):
    """:raises: ValueError"""
    if '%' in text:
        raise ValueError('%r has a scope, which no port has' % text)
    return ipaddress.ip_address(text)


def _is_in(address, subnet):
    """Whether Neutron gives a port this address of a subnet."""
    if address not in subnet:
        return False
    return (
        subnet.version == 6
        or subnet.num_addresses <= 2
        or address not in (subnet.network_address, subnet.broadcast_address)
    )


def override(shared, member):
    """What a container's row says in COLUMNS, before {index} is replaced.

    :param shared: {column: value} of all members.
    :param member: what this one has of its own.
    """
    return {
        'name': member.get('name', shared['name']),
        'hostname': member.get('hostname', shared['hostname']),
        'environment': dict(
            shared['environment'] or {}, **member['environment']
        )
        if member.get('environment')
        else shared['environment'],
        'labels': dict(shared['labels'], **member.get('labels', {})),
    }


def fields(members):
    """:returns: the names of what any member has of its own, sorted."""
    return sorted(
        {name for member in members for name, value in member.items() if value}
    )


def wanted(member):
    """What Member.wanted says of a member, in the notation of Neutron."""
    values = {key: member[key] for key in _WANTED if member.get(key)}
    if 'addresses' in values:
        values['addresses'] = [
            str(_address(text)) if text else None
            for text in values['addresses']
        ]
    return MemberSpec(**values)


def check_sizes(rows, measure):
    """Refuse what the database would of what members have of their own.

    :param rows: [{column: value}] of their containers.
    :param measure: function of a column's name and a value that returns its
        size and what is wrong with it, or None.
    :returns: the size of all of it.
    :raises: ValidationError (400) that names all that is wrong.
    """
    faults = Faults()
    total = 0
    for position, row in enumerate(rows):
        for column in COLUMNS:
            size, fault = measure(column, row[column])
            total += size
            if fault:
                faults.add(position, column, fault)
    faults.refuse()
    return total
