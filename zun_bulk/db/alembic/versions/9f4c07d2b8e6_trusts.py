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

"""trusts

Revision ID: 9f4c07d2b8e6
Revises: c4d81a6f20b3

"""

from alembic import op
import sqlalchemy as sa


revision = '9f4c07d2b8e6'
down_revision = 'c4d81a6f20b3'

TABLE_OPTIONS = {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb3'}


def upgrade():
    op.create_table(
        'zun_bulk_trust',
        sa.Column('created_at', sa.DateTime()),
        sa.Column('updated_at', sa.DateTime()),
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('trust_id', sa.String(64), nullable=False),
        sa.Column('bulk_uuid', sa.String(36), nullable=False),
        sa.Column('tried_at', sa.DateTime()),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('trust_id', name='uniq_zun_bulk_trust0trust_id'),
        **TABLE_OPTIONS,
    )
