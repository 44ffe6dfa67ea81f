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

"""volumes of members, apart from what members have of their own

Revision ID: b7e20d5f19a4
Revises: 91c7e5b2a06d

"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql


revision = 'b7e20d5f19a4'
down_revision = '91c7e5b2a06d'


def upgrade():
    op.add_column(
        'zun_bulk_member',
        sa.Column(
            'volumes',
            sa.Text().with_variant(mysql.MEDIUMTEXT(), 'mysql', 'mariadb'),
        ),
    )
