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

"""what members have of their own, and their floating IPs

Revision ID: c4d81a6f20b3
Revises: 7b0a5e94c3d6

"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql


revision = 'c4d81a6f20b3'
down_revision = '7b0a5e94c3d6'


def upgrade():
    for column in (
        sa.Column(
            'wanted',
            sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql', 'mariadb'),
        ),
        sa.Column('floating_ip', sa.String(64)),
        sa.Column('floating_ip_state', sa.String(20)),
        sa.Column('floating_ip_reason', sa.Text()),
    ):
        op.add_column('zun_bulk_member', column)
    op.create_index(
        'zun_bulk_member_floating_ip_idx',
        'zun_bulk_member',
        ['bulk_id', 'floating_ip_state'],
    )
