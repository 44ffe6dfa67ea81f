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

"""Checks of the mounts in a request, with the user's token for Cinder."""

import collections

from cinderclient import exceptions as cinder_exceptions
from keystoneauth1 import exceptions as ks_exc
from oslo_log import log as logging
from oslo_utils import uuidutils
from zun.common import exception
from zun.common import utils as zun_utils

from zun_bulk import connections
from zun_bulk.api import errors
from zun_bulk.api import validation
from zun_bulk.volume import trusts


LOG = logging.getLogger(__name__)

#: GB that a new volume may have; Cinder's own limits are lower.
MAX_SIZE = 65536
#: Volumes that are looked up one by one; beyond that, all are listed.
MAX_CALLS = 10


class Wish(collections.namedtuple('Wish', 'field mount containers')):
    """A mount, its field in the request, and the number of its containers."""


def check(field, mount):
    """Check a mount as far as possible without Cinder.

    :param field: its path in the body, as ``template.mounts[0]``.
    :raises: ValidationError (400) that names the field.
    """
    kind = mount.get('type', 'volume')
    if kind == 'bind':
        _check_file(field, mount)
    elif kind == 'volume':
        _check_volume(field, mount)
    else:
        validation.refuse(field + '.type', 'must be volume or bind')


def _check_file(field, mount):
    if 'size' in mount:
        validation.refuse(field + '.size', 'not allowed with type bind')
    try:
        zun_utils.decode_file_data(mount.get('source', ''))
    except (exception.Base64Exception, ValueError):
        validation.refuse(field + '.source', 'must be a file in base64')


def _check_volume(field, mount):
    if ('source' in mount) == ('size' in mount):
        validation.refuse(
            field,
            'a volume needs either source, an existing volume, or size, for '
            'a new volume per container',
        )
    if 'source' in mount:
        if not 1 <= len(mount['source']) <= 255:
            validation.refuse(
                field + '.source', 'must be the id or the name of a volume'
            )
        return
    size = str(mount['size'])
    if not (size.isascii() and size.isdigit() and len(size) <= 9) or not (
        1 <= int(size) <= MAX_SIZE
    ):
        validation.refuse(
            field + '.size', 'must be an integer from 1 to %d (GB)' % MAX_SIZE
        )


def resolve(context, wishes):
    """Check mounts with Cinder, and find the volumes that they name.

    :param wishes: [Wish] of the whole request, which have passed ``check``.
    :returns: [mount] as in ``zun_bulk.volume.mounts``, in the same order.
    :raises: ValidationError (400) that names the field, OverQuota (403),
        HTTPServiceUnavailable (503).
    """
    if not any(is_volume(wish.mount) for wish in wishes):
        return [wish.mount for wish in wishes]
    try:
        return _resolve(context, wishes, connections.cinder(context))
    except ks_exc.catalog.CatalogException:
        first = next(wish for wish in wishes if is_volume(wish.mount))
        validation.refuse(first.field, 'this cloud has no Cinder service')
    except (
        ks_exc.ClientException,
        cinder_exceptions.ClientException,
    ) as error:
        raise errors.unavailable(
            'Cinder or Keystone', 'cannot check volumes', error
        ) from error


def wishes(mounts, count, added=None):
    """List the mounts that all members of a bulk need.

    :param mounts: those of the template.
    :param count: number of members in total.
    :param added: number of new members, if not all are new.
    :returns: [Wish].
    """
    return [
        Wish(
            'template.mounts[%d]' % number,
            mount,
            added if added and 'size' in mount else count,
        )
        for number, mount in enumerate(mounts)
    ]


def wishes_of_members(mounts):
    """List the mounts that single members need.

    :param mounts: for each member, the list of its own.
    :returns: [Wish].
    """
    return [
        Wish('members[%d].mounts[%d]' % (position, number), mount, 1)
        for position, own in enumerate(mounts)
        for number, mount in enumerate(own)
    ]


def resolve_all(context, wanted, own, count):
    """Replace the volumes that mounts name by their ids in Cinder.

    :param wanted: the template, whose mounts are replaced.
    :param own: the per-member values of each member, or None.
    :param count: number of members.
    :returns: own with its mounts replaced.
    :raises: as ``resolve``.
    """
    shared = wishes(wanted.get('mounts') or (), count)
    resolved = resolve(
        context,
        shared
        + wishes_of_members(
            [member.get('mounts') or () for member in own or ()]
        ),
    )
    wanted['mounts'] = resolved[: len(shared)]
    rest = iter(resolved[len(shared) :])
    return own and [
        dict(member, mounts=[next(rest) for _ in member.get('mounts') or ()])
        for member in own
    ]


def is_volume(mount):
    return mount.get('type', 'volume') == 'volume'


