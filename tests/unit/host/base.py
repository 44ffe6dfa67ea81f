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

import types
from unittest import mock

import fixtures
from oslotest import base
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import counts as db_counts
from zun_bulk.db import leases as db_leases
from zun_bulk.db import members as db_members
from zun_bulk.db import zun_rows
from zun_bulk.host import agent
from zun_bulk.host import engine


def running(restarts=0, **state):
    return {
        'State': dict(
            {'Running': True, 'Pid': 1, 'Status': 'running', 'ExitCode': 0},
            **state,
        ),
        'RestartCount': restarts,
    }


class FakeCompute:
    """What was cast to zun-compute, which the test then plays."""

    def __init__(self, context):
        self._context = context
        self.created = []
        self.deleted = []
        self.volumes = {}
        self.limits = None

    def container_create(
        self,
        context,
        host,
        container,
        limits,
        networks,
        volumes,
        run,
        pci_requests,
    ):
        self.created.append(container.uuid)
        self.limits = limits
        self.networks = networks
        self.volumes.update(volumes)
        self.context = context

    def container_delete_on(self, context, host, container):
        self.deleted.append(container.uuid)


class AgentTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.useFixture(database.Database())
        for name, value, group in (
            ('mode', 'fixed', 'zun_bulk_pacing'),
            ('max_in_flight', 4, 'zun_bulk_pacing'),
            ('settle_time', 5.0, 'zun_bulk'),
        ):
            CONF.set_override(name, value, group)
            self.addCleanup(CONF.clear_override, name, group)
        self.docker = {}
        self.stuck = False
        self.compute = FakeCompute(mock.sentinel.context)
        self.useFixture(
            fixtures.MockPatch(
                'zun_bulk.rpc.ComputeAPI', side_effect=self.compute_for
            )
        )
        self.wake = self.useFixture(
            fixtures.MockPatch('zun_bulk.rpc.wake_conductors')
        ).mock
        self.useFixture(
            fixtures.MockPatch(
                'zun.objects.Container.list', side_effect=self.containers
            )
        )
        self.now = 1000.0
        self.agent = self.new_agent()
        self.agent._changes.subscribed(0.0)

    def compute_for(self, context):
        self.compute._context = context
        return self.compute

    def containers(self, context, filters):
        return [
            types.SimpleNamespace(uuid=uuid)
            for uuid in zun_rows.container_states(filters['uuid'])
        ]

    def new_agent(self):
        self.engine = engine.Engine(
            self.docker.get,
            self.remove,
            list_states=lambda: {
                uuid: found['State']['Status']
                for uuid, found in self.docker.items()
            },
        )
        return agent.HostAgent('host-1', self.engine)

    def remove(self, uuid):
        if self.stuck:
            raise exception.DockerError(error_msg='device or resource busy')
        del self.docker[uuid]

    def accept(self, count, host='host-1', **values):
        self.bulk, members = database.accept(count, **values)
        epoch = db_leases.take_lease(
            db_bulks.get_bulk(self.bulk.uuid), 'conductor'
        )
        database.place(
            self.bulk.id,
            epoch,
            [
                (member, host, [{'network': 'net', 'port': 'p'}], {'cpu': 4})
                for member in members
            ],
        )
        return [member.container_uuid for member in members]

    def cycle(self, seconds=1.0):
        self.now += seconds
        self.agent._cycle(self.now)

    def start(self, uuids, **state):
        """Play zun-compute: Docker starts these."""
        for uuid in uuids:
            self.docker[uuid] = running(**state)
            self.agent.started(uuid)

    def break_row(self, uuid, reason, task_state=None):
        """Play zun-compute: it gives a container up."""
        with db_base.writer() as session:
            table = zun_models.Container.__table__
            session.execute(
                table.update()
                .where(table.c.uuid == uuid)
                .values(
                    status='Error', status_reason=reason, task_state=task_state
                )
            )

    def states(self):
        return db_counts.count_members([self.bulk.id])[self.bulk.id]

    def member(self, uuid):
        return next(
            member
            for member in db_members.list_members(self.bulk.id)
            if member.container_uuid == uuid
        )
