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

"""client tokens

Revision ID: d27c0b95e1f8
Revises: 8b3f60d4c7e1

"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql


revision = 'd27c0b95e1f8'
down_revision = '8b3f60d4c7e1'


def upgrade():
    op.add_column(
        'zun_bulk_bulk',
        sa.Column(
            'client_token',
            sa.String(64).with_variant(
                mysql.VARCHAR(64, charset='ascii', collation='ascii_bin'),
                'mysql',
                'mariadb',
            ),
        ),
    )
    op.add_column('zun_bulk_bulk', sa.Column('request_hash', sa.String(64)))
    op.create_index(
        'uniq_zun_bulk_bulk0project_id0client_token',
        'zun_bulk_bulk',
        ['project_id', 'client_token'],
        unique=True,
    )
