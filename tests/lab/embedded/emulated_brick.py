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

"""An emulated os-brick: attaches nothing, as there is no block device.

It stands for what Zun has os-brick and mount(8) do on a host. All that Zun
asks of Cinder around it stays Zun's own.
"""

from zun.common import mount
from zun.volume import cinder_workflow


class Connector:
    """Stands for an InitiatorConnector of os-brick."""

    def connect_volume(self, connection_properties):
        return {'path': '/dev/emulated-' + connection_properties['volume_id']}

    def disconnect_volume(self, connection_properties, device_info):
        """Do nothing."""


def install():
    """Put it in the place of os-brick and of mounts in this process."""
    cinder_workflow.get_volume_connector_properties = lambda: {
        'host': cinder_workflow.CONF.host,
        'ip': '127.0.0.1',
    }
    cinder_workflow.get_volume_connector = lambda *args, **kwargs: Connector()
    mount.do_mount = lambda devpath, mountpoint, fstype: None
    mount.do_unmount = lambda mountpoint: None
