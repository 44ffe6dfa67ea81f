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

"""events

Revision ID: 7b0a5e94c3d6
Revises: 2e94b7c0d5f3

"""

from alembic import op
import sqlalchemy as sa


revision = '7b0a5e94c3d6'
down_revision = '2e94b7c0d5f3'

TABLE_OPTIONS = {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb3'}


def upgrade():
    op.create_table(
        'zun_bulk_event',
        sa.Column('created_at', sa.DateTime()),
        sa.Column(
            'id',
            sa.BigInteger().with_variant(sa.Integer(), 'sqlite'),
            nullable=False,
        ),
        sa.Column('bulk_id', sa.Integer(), nullable=False),
        sa.Column('member_index', sa.Integer()),
        sa.Column('container_uuid', sa.String(36)),
        sa.Column('event', sa.String(20), nullable=False),
        sa.Column('host', sa.String(255)),
        sa.Column('attempt', sa.Integer()),
        sa.Column('reason', sa.Text()),
        sa.PrimaryKeyConstraint('id'),
        **TABLE_OPTIONS,
    )
    op.create_index(
        'zun_bulk_event_bulk_idx', 'zun_bulk_event', ['bulk_id', 'id']
    )
