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

"""Lasting connections to other services, with Zun's own credentials.

Zun makes its connections anew for each container.
"""

from keystoneauth1 import loading
from zun.common import clients
from zun.common import context as zun_context
from zun.common import keystone
from zun.conf import keystone as keystone_conf

from zun_bulk import zun_compat
from zun_bulk.conf import CONF


#: Options of an authentication plugin that a trust stands for.
_SCOPE = {
    'system_scope',
    'domain_id',
    'domain_name',
    'project_id',
    'project_name',
    'project_domain_id',
    'project_domain_name',
}


USER_AGENT = 'zun_bulk'


def neutron():
    """:returns: a client of neutronclient."""
    client = _clients().neutron()
    _adapt(client.httpclient)
    return client


def placement():
    """:returns: (an Adapter of keystoneauth1, the endpoint filter)."""
    adapter, endpoint = _clients().placement()
    _adapt(adapter)
    return adapter, endpoint


def cinder(context=None, trust_id=None):
    """:param context: of a user, to ask by his token.

    :param trust_id: a trust, to ask as who has given it.
    :returns: a client of cinderclient.
    """
    found = _clients(context)
    if trust_id:
        zun_compat.use_keystone_session(
            found.keystone(), trusted_session(trust_id)
        )
    client = found.cinder()
    _adapt(client.client)
    return client


def session(context=None):
    """:returns: a session of keystoneauth1, a user's if a context is given."""
    return keystone.KeystoneClientV3(
        context or zun_context.get_admin_context()
    ).session


def trusted_session(trust_id):
    """:returns: a session as the user who has given a trust."""
    group = keystone_conf.CFG_GROUP
    plugin = loading.get_plugin_loader(CONF[group].auth_type)
    scope = _SCOPE & {option.dest for option in plugin.get_options()}
    auth = loading.load_auth_from_conf_options(
        CONF, group, trust_id=trust_id, **dict.fromkeys(scope)
    )
    return loading.load_session_from_conf_options(CONF, group, auth=auth)


def _clients(context=None):
    return clients.OpenStackClients(context or zun_context.get_admin_context())


def _adapt(adapter):
    # The logs of the other service tell our requests from Zun's own.
    adapter.user_agent = USER_AGENT
    zun_compat.disable_rate_limit(adapter)
