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

"""making bulks larger and smaller

Revision ID: 2e94b7c0d5f3
Revises: e6a4182f7d05

"""

from alembic import op
import sqlalchemy as sa


revision = '2e94b7c0d5f3'
down_revision = 'e6a4182f7d05'


def upgrade():
    op.add_column('zun_bulk_bulk', sa.Column('last_index', sa.Integer()))
    op.add_column(
        'zun_bulk_member',
        sa.Column(
            'removed', sa.Boolean(), nullable=False, server_default=sa.false()
        ),
    )
