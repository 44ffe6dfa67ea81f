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

"""zun-bulk-status: tells what keeps bulks from working, and what to do.

It is for zun-api's environment and its zun.conf, before services are restarted
with a new release and whenever something seems to be wrong. It changes
nothing.
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
#: Zun's filters that know no allocation ratios, and what to enable instead.
RATIOS = {
    'CPUFilter': 'CpuOvercommitFilter',
    'RamFilter': 'MemoryOvercommitFilter',
    'DiskFilter': 'DiskOvercommitFilter',
}
QUOTAS = ('containers', 'cpu', 'memory', 'disk')
AUTH_TOKEN = ('keystonemiddleware.auth_token', 'zun.api.middleware.auth_token')
#: How many hosts a text names.
NAMES = 10
#: Characters of what another program says.
LENGTH = 400


def _check(find):
    """Make an upgrade check of a function.

    :param find: yields (Code, text) of each thing that is wrong.
    """

    @functools.wraps(find)
    def check(_commands):
        found = []
        try:
            for what in find():
                found.append(what)
        except db_exc.DBError as error:
            # The server's words, without the statement.
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
    """Zun, and libraries that its releases do not work with."""
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
    """Our tables are those of this release."""
    try:
        missing = migration.missing()
    except alembic_util.CommandError as error:
        yield (
            WARNING,
            'The tables are those of a later release (%s). This release goes '
            'on working on them unless that one has contracted them; install '
            'the later one here.' % error,
        )
        return
    if migration.EXPAND in missing:
        yield (
            FAILURE,
            'The tables lack %d revisions of this release. Run '
            'zun-bulk-db-manage upgrade --expand before any service is '
            'restarted with it.' % len(missing[migration.EXPAND]),
        )
    elif migration.CONTRACT in missing:
        yield (
            WARNING,
            'Once all services are of this release, run zun-bulk-db-manage '
            'upgrade --contract.',
        )
    else:
        try:
            migration.check(io.StringIO())
        except alembic_util.CommandError as error:
            yield (
                FAILURE,
                'The tables are not what zun-bulk-db-manage makes; see '
                'zun-bulk-db-manage check: ' + str(error)[:LENGTH],
            )


@_check
def _paste():
    """Our filter is in zun-api's pipeline, behind authtoken."""
    # As zun.api.app.load_app does.
    path = CONF.api.api_paste_config
    if not os.path.isabs(path):
        path = CONF.find_file(path)
    if not path or not os.path.exists(path):
        yield (
            FAILURE,
            'There is no %s, which [api] api_paste_config names. Set it to '
            'the absolute path of etc/zun_bulk/api-paste.ini, which pip has '
            'installed.' % CONF.api.api_paste_config,
        )
        return
    # Zun's schemas take options as they are when they are imported.
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
            'No pipeline of %s, which [api] api_paste_config names, has the '
            'filter zun_bulk before the application of Zun. Add it right '
            'behind authtoken, or name the etc/zun_bulk/api-paste.ini that '
            'pip has installed.' % path,
        )
    for factories in ours:
        before = factories[: factories.index(middleware.filter_factory)]
        if not any(
            getattr(factory, '__module__', None) in AUTH_TOKEN
            for factory in before
        ):
            yield (
                FAILURE,
                'In %s the filter zun_bulk is not behind authtoken, and so '
                'refuses every request. Put it right behind it.' % path,
            )


def _pipelines(context):
    """What requests go through, as paste has read it.

    :param context: a LoaderContext of paste.
    :returns: [[the factory of a filter, ..., that of the application]].
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
        # A urlmap has the names of applications; others may have more.
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
    """Our driver is set, and compute hosts have come up with it."""
    up, bare = _hosts()
    names = '%d of %d hosts (%s)' % (
        len(bare),
        len(up),
        ', '.join(bare[:NAMES]) + (', ...' if bare[NAMES:] else ''),
    )
    # The zun.conf of zun-api need not have it where all hosts have.
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
            'On %s no zun-compute has run with zun_bulk yet. Install '
            'zun_bulk there, set container_driver = zun_bulk and restart '
            'zun-compute: what a bulk places there does not start before.'
            % names,
        )
    if CONF.capsule_driver == 'docker':
        yield (
            WARNING,
            'capsule_driver is docker, so that capsules do not wait for their '
            'turn on a host: set capsule_driver = zun_bulk.',
        )


def _hosts():
    """:returns: (hosts whose zun-compute is up, those that had no agent)."""
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
    """Ours, in front of one that there is."""
    name = CONF.network.driver
    if name != 'zun_bulk':
        yield (
            WARNING,
            f'[network] driver is {name}, which logs in to Keystone for each '
            'container of a bulk anew. On compute hosts, set [network] '
            f'driver = zun_bulk and [zun_bulk] network_driver = {name}.',
        )
        return
    name = CONF.zun_bulk.network_driver
    # Without loading any, for some want a configuration of their own.
    known = metadata.entry_points(group='zun.network.driver').names
    if name == 'zun_bulk' or name not in known:
        yield (
            FAILURE,
            '[zun_bulk] network_driver is %s, which is no other driver of '
            'zun.network.driver: set it to kuryr.' % name,
        )


@_check
def _filters():
    """What is enabled is there, and works with bulks."""
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
                '[scheduler] enabled_filters has %s, which available_filters '
                'has not: no container can be created. %s'
                % (
                    name,
                    'Add available_filters = '
                    'zun_bulk.scheduler.filters.all_filters.'
                    if name in ours
                    else 'Take it out, or add what has it.',
                ),
            )
        if name in RATIOS:
            yield (
                WARNING,
                '[scheduler] enabled_filters has %s, which goes by no '
                'allocation ratio, so that hosts are full before they are. '
                'Enable %s in its place, or take it out.'
                % (name, RATIOS[name]),
            )


@_check
def _quotas():
    """Somebody has thought of how many containers a project may have."""
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
            'Zun\'s own defaults are what projects without a quota of their '
            'own may have: %s. Bulks that want more are refused. Set what is '
            'meant in [quota], -1 for no bound, or by openstack appcontainer '
            'quota class update default.' % ', '.join(left),
        )


@_check
def _services():
    """Zun logs in to Keystone, and finds Placement and Neutron by it."""
    try:
        connections.session().get_token()
    except Exception as error:
        yield (
            FAILURE,
            'Zun does not log in to Keystone: see [keystone_auth], which '
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
                '%s does not answer Zun: see the catalogue of Keystone and '
                '[%s]: %s' % (name, section, str(error)[:LENGTH]),
            )


def _ask_placement():
    adapter, endpoint = connections.placement()
    adapter.get('/', endpoint_filter=endpoint)


def _ask_neutron():
    connections.neutron().list_ports(retrieve_all=False, limit=1, fields='id')


class Checks(upgradecheck.UpgradeCommands):
    """Each check changes nothing, and needs no other one."""

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
        # Who asks is to be told of a database that is down, not to wait.
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
