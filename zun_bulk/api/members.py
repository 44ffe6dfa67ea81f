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

"""Per-member values: the list ``members`` of a request.

They are checked field by field, not as a whole container body, and one
response reports all faults: among a thousand entries, more than one is wrong.
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


#: Faults that one response reports.
MAX_FAULTS = 100
#: Characters of a fault, and of a value that it quotes.
_MAX_MESSAGE = 200
_MAX_VALUE = 80

#: Columns of a container's row that may have per-member values.
COLUMNS = ('name', 'hostname', 'environment', 'labels')
#: Fields that a container's row does not have.
_WANTED = ('addresses', 'floating_ip', 'mounts')

# Created once, and one per field: a single validator of all fields is slower.
_VALIDATORS = {
    field: validators.SchemaValidator(of_field).validator
    for field, of_field in schema.own.items()
}


class Faults:
    """Faults of members, collected for one response."""

    def __init__(self):
        self._lines = []
        self._number = 0

    def add(self, index, path, text):
        """Add a fault of a field of members[index].

        :param path: of the field in members[index], empty for the whole entry.
        """
        self._number += 1
        if self._number <= MAX_FAULTS:
            path = '.' + path[:_MAX_MESSAGE] if path else ''
            path = 'members[%d]%s' % (index, path)
            line = '%s: %s' % (path, text[:_MAX_MESSAGE])
            self._lines.append((index, line))

    def refuse(self):
        """Refuse the request if there are faults.

        :raises: ValidationError (400)
        """
        if not self._number:
            return
        lines = [line for _index, line in sorted(self._lines)]
        if self._number > MAX_FAULTS:
            lines.append('and %d more' % (self._number - MAX_FAULTS))
        raise exception.ValidationError(detail='\n'.join(lines))


def check(members, count, template, name_pattern):
    """Check per-member values as far as possible without other services.

    :param members: the request's list, not checked before.
    :param count: number of members of the bulk.
    :param name_pattern: name, with {index}, of members without their own.
    :returns: the Faults found.
    :raises: ValidationError (400) if the list does not have count entries.
    """
    if len(members) != count:
        raise exception.ValidationError(
            detail='count: %d given, but members has %d entries'
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
                    'names beginning with %s are reserved' % LABEL_PREFIX,
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
    """Check an entry of members against the schema, whatever its type.

    :returns: iterator of (path, error text).
    """
    if not isinstance(member, dict):
        yield '', 'must be an object'
        return
    for field, value in member.items():
        if field not in _VALIDATORS:
            yield field, 'unknown field'
            continue
        if field in ('name', 'hostname'):
            value = templates.expand(value, index)
        for error in _VALIDATORS[field].iter_errors(value):
            yield (
                validation.path([field, *error.absolute_path]),
                _text(error),
            )


def _text(error):
    """Shorten the value that a validator's message quotes."""
    value = repr(error.instance)
    if len(value) <= _MAX_VALUE:
        return error.message
    return error.message.replace(value, value[:_MAX_VALUE] + '…')


def _check_once(faults, position, path, text, seen, key):
    """Check that no other member has a value.

    :param text: the value, for the error text.
    :param seen: {key: position} of values checked before; the key is added.
    :param key: what has to be unique.
    """
    if key in seen:
        faults.add(
            position,
            path,
            '%s is already used in members[%d]' % (text, seen[key]),
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
    """Check the mounts of one member.

    :param taken: destinations of the template's mounts.
    """
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
                'already used by another mount',
            )
        taken.add(mount['destination'])


def check_addresses(context, members, networks, faults):
    """Check that the members' addresses fit their networks.

    :param networks: the requested networks, the same for each member.
    :param faults: Faults of the members, to which this adds.
    """
    # Entries may still have any type: those faults have been added before.
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
                '%d addresses given, but members have %d networks'
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
                    'the network is given twice, but containers are attached '
                    'to it only once',
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
    """List the subnets of networks.

    :returns: {network id: [IPv4Network or IPv6Network]}.
    """
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
        faults.add(
            position,
            path,
            'the template already sets a port or an address for this network',
        )
    elif not any(_is_in(address, subnet) for subnet in subnets):
        faults.add(
            position,
            path,
            '%s is not a usable address of network %s (subnets: %s)'
            % (
                address,
                network['network'],
                ', '.join(map(str, subnets)) or 'none',
            ),
        )
    else:
        key = network['network'], address
        _check_once(faults, position, path, address, seen, key)


def _address(text):
    """Parse an IPv4 or IPv6 address.

    :raises: ValueError
    """
    if '%' in text:
        raise ValueError(
            '%r has a scope id, which ports cannot have; remove it' % text
        )
    return ipaddress.ip_address(text)


def _is_in(address, subnet):
    """Whether a port can have an address of a subnet."""
    if address not in subnet:
        return False
    return (
        subnet.version == 6
        or subnet.num_addresses <= 2
        or address not in (subnet.network_address, subnet.broadcast_address)
    )


def override(shared, member):
    """Apply a member's values to COLUMNS, before {index} is replaced.

    :param shared: {column: value} of all members.
    :param member: the per-member values.
    :returns: {column: value} of COLUMNS.
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
    """List the fields that have per-member values in any member.

    :returns: their names, sorted.
    """
    return sorted(
        {name for member in members for name, value in member.items() if value}
    )


def wanted(member):
    """Make the value of Member.wanted, with addresses in Neutron's notation.

    :returns: {field: value}, or None.
    """
    values = {key: member[key] for key in _WANTED if member.get(key)}
    if 'addresses' in values:
        values['addresses'] = [
            str(_address(text)) if text else None
            for text in values['addresses']
        ]
    return MemberSpec(**values)


def check_sizes(rows, measure):
    """Refuse per-member values that the database would refuse.

    :param rows: [{column: value}] of their containers.
    :param measure: function of a column's name and a value that returns its
        size in characters and an error text or None.
    :returns: the size of all values in COLUMNS, in characters.
    :raises: ValidationError (400) that reports all faults.
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
