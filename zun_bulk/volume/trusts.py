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

"""Trusts: how volumes are made for a user who is no longer there.

Cinder makes a volume in the project of the token, an admin's too, and a member
may wait for longer than its user's token lives. So whoever creates a bulk with
new volumes trusts Zun's own user, as with Heat or Magnum: Zun acts as him, in
his project and with the roles of his token, until the bulk is gone.
"""

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ks_exc
from oslo_log import log as logging

from zun_bulk import connections


LOG = logging.getLogger(__name__)


def create(context):
    """Have a user trust Zun's own, by his token.

    :returns: the trust's id, of use to Zun's user only.
    :raises: what keystoneauth1 raises.
    """
    trust = {
        'trustor_user_id': context.user_id,
        'trustee_user_id': connections.session().get_user_id(),
        'project_id': context.project_id,
        'impersonation': True,
        'roles': [{'name': role} for role in context.roles if role],
    }
    answer = _keystone(connections.session(context)).post(
        '/OS-TRUST/trusts', json={'trust': trust}
    )
    return answer.json()['trust']['id']


def delete(trust_id):
    """Delete a trust, which may be gone already.

    Only the trustor may, so it is done by the trust itself.

    :raises: what keystoneauth1 raises if Keystone may do it later.
    """
    try:
        _keystone(connections.trusted_session(trust_id)).delete(
            '/OS-TRUST/trusts/' + trust_id
        )
    except ks_exc.NotFound:
        """It is gone already."""
    except (ks_exc.Unauthorized, ks_exc.Forbidden) as error:
        # Its user is gone, or a role of his: it is of no use to anybody.
        _tell(trust_id, error)


def discard(trust_id):
    """Delete a trust if Keystone does it now: nobody comes again for it."""
    try:
        delete(trust_id)
    except ks_exc.ClientException as error:
        _tell(trust_id, error)


def _tell(trust_id, error):
    LOG.warning(
        'Could not delete trust %(trust)s: %(error)s',
        {'trust': trust_id, 'error': error},
    )


def _keystone(session):
    return adapter.Adapter(
        session,
        service_type='identity',
        interface=['internal', 'public'],
        version='3',
    )