def _resolve(context, wishes, cinder):
    sources, sizes = {}, []
    listed = _list(cinder, wishes)
    shared = collections.Counter()
    for wish in wishes:
        source = wish.mount.get('source')
        if not is_volume(wish.mount):
            continue
        if source is None:
            sizes += [(int(wish.mount['size']), wish.containers)]
            continue
        if source not in sources:
            sources[source] = _find(
                context, cinder, listed, wish.field, source
            )
        volume = sources[source]
        shared[volume.id] += wish.containers
        _check_usable(wish, volume, shared[volume.id])
    if sizes:
        _check_room(cinder, sizes)
    return [
        _resolved(wish.mount, sources) if is_volume(wish.mount) else wish.mount
        for wish in wishes
    ]


def _resolved(mount, sources):
    resolved = dict(mount, type='volume')
    if 'source' in mount:
        resolved['source'] = sources[mount['source']].id
    else:
        resolved['size'] = int(mount['size'])
    return resolved


def _list(cinder, wishes):
    """List a project's volumes if a request names more than MAX_CALLS.

    :returns: {id or name: [volume]}, or None if each is to be looked up.
    """
    sources = {
        wish.mount['source']
        for wish in wishes
        if is_volume(wish.mount) and 'source' in wish.mount
    }
    if len(sources) <= MAX_CALLS:
        return None
    listed = collections.defaultdict(list)
    volumes = cinder.volumes.list()
    for volume in volumes:
        listed[volume.name].append(volume)
    # Ids last, as the name of one volume may be the id of another.
    listed.update({volume.id: [volume] for volume in volumes})
    return listed


def _find(context, cinder, listed, field, source):
    """Find a volume of the user's project by id or name.

    :param listed: as returned by ``_list``.
    :raises: ValidationError (400)
    """
    field += '.source'
    if listed is not None:
        found = listed.get(source, [])
    elif uuidutils.is_uuid_like(source):
        try:
            found = [cinder.volumes.get(source)]
        except cinder_exceptions.NotFound:
            found = []
    else:
        found = cinder.volumes.list(search_opts={'name': source})
    # Administrators also get volumes of other projects.
    found = [
        volume
        for volume in found
        if getattr(volume, 'os-vol-tenant-attr:tenant_id', context.project_id)
        == context.project_id
    ]
    if not found:
        validation.refuse(field, 'the project has no volume %s' % source)
    if len(found) > 1:
        validation.refuse(
            field,
            'the project has %d volumes named %s; give the id instead'
            % (len(found), source),
        )
    return found[0]


def _check_usable(wish, volume, containers):
    field = wish.field + '.source'
    shareable = volume.multiattach
    if containers > 1 and not shareable:
        validation.refuse(
            field,
            'volume %s cannot be shared by %d containers; give size for a new '
            'volume per container, or a multiattach volume'
            % (volume.id, containers),
        )
    usable = ('available',)
    if shareable:
        # Other containers may be attached or detached at the same time.
        usable += ('in-use', 'reserved', 'attaching', 'detaching')
    if volume.status not in usable:
        validation.refuse(
            field,
            'volume %s is %s; it must be %s'
            % (volume.id, volume.status, ' or '.join(usable)),
        )


def _check_room(cinder, sizes):
    """Check that new volumes fit into Cinder's quotas.

    :param sizes: [(GB, number of volumes)].
    :raises: OverQuota (403)
    """
    limits = {
        limit.name: limit.value for limit in cinder.limits.get().absolute
    }
    overs = []
    for what, most, used, asked in (
        (
            'volumes',
            'maxTotalVolumes',
            'totalVolumesUsed',
            sum(number for _size, number in sizes),
        ),
        (
            'GB of volumes',
            'maxTotalVolumeGigabytes',
            'totalGigabytesUsed',
            sum(size * number for size, number in sizes),
        ),
    ):
        allowed, has = limits.get(most, -1), limits.get(used, 0)
        # -1 means no limit.
        if 0 <= allowed < has + asked:
            overs.append(
                '%s (%d used, %d requested, %d allowed)'
                % (what, has, asked, allowed)
            )
    if overs:
        raise exception.OverQuota(overs=', '.join(overs))


def trust(context, bulk_uuid, wishes):
    """Create a trust from the user to Zun if a bulk needs new volumes.

    :param bulk_uuid: of the bulk that the volumes are for.
    :param wishes: as for ``resolve``.
    :returns: the trust's id, or None.
    :raises: ValidationError (400) if Keystone does not allow it with the
        user's token, HTTPServiceUnavailable (503).
    """
    new = [wish for wish in wishes if 'size' in wish.mount]
    if not new:
        return None
    try:
        return trusts.create(context, bulk_uuid)
    except (ks_exc.Forbidden, ks_exc.Unauthorized) as error:
        LOG.info('User %s cannot create a trust: %s', context.user_id, error)
        validation.refuse(
            new[0].field + '.size',
            'new volumes need a trust from you to Zun, which Keystone does '
            'not allow with this token; use a token that is not from a trust '
            'or a restricted application credential, or give existing volumes '
            'in source',
        )
    except ks_exc.ClientException as error:
        raise errors.unavailable(
            'Keystone', 'cannot create the trust for new volumes', error
        ) from error
