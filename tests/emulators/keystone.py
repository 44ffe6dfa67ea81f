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

"""An emulated Keystone: tokens and the catalogue of services.

Users, projects and roles are fixed; a token lives as long as the process.
It serves keystoneauth, keystonemiddleware, the command line client and
Horizon's login. Each user's project is its default one, and none has a role
on a domain or the system. Trusts are as the OS-TRUST extension of the Identity
API v3 has them: only the trustor makes and deletes one, only the trustee uses
it, always by impersonation.
"""

import datetime
import secrets
import uuid

from tests.emulators import server


#: user: (project, roles). The password is the user's name.
USERS = {
    'admin': ('admin', ('admin', 'member', 'reader')),
    'demo': ('demo', ('member', 'reader')),
    'other': ('other', ('member', 'reader')),
    'zun': ('service', ('admin', 'service')),
    'placement': ('service', ('admin', 'service')),
}
DOMAIN = {'id': 'default', 'name': 'Default'}
LIFETIME = datetime.timedelta(hours=24)


def identifier(kind, name):
    """Return the id that a user, project or role always has."""
    return uuid.uuid5(uuid.NAMESPACE_URL, kind + '/' + name).hex


def timestamp(moment):
    return moment.strftime('%Y-%m-%dT%H:%M:%S.000000Z')


class Caller:
    """Whom a token speaks for."""

    def __init__(self, token):
        self.project_id = token['project']['id']
        self.is_admin = any(role['name'] == 'admin' for role in token['roles'])


class Callers:
    """Callers of an emulated service; one Keystone request per token."""

    def __init__(self, auth_url):
        """Begin without any known token.

        :param auth_url: the URL of Keystone, with /v3.
        """
        self._auth_url = auth_url
        self._known = {}

    def find(self, request):
        """Return a Caller, or None if the token is not valid."""
        token = request.headers.get('X-Auth-Token') or ''
        if token not in self._known:
            status, body, _headers = server.call(
                self._auth_url,
                'GET',
                '/auth/tokens',
                headers={'X-Auth-Token': token, 'X-Subject-Token': token},
            )
            if status != 200:
                return None
            self._known[token] = Caller(body['token'])
        return self._known[token]


