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

"""zun-bulk-status: reports what keeps bulks from working, and what to do.

Run it in zun-api's environment with its zun.conf, before you restart services
with a new release and whenever something seems wrong. It changes nothing.
"""

import datetime
import functools
from importlib import metadata
import io
import os
import sys

from alembic import util as alembic_util
from oslo_db import exception as db_exc
from oslo_log import log as logging
from oslo_upgradecheck import upgradecheck
from oslo_utils import timeutils
from oslo_utils import versionutils
from paste.deploy import loadwsgi
import sqlalchemy as sa
from zun.conf import quota as quota_conf
from zun.db.sqlalchemy import models as zun_models
from zun.scheduler import filters as zun_filters

from zun_bulk import connections
from zun_bulk.conf import CONF
from zun_bulk.db import base as db_base
from zun_bulk.db import migration
from zun_bulk.db import models
from zun_bulk.scheduler import filters


WARNING = upgradecheck.Code.WARNING
FAILURE = upgradecheck.Code.FAILURE

#: The supported releases of Zun: the tests run with each of them.
SUPPORTED = (16, 17, 18)
#: Zun's filters that ignore allocation ratios, and their replacements.
RATIOS = {
    'CPUFilter': 'CpuOvercommitFilter',
    'RamFilter': 'MemoryOvercommitFilter',
    'DiskFilter': 'DiskOvercommitFilter',
}
QUOTAS = ('containers', 'cpu', 'memory', 'disk')
AUTH_TOKEN = ('keystonemiddleware.auth_token', 'zun.api.middleware.auth_token')
#: The most hosts that a text names.
NAMES = 10
#: The most characters of another program's message.
LENGTH = 400


def _check(find):
    """Make an upgrade check from a generator function.

    :param find: yields (Code, text) for each problem.
    """

    @functools.wraps(find)
    def check(_commands):
        found = []
        try:
            for what in find():
                found.append(what)
        except db_exc.DBError as error:
            # The server's message, without the statement.
            text = str(getattr(error.inner_exception, 'orig', None) or error)
            found.append((FAILURE, 'The database: ' + text[:LENGTH]))
        except Exception as error:
            text = '%s: %s' % (type(error).__name__, error)
            found.append((FAILURE, text[:LENGTH]))
        if not found:
            return upgradecheck.Result(upgradecheck.Code.SUCCESS)
        return upgradecheck.Result(
            max(code for code, _text in found),
            ' '.join(text for _code, text in found),
        )

    return check


@_check
def _versions():
    """Check the versions of Zun and of libraries it is incompatible with."""
    zun, oslo_db, objects = (
        metadata.version(name)
        for name in ('zun', 'oslo.db', 'oslo.versionedobjects')
    )
    if not any(
        _at_least(zun, '%d.0.0.dev0' % release)
        and not _at_least(zun, '%d.0.0.dev0' % (release + 1))
        for release in SUPPORTED
    ):
        yield (
            FAILURE,
            'Zun %s is not supported. This release of zun_bulk supports Zun '
            '%s and %d.'
            % (zun, ', '.join(map(str, SUPPORTED[:-1])), SUPPORTED[-1]),
        )
    if not _at_least(zun, '18.0.0.dev0') and _at_least(oslo_db, '18'):
        yield (
            FAILURE,
            'Zun %s does not work with oslo.db %s, which has no legacy facade '
            "any more: pip install 'oslo.db<18'." % (zun, oslo_db),
        )
    if _at_least(zun, '18.0.0.dev0') and not _at_least(objects, '3.10'):
        yield (
            FAILURE,
            'Zun %s does not work with oslo.versionedobjects %s: '
            "pip install 'oslo.versionedobjects>=3.10'." % (zun, objects),
        )


def _at_least(version, wanted):
    return versionutils.is_compatible(wanted, version, same_major=False)


@_check
def _tables():
    """Check that our tables are those of this release."""
    try:
        missing = migration.missing()
    except alembic_util.CommandError as error:
        yield (
            WARNING,
            'The tables are those of a later release (%s). This release '
            'works with them until they are contracted; install the later '
            'release here.' % error,
        )
        return
    if migration.EXPAND in missing:
        yield (
            FAILURE,
            'The tables lack %d revisions of this release. Run '
            'zun-bulk-db-manage upgrade --expand before you restart any '
            'service with it.' % len(missing[migration.EXPAND]),
        )
    elif migration.CONTRACT in missing:
        yield (
            WARNING,
            'Once all services run this release, run zun-bulk-db-manage '
            'upgrade --contract.',
        )
    else:
        try:
            migration.check(io.StringIO())
        except alembic_util.CommandError as error:
            yield (
                FAILURE,
                'The tables differ from those of zun-bulk-db-manage; run '
                'zun-bulk-db-manage check: ' + str(error)[:LENGTH],
            )


