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

"""Alembic's environment: zun_bulk's tables only, in Zun's database."""

from alembic import context

from zun_bulk.db import migration
from zun_bulk.db import models


def include_name(name, type_, parent_names):
    """Leave Zun's tables alone, which alembic would propose to drop."""
    return type_ != 'table' or name in models.Base.metadata.tables


context.configure(
    connection=context.config.attributes['connection'],
    target_metadata=models.Base.metadata,
    version_table=migration.VERSION_TABLE,
    include_name=include_name,
    # SQLite alters a table by copying it.
    render_as_batch=True,
)

with context.begin_transaction():
    context.run_migrations()
