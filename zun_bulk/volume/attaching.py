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

"""How a host attaches and detaches volumes: as Zun does, one at a time.

A mix-in for Zun's container drivers. Cinder attaches a shared volume to one
container at a time and refuses others meanwhile, but a bulk starts many.
"""

import contextlib
import time

from cinderclient import exceptions as cinder_exceptions
from oslo_concurrency import lockutils
from oslo_log import log as logging
from zun import objects
from zun.common import context as zun_context
from zun.common import exception
from zun.volume import cinder_api
from zun.volume import cinder_workflow

from zun_bulk import zun_compat
from zun_bulk.conf import CONF


LOG = logging.getLogger(__name__)

#: Statuses of a volume that another host is attaching or detaching.
TRANSIENT = ('attaching', 'detaching')
#: Seconds to wait for that host, and between two checks.
TIMEOUT = 30.0
LOOK_AGAIN = 0.5


class Attaching:
    """A mix-in that precedes one of Zun's container drivers.

    :cvar _agent: the HostAgent, which is told that a container is worked on.
    """

    _agent = None

    def is_volume_available(self, context, volume_mapping):
        with self._working(volume_mapping):
            try:
                return super().is_volume_available(context, volume_mapping)
            except cinder_exceptions.NotFound:
                # Otherwise Zun's thread would end without a log line.
                return False, True
            except Exception as error:
                LOG.warning(
                    'Failed to get volume %(volume)s: %(error)s',
                    {
                        'volume': volume_mapping.cinder_volume_id,
                        'error': error,
                    },
                )
                return False, False

    def attach_volume(self, context, volume_mapping):
        with self._exclusive(context, volume_mapping):
            self._check_owner(context, volume_mapping)
            super().attach_volume(context, volume_mapping)

    def detach_volume(self, context, volume_mapping):
        with self._exclusive(context, volume_mapping):
            super().detach_volume(context, volume_mapping)

    @staticmethod
    def _check_owner(context, volume_mapping):
        """Check that a volume still belongs to the project that requested it.

        Zun attaches with its own credentials, which reach all projects.
        """
        volume_id = volume_mapping.cinder_volume_id
        if volume_id is None or volume_mapping.connection_info:
            # A file, or attached already and so not transferable.
            return
        volume = cinder_api.CinderAPI(context).get(volume_id)
        owner = getattr(volume, 'os-vol-tenant-attr:tenant_id', None)
        if owner not in (None, volume_mapping.project_id):
            # Otherwise Zun would delete a new volume when the start fails.
            volume_mapping.auto_remove = False
            raise exception.VolumeNotUsable(
                'Volume %s belongs to another project now' % volume_id
            )

    def _working(self, volume_mapping):
        # Zun sets container_uuid only when it attaches.
        return self._agent.working(
            volume_mapping.container_uuid
            if volume_mapping.obj_attr_is_set('container_uuid')
            else None
        )

    @contextlib.contextmanager
    def _exclusive(self, context, volume_mapping):
        """Wait for exclusive use of a volume, as far as Cinder shows it."""
        volume_id = volume_mapping.cinder_volume_id
        if volume_id is None:
            yield
            return
        with (
            self._working(volume_mapping),
            lockutils.lock('zun-bulk-volume-' + volume_id),
        ):
            deadline = time.monotonic() + TIMEOUT
            while (
                self._status(context, volume_mapping) in TRANSIENT
                and time.monotonic() < deadline
            ):
                time.sleep(LOOK_AGAIN)
            yield

    def _status(self, context, volume_mapping):
        driver = self._get_volume_driver(volume_mapping)
        try:
            return driver.get_volume_status(context, volume_mapping)
        except Exception as error:
            # Zun unmounts it anyway before it asks Cinder.
            LOG.warning(
                'Failed to get volume %(volume)s: %(error)s',
                {'volume': volume_mapping.cinder_volume_id, 'error': error},
            )
            return None

    def forget_volumes(self, container_uuid):
        """Detach the volumes that an earlier start has left attached.

        Zun detaches the volumes of a failed start, but not if zun-compute
        stops meanwhile, nor after a container has ended.

        :raises: the error of Cinder or of the host. The mapping stays then,
            as it is the only record of the volume.
        """
        context = zun_context.get_admin_context(all_projects=True)
        for mapping in objects.VolumeMapping.list_by_container(
            context, container_uuid
        ):
            if mapping.cinder_volume_id is None:
                # The file may never have been written.
                with contextlib.suppress(FileNotFoundError):
                    super().detach_volume(context, mapping)
            elif mapping.auto_remove:
                # No other container uses it, so no exclusive use is needed.
                if not self._forget(context, mapping):
                    continue
            else:
                with self._exclusive(context, mapping):
                    if not self._forget(context, mapping):
                        continue
            mapping.destroy()

    def _forget(self, context, mapping):
        """Detach a volume from this host if it is attached here.

        :returns: False if it is attached to another host.
        """
        workflow = cinder_workflow.CinderWorkflow(context)
        cinder = workflow.cinder_api
        try:
            volume = cinder.get(mapping.cinder_volume_id)
        except cinder_exceptions.NotFound:
            volume = None
        attachment = next(
            (
                attachment
                for attachment in (volume.attachments if volume else ())
                if attachment['server_id'] == mapping.container_uuid
            ),
            None,
        )
        # Zun's own rows do not contain the host.
        if attachment and attachment.get('host_name') not in (None, CONF.host):
            LOG.warning(
                'Volume %(volume)s of container %(uuid)s remains attached to '
                '%(host)s',
                {
                    'volume': volume.id,
                    'uuid': mapping.container_uuid,
                    'host': attachment['host_name'],
                },
            )
            return False
        # It may never have been mounted.
        with contextlib.suppress(FileNotFoundError):
            zun_compat.unmount_device(
                self._get_volume_driver(mapping), mapping
            )
        if attachment:
            if volume.status == 'detaching':
                # The service that began the detach has died.
                cinder.roll_detaching(volume.id)
            workflow.detach_volume(context, mapping)
        elif volume and volume.status == 'attaching':
            # Reserved, and never attached.
            cinder.unreserve_volume(volume.id)
        return True