@_check
def _paste():
    """Check that our filter is in zun-api's pipeline, behind authtoken."""
    # As zun.api.app.load_app does.
    path = CONF.api.api_paste_config
    if not os.path.isabs(path):
        path = CONF.find_file(path)
    if not path or not os.path.exists(path):
        yield (
            FAILURE,
            '[api] api_paste_config is %s, which does not exist. Set it to '
            'the absolute path of etc/zun_bulk/api-paste.ini, which pip has '
            'installed.' % CONF.api.api_paste_config,
        )
        return
    # Imported here, as Zun's schemas read options at import.
    from zun.api import app

    from zun_bulk.api import middleware

    pipelines = [
        factories
        for factories in _pipelines(
            loadwsgi.loadcontext(loadwsgi.APP, 'config:' + path)
        )
        if factories[-1] == app.app_factory
    ]
    ours = [
        factories
        for factories in pipelines
        if middleware.filter_factory in factories
    ]
    if not ours:
        yield (
            FAILURE,
            'No pipeline in %s, the value of [api] api_paste_config, has the '
            'filter zun_bulk before the application of Zun. Add it right '
            'behind authtoken, or set the option to the '
            'etc/zun_bulk/api-paste.ini that pip has installed.' % path,
        )
    for factories in ours:
        before = factories[: factories.index(middleware.filter_factory)]
        if not any(
            getattr(factory, '__module__', None) in AUTH_TOKEN
            for factory in before
        ):
            yield (
                FAILURE,
                'In %s the filter zun_bulk is not behind authtoken and '
                'therefore refuses every request. Move it right behind '
                'authtoken.' % path,
            )


def _pipelines(context):
    """List the pipelines of a paste configuration.

    :param context: a LoaderContext of paste.
    :returns: [[factory of a filter, ..., factory of the application]].
    """
    if context.object_type is loadwsgi.PIPELINE:
        before = context.filter_contexts
        behind = [context.app_context]
    elif context.object_type in (loadwsgi.FILTER_APP, loadwsgi.FILTER_WITH):
        before = [context.filter_context]
        behind = [context.next_context]
    elif context.protocol == 'paste.app_factory':
        return [[context.object]]
    else:
        # A urlmap contains names of applications; others contain more.
        before, behind = [], []
        for name in context.local_conf.values():
            try:
                behind.append(
                    context.loader.app_context(name, context.global_conf)
                )
            except LookupError:
                continue
    return [
        [one.object for one in before] + rest
        for one_behind in behind
        for rest in _pipelines(one_behind)
    ]


@_check
def _container_driver():
    """Check that our driver is set, and that compute hosts run it."""
    up, bare = _hosts()
    names = '%d of %d hosts (%s)' % (
        len(bare),
        len(up),
        ', '.join(bare[:NAMES]) + (', ...' if bare[NAMES:] else ''),
    )
    # zun-api's zun.conf need not set it if all hosts do.
    if CONF.container_driver != 'zun_bulk' and (bare or not up):
        yield (
            FAILURE,
            'container_driver is %s. Set container_driver = zun_bulk in '
            '[DEFAULT] of the zun.conf of each compute host and restart '
            'zun-compute.' % CONF.container_driver,
        )
    elif bare:
        yield (
            WARNING,
            'zun-compute has not run with zun_bulk yet on %s. Install '
            'zun_bulk there, set container_driver = zun_bulk and restart '
            'zun-compute; until then, containers placed there do not start.'
            % names,
        )
    if CONF.capsule_driver == 'docker':
        yield (
            WARNING,
            'capsule_driver is docker, so capsules do not wait for a slot of '
            'their host. Set capsule_driver = zun_bulk.',
        )


def _hosts():
    """List compute hosts.

    :returns: (hosts whose zun-compute is up, those without an agent so far).
    """
    service = zun_models.ZunService.__table__.c
    seen = sa.func.coalesce(
        service.last_seen_up, service.updated_at, service.created_at
    )
    since = timeutils.utcnow() - datetime.timedelta(
        seconds=CONF.service_down_time
    )
    with db_base.reader() as session:
        up = sorted(
            session.scalars(
                sa.select(service.host).where(
                    service.binary == 'zun-compute',
                    service.forced_down.is_not(sa.true()),
                    seen >= since,
                )
            )
        )
        agents = set(session.scalars(sa.select(models.Host.host)))
    return up, [host for host in up if host not in agents]


