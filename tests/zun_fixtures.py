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

"""Zun's global state, made for a test and put back after it."""

import ipaddress
import os
import pathlib

import fixtures
from neutronclient.common import exceptions as neutron_exceptions
from oslo_config import cfg
from oslo_config import fixture as config_fixture
from oslo_db import options as db_options
from oslo_db.sqlalchemy import enginefacade
from oslo_log import log
from oslo_messaging import conffixture
from oslo_policy import policy as oslo_policy
from oslo_utils import uuidutils
from zun import objects
from zun.common import context as zun_context
from zun.common import policy
from zun.common import rpc
from zun.db.sqlalchemy import api as zun_db_api
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base
from zun_bulk.db import migration
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import usage


try:
    log.register_options(CONF)
except cfg.ArgsAlreadyParsedError:
    pass


class Config(fixtures.Fixture):
    """Zun's configuration; ``config(**options)`` sets more of it.

    :param text: of a configuration file; all else has its default.
    """

    def __init__(self, text=''):
        self._text = text

    def _setUp(self):
        fixture = self.useFixture(config_fixture.Config(CONF))
        path = self.useFixture(fixtures.TempDir()).join('zun.conf')
        pathlib.Path(path).write_text(self._text)
        CONF([], project='zun', default_config_files=[path])
        self.config = fixture.config
        self.useFixture(conffixture.ConfFixture(CONF, 'fake:/'))
        self.useFixture(fixtures.MonkeyPatch('zun.common.rpc.TRANSPORT', None))
        rpc.init(CONF)


class Policy(fixtures.Fixture):
    """An enforcer that knows no rule yet."""

    def _setUp(self):
        self.useFixture(
            fixtures.MonkeyPatch('zun.common.policy._ENFORCER', None)
        )

    def set_rules(self, **rules):
        """Override check strings; ``__`` stands for a colon."""
        enforcer = policy.init()
        enforcer.load_rules()
        enforcer.set_rules(
            oslo_policy.Rules.from_dict(
                {name.replace('__', ':'): rule for name, rule in rules.items()}
            ),
            overwrite=False,
        )


class Database(fixtures.Fixture):
    """A SQLite file with Zun's tables and ours, for both their engines.

    To be used after Config.
    """

    #: Tables take a while to make: the first test's file serves the others.
    _contents = None

    def _setUp(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'db')
        self.url = 'sqlite:///' + path
        db_options.set_defaults(CONF)
        CONF.set_override('connection', self.url, 'database')
        CONF.set_override('sqlite_synchronous', False, 'database')
        self._make(path)
        self._point(enginefacade._context_manager)
        self._point(db_base.CONTEXT_MANAGER)
        if hasattr(zun_db_api, '_FACADE'):
            # Zun 16 and 17 keep the engine themselves.
            self.useFixture(
                fixtures.MonkeyPatch('zun.db.sqlalchemy.api._FACADE', None)
            )

    def _point(self, manager):
        ours = self._new_manager()
        self.addCleanup(ours.dispose_pool)
        self.addCleanup(manager.patch_factory(ours))

    def _new_manager(self):
        ours = enginefacade.transaction_context()
        ours.configure(connection=self.url, sqlite_synchronous=False)
        return ours

    def _make(self, path):
        cls = type(self)
        if cls._contents is None:
            # Apart, so that no test finds its own engine in use already.
            undo = db_base.CONTEXT_MANAGER.patch_factory(self._new_manager())
            engine = db_base.get_engine()
            zun_models.Base.metadata.create_all(engine)
            db_base.create_tables(engine)
            migration.stamp('head')
            engine.dispose()
            undo()
            cls._contents = pathlib.Path(path).read_bytes()
        else:
            pathlib.Path(path).write_bytes(cls._contents)


