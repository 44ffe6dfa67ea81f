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

from unittest import mock

from keystoneauth1 import exceptions as ks_exc
from oslo_config import fixture as config_fixture
from oslo_log import log as logging
from oslo_utils import uuidutils
from oslotest import base
import sqlalchemy as sa
from zun.common import consts
from zun.common import exception
from zun.db.sqlalchemy import models as zun_models

from tests import database
from zun_bulk.conf import CONF
from zun_bulk.db import hosts as db_hosts
from zun_bulk.db.models import Member
from zun_bulk.scheduler import placement
from zun_bulk.scheduler import timed_cache
from zun_bulk.scheduler import usage
from zun_bulk.states import MemberState


class DatabaseTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.engine = self.useFixture(database.Database()).engine
        self.conf = self.useFixture(config_fixture.Config(CONF))
        self.conf.config(default_cpu=0.5, default_memory=32)
        self.addCleanup(usage.forget)
        usage.forget()

    def insert(self, model, **values):
        with self.engine.begin() as connection:
            return connection.execute(
                sa.insert(model.__table__).values(**values)
            ).inserted_primary_key[0]

    def container(self, **values):
        values.setdefault('container_type', consts.TYPE_CONTAINER)
        values.setdefault('status', 'Running')
        return self.insert(
            zun_models.Container,
            uuid=uuidutils.generate_uuid(),
            name='single',
            **values,
        )

    def bulk(self, *hosts, **values):
        """A bulk with a member on each host, 'state' and 'placed' ones."""
        bulk, members = database.accept(len(hosts))
        with self.engine.begin() as connection:
            table = zun_models.Container.__table__
            connection.execute(
                sa.update(table)
                .where(
                    table.c.uuid.in_(
                        [member.container_uuid for member in members]
                    )
                )
                .values(**values)
            )
        for member, host in zip(members, hosts, strict=True):
            self.set_member(member, MemberState.PLACED, host)
        return bulk, members

    def set_member(self, member, state, host):
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(Member.__table__)
                .where(Member.__table__.c.id == member.id)
                .values(state=state, host=host)
            )


class TestUsage(DatabaseTestCase):
    def test_nothing(self):
        use = usage.read().of('host-1')
        self.assertEqual((0, 0, 0), (use.containers, *self.cpus('host-1')))
        self.assertEqual(0, usage.read().most_of('VCPU'))

    def cpus(self, host):
        use = usage.read().of(host)
        return use.used['VCPU'], use.claimed['VCPU']

    def test_what_zun_counts(self):
        self.container(host='host-1', cpu=0.25, memory='512', disk=3)
        self.container(host='host-1', cpu=0.25, memory='512', disk=3)
        # Zun counts them until they are deleted.
        self.container(host='host-1', cpu=2.5, status='Error', disk=None)
        self.container(host='host-2', cpu=4, memory='64')
        use = usage.read().of('host-1')
        self.assertEqual(3, use.containers)
        self.assertEqual(
            {'VCPU': 3.0, 'MEMORY_MB': 1024, 'DISK_GB': 6}, use.used
        )
        # Whole VCPUs, and the default of who asks for no memory.
        self.assertEqual(
            {'VCPU': 5, 'MEMORY_MB': 1056, 'DISK_GB': 6}, use.claimed
        )
        self.assertEqual((4, 4), self.cpus('host-2'))

    def test_no_cpu_and_no_memory(self):
        self.conf.config(default_cpu=0, default_memory=0)
        self.container(host='host-1', cpu=None, memory='None')
        use = usage.read().of('host-1')
        self.assertEqual({'VCPU': 0, 'MEMORY_MB': 0, 'DISK_GB': 0}, use.used)
        self.assertEqual(
            {'VCPU': 1, 'MEMORY_MB': 1, 'DISK_GB': 0}, use.claimed
        )

    def test_members_on_their_way(self):
        _bulk, members = self.bulk(
            'host-1', 'host-1', 'host-2', cpu=0.1, memory='64', host=None
        )
        self.set_member(members[1], MemberState.STARTING, 'host-1')
        self.assertEqual((0.2, 2), self.cpus('host-1'))
        self.assertEqual((0.1, 1), self.cpus('host-2'))
        self.assertEqual(2, usage.read().of('host-1').containers)

    def test_members_that_are_there_count_once(self):
        self.bulk('host-1', 'host-1', cpu=0.5, host='host-1')
        self.assertEqual((1.0, 2), self.cpus('host-1'))

    def test_members_that_go_nowhere(self):
        _bulk, members = self.bulk(*['host-1'] * 3, cpu=0.5)
        for member, state in zip(
            members,
            (MemberState.FAILED, MemberState.CANCELLED, MemberState.DELETED),
            strict=True,
        ):
            self.set_member(member, state, 'host-1')
        self.assertEqual((0, 0), self.cpus('host-1'))

    def test_capsules(self):
        capsule = self.container(
            host='host-1',
            cpu=2,
            memory='100',
            container_type=consts.TYPE_CAPSULE,
        )
        for kind in (
            consts.TYPE_CAPSULE_CONTAINER,
            consts.TYPE_CAPSULE_INIT_CONTAINER,
        ):
            self.container(
                capsule_id=capsule, cpu=2, memory='50', container_type=kind
            )
        self.assertEqual((2, 2), self.cpus('host-1'))
        self.assertEqual(3, usage.read().of('host-1').containers)

    def test_the_most_of_a_claim(self):
        self.container(cpu=0.1, memory='64', status='Creating')
        self.container(cpu=1.5, memory='64', status='Creating')
        # It has no claim any more.
        self.container(cpu=1, status='Error')
        found = usage.read()
        self.assertEqual(0.75, found.most_of('VCPU'))
        self.assertEqual(1, found.most_of('MEMORY_MB'))
        self.assertEqual(0, found.most_of('DISK_GB'))

    def test_shared_with_nova(self):
        for host, provider in (('host-1', 'own'), ('host-2', 'of-nova')):
            self.insert(
                zun_models.ComputeNode,
                uuid='own' if host == 'host-1' else 'other',
                rp_uuid=provider,
                hostname=host,
            )
        self.assertEqual({'host-2'}, usage.read().shared)