@_check
def _network_driver():
    """Check that our network driver is set, and wraps an existing one."""
    name = CONF.network.driver
    if name != 'zun_bulk':
        yield (
            WARNING,
            f'[network] driver is {name}, which logs in to Keystone once per '
            'container. On compute hosts, set [network] driver = zun_bulk '
            f'and [zun_bulk] network_driver = {name}.',
        )
        return
    name = CONF.zun_bulk.network_driver
    # Without loading them, as some need a configuration of their own.
    known = metadata.entry_points(group='zun.network.driver').names
    if name == 'zun_bulk' or name not in known:
        yield (
            FAILURE,
            '[zun_bulk] network_driver is %s, which is not another driver '
            'in zun.network.driver. Set it to kuryr.' % name,
        )


@_check
def _filters():
    """Check that enabled filters are available, and work with bulks."""
    enabled = CONF.scheduler.enabled_filters
    available = {
        found.__name__
        for found in zun_filters.HostFilterHandler().get_matching_classes(
            CONF.scheduler.available_filters
        )
    }
    ours = {found.__name__ for found in filters.all_filters()}
    for name in enabled:
        if name not in available:
            yield (
                FAILURE,
                '[scheduler] enabled_filters contains %s, which is not among '
                'available_filters, so no container can be created. %s'
                % (
                    name,
                    'Add available_filters = '
                    'zun_bulk.scheduler.filters.all_filters.'
                    if name in ours
                    else 'Remove it, or add its module to available_filters.',
                ),
            )
        if name in RATIOS:
            yield (
                WARNING,
                '[scheduler] enabled_filters contains %s, which ignores '
                'allocation ratios and therefore excludes hosts too early. '
                'Replace it by %s, or remove it.' % (name, RATIOS[name]),
            )


@_check
def _quotas():
    """Check that default quotas were chosen, and are not Zun's own."""
    if CONF.quota.driver.endswith('.NoopQuotaDriver'):
        return
    table = zun_models.QuotaClass.__table__.c
    with db_base.reader() as session:
        chosen = set(
            session.scalars(
                sa.select(table.resource).where(table.class_name == 'default')
            )
        )
    left = [
        '%s = %d' % (option.name, option.default)
        for option in quota_conf.quota_opts
        if option.name in QUOTAS
        and option.name not in chosen
        and CONF.quota[option.name] == option.default
    ]
    if left:
        yield (
            WARNING,
            'Zun\'s own defaults apply to projects without a quota of their '
            'own: %s. Larger bulks are refused. Set the quotas in [quota], '
            '-1 for unlimited, or with openstack appcontainer quota class '
            'update default.' % ', '.join(left),
        )


@_check
def _services():
    """Check that Zun reaches Keystone, Placement and Neutron."""
    try:
        connections.session().get_token()
    except Exception as error:
        yield (
            FAILURE,
            'Zun cannot log in to Keystone; check [keystone_auth], which '
            'conductors use: %s' % str(error)[:LENGTH],
        )
        return
    for name, section, ask in (
        ('Placement', 'placement_client', _ask_placement),
        ('Neutron', 'neutron_client', _ask_neutron),
    ):
        try:
            ask()
        except Exception as error:
            yield (
                FAILURE,
                'Zun cannot reach %s; check the catalogue of Keystone and '
                '[%s]: %s' % (name, section, str(error)[:LENGTH]),
            )


def _ask_placement():
    adapter, endpoint = connections.placement()
    adapter.get('/', endpoint_filter=endpoint)


def _ask_neutron():
    connections.neutron().list_ports(retrieve_all=False, limit=1, fields='id')


class Checks(upgradecheck.UpgradeCommands):
    """The checks; they change nothing and are independent."""

    _upgrade_checks = (
        ('Versions', _versions),
        ('Tables', _tables),
        ('Paste pipeline', _paste),
        ('Container driver', _container_driver),
        ('Network driver', _network_driver),
        ('Scheduler filters', _filters),
        ('Quotas', _quotas),
        ('Keystone, Placement, Neutron', _services),
    )

    def check(self):
        # Report a database that is down instead of waiting for it.
        CONF.set_override('max_retries', 1, 'database')
        CONF.set_override('retry_interval', 1, 'database')
        db_base.configure()
        return super().check()


def main(argv=None):
    logging.register_options(CONF)
    return upgradecheck.main(
        CONF,
        project='zun',
        upgrade_command=Checks(),
        argv=sys.argv[1:] if argv is None else argv,
    )


if __name__ == '__main__':
    sys.exit(main())
