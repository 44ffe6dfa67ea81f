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

"""An emulated Cinder: volumes of the Block Storage API v3, without storage.

It follows these sections of the API reference of Block Storage, v3, and where
that is silent cinder/volume/api.py: "Volumes (volumes)" for create, show, list
with details, filters and pages, update of metadata, delete, and the statuses;
"Volume actions" for os-reserve, os-unreserve, os-initialize_connection,
os-terminate_connection, os-attach, os-detach, os-begin_detaching,
os-roll_detaching and os-force_detach; "Limits (limits)" for what a project has
and may have. Statuses gate the actions as in Cinder: a shared volume that is
attaching to one container cannot be reserved for another meanwhile.

Whoever asks is who Keystone says. A path that names another project than the
token is refused, an admin's too; an admin reaches volumes of all projects by
their id. A volume of the type ``multiattach`` may be attached to several.
"""

import ast
import datetime
import time
import uuid

from tests.emulators import keystone
from tests.emulators import server


#: What a list gives at most, as Cinder's osapi_max_limit.
MAX_LIMIT = 1000
#: Statuses in which a volume may be deleted.
DELETABLE = ('available', 'error', 'error_restoring', 'error_extending')
#: Attributes that only an admin sees.
FOR_ADMINS = ('os-vol-host-attr:host',)


