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

"""Trusts: make volumes for users after their tokens have expired.

Cinder makes a volume in the project of the token, even for an admin, and a
member may wait for longer than its user's token is valid. Users who create a
bulk with new volumes therefore trust Zun's own user, as with Heat or Magnum:
Zun acts as the user, in their project and with the roles of their token, until
the bulk is deleted.

As with those, a trust has no expiry date: only the user could give another
one, and a conductor may need it whenever members are started again. Each trust
is in the database before its bulk. It is deleted with the bulk or, if that
fails, by a conductor that finds it without a bulk.
"""

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ks_exc
from oslo_db import exception as db_exc
from oslo_log import log as logging
from oslo_utils import excutils

from zun_bulk import connections
from zun_bulk.db import trusts as db_trusts


LOG = logging.getLogger(__name__)

#: The most leftover trusts that are deleted in one cycle.
LEFT = 20


def create(context, bulk_uuid):
    """Make a trust from a user to Zun's own user, with the user's token.

    :param context: the user's request context.
    :param bulk_uuid: of the bulk that it is for.
    :returns: the trust's id; only Zun's user can use it.
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
    trust_id = answer.json()['trust']['id']
    try:
        db_trusts.record(trust_id, bulk_uuid)
    except Exception:
        with excutils.save_and_reraise_exception():
            discard(trust_id)
    return trust_id


def delete(trust_id):
    """Delete a trust, which may be gone already.

    Only the trustor may delete it, so the call uses the trust itself.

    :raises: what keystoneauth1 raises if a later attempt may succeed.
    """
    try:
        _keystone(connections.trusted_session(trust_id)).delete(
            '/OS-TRUST/trusts/' + trust_id
        )
    except ks_exc.NotFound:
        """It is gone already."""
    except (ks_exc.Unauthorized, ks_exc.Forbidden) as error:
        # Its user is disabled or has lost a role; until that changes, the
        # trust is unusable.
        _log_failure(trust_id, error)
        return
    db_trusts.remove(trust_id)


def discard(trust_id):
    """Try to delete a trust; on failure a conductor tries again later."""
    try:
        delete(trust_id)
    except (ks_exc.ClientException, db_exc.DBError) as error:
        _log_failure(trust_id, error)


def delete_left():
    """Delete trusts whose bulk was never written or no longer exists."""
    for trust_id in db_trusts.claim_leftover(LEFT):
        LOG.info('Deleting leftover trust %s', trust_id)
        discard(trust_id)


def _log_failure(trust_id, error):
    LOG.warning(
        'Failed to delete trust %(trust)s; a conductor will retry: %(error)s',
        {'trust': trust_id, 'error': error},
    )


def _keystone(session):
    return adapter.Adapter(
        session,
        service_type='identity',
        interface=['internal', 'public'],
        version='3',
    )
