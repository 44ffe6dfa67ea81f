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

"""An emulated Neutron: networks, ports, security groups and floating IPs.

Whoever asks is who Keystone says. A port is bound, and ACTIVE, as soon as it
has a host. The network ``lab`` with a subnet is there from the start, and the
external network ``public``, which all subnets are routed to.
"""

import datetime
import ipaddress
import re
import secrets
import uuid

from tests.emulators import keystone
from tests.emulators import server


#: What a list is called, and its members.
SINGULAR = {
    'networks': 'network',
    'subnets': 'subnet',
    'ports': 'port',
    'security-groups': 'security_group',
    'security-group-rules': 'security_group_rule',
    'floatingips': 'floatingip',
}
#: What has a quota, by the name that it has there.
QUOTAS = {'port': 'ports', 'floatingip': 'floatingips'}
EXTENSIONS = (
    ('binding', 'Port Binding'),
    ('dns-integration', 'DNS Integration'),
    ('quotas', 'Quota management support'),
    ('security-group', 'security-group'),
    (
        'standard-attr-tag',
        'Tag support for resources with standard '
        'attribute: port, subnet, network',
    ),
)


#: Of a label, or of none; the real one takes domains besides.
DNS_NAME = '((?!-)[A-Za-z0-9-]{1,63}(?<!-))?'