class Cinder(server.Emulator):
    """See the module.

    :param auth_url: the URL of Keystone, with /v3.
    :param delay: seconds for which a volume is creating or deleting.
    """

    NAME = 'emulated Cinder'
    #: ``broken`` makes a volume that ends in ``error``.
    FAULTS = (*server.Emulator.FAULTS, 'broken')
    ROUTES = (
        ('GET', '/', 'versions'),
        ('GET', '/v3/?', 'version'),
        ('GET', '/v3/([^/]+)/limits', 'limit_show'),
        ('PUT', '/v3/([^/]+)/os-quota-sets/([^/]+)', 'quota_update'),
        ('POST', '/v3/([^/]+)/volumes', 'volume_create'),
        ('GET', '/v3/([^/]+)/volumes/detail', 'volume_list'),
        ('GET', '/v3/([^/]+)/volumes/([^/]+)', 'volume_show'),
        ('DELETE', '/v3/([^/]+)/volumes/([^/]+)', 'volume_delete'),
        ('POST', '/v3/([^/]+)/volumes/([^/]+)/action', 'volume_action'),
        ('POST', '/v3/([^/]+)/volumes/([^/]+)/metadata', 'volume_metadata'),
    )

    def __init__(self, auth_url, delay=0.3):
        super().__init__()
        self.delay = delay
        self.volumes = {}
        self.quotas = {}
        self._due = {}
        self._callers = keystone.Callers(auth_url)

    def error(self, status, message):
        kind = {400: 'badRequest', 403: 'forbidden', 404: 'itemNotFound'}
        return server.Response(
            status,
            {
                kind.get(status, 'computeFault'): {
                    'code': status,
                    'message': message,
                }
            },
        )

    def prepare(self, request):
        parts = request.path.split('/')
        if len(parts) > 3:
            request.caller = self._callers.find(request)
            if request.caller is None:
                raise self.error(401, 'Authentication required')
            if parts[2] != request.caller.project_id:
                raise self.error(400, 'Malformed request url')
        return request

    def subject(self, name, request, groups):
        """A fault matches an action's name, or a new volume's."""
        if name == 'volume_action':
            return next(iter(request.json()))
        if name == 'volume_create':
            return request.json()['volume'].get('name') or ''
        return groups[-1] if groups else ''

    def perform(self, name, request, groups, fault):
        self._go_on()
        response = getattr(self, name)(request, *groups)
        if fault and fault.kind == 'broken':
            self._due[response.body['volume']['id']] = (
                time.monotonic() + self.delay,
                'error',
            )
        return response

    def _go_on(self):
        """Bring about what has become due."""
        now = time.monotonic()
        for ident, (when, status) in list(self._due.items()):
            if now < when:
                continue
            del self._due[ident]
            if status is None:
                del self.volumes[ident]
            else:
                self.volumes[ident]['status'] = status

    # -------------------------------------------------- versions and limits

    def versions(self, _request):
        return server.Response(300, {'versions': [self._version()]})

    def version(self, _request):
        return server.Response(200, {'versions': [self._version()]})

    def _version(self):
        return {
            'id': 'v3.0',
            'status': 'CURRENT',
            'version': '3.70',
            'min_version': '3.0',
            'updated': '2023-08-31T00:00:00Z',
            'links': [{'rel': 'self', 'href': self.server.url + '/v3/'}],
        }

    def _usage(self, project_id):
        sizes = [
            volume['size']
            for volume in self.volumes.values()
            if volume['os-vol-tenant-attr:tenant_id'] == project_id
        ]
        return len(sizes), sum(sizes)

    def _quota(self, project_id):
        return {
            'volumes': -1,
            'gigabytes': -1,
            **self.quotas.get(project_id, {}),
        }

    def limit_show(self, request, project_id):
        quota = self._quota(project_id)
        number, size = self._usage(project_id)
        return server.Response(
            200,
            {
                'limits': {
                    'rate': [],
                    'absolute': {
                        'maxTotalVolumes': quota['volumes'],
                        'maxTotalVolumeGigabytes': quota['gigabytes'],
                        'totalVolumesUsed': number,
                        'totalGigabytesUsed': size,
                    },
                }
            },
        )

    def quota_update(self, request, _project_id, of_project_id):
        if not request.caller.is_admin:
            raise self.error(403, 'Policy does not allow this.')
        self.quotas[of_project_id] = request.json()['quota_set']
        return server.Response(200, {'quota_set': self._quota(of_project_id)})

    # -------------------------------------------------------------- volumes

    def _get(self, caller, ident):
        volume = self.volumes.get(ident)
        if volume is None or not (
            caller.is_admin
            or volume['os-vol-tenant-attr:tenant_id'] == caller.project_id
        ):
            raise self.error(404, 'Volume %s could not be found.' % ident)
        return volume

    @staticmethod
    def _view(caller, volume):
        return {
            name: value
            for name, value in volume.items()
            if caller.is_admin or name not in FOR_ADMINS
        }

    def volume_create(self, request, project_id):
        asked = request.json()['volume']
        size = asked.get('size')
        if not isinstance(size, int) or size < 1:
            raise self.error(
                400, 'Invalid input for field/attribute size. Value: %s' % size
            )
        quota = self._quota(project_id)
        number, used = self._usage(project_id)
        if 0 <= quota['volumes'] < number + 1:
            raise self.error(
                413,
                'VolumeLimitExceeded: Maximum number of volumes allowed (%d) '
                'exceeded' % quota['volumes'],
            )
        if 0 <= quota['gigabytes'] < used + size:
            raise self.error(
                413,
                'VolumeSizeExceedsAvailableQuota: Requested volume exceeds '
                'allowed gigabytes quota. Requested %dG, quota is %dG and '
                '%dG has been consumed.' % (size, quota['gigabytes'], used),
            )
        now = datetime.datetime.now(datetime.UTC)
        volume = {
            'id': str(uuid.uuid4()),
            'name': asked.get('name'),
            'description': asked.get('description'),
            'size': size,
            'status': 'creating',
            'metadata': asked.get('metadata') or {},
            'volume_type': asked.get('volume_type'),
            'multiattach': asked.get('volume_type') == 'multiattach',
            'availability_zone': asked.get('availability_zone') or 'nova',
            'attachments': [],
            'bootable': 'false',
            'created_at': now.strftime('%Y-%m-%dT%H:%M:%S.%f'),
            'os-vol-tenant-attr:tenant_id': project_id,
            'os-vol-host-attr:host': 'emulated@lvm#lvm',
        }
        self.volumes[volume['id']] = volume
        self._due[volume['id']] = (time.monotonic() + self.delay, 'available')
        return server.Response(
            202, {'volume': self._view(request.caller, volume)}
        )

    def volume_list(self, request, project_id):
        everybodys = request.caller.is_admin and request.flag('all_tenants')
        wanted = request.argument('metadata')
        metadata = ast.literal_eval(wanted) if wanted else {}
        found = [
            volume
            for volume in self.volumes.values()
            if (
                everybodys
                or volume['os-vol-tenant-attr:tenant_id'] == project_id
            )
            and request.argument('name') in (None, volume['name'])
            and request.argument('project_id')
            in (None, volume['os-vol-tenant-attr:tenant_id'])
            and metadata.items() <= volume['metadata'].items()
        ]
        # The newest first, as Cinder does.
        found.reverse()
        marker = request.argument('marker')
        if marker:
            idents = [volume['id'] for volume in found]
            found = found[idents.index(marker) + 1 :]
        limit = min(int(request.argument('limit', MAX_LIMIT)), MAX_LIMIT)
        page = [self._view(request.caller, one) for one in found[:limit]]
        body = {'volumes': page}
        if len(found) > limit:
            query = '&'.join(
                '%s=%s' % (name, server.urllib.parse.quote(values[-1]))
                for name, values in request.query.items()
                if name != 'marker'
            )
            body['volumes_links'] = [
                {
                    'rel': 'next',
                    'href': '%s%s?%s&marker=%s'
                    % (self.server.url, request.path, query, page[-1]['id']),
                }
            ]
        return server.Response(200, body)

    def volume_show(self, request, _project_id, ident):
        volume = self._get(request.caller, ident)
        return server.Response(
            200, {'volume': self._view(request.caller, volume)}
        )

    def volume_metadata(self, request, _project_id, ident):
        volume = self._get(request.caller, ident)
        volume['metadata'].update(request.json()['metadata'])
        return server.Response(200, {'metadata': volume['metadata']})

    def volume_delete(self, request, _project_id, ident):
        volume = self._get(request.caller, ident)
        if volume['status'] not in DELETABLE or volume['attachments']:
            raise self.error(
                400,
                'Invalid volume: Volume status must be available or error or '
                'error_restoring or error_extending or error_managing and '
                'must not be migrating, attached, belong to a group, have '
                'snapshots, awaiting a transfer, or be disassociated from '
                'snapshots after volume transfer.',
            )
        volume['status'] = 'deleting'
        self._due[ident] = (time.monotonic() + self.delay, None)
        return server.Response(202)

    # -------------------------------------------------------------- actions

    def volume_action(self, request, _project_id, ident):
        volume = self._get(request.caller, ident)
        ((action, body),) = request.json().items()
        method = getattr(self, '_' + action.replace('-', '_'), None)
        if method is None:
            raise self.error(400, 'There is no such action: %s' % action)
        if action == 'os-force_detach' and not request.caller.is_admin:
            raise self.error(403, 'Policy does not allow %s.' % action)
        answer = method(volume, body or {})
        return server.Response(200 if answer else 202, answer)

    def _expect(self, volume, what, *statuses):
        if volume['status'] not in statuses:
            raise self.error(
                400,
                'Invalid volume: Volume status must be %s to %s, but the '
                'status is %s.'
                % (' or '.join(statuses), what, volume['status']),
            )

    @staticmethod
    def _rest(volume):
        volume['status'] = 'in-use' if volume['attachments'] else 'available'

    def _os_reserve(self, volume, _body):
        shared = ('in-use',) if volume['multiattach'] else ()
        self._expect(volume, 'reserve', 'available', *shared)
        volume['status'] = 'attaching'

    def _os_unreserve(self, volume, _body):
        if volume['status'] == 'attaching':
            self._rest(volume)

    def _os_initialize_connection(self, volume, body):
        if 'host' not in body['connector']:
            raise self.error(400, 'Invalid input received: connector')
        return {
            'connection_info': {
                'driver_volume_type': 'emulated',
                'data': {'volume_id': volume['id'], 'access_mode': 'rw'},
            }
        }

    def _os_terminate_connection(self, volume, body):
        if 'connector' not in body:
            raise self.error(400, 'Invalid input received: connector')

    def _os_attach(self, volume, body):
        if volume['attachments'] and not volume['multiattach']:
            raise self.error(400, 'Invalid volume: it is attached already')
        self._expect(volume, 'attach', 'attaching', 'available', 'in-use')
        volume['attachments'].append(
            {
                'id': volume['id'],
                'volume_id': volume['id'],
                'attachment_id': str(uuid.uuid4()),
                'server_id': body.get('instance_uuid'),
                'host_name': body.get('host_name'),
                'device': body['mountpoint'],
            }
        )
        self._rest(volume)

    def _os_begin_detaching(self, volume, _body):
        if volume['status'] != 'in-use':
            raise self.error(
                400,
                "Invalid volume: Unable to detach volume. Volume status must "
                "be 'in-use' and attach_status must be 'attached' to detach.",
            )
        volume['status'] = 'detaching'

    def _os_roll_detaching(self, volume, _body):
        if volume['status'] == 'detaching':
            volume['status'] = 'in-use'

    def _os_detach(self, volume, body):
        ident = body.get('attachment_id')
        if ident is None and len(volume['attachments']) > 1:
            raise self.error(
                400,
                'Invalid volume: Detach volume failed: More than one '
                'attachment, but no attachment_id provided.',
            )
        volume['attachments'] = [
            attachment
            for attachment in volume['attachments']
            if ident not in (None, attachment['attachment_id'])
        ]
        self._rest(volume)

    _os_force_detach = _os_detach


def main():
    parser = server.argument_parser(__doc__)
    parser.add_argument(
        '--auth-url', required=True, help="Keystone's URL, with /v3"
    )
    parser.add_argument(
        '--delay',
        type=float,
        default=0.3,
        help='seconds for which a volume is creating or deleting',
    )
    args = parser.parse_args()
    server.run(Cinder(args.auth_url, args.delay), args.listen)


if __name__ == '__main__':
    main()
