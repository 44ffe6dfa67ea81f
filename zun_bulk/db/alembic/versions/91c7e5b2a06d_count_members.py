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

"""members are counted by an index alone

Revision ID: 91c7e5b2a06d
Revises: 9f4c07d2b8e6

"""

from alembic import op


revision = '91c7e5b2a06d'
down_revision = '9f4c07d2b8e6'


def upgrade():
    op.create_index(
        'zun_bulk_member_count_idx',
        'zun_bulk_member',
        ['bulk_id', 'state', 'removed', 'finished_at'],
    )
    # The new one begins with its columns, so that it misses in no release.
    op.drop_index('zun_bulk_member_state_idx', 'zun_bulk_member')
