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

"""New Cinder volumes for the members of a bulk.

Cinder makes one volume per call, in the project of the token, so they are made
with the trust of the bulk's user. They are found by their metadata, and
leftovers are deleted, with Zun's own credentials, which reach all projects.
"""

import collections
from concurrent import futures

from cinderclient import exceptions as cinder_exceptions
from keystoneauth1 import exceptions as ks_exc
from oslo_log import log as logging

from zun_bulk import connections
from zun_bulk import zun_compat
from zun_bulk.conf import CONF
from zun_bulk.db import zun_rows
from zun_bulk.pacing import throttle
from zun_bulk.volume import mounts


LOG = logging.getLogger(__name__)

#: The metadata of each volume that is made here: the bulk, the container, and
#: the number of the mount among the container's.
BULK = 'zun_bulk'
CONTAINER = 'zun_bulk_container'
MOUNT = 'zun_bulk_mount'
#: The volume's own id, once it is available. Cinder restores metadata with a
#: backup, and a volume restored by a user is not ours.
VOLUME = 'zun_bulk_volume'

#: Statuses of a volume that is in use, or was never released.
HELD = ('reserved', 'attaching', 'in-use', 'detaching')
#: Statuses of a volume that Cinder is working on.
COMING = (
    'creating',
    'downloading',
    'uploading',
    'extending',
    'retyping',
    'reverting',
    'backing-up',
    'restoring-backup',
    'maintenance',
)
#: Order of preference: a lost answer may leave two volumes.
_ORDER = ('available', *COMING, *HELD, 'error')
#: Statuses of errors after which another attempt may succeed.
_LATER = (401, 408, 409, 429)
NO_TRUST = "Keystone: the trust of the bulk's user is no longer valid"


class Busy(Exception):
    """Volumes cannot be deleted at the moment."""


class Found(collections.namedtuple('Found', 'ready missing waiting failed')):
    """The state of the volumes of members.

    :ivar ready: [(Member, what is to be noted in its ``wanted``)].
    :ivar missing: [(Member, number of the mount, size)] to be made.
    :ivar waiting: number of members that have to wait.
    :ivar failed: {reason: [Member]}.
    """