class Keystone(server.Emulator):
    """See the module.

    :param services: {service type: URL}, the catalogue; a URL may have
        ``%(project_id)s`` in it.
    """

    NAME = 'emulated Keystone'
    ROUTES = (
        ('GET', '/', 'versions'),
        ('GET', '/v3/?', 'version'),
        ('POST', '/v3/auth/tokens', 'token_issue'),
        ('GET', '/v3/auth/tokens', 'token_show'),
        ('HEAD', '/v3/auth/tokens', 'token_show'),
        ('DELETE', '/v3/auth/tokens', 'token_revoke'),
        ('GET', '/v3/auth/catalog', 'catalog'),
        ('GET', '/v3/auth/projects', 'project_list'),
        ('GET', '/v3/auth/domains', 'domain_list'),
        ('GET', '/v3/users/([^/]+)/projects', 'user_projects'),
        ('GET', '/v3/projects', 'project_list'),
        ('GET', '/v3/projects/([^/]+)', 'project_show'),
        ('POST', '/v3/OS-TRUST/trusts', 'trust_create'),
        ('DELETE', '/v3/OS-TRUST/trusts/([^/]+)', 'trust_delete'),
    )

    def __init__(self, services=None):
        super().__init__()
        self.services = dict(services or {})
        self.tokens = {}
        self.trusts = {}

    def error(self, status, message):
        return server.Response(
            status,
            {'error': {'code': status, 'title': message, 'message': message}},
        )

    def unauthorized(self):
        return self.error(
            401, 'The request you have made requires authentication.'
        )

    def _version(self):
        return {
            'id': 'v3.14',
            'status': 'stable',
            'updated': '2020-04-07T00:00:00Z',
            'media-types': [],
            'links': [{'rel': 'self', 'href': self.server.url + '/v3/'}],
        }

    def versions(self, _request):
        return server.Response(
            300, {'versions': {'values': [self._version()]}}
        )

    def version(self, _request):
        return server.Response(200, {'version': self._version()})

    def _catalog(self, project_id):
        services = {'identity': self.server.url + '/v3', **self.services}
        return [
            {
                'id': identifier('service', kind),
                'type': kind,
                'name': kind,
                'endpoints': [
                    {
                        'id': identifier(interface, kind),
                        'interface': interface,
                        'region': 'RegionOne',
                        'region_id': 'RegionOne',
                        'url': url.replace('%(project_id)s', project_id),
                    }
                    for interface in ('public', 'internal', 'admin')
                ],
            }
            for kind, url in services.items()
        ]

    def _user_of(self, identity):
        """Return the name of the user that proves to be one, or None."""
        if 'token' in identity.get('methods', ()):
            token = self.tokens.get(identity['token']['id'])
            return token and token['user']['name']
        asked = identity.get('password', {}).get('user', {})
        for name in USERS:
            known = name in (asked.get('name'), None) or (
                asked.get('id') == identifier('user', name)
            )
            if known and asked.get('password') == name:
                return name

    def token_issue(self, request):
        auth = request.json().get('auth', {})
        name = self._user_of(auth.get('identity', {}))
        if name is None:
            raise self.unauthorized()
        unscoped = auth.get('scope') == 'unscoped'
        scope = auth.get('scope')
        scope = scope if isinstance(scope, dict) else {}
        if 'domain' in scope or 'system' in scope:
            raise self.unauthorized()
        trust = None
        if 'OS-TRUST:trust' in scope:
            trust = self._trust_of(name, scope['OS-TRUST:trust'])
            name = trust['trustor']
        project, roles = USERS[name]
        if trust:
            roles = [role['name'] for role in trust['roles']]
        asked = scope.get('project', {})
        if (
            asked
            and project != asked.get('name')
            and (asked.get('id') != identifier('project', project))
        ):
            raise self.unauthorized()
        now = datetime.datetime.now(datetime.UTC)
        token = {
            'methods': ['password'],
            'audit_ids': [secrets.token_hex(8)],
            'user': {
                'id': identifier('user', name),
                'name': name,
                'domain': DOMAIN,
                'password_expires_at': None,
            },
            'issued_at': timestamp(now),
            'expires_at': timestamp(now + LIFETIME),
        }
        if not unscoped:
            token.update(self._in_project(project, roles))
        if trust:
            token['OS-TRUST:trust'] = {
                'id': trust['id'],
                'impersonation': True,
                'trustee_user': {'id': trust['trustee_user_id']},
                'trustor_user': {'id': trust['trustor_user_id']},
            }
        ident = 'gAAAAA' + secrets.token_hex(40)
        self.tokens[ident] = token
        return server.Response(
            201, {'token': token}, {'X-Subject-Token': ident}
        )

    def _in_project(self, project, roles):
        """Return what a token has that is scoped to a project."""
        ident = identifier('project', project)
        return {
            'project': {'id': ident, 'name': project, 'domain': DOMAIN},
            'is_domain': False,
            'roles': [
                {'id': identifier('role', role), 'name': role}
                for role in roles
            ],
            'catalog': self._catalog(ident),
        }

    def _trust_of(self, trustee, scope):
        trust = self.trusts.get(scope.get('id'))
        if trust is None:
            raise self.error(404, 'Could not find trust.')
        if trust['trustee_user_id'] != identifier('user', trustee):
            raise self.error(403, 'User is not a trustee.')
        return trust

    def trust_create(self, request):
        caller = self._caller(request)
        asked = request.json()['trust']
        has = {role['name'] for role in caller['roles']}
        if (
            asked['trustor_user_id'] != caller['user']['id']
            or asked['project_id'] != caller['project']['id']
            or 'OS-TRUST:trust' in caller
        ):
            raise self.error(403, 'You are not authorized to do that.')
        if (
            not asked['roles']
            or {role['name'] for role in asked['roles']} - has
        ):
            raise self.error(403, 'The trustor lacks a role.')
        ident = uuid.uuid4().hex
        self.trusts[ident] = trust = {
            **asked,
            'id': ident,
            'trustor': caller['user']['name'],
        }
        return server.Response(201, {'trust': trust})

    def trust_delete(self, request, ident):
        caller = self._caller(request)
        trust = self.trusts.get(ident)
        if trust is None:
            raise self.error(404, 'Could not find trust: %s.' % ident)
        if trust['trustor_user_id'] != caller['user']['id']:
            raise self.error(403, 'You are not authorized to do that.')
        del self.trusts[ident]
        return server.Response(204)

    def _caller(self, request):
        token = self.tokens.get(request.headers.get('X-Auth-Token'))
        if token is None:
            raise self.unauthorized()
        return token

    def token_show(self, request):
        self._caller(request)
        ident = request.headers.get('X-Subject-Token')
        if ident not in self.tokens:
            raise self.error(404, 'Could not find token.')
        return server.Response(
            200, {'token': self.tokens[ident]}, {'X-Subject-Token': ident}
        )

    def token_revoke(self, request):
        self._caller(request)
        self.tokens.pop(request.headers.get('X-Subject-Token'), None)
        return server.Response(204)

    def catalog(self, request):
        project_id = self._caller(request)['project']['id']
        return server.Response(200, {'catalog': self._catalog(project_id)})

    def _projects(self):
        return [
            {
                'id': identifier('project', name),
                'name': name,
                'domain_id': 'default',
                'enabled': True,
                'links': {},
            }
            for name in sorted({project for project, _roles in USERS.values()})
        ]

    def project_list(self, request):
        self._caller(request)
        name = request.argument('name')
        return server.Response(
            200,
            {
                'links': {},
                'projects': [
                    project
                    for project in self._projects()
                    if name in (None, project['name'])
                ],
            },
        )

    def domain_list(self, request):
        self._caller(request)
        return server.Response(200, {'links': {}, 'domains': []})

    def user_projects(self, request, ident):
        caller = self._caller(request)['user']
        if caller['id'] != ident:
            raise self.error(403, 'You are not authorized to do that.')
        return server.Response(
            200,
            {
                'links': {},
                'projects': [
                    project
                    for project in self._projects()
                    if project['name'] == USERS[caller['name']][0]
                ],
            },
        )

    def project_show(self, request, ident):
        self._caller(request)
        for project in self._projects():
            if project['id'] == ident:
                return server.Response(200, {'project': project})
        raise self.error(404, 'Could not find project: %s.' % ident)


def main():
    parser = server.argument_parser(__doc__)
    parser.add_argument(
        '--service',
        action='append',
        default=[],
        metavar='TYPE=URL',
        help='an entry of the catalogue',
    )
    args = parser.parse_args()
    services = dict(pair.split('=', 1) for pair in args.service)
    server.run(Keystone(services), args.listen)


if __name__ == '__main__':
    main()
