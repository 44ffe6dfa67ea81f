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

"""Long-lived clients of other services, with Zun's own credentials.

Zun itself makes new clients for each container.
"""

from keystoneauth1 import loading
from zun.common import clients
from zun.common import context as zun_context
from zun.common import keystone
from zun.conf import keystone as keystone_conf

from zun_bulk import zun_compat
from zun_bulk.conf import CONF


#: Options of an authentication plugin that conflict with a trust.
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
    """Make a client of Neutron.

    :returns: a neutronclient client.
    """
    client = _clients().neutron()
    _adapt(client.httpclient)
    return client


def placement():
    """Make a client of Placement.

    :returns: (an Adapter of keystoneauth1, the endpoint filter).
    """
    adapter, endpoint = _clients().placement()
    _adapt(adapter)
    return adapter, endpoint


def cinder(context=None, trust_id=None):
    """Make a client of Cinder.

    :param context: a user's context, to use their token.
    :param trust_id: a trust, to act as the user who has given it.
    :returns: a cinderclient client.
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
    """Make a session.

    :param context: a user's context; Zun's own credentials if None.
    :returns: a session of keystoneauth1.
    """
    return keystone.KeystoneClientV3(
        context or zun_context.get_admin_context()
    ).session


def trusted_session(trust_id):
    """Make a session that acts as the user who has given a trust.

    :returns: a session of keystoneauth1.
    """
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
    # Distinguishes our requests from Zun's own in the other service's logs.
    adapter.user_agent = USER_AGENT
    zun_compat.disable_rate_limit(adapter)