class Volumes:
    """Clients of Cinder that keep their tokens between calls."""

    def __init__(self):
        self._client = connections.cinder()
        self._calls = throttle.for_api_calls(
            'volume calls', 'Cinder', CONF.zun_bulk.volume_calls
        )

    def find(self, bulk):
        """List the volumes that were made for a bulk, with one call.

        :returns: {(container uuid, number of the mount): [volume]}.
        """
        found = collections.defaultdict(list)
        for volume in self._client.volumes.list(
            search_opts={
                'all_tenants': 1,
                'project_id': bulk.project_id,
                'metadata': {BULK: bulk.uuid},
            }
        ):
            # Users of other projects may set any metadata on theirs.
            owner = getattr(volume, 'os-vol-tenant-attr:tenant_id')
            if owner == bulk.project_id and _is_original(volume):
                found[
                    volume.metadata.get(CONTAINER), volume.metadata.get(MOUNT)
                ].append(volume)
        for volumes in found.values():
            volumes.sort(key=_rank)
        return found

    def marked(self):
        """List the volumes made for members of bulks, in all projects.

        :returns: [volume]; empty if the cloud has no Cinder.
        """
        try:
            volumes = self._client.volumes.list(search_opts={'all_tenants': 1})
        except ks_exc.EndpointNotFound:
            return []
        return [volume for volume in volumes if _is_marked(volume)]

    def delete(self, volume):
        """Delete a volume that is not in use.

        :returns: whether Cinder accepted it; the log contains the reason if
            not.
        """
        return (
            self._try(volume, self._client.volumes.delete, volume.id) is None
        )

    def look(self, bulk, members):
        """Check the volumes of members that no host is working on.

        :returns: a Found.
        """
        marked = self.find(bulk)
        found = Found([], [], [], collections.defaultdict(list))
        new = []
        for member in members:
            self._look_at(bulk, member, marked, found, new)
        # Before a user can make a useful backup of it.
        self._each(self._mark, new)
        return found

    def _look_at(self, bulk, member, marked, found, new):
        volumes, missing, complete = {}, [], True
        for number, size in mounts.own(bulk, member).items():
            volume = next(
                (
                    volume
                    for volume in marked.get(
                        (member.container_uuid, number), ()
                    )
                    if volume.status in _ORDER
                ),
                None,
            )
            if volume is None:
                missing.append((member, number, size))
            elif volume.status == 'available':
                volumes[number] = volume.id
                if VOLUME not in volume.metadata:
                    new.append(volume)
                continue
            elif volume.status == 'error':
                found.failed[
                    'Cinder: creating a volume of %s GB failed' % size
                ].append(member)
                return
            elif volume.status in HELD and not self._free(volume):
                found.failed[
                    'Cinder: volume %s is %s and cannot be detached'
                    % (volume.id, volume.status)
                ].append(member)
                return
            complete = False
        if complete:
            found.ready.append((member, mounts.noted(member, volumes)))
        else:
            found.missing.extend(missing)
            found.waiting.append(member)

    def _mark(self, volume):
        with self._calls.slot(volume.id):
            self._client.volumes.set_metadata(volume, {VOLUME: volume.id})

    @staticmethod
    def _each(function, items):
        """Call a function for each item, some calls in parallel.

        :returns: the results, in order.
        :raises: the error of the first call that failed, once all have ended.
        """
        with futures.ThreadPoolExecutor(CONF.zun_bulk.volume_calls) as pool:
            calls = [pool.submit(function, item) for item in items]
        return [call.result() for call in calls]

    def make(self, bulk, missing):
        """Make volumes, some calls in parallel.

        :param missing: as in a Found.
        :returns: {reason: [Member]} of permanent refusals; each member once.
        :raises: what cinderclient and keystoneauth1 raise, once all calls
            have ended.
        """
        reasons = {}
        client = connections.cinder(trust_id=bulk.spec.trust_id)
        try:
            client.client.get_token()
        except (ks_exc.Unauthorized, ks_exc.Forbidden, ks_exc.NotFound):
            # Raises if Zun's own user cannot log in either.
            connections.session().get_token()
            members = dict.fromkeys(member for member, *_rest in missing)
            return {NO_TRUST: list(members)}
        with futures.ThreadPoolExecutor(CONF.zun_bulk.volume_calls) as pool:
            calls = [
                (item[0], pool.submit(self._make, client, bulk, *item))
                for item in missing
            ]
        problems = []
        for member, call in calls:
            error = call.exception()
            if error is None:
                continue
            if _is_refusal(error):
                # str(error) contains the id of the request, so each member
                # would have a different reason.
                reasons[member] = 'Cinder: %s' % error.message
            else:
                problems.append(error)
        if problems and not reasons:
            raise problems[0]
        refused = collections.defaultdict(list)
        for member, reason in reasons.items():
            refused[reason].append(member)
        return refused

    def _make(self, client, bulk, member, number, size):
        with self._calls.slot((member.container_uuid, number)):
            client.volumes.create(
                size,
                name='%s-%s' % (member.name[:240], number),
                description='For container %s' % member.container_uuid,
                metadata={
                    BULK: bulk.uuid,
                    CONTAINER: member.container_uuid,
                    MOUNT: number,
                },
            )

    def sweep(self, bulk, container_uuids=None):
        """Delete the volumes of containers that are gone.

        Volumes that Zun knows as attached are left for Zun to detach. Those
        that Cinder refuses to delete, for their snapshots say, stay.

        :param container_uuids: a set; None for all volumes of the bulk.
        :returns: number of volumes found.
        :raises: Busy if some can only be deleted later.
        """
        volumes = [
            volume
            for (container, _number), volumes in self.find(bulk).items()
            if container_uuids is None or container in container_uuids
            for volume in volumes
        ]
        attached = zun_rows.attached_volumes(
            [volume.id for volume in volumes if volume.status in HELD]
        )
        left = [volume for volume in volumes if volume.id not in attached]
        done = self._each(self._remove, left)
        busy = [
            '%s (%s)' % (volume.id, volume.status)
            for volume, is_done in zip(left, done, strict=True)
            if not is_done
        ]
        if busy:
            raise Busy(', '.join(busy))
        return len(volumes)

    def detach(self, bulk, members):
        """Detach the users' own volumes from members of a lost host.

        Nothing else does, and a volume that is not shared would be unusable.
        """
        uuids = {member.container_uuid for member in members}
        attached = []
        for volume_id in sorted(
            set().union(*(mounts.given(bulk, member) for member in members))
        ):
            try:
                volume = self._client.volumes.get(volume_id)
            except cinder_exceptions.NotFound:
                continue
            attached += [
                (volume, attachment['attachment_id'])
                for attachment in volume.attachments
                if attachment['server_id'] in uuids
            ]
        self._each(lambda pair: self._detach(*pair), attached)

    def _remove(self, volume):
        """Delete a volume, after detaching it if necessary.

        :returns: False if it has to be tried again later.
        """
        if volume.status in COMING:
            return False
        if volume.status == 'deleting':
            return True
        freed = volume.status in HELD and self._free(volume)
        error = self._try(volume, self._client.volumes.delete, volume.id)
        # Detaching may take a moment.
        return error is None or not (freed and error.code == 400)

    def _free(self, volume):
        """Force the detachment of a volume from its container.

        :returns: False if something else uses it.
        """
        LOG.warning(
            'Volume %(volume)s is %(status)s for a container that is on no '
            'host; detaching it',
            {'volume': volume.id, 'status': volume.status},
        )
        idents = [
            attachment['attachment_id']
            for attachment in volume.attachments
            if attachment['server_id'] == volume.metadata[CONTAINER]
        ]
        if not volume.attachments:
            idents = [None]
        errors = [self._detach(volume, ident) for ident in idents]
        return bool(idents) and not any(errors)

    def _detach(self, volume, attachment_id):
        """Force a detachment.

        :returns: as for ``_try``.
        """
        return self._try(
            volume,
            zun_compat.force_detach,
            self._client,
            volume.id,
            attachment_id,
        )

    def _try(self, volume, call, *args):
        """Make a call that may be refused because of what the user did.

        :returns: the error if Cinder refuses it; None on success and if the
            volume is gone.
        :raises: other errors of cinderclient and keystoneauth1.
        """
        with self._calls.slot(volume.id):
            try:
                call(*args)
            except cinder_exceptions.NotFound:
                """It is gone already."""
            except cinder_exceptions.ClientException as error:
                if not _is_refusal(error) and error.code != 409:
                    raise
                LOG.warning(
                    'Cinder refused a call for volume %(volume)s: %(error)s',
                    {'volume': volume.id, 'error': error},
                )
                return error
        return None


def is_held(volume):
    """Whether a volume is or may be in use."""
    return volume.status in HELD or bool(volume.attachments)


def _is_original(volume):
    """Whether a volume was made here, not restored from a backup."""
    return volume.metadata.get(VOLUME, volume.id) == volume.id


def _is_marked(volume):
    return {BULK, CONTAINER} <= volume.metadata.keys() and _is_original(volume)


def _rank(volume):
    status = volume.status
    return (
        _ORDER.index(status) if status in _ORDER else len(_ORDER),
        volume.created_at,
        volume.id,
    )


def _is_refusal(error):
    """Whether the same request would be refused again."""
    return (
        isinstance(error, cinder_exceptions.ClientException)
        and 400 <= error.code < 500
        and error.code not in _LATER
    )
