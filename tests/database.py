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

"""A database for tests, and functions that write bulks to it."""

from unittest import mock

import fixtures
from oslo_config import fixture as config_fixture
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import uuidutils
from zun.db.sqlalchemy import models as zun_models

from zun_bulk.conf import CONF
from zun_bulk.db import accepting as db_accepting
from zun_bulk.db import base as db_base
from zun_bulk.db import bulks as db_bulks
from zun_bulk.db import members as db_members
from zun_bulk.db import models
from zun_bulk.db import transitions as db_transitions
from zun_bulk.db.specs import BulkSpec
from zun_bulk.db.specs import MemberSpec
from zun_bulk.states import BulkStatus
from zun_bulk.states import MemberState


class Database(fixtures.Fixture):
    """Point zun_bulk.db to a database for this test alone.

    :param url: by default SQLite in memory.
    :param tables: whether to create the tables of Zun and of zun_bulk.
    """

    def __init__(self, url='sqlite://', tables=True):
        super().__init__()
        self.url = url
        self.tables = tables

    def _setUp(self):
        conf = self.useFixture(config_fixture.Config(CONF))
        conf.config(group='database', connection=self.url)
        self.useFixture(
            fixtures.MockPatchObject(
                db_base, 'CONTEXT_MANAGER', enginefacade.transaction_context()
            )
        )
        db_base.configure()
        self.engine = db_base.get_engine()
        self.addCleanup(self.engine.dispose)
        if self.tables:
            zun_models.Base.metadata.create_all(self.engine)
            models.Base.metadata.create_all(self.engine)


def rows(count=3, **values):
    """Return the arguments of accept_bulk for a bulk of ``count`` members.

    :param values: columns of the bulk; the spec may be a dict of its fields.
    :returns: (bulk, members, containers, actions).
    """
    bulk = {
        'uuid': uuidutils.generate_uuid(),
        'name': 'web',
        'project_id': 'project-1',
        'user_id': 'user-1',
        'request_id': 'req-1',
        'status': BulkStatus.BUILDING,
        'count': count,
        'run': True,
        'max_attempts': 3,
        'placement': {'policy': 'spread'},
        'template': {'image': 'cirros', 'name': 'web-{index}'},
        'spec': {'requested_networks': [{'network': 'net'}]},
        **values,
    }
    if isinstance(bulk['spec'], dict):
        bulk['spec'] = BulkSpec.from_json(bulk['spec'])
    members = [
        {
            'member_index': index,
            'container_uuid': uuidutils.generate_uuid(),
            'name': '%s-%d' % (bulk['name'], index),
            'state': MemberState.QUEUED,
            'wanted': MemberSpec(),
        }
        for index in range(1, count + 1)
    ]
    containers = [
        {
            'uuid': member['container_uuid'],
            'name': member['name'],
            'project_id': bulk['project_id'],
            'user_id': bulk['user_id'],
            'image': 'cirros',
            'status': 'Creating',
        }
        for member in members
    ]
    actions = [
        {
            'action': 'create',
            'container_uuid': member['container_uuid'],
            'request_id': bulk['request_id'],
            'project_id': bulk['project_id'],
            'user_id': bulk['user_id'],
        }
        for member in members
    ]
    return bulk, members, containers, actions


def accept(count=3, **values):
    """Write a bulk, as the API does.

    :returns: (Bulk, [Member]).
    """
    written = rows(count, **values)
    db_accepting.accept_bulk(*written)
    bulk = db_bulks.get_bulk(written[0]['uuid'])
    return bulk, db_members.list_members(bulk.id)


def place(bulk_id, epoch, placements):
    """Place members as a conductor does, but without claims in Placement.

    :param placements: [(Member, host, networks, limits)].
    :returns: as for place_members.
    """
    if (
        db_transitions.claim_members(
            bulk_id,
            epoch,
            [(member, host, limits) for member, host, _, limits in placements],
        )
        is None
    ):
        return None
    for member, *_rest in placements:
        member.epoch += 1
    return db_transitions.place_members(
        bulk_id,
        epoch,
        [(member, networks) for member, _, networks, _ in placements],
    )


def put(members, state, **values):
    """Set members to a state, from any state.

    As transitions.move_members, but without the check of TRANSITIONS.
    """
    with mock.patch.object(MemberState, 'check'):
        return db_transitions.move_members(members, state, **values)
