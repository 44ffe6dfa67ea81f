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

"""initial

Revision ID: 5c1d7e02b9a4
Revises:

"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql


revision = '5c1d7e02b9a4'
down_revision = None
# All that follow it are of this branch.
branch_labels = ('expand',)

TABLE_OPTIONS = {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb3'}


def json_type():
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql', 'mariadb')


def upgrade():
    op.create_table(
        'zun_bulk_bulk',
        sa.Column('created_at', sa.DateTime()),
        sa.Column('updated_at', sa.DateTime()),
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('uuid', sa.String(36), nullable=False),
        sa.Column('name', sa.String(255), nullable=False),
        sa.Column('project_id', sa.String(255), nullable=False),
        sa.Column('user_id', sa.String(255), nullable=False),
        sa.Column('request_id', sa.String(255), nullable=False),
        sa.Column('status', sa.String(20), nullable=False),
        sa.Column('status_reason', sa.Text()),
        sa.Column('count', sa.Integer(), nullable=False),
        sa.Column('run', sa.Boolean(), nullable=False),
        sa.Column('max_attempts', sa.Integer(), nullable=False),
        sa.Column('placement', json_type(), nullable=False),
        sa.Column('template', json_type(), nullable=False),
        sa.Column('spec', json_type(), nullable=False),
        sa.Column('epoch', sa.Integer(), nullable=False),
        sa.Column('lease_owner', sa.String(255)),
        sa.Column('heartbeat', sa.Integer(), nullable=False),
        sa.Column('finished_at', sa.DateTime()),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('uuid', name='uniq_zun_bulk_bulk0uuid'),
        **TABLE_OPTIONS,
    )
    op.create_index(
        'zun_bulk_bulk_project_idx', 'zun_bulk_bulk', ['project_id', 'name']
    )
    op.create_index('zun_bulk_bulk_status_idx', 'zun_bulk_bulk', ['status'])

    op.create_table(
        'zun_bulk_member',
        sa.Column('created_at', sa.DateTime()),
        sa.Column('updated_at', sa.DateTime()),
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('bulk_id', sa.Integer(), nullable=False),
        sa.Column('member_index', sa.Integer(), nullable=False),
        sa.Column('container_uuid', sa.String(36), nullable=False),
        sa.Column('name', sa.String(255), nullable=False),
        sa.Column('state', sa.String(20), nullable=False),
        sa.Column('host', sa.String(255)),
        sa.Column('epoch', sa.Integer(), nullable=False),
        sa.Column('attempt', sa.Integer(), nullable=False),
        sa.Column('reason', sa.Text()),
        sa.Column('reason_class', sa.String(30)),
        sa.Column('networks', json_type()),
        sa.Column('limits', json_type()),
        sa.Column('placed_at', sa.DateTime()),
        sa.Column('started_at', sa.DateTime()),
        sa.Column('finished_at', sa.DateTime()),
        sa.PrimaryKeyConstraint('id'),
        sa.ForeignKeyConstraint(
            ['bulk_id'], ['zun_bulk_bulk.id'], ondelete='CASCADE'
        ),
        sa.UniqueConstraint(
            'bulk_id',
            'member_index',
            name='uniq_zun_bulk_member0bulk_id0index',
        ),
        sa.UniqueConstraint(
            'container_uuid', name='uniq_zun_bulk_member0container_uuid'
        ),
        **TABLE_OPTIONS,
    )
    op.create_index(
        'zun_bulk_member_state_idx', 'zun_bulk_member', ['bulk_id', 'state']
    )
    op.create_index(
        'zun_bulk_member_host_idx', 'zun_bulk_member', ['host', 'state']
    )
