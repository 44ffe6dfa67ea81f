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

"""hosts

Revision ID: 8b3f60d4c7e1
Revises: a91f3c6d20e7

"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql


revision = '8b3f60d4c7e1'
down_revision = 'a91f3c6d20e7'

TABLE_OPTIONS = {'mysql_engine': 'InnoDB', 'mysql_charset': 'utf8mb3'}


def json_type():
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql', 'mariadb')


def upgrade():
    op.create_table(
        'zun_bulk_host',
        sa.Column('created_at', sa.DateTime()),
        sa.Column('updated_at', sa.DateTime()),
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('epoch', sa.Integer(), nullable=False),
        sa.Column('held', sa.Boolean(), nullable=False),
        sa.Column('held_reason', sa.Text()),
        sa.Column('mode', sa.String(20)),
        sa.Column('max_in_flight', sa.Integer()),
        sa.Column('start_interval', sa.Float()),
        sa.Column('report', json_type()),
        sa.Column('reported_at', sa.DateTime()),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('host', name='uniq_zun_bulk_host0host'),
        **TABLE_OPTIONS,
    )
