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

"""zun-api and zun-compute in one process, so that ``fake://`` joins them.

What runs here is what Zun's own two commands run; only the tables are made
without Zun's migrations, which SQLite cannot take, and with --emulated-brick
nothing is really attached or mounted of Cinder's volumes.
"""

# First of all, for it patches the standard library as Zun's commands do.
import zun.cmd  # noqa: F401  isort: skip

import shlex
import sys

from oslo_db.sqlalchemy import enginefacade
from oslo_messaging._drivers import impl_fake
from oslo_privsep import priv_context
from oslo_serialization import jsonutils
from oslo_service import service
from sqlalchemy import exc as sa_exc
import tenacity
from zun.common import rpc_service
from zun.common import service as zun_service
from zun.common import utils
import zun.conf
from zun.db.sqlalchemy import models

from tests.lab.embedded import emulated_brick
from zun_bulk.db import base as db_base
from zun_bulk.db import migration


CONF = zun.conf.CONF


def create_tables():
    """Make the tables of Zun and of zun_bulk that are not there yet."""
    manager = enginefacade.transaction_context()
    manager.configure(connection=CONF.database.connection)
    engine = manager.writer.get_engine()
    models.Base.metadata.create_all(engine)
    engine.dispose()
    db_base.configure()
    migration.upgrade()


def send_replies_as_json():
    """Let replies arrive as they do from another host.

    ``fake://`` hands over what was returned, and zun-api cannot tell users
    the bytes that a log is.
    """
    reply_with = impl_fake.FakeIncomingMessage.reply

    def reply_as_json(message, reply=None, failure=None):
        reply_with(message, jsonutils.loads(jsonutils.dumps(reply)), failure)

    impl_fake.FakeIncomingMessage.reply = reply_as_json


def main():
    send_replies_as_json()
    if '--emulated-brick' in sys.argv:
        sys.argv.remove('--emulated-brick')
        emulated_brick.install()
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    zun_service.prepare_service(sys.argv)
    CONF.import_opt('topic', 'zun.conf.compute', group='compute')
    create_tables()

    # It wants options that are parsed by now.
    from zun.compute import manager

    compute_manager = manager.Manager()
    # SQLite refuses a write to who has read before another process, which is
    # a conductor of its own, has written. Zun does not start then.
    compute_manager.init_containers = tenacity.retry(
        retry=tenacity.retry_if_exception_type(sa_exc.OperationalError),
        wait=tenacity.wait_fixed(0.1),
        stop=tenacity.stop_after_attempt(50),
        reraise=True,
    )(compute_manager.init_containers)
    compute = rpc_service.Service.create(
        CONF.compute.topic, CONF.host, [compute_manager], binary='zun-compute'
    )
    launcher = service.launch(CONF, compute, restart_method='mutate')
    launcher.launch_service(zun_service.WSGIService('zun_api'))
    launcher.wait()


if __name__ == '__main__':
    main()
