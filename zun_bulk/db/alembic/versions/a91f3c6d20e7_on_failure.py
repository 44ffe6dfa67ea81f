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

"""what failures do to a bulk

Revision ID: a91f3c6d20e7
Revises: 5c1d7e02b9a4

"""

from alembic import op
import sqlalchemy as sa


revision = 'a91f3c6d20e7'
down_revision = '5c1d7e02b9a4'


def upgrade():
    op.add_column(
        'zun_bulk_bulk',
        sa.Column(
            'on_failure', sa.String(20), nullable=False, server_default='pause'
        ),
    )
    op.add_column(
        'zun_bulk_bulk',
        sa.Column(
            'tolerated', sa.Integer(), nullable=False, server_default='0'
        ),
    )