class Neutron(server.Emulator):
    """See the module.

    :param auth_url: the URL of Keystone, with /v3.
    :param cidr: the subnet of the network ``lab``.
    :param public_cidr: that of the network ``public``.
    """

    NAME = 'emulated Neutron'
    ROUTES = (
        ('GET', '/', 'versions'),
        ('GET', '/v2.0/?', 'version'),
        ('GET', '/v2.0/extensions', 'extension_list'),
        ('GET', '/v2.0/extensions/([^/]+)', 'extension_show'),
        ('GET', '/v2.0/quotas/([^/]+)', 'quota_show'),
        ('GET', '/v2.0/quotas/([^/]+)/details', 'quota_details'),
        ('PUT', '/v2.0/quotas/([^/]+)', 'quota_update'),
        ('PUT', '/v2.0/([a-z-]+)/([^/]+)/tags', 'tags_replace'),
        ('GET', '/v2.0/([a-z-]+)', 'list'),
        ('POST', '/v2.0/([a-z-]+)', 'create'),
        ('GET', '/v2.0/([a-z-]+)/([^/]+)', 'show'),
        ('PUT', '/v2.0/([a-z-]+)/([^/]+)', 'update'),
        ('DELETE', '/v2.0/([a-z-]+)/([^/]+)', 'delete'),
    )

    def __init__(
        self, auth_url, cidr='10.77.0.0/20', public_cidr='172.24.0.0/20'
    ):
        super().__init__()
        self.rows = {kind: {} for kind in SINGULAR}
        self.quotas = {}
        self._callers = keystone.Callers(auth_url)
        self._used = {}
        #: {floating IP's id: its subnet's}
        self._public = {}
        self._make_network('admin', 'lab', cidr, {'shared': True})
        # Of a project whose containers are on no network of its own.
        self._make_network(
            'service', 'public', public_cidr, {'router:external': True}
        )

    def _make_network(self, project, name, cidr, values):
        admin = keystone.Caller(
            {
                'project': {'id': keystone.identifier('project', project)},
                'roles': [{'name': 'admin'}],
            }
        )
        network = self._create(admin, 'networks', {'name': name, **values})
        self._create(
            admin,
            'subnets',
            {
                'name': name,
                'network_id': network['id'],
                'cidr': cidr,
                'ip_version': 4,
                'enable_dhcp': False,
            },
        )

    def error(self, status, message, kind='NeutronError'):
        return server.Response(
            status,
            {'NeutronError': {'type': kind, 'message': message, 'detail': ''}},
        )

    def prepare(self, request):
        request.path = request.path.removesuffix('.json')
        if request.path.rstrip('/') not in ('', '/v2.0'):
            request.caller = self._callers.find(request)
            if request.caller is None:
                raise server.Response(401, 'Authentication required')
        return request

    # ---------------------------------------------------- versions and so on

    def _version(self):
        return {
            'id': 'v2.0',
            'status': 'CURRENT',
            'links': [{'rel': 'self', 'href': self.server.url + '/v2.0/'}],
        }

    def versions(self, _request):
        return server.Response(200, {'versions': [self._version()]})

    def version(self, _request):
        return server.Response(200, {'resources': []})

    def extension_list(self, _request):
        return server.Response(
            200,
            {
                'extensions': [
                    {
                        'alias': alias,
                        'name': name,
                        'description': name,
                        'links': [],
                        'updated': '2020-01-01T00:00:00-00:00',
                    }
                    for alias, name in EXTENSIONS
                ]
            },
        )

    def extension_show(self, _request, alias):
        for known, name in EXTENSIONS:
            if alias == known:
                return server.Response(
                    200, {'extension': {'alias': alias, 'name': name}}
                )
        raise self.error(
            404,
            'Extension with alias %s does not exist' % alias,
            'ExtensionNotFound',
        )

    def quota_show(self, _request, project_id):
        return server.Response(
            200,
            {
                'quota': {
                    name: self._quota(project_id, name) for name in QUOTAS
                }
            },
        )

    def quota_details(self, _request, project_id):
        return server.Response(
            200,
            {
                'quota': {
                    name: {
                        'limit': self._quota(project_id, name),
                        'used': self._owned(project_id, name),
                        'reserved': 0,
                    }
                    for name in QUOTAS
                }
            },
        )

    def quota_update(self, request, project_id):
        quotas = self.quotas.setdefault(project_id, {})
        quotas.update(request.json()['quota'])
        return self.quota_show(request, project_id)

    def _quota(self, project_id, name):
        return self.quotas.get(project_id, {}).get(name, -1)

    def _owned(self, project_id, name):
        return sum(
            row['project_id'] == project_id
            for row in self.rows[QUOTAS[name]].values()
        )

    def _check_quota(self, project_id, name):
        quota = self._quota(project_id, name)
        if 0 <= quota <= self._owned(project_id, name):
            raise self.error(
                409,
                "Quota exceeded for resources: ['%s']." % name,
                'OverQuota',
            )

    # ------------------------------------------------------------- resources

    def _table(self, kind):
        if kind not in self.rows:
            raise self.error(
                404, 'The resource could not be found.', 'HTTPNotFound'
            )
        return self.rows[kind]

    @staticmethod
    def _may_see(caller, row):
        return (
            caller.is_admin
            or row.get('shared')
            or row.get('router:external')
            or row['project_id'] == caller.project_id
        )

    def _get(self, caller, kind, ident):
        row = self._table(kind).get(ident)
        if row is None or not self._may_see(caller, row):
            name = SINGULAR[kind].title().replace('_', '')
            raise self.error(
                404,
                '%s %s could not be found.' % (name, ident),
                name + 'NotFound',
            )
        return row

    def list(self, request, kind):
        if kind == 'security-groups':
            self._default_group(request.caller.project_id)
        rows = [
            row
            for row in self._table(kind).values()
            if self._may_see(request.caller, row)
            and self._passes(row, request.query)
        ]
        rows.sort(key=lambda row: (row['created_at'], row['id']))
        marker, limit = request.argument('marker'), request.argument('limit')
        if marker:
            idents = [row['id'] for row in rows]
            rows = rows[idents.index(marker) + 1 :] if marker in idents else []
        if limit:
            rows = rows[: int(limit)]
        fields = request.query.get('fields')
        if fields:
            rows = [
                {name: row[name] for name in fields if name in row}
                for row in rows
            ]
        return server.Response(200, {kind.replace('-', '_'): rows})

    @staticmethod
    def _passes(row, query):
        for name, wanted in query.items():
            if name == 'tags':
                if not set(','.join(wanted).split(',')) <= set(row['tags']):
                    return False
            elif name in row and not isinstance(row[name], list):
                text = '' if row[name] is None else str(row[name])
                if text.lower() not in [value.lower() for value in wanted]:
                    return False
        return True

    def create(self, request, kind):
        self._table(kind)
        body, single = request.json(), SINGULAR[kind]
        many = kind.replace('-', '_')
        if many not in body:
            row = self._create(request.caller, kind, body[single])
            return server.Response(201, {single: row})
        made = []
        try:
            for values in body[many]:
                made.append(self._create(request.caller, kind, values))
        except server.Response:
            for row in made:
                self._forget(kind, row)
            raise
        return server.Response(201, {many: made})

    def _create(self, caller, kind, values):
        now = datetime.datetime.now(datetime.UTC)
        project = (
            values.get('project_id')
            or values.get('tenant_id')
            or caller.project_id
        )
        if project != caller.project_id and not caller.is_admin:
            raise self.error(
                403,
                'Specifying a different project is not allowed',
                'HTTPForbidden',
            )
        row = {
            'id': str(uuid.uuid4()),
            'name': '',
            'description': '',
            'tags': [],
            'revision_number': 1,
            **values,
            'project_id': project,
            'tenant_id': project,
            'created_at': now.strftime('%Y-%m-%dT%H:%M:%S.%fZ'),
            'updated_at': now.strftime('%Y-%m-%dT%H:%M:%SZ'),
        }
        fill = getattr(self, '_fill_' + SINGULAR[kind])
        fill(caller, row)
        self.rows[kind][row['id']] = row
        return row

    def show(self, request, kind, ident):
        row = self._get(request.caller, kind, ident)
        return server.Response(200, {SINGULAR[kind]: row})

    def update(self, request, kind, ident):
        row = self._get(request.caller, kind, ident)
        wanted = request.headers.get('If-Match')
        if wanted and wanted != 'revision_number=%d' % row['revision_number']:
            raise self.error(
                412, 'Constrained to %s' % wanted, 'RevisionNumberConstraint'
            )
        values = request.json()[SINGULAR[kind]]
        if kind == 'floatingips' and 'port_id' in values:
            values = {'fixed_ip_address': None, **values}
            values.update(self._associated({**row, **values}))
        row.update(values)
        row['revision_number'] += 1
        if kind == 'ports':
            self._bind(row)
        return server.Response(200, {SINGULAR[kind]: row})

    def delete(self, request, kind, ident):
        row = self._get(request.caller, kind, ident)
        ports = self.rows['ports'].values()
        used = {
            'networks': {port['network_id'] for port in ports},
            'subnets': {
                fixed['subnet_id']
                for port in ports
                for fixed in port['fixed_ips']
            },
        }
        if kind in ('networks', 'subnets') and ident in used[kind]:
            raise self.error(
                409,
                'Unable to complete operation: there are '
                'one or more ports still in use.',
                'InUse',
            )
        self._forget(kind, row)
        return server.Response(204)

    def _forget(self, kind, row):
        del self.rows[kind][row['id']]
        if kind == 'networks':
            for ident in row['subnets']:
                del self.rows['subnets'][ident]
        for fixed in row.get('fixed_ips', ()):
            self._used[fixed['subnet_id']].discard(fixed['ip_address'])
        if kind == 'ports':
            for public in self.rows['floatingips'].values():
                if public['port_id'] == row['id']:
                    public.update(port_id=None, fixed_ip_address=None)
                    public['revision_number'] += 1
        if kind == 'floatingips':
            self._used[self._public.pop(row['id'])].discard(
                row['floating_ip_address']
            )

    def tags_replace(self, request, kind, ident):
        row = self._get(request.caller, kind, ident)
        row['tags'] = request.json()['tags']
        return server.Response(200, {'tags': row['tags']})

    # ------------------------------------------------- what each kind adds

    def _fill_network(self, _caller, row):
        for name, value in (
            ('shared', False),
            ('admin_state_up', True),
            ('mtu', 1500),
            ('router:external', False),
            ('provider:network_type', 'vxlan'),
        ):
            row.setdefault(name, value)
        row.update(status='ACTIVE', subnets=[], availability_zones=[])

    def _fill_subnet(self, caller, row):
        network = self._get(caller, 'networks', row['network_id'])
        addresses = ipaddress.ip_network(row['cidr'])
        row.setdefault('ip_version', addresses.version)
        row.setdefault('gateway_ip', str(addresses[1]))
        row.setdefault('enable_dhcp', True)
        row.setdefault('subnetpool_id', None)
        row.setdefault(
            'allocation_pools',
            [{'start': str(addresses[2]), 'end': str(addresses[-2])}],
        )
        row['shared'] = network['shared']
        network['subnets'].append(row['id'])
        self._used[row['id']] = set()

    def _fill_port(self, caller, row):
        self._check_quota(row['project_id'], 'port')
        network = self._get(caller, 'networks', row['network_id'])
        if not re.fullmatch(DNS_NAME, row.setdefault('dns_name', '')):
            raise self.error(
                400,
                "Invalid input for dns_name. Reason: '%s' not a valid PQDN "
                'or FQDN.' % row['dns_name'],
                'HTTPBadRequest',
            )
        for name, value in (
            ('admin_state_up', True),
            ('device_id', ''),
            ('device_owner', ''),
            ('binding:host_id', ''),
            ('binding:profile', {}),
            ('binding:vnic_type', 'normal'),
            ('allowed_address_pairs', []),
            ('port_security_enabled', True),
        ):
            row.setdefault(name, value)
        if row.get('security_groups') is None:
            row['security_groups'] = [
                self._default_group(row['project_id'])['id']
            ]
        for group in row['security_groups']:
            self._get(caller, 'security-groups', group)
        row.setdefault(
            'mac_address',
            'fa:16:3e:'
            + ':'.join('%02x' % byte for byte in secrets.token_bytes(3)),
        )
        asked = row.get('fixed_ips')
        row['fixed_ips'] = (
            [self._take_address(network, fixed) for fixed in asked]
            if asked
            else [
                self._take_address(network, {'subnet_id': subnet})
                for subnet in network['subnets'][:1]
            ]
        )
        self._bind(row)

    @staticmethod
    def _bind(row):
        bound = bool(row['binding:host_id'])
        row['status'] = 'ACTIVE' if bound else 'DOWN'
        row['binding:vif_type'] = 'ovs' if bound else 'unbound'
        row['binding:vif_details'] = {}

    def _take_address(self, network, fixed):
        """Allocate an address of a network.

        :param fixed: a subnet, an address, or both.
        """
        wanted = fixed.get('ip_address')
        for ident in network['subnets']:
            subnet = self.rows['subnets'][ident]
            addresses = ipaddress.ip_network(subnet['cidr'])
            if fixed.get('subnet_id') not in (None, ident):
                continue
            if wanted and ipaddress.ip_address(wanted) not in addresses:
                continue
            address = wanted or self._free_address(subnet)
            if address in self._used[ident]:
                raise self.error(
                    409,
                    'IP address %s already allocated in '
                    'subnet %s' % (address, ident),
                    'IpAddressAlreadyAllocated',
                )
            if address:
                self._used[ident].add(address)
                return {'subnet_id': ident, 'ip_address': address}
        if wanted:
            raise self.error(
                400,
                'IP address %s is not a valid IP for any '
                'of the subnets on the specified network.' % wanted,
                'InvalidIpForNetwork',
            )
        raise self.error(
            409,
            'No more IP addresses available on network %s.' % network['id'],
            'IpAddressGenerationFailure',
        )

    def _free_address(self, subnet):
        used = self._used[subnet['id']]
        for pool in subnet['allocation_pools']:
            first = int(ipaddress.ip_address(pool['start']))
            last = int(ipaddress.ip_address(pool['end']))
            for number in range(first, last + 1):
                address = str(ipaddress.ip_address(number))
                if address not in used:
                    return address

    def _fill_floatingip(self, caller, row):
        self._check_quota(row['project_id'], 'floatingip')
        network = self._get(caller, 'networks', row['floating_network_id'])
        if not network['router:external']:
            raise self.error(
                400,
                'Bad floatingip request: Network %s is not a valid external '
                'network.' % network['id'],
                'BadRequest',
            )
        row.setdefault('port_id', None)
        row.setdefault('fixed_ip_address', None)
        row.update(self._associated(row))
        wanted = row.get('floating_ip_address')
        taken = self._take_address(
            network, {'ip_address': wanted} if wanted else {}
        )
        row['floating_ip_address'] = taken['ip_address']
        self._public[row['id']] = taken['subnet_id']
        row['status'] = 'ACTIVE' if row['port_id'] else 'DOWN'

    def _associated(self, row):
        """Look whether a floating IP can have its port.

        :returns: {'fixed_ip_address': that which it leads to}.
        """
        if not row['port_id']:
            return {'fixed_ip_address': None}
        port = self.rows['ports'].get(row['port_id'])
        if port is None or port['project_id'] != row['project_id']:
            raise self.error(
                404,
                'Port %s could not be found.' % row['port_id'],
                'PortNotFound',
            )
        addresses = [
            fixed['ip_address']
            for fixed in port['fixed_ips']
            if ipaddress.ip_address(fixed['ip_address']).version == 4
            and row['fixed_ip_address'] in (None, fixed['ip_address'])
        ]
        if len(addresses) != 1:
            raise self.error(
                400,
                'Bad floatingip request: Port %s has %d such fixed IPv4 '
                'addresses.' % (port['id'], len(addresses)),
                'BadRequest',
            )
        for other in self.rows['floatingips'].values():
            if other['id'] != row['id'] and (
                other['floating_network_id'],
                other['port_id'],
                other['fixed_ip_address'],
            ) == (row['floating_network_id'], port['id'], addresses[0]):
                raise self.error(
                    409,
                    'Cannot associate floating IP %s (%s) with port %s using '
                    'fixed IP %s, as that fixed IP already has a floating IP '
                    'on external network %s.'
                    % (
                        row.get('floating_ip_address'),
                        row['id'],
                        port['id'],
                        addresses[0],
                        row['floating_network_id'],
                    ),
                    'FloatingIPPortAlreadyAssociated',
                )
        return {'fixed_ip_address': addresses[0]}

    def _fill_security_group(self, _caller, row):
        row.setdefault('security_group_rules', [])
        row.setdefault('stateful', True)

    def _fill_security_group_rule(self, caller, row):
        group = self._get(caller, 'security-groups', row['security_group_id'])
        group['security_group_rules'].append(row)

    def _default_group(self, project_id):
        for group in self.rows['security-groups'].values():
            if (group['project_id'], group['name']) == (project_id, 'default'):
                return group
        owner = keystone.Caller({'project': {'id': project_id}, 'roles': []})
        return self._create(owner, 'security-groups', {'name': 'default'})


def main():
    parser = server.argument_parser(__doc__)
    parser.add_argument(
        '--auth-url', required=True, help="Keystone's URL, with /v3"
    )
    parser.add_argument(
        '--cidr',
        default='10.77.0.0/20',
        help='the subnet of the network "lab"',
    )
    args = parser.parse_args()
    server.run(Neutron(args.auth_url, args.cidr), args.listen)


if __name__ == '__main__':
    main()
