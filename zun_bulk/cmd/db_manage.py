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

"""zun-bulk-db-manage: creates and upgrades the zun_bulk tables."""

import sys

from alembic import util as alembic_util
from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging

from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base
from zun_bulk.db import migration


def do_upgrade():
    if CONF.command.expand:
        migration.expand()
    elif CONF.command.contract:
        migration.contract()
    else:
        migration.upgrade(CONF.command.revision)


def do_version():
    print('Current DB revision is %s' % migration.version())


def do_stamp():
    migration.stamp(CONF.command.revision)


def do_history():
    migration.history()


def do_check():
    migration.check()


def do_revision():
    migration.revision(
        CONF.command.message,
        CONF.command.autogenerate,
        migration.CONTRACT if CONF.command.contract else migration.EXPAND,
    )


def add_command_parsers(subparsers):
    subparsers.required = True

    parser = subparsers.add_parser(
        'upgrade', help='Upgrade the zun_bulk tables to a revision.'
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        'revision', nargs='?', help='The revision; the newest by default.'
    )
    which.add_argument(
        '--expand',
        action='store_true',
        help='Only add what this release needs; services of the previous '
        'release keep working.',
    )
    which.add_argument(
        '--contract',
        action='store_true',
        help='Remove what this release no longer needs. Run it once no '
        'service of the previous release is running.',
    )
    parser.set_defaults(func=do_upgrade)

    parser = subparsers.add_parser(
        'version', help='Print the current revision of the tables.'
    )
    parser.set_defaults(func=do_version)

    parser = subparsers.add_parser(
        'stamp', help='Set the recorded revision without changing the tables.'
    )
    parser.add_argument('revision')
    parser.set_defaults(func=do_stamp)

    parser = subparsers.add_parser('history', help='Print all revisions.')
    parser.set_defaults(func=do_history)

    parser = subparsers.add_parser(
        'check',
        help='Exit with 1 unless the tables are at the newest '
        'revision and match this release.',
    )
    parser.set_defaults(func=do_check)

    parser = subparsers.add_parser(
        'revision', help='Write a new migration, for developers.'
    )
    parser.add_argument('-m', '--message', required=True)
    parser.add_argument(
        '--autogenerate',
        action='store_true',
        help='Generate it from the differences of models and tables.',
    )
    parser.add_argument(
        '--contract',
        action='store_true',
        help='Write a migration that removes something, which '
        '"upgrade --contract" runs.',
    )
    parser.set_defaults(func=do_revision)


def main(argv=None):
    CONF.register_cli_opt(
        cfg.SubCommandOpt(
            'command',
            title='Command',
            help='Available commands',
            handler=add_command_parsers,
        )
    )
    logging.register_options(CONF)
    # Read /etc/zun/zun.conf by default. zun.common.config.parse_args would
    # also set up messaging.
    CONF(sys.argv[1:] if argv is None else argv, project='zun')
    logging.setup(CONF, 'zun')
    db_base.configure()
    try:
        CONF.command.func()
    except (alembic_util.CommandError, db_exc.DBError) as exc:
        print('zun-bulk-db-manage: %s' % exc, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