class TestKept(DatabaseTestCase):
    def test_reads_once_for_a_burst(self):
        with mock.patch.object(
            db_hosts,
            'list_container_usage',
            side_effect=db_hosts.list_container_usage,
        ) as reads:
            for _time in range(10):
                usage.read()
        self.assertEqual(1, reads.call_count)

    def test_reads_anew(self):
        usage.read()
        self.container(host='host-1')
        self.assertEqual(0, usage.read().of('host-1').containers)
        usage.forget()
        self.assertEqual(1, usage.read().of('host-1').containers)

    def test_reads_anew_after_a_while(self):
        with mock.patch('time.monotonic') as now:
            now.return_value = 100
            usage.read()
            self.container(host='host-1')
            now.return_value = 100 + timed_cache.FRESH
            self.assertEqual(1, usage.read().of('host-1').containers)


class TestInventories(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.log = mock.Mock()
        patch = mock.patch.object(
            logging.KeywordArgumentAdapter, 'warning', self.log
        )
        patch.start()
        self.addCleanup(patch.stop)
        self.read = usage._Inventories()

    def test_one_connection(self):
        with mock.patch.object(placement, 'Placement') as made:
            for _time in range(2):
                self.assertIs(
                    made.return_value.inventories.return_value, self.read()
                )
        self.assertEqual(1, made.call_count)

    def test_nobody_answers(self):
        for error in (
            ks_exc.ConnectFailure('refused'),
            exception.ZunException('Placement answered 503'),
        ):
            with mock.patch.object(placement, 'Placement', side_effect=error):
                self.assertEqual({}, self.read())
        self.assertEqual(2, self.log.call_count)


class TestHostsOfBulks(DatabaseTestCase):
    def find(self, *uuids, project_id='project-1'):
        return db_hosts.hosts_of_bulks(uuids, project_id)

    def test_hosts(self):
        one, _members = self.bulk('host-1', 'host-2', 'host-2')
        other, _members = self.bulk('host-3')
        self.assertEqual(
            {one.uuid: {'host-1', 'host-2'}, other.uuid: {'host-3'}},
            self.find(one.uuid, other.uuid),
        )

    def test_a_bulk_without_hosts(self):
        bulk, members = self.bulk('host-1')
        self.set_member(members[0], MemberState.FAILED, 'host-1')
        self.assertEqual({bulk.uuid: set()}, self.find(bulk.uuid))

    def test_nobody_elses(self):
        bulk, _members = self.bulk('host-1')
        self.assertEqual(
            {}, self.find(bulk.uuid, 'none', project_id='project-2')
        )