class Neutron(fixtures.Fixture):
    """The client of Neutron that Zun uses, on dictionaries.

    ``networks``, ``subnets``, ``ports``, ``security_groups`` and
    ``floatingips`` are lists of what Neutron would show;
    ``floating_ip_quota`` is its answer or what it raises; ``calls`` counts the
    calls by name.
    """

    def _setUp(self):
        self.networks = [network('net-a'), network('net-b', shared=True)]
        self.subnets = []
        self.ports = []
        self.security_groups = []
        self.floatingips = []
        self.floating_ip_quota = {'limit': -1, 'used': 0, 'reserved': 0}
        self.calls = {}
        self.useFixture(
            fixtures.MonkeyPatch(
                'zun.common.clients.OpenStackClients.neutron',
                lambda clients: self,
            )
        )

    def _find(self, name, filters):
        self.calls['list_' + name] = self.calls.get('list_' + name, 0) + 1
        return {
            name: [
                item
                for item in getattr(self, name)
                if all(
                    item.get(key, value)
                    in (value if isinstance(value, list) else [value])
                    for key, value in filters.items()
                )
            ]
        }

    def list_networks(self, **filters):
        return self._find('networks', filters)

    def list_subnets(self, **filters):
        return self._find('subnets', filters)

    def list_floatingips(self, **filters):
        return self._find('floatingips', filters)

    def show_quota_details(self, project_id):
        if isinstance(self.floating_ip_quota, Exception):
            raise self.floating_ip_quota
        return {'quota': {'floatingip': self.floating_ip_quota}}

    def list_ports(self, **filters):
        return self._find('ports', filters)

    def show_port(self, ident, **params):
        return {'port': self._find('ports', {'id': ident})['ports'][0]}

    def show_network(self, ident, **params):
        return {
            'network': self._find('networks', {'id': ident})['networks'][0]
        }

    def find_resource(self, resource, name_or_id, *args):
        found = [
            group
            for group in self.security_groups
            if name_or_id in (group['id'], group['name'])
        ]
        if not found:
            raise neutron_exceptions.NotFound(
                message='Unable to find %s' % name_or_id
            )
        if len(found) > 1:
            raise neutron_exceptions.NeutronClientNoUniqueMatch(
                resource=resource, name=name_or_id
            )
        return found[0]


class Hosts(fixtures.Fixture):
    """Hosts that are up, and a Placement that knows them.

    To be used after Database. ``vcpus`` is what each has left; ``error`` is
    what Placement raises, if anything.

    :param vcpus: {name: number}.
    """

    def __init__(self, **vcpus):
        self.vcpus = {
            name.replace('_', '-'): number for name, number in vcpus.items()
        }
        self.error = None

    def _setUp(self):
        self._providers = {}
        for name in self.vcpus:
            self._make(name)
        self.useFixture(
            fixtures.MockPatch(
                'zun_bulk.scheduler.placement.Placement', lambda: self
            )
        )
        self.useFixture(
            fixtures.MockPatch(
                'zun.scheduler.client.report.SchedulerReportClient'
            )
        )
        # What was read of one database is not for the next.
        usage.forget()
        self.addCleanup(usage.forget)

    def _make(self, name):
        context = zun_context.get_admin_context()
        service = objects.ZunService(
            context, host=name, binary='zun-compute', availability_zone='nova'
        )
        service.create()
        service.report_state_up()
        node = objects.ComputeNode(
            context,
            hostname=name,
            rp_uuid=uuidutils.generate_uuid(),
            cpus=64,
            cpu_used=0,
            mem_total=65536,
            mem_free=65536,
            mem_available=65536,
            mem_used=0,
            disk_total=100,
            disk_used=0,
            disk_quota_supported=True,
            numa_topology=objects.NUMATopology(nodes=[]),
            labels={},
            runtimes=['runc'],
            enable_cpu_pinning=False,
        )
        node.create(context)
        self._providers[node.rp_uuid] = name

    def candidates(self, resources):
        if self.error:
            raise self.error
        wanted = resources.get_request_group(None).resources['VCPU']
        return {
            uuid: placement.Candidate(
                {uuid: {'resources': {'VCPU': wanted}}},
                {
                    uuid: {
                        'resources': {
                            'VCPU': {'capacity': self.vcpus[name], 'used': 0}
                        }
                    }
                },
            )
            for uuid, name in self._providers.items()
            if self.vcpus[name] >= wanted
        }

    def short_of(self, _resources):
        return lambda _provider: 'VCPU'


def network(name, **values):
    return dict(
        {
            'id': _uuid(name),
            'name': name,
            'tenant_id': 'project-1',
            'shared': False,
            'router:external': False,
            'created_at': '2026-01-01T00:00:00Z',
        },
        **values,
    )


def subnet(network, cidr):
    addresses = ipaddress.ip_network(cidr)
    return {
        'id': _uuid(cidr),
        'network_id': network['id'],
        'cidr': cidr,
        'ip_version': addresses.version,
        'gateway_ip': str(addresses[1]),
    }


def port(name, network_name='net-a', **values):
    return dict(
        {
            'id': _uuid(name),
            'name': name,
            'tenant_id': 'project-1',
            'network_id': _uuid(network_name),
            'status': 'DOWN',
            'device_id': '',
            'binding:vnic_type': 'normal',
        },
        **values,
    )


def floating_ip(address, network_name='public', **values):
    return dict(
        {
            'id': _uuid(address),
            'floating_ip_address': address,
            'floating_network_id': _uuid(network_name),
            'project_id': 'project-1',
            'port_id': None,
        },
        **values,
    )


def security_group(name):
    return {'id': _uuid(name), 'name': name}


def _uuid(name):
    return '00000000-0000-4000-8000-' + name.encode().hex()[:12].rjust(12, '0')
